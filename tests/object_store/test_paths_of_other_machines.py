"""A path whose origin runs on another machine: its reader gets the newest version, and loses no own file.

The other machine is played by the file being absent, or by a version that comes from another path.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.storage import Path as LitPath
from lightning_lite.storage.artifacts import Artifacts, absolute_parts
from lightning_lite.storage.cache_folder import default_folder

pytestmark = pytest.mark.dependencies

ORIGIN, READER = Caller("work", "root.make"), Caller("work", "root.use")


def made(name: str) -> LitPath:
    """Return the path of a file or folder, as its origin has it."""
    with acting_as(ORIGIN):
        path = LitPath(name)
        path.attached("root.make", "path")
    return path


def keep(path: LitPath) -> None:
    """Store the file of the path, as at the end of a run of its origin."""
    with acting_as(ORIGIN):
        path.after_run("root.make")


def read(path: LitPath) -> LitPath:
    """Return the path as its reader gets it at the beginning of a run."""
    with acting_as(READER):
        return path.before_run("root.use")


def keep_elsewhere(path: LitPath, files: dict[str, str]) -> None:
    """Store another version, as its origin does on another machine; the file here stays."""
    for name, text in files.items():
        write_at(f"elsewhere{name}", text, 1_000_000_001)
    with acting_as(ORIGIN):
        Artifacts(".paths").keep("root.make", absolute_parts(path._origin_path), os.path.abspath("elsewhere"))
    os.rename("elsewhere", f"elsewhere-{len(os.listdir())}")


def write_at(path: str, text: str, time: int) -> None:
    """Write a file with a time of its own, in seconds since 1970."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    Path(path).write_text(text)
    os.utime(path, (time, time))


def test_a_file_that_is_not_on_this_machine_comes_from_the_store(remote_place: str, own_place: Path):
    path = made("deep/er/out.txt")
    write_at("deep/er/out.txt", "text", 1_000_000_000)
    keep(path)
    shutil.rmtree("deep")

    got = read(path)

    assert got.read_text() == "text"
    assert os.path.abspath(got) == f"{own_place}/deep/er/out.txt"


@pytest.mark.parametrize("text", ["two", "longer"])
@pytest.mark.parametrize("is_restored", [True, False])
def test_a_copy_of_an_earlier_version_is_replaced_by_the_newest_one(
    remote_place: str, text: str, is_restored: bool
):
    path = made("out.txt")
    write_at("out.txt", "one", 1_000_000_000)
    keep(path)
    if is_restored:
        os.unlink("out.txt")
        assert read(path).read_text() == "one"
    keep_elsewhere(path, {"": text})

    assert read(path).read_text() == text

    keep_elsewhere(path, {"": "the newest"})
    with acting_as(READER):
        assert path.get(overwrite=True).read_text() == "the newest"


@pytest.mark.parametrize("time", [1, 1_000_000_000, 1_900_000_000])
def test_a_file_that_was_changed_here_is_read_in_place(remote_place: str, time: int):
    path = made("out.txt")
    write_at("out.txt", "one", 1_000_000_000)
    keep(path)
    write_at("out.txt", "own", time)  # the same inode and size, and with one of these also the same time
    keep_elsewhere(path, {"": "two"})

    assert read(path).read_text() == "own"


def test_a_folder_is_replaced_as_a_whole_if_its_origin_has_changed_it(remote_place: str):
    path = made("out")
    for name in ("a", "b"):
        write_at(f"out/{name}", name, 1_000_000_000)
    keep(path)
    keep_elsewhere(path, {"/a": "A"})

    got = read(path)

    assert {inner.name: inner.read_text() for inner in Path(got).iterdir()} == {"a": "A"}


@pytest.mark.parametrize("is_restored", [True, False])
def test_a_folder_into_which_the_user_has_moved_an_old_file_stays(remote_place: str, is_restored: bool):
    path = made("out")
    write_at("out/deep/new.txt", "kept", 1_000_000_000)
    keep(path)
    if is_restored:
        shutil.rmtree("out")
        read(path)
    write_at("old.csv", "the only copy", 900_000_000)
    shutil.move("old.csv", "out/deep/old.csv")
    keep_elsewhere(path, {"/deep/new.txt": "newer"})

    got = read(path)

    assert Path(got, "deep/old.csv").read_text() == "the only copy"
    assert Path(got, "deep/new.txt").read_text() == "kept"


def test_a_file_at_the_path_that_was_never_in_the_store_stays(remote_place: str):
    path = made("out.txt")
    keep_elsewhere(path, {"": "stored"})
    write_at("out.txt", "own", 900_000_000)

    assert read(path).read_text() == "own"


def test_a_damaged_note_lets_no_file_be_replaced(remote_place: str):
    path = made("out.txt")
    write_at("out.txt", "one", 1_000_000_000)
    keep(path)
    keep_elsewhere(path, {"": "two"})
    (note,) = Path(default_folder(), "synced").iterdir()
    note.write_text("{")

    assert read(path).read_text() == "one"


def test_the_same_version_is_not_fetched_again(remote_place: str, monkeypatch: pytest.MonkeyPatch):
    path = made("out")
    for name in ("a", "deep/b"):
        write_at(f"out/{name}", name, 1_234_567_891)
    keep(path)
    before = os.stat("out").st_ino

    assert Path(read(path), "deep/b").read_text() == "deep/b"

    assert os.stat("out").st_ino == before


def test_plain_files_are_never_compared(own_place: Path):
    path = made("out.txt")
    write_at("out.txt", "one", 1_000_000_001)
    keep(path)
    write_at("out.txt", "older time", 1_000_000_000)

    assert read(path).read_text() == "older time"
    place = f"{own_place}/out.txt"
    assert not Artifacts(".paths").has_other_version("root.make", absolute_parts(place), place)


def test_a_lit_path_is_restored_where_even_the_root_is_missing_and_the_root_is_private(
    remote_place: str, tmp_path: Path
):
    root = f"{tmp_path}/new/root"
    origin, reader = (Caller("work", name, root, drives=remote_place) for name in ("root.make", "root.use"))
    with acting_as(origin):
        path = LitPath("lit://deep/out.txt")
        path.attached("root.make", "path")
        path = path.before_run("root.make")
        write_at(str(path), "text", 1_000_000_000)
        path.after_run("root.make")
    shutil.rmtree(tmp_path / "new")

    with acting_as(reader):
        got = path.before_run("root.use")

    assert got.read_text() == "text"
    assert str(got) == f"{root}/paths/deep/out.txt"
    assert os.stat(root).st_mode & 0o777 == os.stat(f"{root}/paths").st_mode & 0o777 == 0o700
