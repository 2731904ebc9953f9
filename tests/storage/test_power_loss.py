"""`durable=True`: a put that has returned is complete in each state of the disk after a loss of power."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import content
from power import Power, Tree

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveNotFound
from lightning_lite.storage.fs import syscalls

from tests.support.files import while_read

Step = Callable[[Drive], object]


def put(text: str, to: str = "file", **options) -> Step:
    def step(drive: Drive) -> None:
        Path("source").write_text(text)
        drive.put("source", to=to, **options)

    return step


def put_folder(text: str, to: str = "folder", **options) -> Step:
    def step(drive: Drive) -> None:
        os.makedirs("tree/inner", exist_ok=True)
        for name in ("tree/a", "tree/inner/b"):
            Path(name).write_text(text)
        drive.put("tree", to=to, **options)

    return step


def not_durably(step: Step) -> Step:
    """Return the step with a drive that is not durable."""
    return lambda drive: step(Drive(drive.id, root_dir=drive.root_dir))


FOLDER = {"a": b"new", "inner": {"b": b"new"}}
OLD_FOLDER = {"a": b"old", "inner": {"b": b"old"}}

# The steps before, the step under test, the path to read, and its content before and after.
CASES = {
    "a new file": ([], put("new"), "file", None, b"new"),
    "a file again": ([put("old")], put("new"), "file", b"old", b"new"),
    "a file below new folders": ([put("old")], put("new", to="x/y/z"), "x/y/z", None, b"new"),
    "a file that is moved": ([put("old")], put("new", move=True), "file", b"old", b"new"),
    "a new folder": ([], put_folder("new"), "folder", None, FOLDER),
    "a folder again": ([put_folder("old")], put_folder("new"), "folder", OLD_FOLDER, FOLDER),
    "a folder that is moved": ([], put_folder("new", move=True), "folder", None, FOLDER),
    "below folders that a put that is not durable has made": (
        [not_durably(put("old", to="x/y/other"))],
        put("new", to="x/y/z"),
        "x/y/z",
        None,
        b"new",
    ),
    "into a folder that is read": (
        [put_folder("old")],
        while_read(put("new", to="folder/p/q")),
        "folder",
        OLD_FOLDER,
        {**OLD_FOLDER, "p": {"q": b"new"}},
    ),
    "a folder that is read while a put that is not durable changes it": (
        [put_folder("new"), while_read(not_durably(put("new", to="folder/a")))],
        put("new", to="other"),
        "folder/inner/b",
        b"new",
        b"new",
    ),
    "a delete": ([put("old")], lambda drive: drive.delete("file"), "file", b"old", None),
}


@pytest.fixture
def drive(quick_place: Path) -> Drive:
    (quick_place / "here").mkdir()
    (quick_place / "disk").mkdir()
    os.chdir(quick_place / "here")
    return Drive("lit://d", root_dir=quick_place / "disk/made/on/the/way/root", durable=True)


def check(drive: Drive, before: list[Step], verb: Step, path: str, old: Tree | None, new: Tree | None) -> int:
    """Let the power fail after each operation, with more and less of it on the disk; return how often."""
    place = Path(os.getcwd()).parent
    power = Power(str(place / "disk"))
    with power.recorded():
        for step in before:
            step(drive)
        begin = len(power.log)
        verb(Drive(drive.id, root_dir=drive.root_dir, durable=True))
    end = len(power.log)
    seen = set()
    for count in range(begin, end + 1):
        for written in range(count + 1):
            tree = power.left(count, written)
            state = repr(tree), count == end
            if state in seen:
                continue
            seen.add(state)
            found = what_is_found(tree, place / "found", path)
            assert found == new or (count < end and found == old), (count, end, written, found)
    return len(seen)


def what_is_found(tree: Tree, place: Path, path: str) -> Tree | None:
    """Write the content of the modelled disk, and get the path from a drive on it."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree("got", ignore_errors=True)
    Path("got").unlink() if Path("got").is_file() else None
    for file, data in files(tree, place):
        if data is None:
            file.mkdir()
        else:
            file.write_bytes(data)
    drive = Drive("lit://d", root_dir=place / "made/on/the/way/root")
    try:
        drive.get(path, to="got")
    except DriveNotFound:
        return None
    Path("probe").write_text("probe")
    drive.put("probe")
    return content(Path("got"))


def files(tree: Tree, path: Path) -> Iterator[tuple[Path, bytes | None]]:
    if isinstance(tree, bytes):
        yield path, tree
        return
    yield path, None
    for name, inner in tree.items():
        yield from files(inner, path / name)


@pytest.mark.parametrize("case", CASES)
def test_a_durable_put_survives_the_loss_of_power(drive: Drive, case: str):
    assert check(drive, *CASES[case]) > 1


@pytest.mark.parametrize("case", ["a folder again", "into a folder that is read"])
def test_the_same_holds_where_folders_are_replaced_in_two_steps(drive: Drive, case: str, monkeypatch):
    monkeypatch.setattr(syscalls, "exchange", lambda *places: False)
    assert check(drive, *CASES[case]) > 1


@pytest.mark.parametrize(
    ("case", "what"),
    [
        ("a new file", "folders"),
        ("a file again", "anything"),
        ("below folders that a put that is not durable has made", "folders"),
        ("a new folder", "anything"),
        ("into a folder that is read", "anything"),
    ],
)
def test_the_model_fails_without_a_flush(drive: Drive, case: str, what: str, monkeypatch):
    if what == "folders":
        monkeypatch.setattr(syscalls, "flush_folder", lambda path: None)
    else:
        monkeypatch.setattr(Power, "_fsync", lambda self, fd: None)
    with pytest.raises(AssertionError):
        check(drive, *CASES[case])


def test_the_model_fails_if_the_drive_is_not_durable(drive: Drive):
    before, verb, *rest = CASES["a new file"]
    with pytest.raises(AssertionError):
        check(drive, before, not_durably(verb), *rest)
