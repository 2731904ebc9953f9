"""Drives as a person sees them: lists, pages of folders and files, also odd and vanishing ones."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.monitor import drive_contents
from lightning_lite.monitor.drive_contents import PAYLOADS, DriveContents, DriveSummary, FolderPage, Totals
from lightning_lite.storage import Drive, FileSystem
from lightning_lite.storage.artifacts import Artifacts
from lightning_lite.storage.errors import (
    DriveAmbiguous,
    DriveError,
    DriveIsDirectory,
    DriveNotFound,
    DrivePathError,
    DrivePermissionError,
    DriveRefused,
    DriveSpecialFile,
    DriveSymlink,
)

from tests.support.processes import DEADLINE
from tests.support.users import ALICE, EVE, LAB, Refused, act_as, folder_for_all, make_group_root, needs_users


@pytest.fixture
def root(own_place: Path) -> str:
    return str(own_place.parent / "root")


@pytest.fixture
def contents(root: str) -> DriveContents:
    return DriveContents(root)


@pytest.fixture(autouse=True)
def _with_time_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a list of drives have all sizes, and keep them, also on a busy machine."""
    monkeypatch.setattr(drive_contents, "COUNTING_TIME", DEADLINE)
    monkeypatch.setattr(drive_contents, "_SHORTEST_PERIOD", DEADLINE)


@pytest.fixture
def put(own_place: Path, root: str) -> Callable[..., Path]:
    """Return a function that puts a file or a folder, and returns the place where the drive keeps it."""

    def put_one(drive: str, path: str, content: object, component: str = "main") -> Path:
        make(own_place / path, content)
        handle = Drive(
            f"lit://{drive}", allow_duplicates=True, component_name=component, portable_names=False
        )
        handle.put(path, move=True)
        return Path(root, "drives", drive, component, path)

    return put_one


def make(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, dict):
        path.mkdir()
        for name, inner in content.items():
            make(path / name, inner)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(str(content))


def all_pages(contents: DriveContents, drive: str, path: str = "", limit: int = 2) -> list[FolderPage]:
    pages = [contents.folder(drive, path, limit=limit)]
    while pages[-1].more:
        pages.append(contents.folder(drive, path, after=pages[-1].next, limit=limit))
    return pages


def read(contents: DriveContents, drive: str, path: str, component: str | None = None) -> bytes:
    with contents.open(drive, path, component).file as file:
        return file.read()


def test_drives_are_listed_with_what_is_in_them(contents: DriveContents, put: Any):
    put("models", "a/best.bin", "12345")
    put("models", "b.bin", "123", "root.train")
    put("empty", "x", {})
    models, empty = contents.drives().drives[::-1]
    assert models[:5] == ("models", "lit://models", 2, 8, ("main", "root.train"))
    assert models.changed == max(entry.time for entry in Drive("lit://models").entries(recursive=True))
    assert empty == DriveSummary("empty", "lit://empty", 0, 0, (), None)


@pytest.mark.parametrize("kind", ["missing", "file", "folder"])
def test_what_is_no_root_has_no_drives(own_place: Path, kind: str):
    if kind == "file":
        (own_place / "root").touch()
    elif kind == "folder":
        (own_place / "root").mkdir(mode=0o700)
    found = DriveContents(str(own_place / "root")).drives()
    assert found.drives == []
    if kind == "file":
        assert found.trouble == f"The root '{own_place}/root' can't be read: it is a file, not a folder."
    else:
        assert found.trouble is None
    assert not os.path.lexists(own_place / "root" / "drives")


def test_a_drive_is_counted_piece_by_piece(
    contents: DriveContents, put: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(drive_contents, "COUNTING_TIME", 0.0)
    monkeypatch.setattr(drive_contents, "_PIECE", 3)
    put("many", "a", {str(number): "12" for number in range(10)} | {"inner": {"x": "345"}})
    put("other", "b", "1")
    assert contents.drives().drives == [
        DriveSummary("many", "lit://many"),
        DriveSummary("other", "lit://other"),
    ]
    looks = 1
    while None in [drive.size for drive in contents.drives().drives]:
        looks += 1
    assert looks > 4
    assert [drive[2:4] for drive in contents.drives().drives] == [(11, 23), (1, 1)]


def test_a_count_is_repeated_when_it_is_old(
    contents: DriveContents, put: Any, monkeypatch: pytest.MonkeyPatch
):
    put("models", "a", "1")
    assert contents.drives().drives[0].size == 1
    put("models", "b", "22")
    assert contents.drives().drives[0].size == 1  # the count is new enough
    monkeypatch.setattr(drive_contents.time, "monotonic", lambda: 10.0**9)
    assert contents.drives().drives[0].size == 3


def test_a_new_drive_appears_and_a_removed_one_vanishes(contents: DriveContents, put: Any, root: str):
    assert contents.drives().drives == []
    put("models", "a", "1")
    assert [drive.id for drive in contents.drives().drives] == ["models"]
    os.rename(Path(root, "drives", "models"), Path(root, "elsewhere"))
    assert contents.drives().drives == []


def test_a_folder_is_shown_page_by_page(contents: DriveContents, put: Any):
    put("models", "run", {"a.csv": "12", "b": {"x": "1"}, "c.png": "", "d.bin": ""})
    put("models", "run", {"c.png": "123"}, "root.train")
    pages = all_pages(contents, "models", "run")
    assert [len(page.entries) for page in pages] == [2, 2, 1]
    assert [page[0] for page in pages] == ["run"] * 3
    assert {page.total for page in pages} == {5}
    assert [entry[:5] + entry[6:] for page in pages for entry in page.entries] == [
        ("a.csv", "run/a.csv", "main", "file", 2, "table"),
        ("b", "run/b", "main", "folder", 0, None),
        ("c.png", "run/c.png", "main", "file", 0, "image"),
        ("c.png", "run/c.png", "root.train", "file", 3, "image"),
        ("d.bin", "run/d.bin", "main", "file", 0, None),
    ]
    assert [entry.size for entry in contents.folder("models", "run", "root.train").entries] == [3]
    assert contents.folder("models").entries[0].path == "run"


def test_a_page_begins_where_the_last_one_ended_also_if_files_came_and_went(
    contents: DriveContents, put: Any
):
    for name in "bdfh":
        put("models", name, "")
    page = contents.folder("models", limit=2)
    put("models", "a", "")
    put("models", "e", "")
    Drive("lit://models").delete("d")
    assert [entry.name for entry in contents.folder("models", after=page.next, limit=9).entries] == [
        "e",
        "f",
        "h",
    ]


@pytest.mark.parametrize("after", ["", "x", "[]", '["a"]', '["a", 1]', "[" * 100_000])
def test_a_wrong_place_is_refused(contents: DriveContents, put: Any, after: str):
    put("models", "a", "")
    with pytest.raises(DrivePathError, match="is not known; use `next` of the page before"):
        contents.folder("models", after=after)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("../models/main/a", DrivePathError),
        ("/etc/passwd", DrivePathError),
        ("a/../../a", DrivePathError),
        ("a\0b", DrivePathError),
        ("", DrivePathError),
        (".", DrivePathError),
        (".lightning_lite/lock", DrivePathError),
        ("x" * 300, DrivePathError),
        ("\udce9", DrivePathError),
        ("missing", DriveNotFound),
        ("a/below-a-file", DriveNotFound),
        ("folder", DriveIsDirectory),
    ],
)
def test_only_files_of_the_drive_are_opened(
    contents: DriveContents, put: Any, path: str, error: type[DriveError]
):
    put("models", "a", "text")
    put("models", "folder", {"inner": "1"})
    with pytest.raises(error):
        contents.open("models", path)
    with pytest.raises(error):
        contents.preview("models", path)
    if error is not DriveIsDirectory and path not in ("", "."):
        with pytest.raises(error):
            contents.folder("models", path)


@pytest.mark.parametrize("component", ["..", "../models/main", "a/b", ".lightning_lite", "\0"])
def test_a_component_cannot_lead_out_of_the_drive(contents: DriveContents, put: Any, component: str):
    put("models", "a", "text")
    for act in (contents.folder, contents.preview):
        with pytest.raises(DrivePathError):
            act("models", "a", component)


@pytest.mark.parametrize(
    "drive", ["missing", "", "..", ".paths", "lit://models", "models/main", "@other", "\0"]
)
def test_only_drives_of_the_root_are_read(contents: DriveContents, put: Any, drive: str):
    put("models", "a", "text")
    with pytest.raises(DriveNotFound, match="There is no drive"):
        contents.folder(drive)
    with pytest.raises(DriveNotFound, match="There is no drive"):
        contents.preview(drive, "a")


def test_a_path_of_several_components_needs_one_of_them(contents: DriveContents, put: Any):
    put("models", "a", "one", "anna")
    put("models", "a", "two", "ben")
    assert read(contents, "models", "a", "ben") == b"two"
    with pytest.raises(DriveAmbiguous, match="anna"):
        read(contents, "models", "a")


@pytest.mark.parametrize("name", ["*", "a[1].txt", "?", "[a-z]"])
def test_the_characters_of_a_pattern_are_no_pattern(contents: DriveContents, put: Any, name: str):
    put("models", "a1.txt", "wrong")
    with pytest.raises(DriveNotFound):
        contents.preview("models", name)
    put("models", name, "right")
    assert contents.preview("models", name).text == "right"
    assert [entry.path for entry in contents.folder("models", name).entries] == [name]


def test_a_file_that_is_open_stays_the_version_that_it_was(contents: DriveContents, put: Any):
    put("models", "a", "first")
    opened = contents.open("models", "a")
    with opened.file:
        put("models", "a", "second, and longer")
        assert (opened.name, opened.size, opened.file.read()) == ("a", 5, b"first")
        Drive("lit://models").delete("a")
    with pytest.raises(DriveNotFound):
        read(contents, "models", "a")


def test_a_folder_that_was_deleted_is_named(contents: DriveContents, put: Any):
    put("models", "run", {"a": ""})
    assert contents.folder("models", "run").total == 1
    Drive("lit://models").delete("run")
    with pytest.raises(DriveNotFound, match="'run' is not in the drive 'models'"):
        contents.folder("models", "run")
    assert contents.folder("models").total == 0


def test_an_empty_folder_is_shown_as_empty(contents: DriveContents, put: Any):
    put("models", "run", {})
    assert contents.folder("models", "run") == FolderPage("run", [], 0, False, None)


def test_links_of_the_drive_are_followed_inside_it_only(contents: DriveContents, put: Any, own_place: Path):
    place = put("models", "run", {"a.txt": "content"})
    (own_place / "secret").write_text("secret")
    place.chmod(0o700)
    (place / "inside").symlink_to("a.txt")
    (place / "outside").symlink_to(own_place / "secret")
    (place / "up").symlink_to("../../../../../secret")
    (place / "dangling").symlink_to("missing")
    (place / "loop").symlink_to("loop")
    assert {entry.name for entry in contents.folder("models", "run").entries} == {
        "a.txt", "inside", "outside", "up", "dangling", "loop"
    }  # fmt: skip
    assert contents.preview("models", "run/inside").text == "content"
    for name in ("outside", "up", "loop"):
        with pytest.raises(DriveSymlink, match="symbolic link"):
            contents.preview("models", f"run/{name}")
    with pytest.raises(DriveNotFound):
        contents.preview("models", "run/dangling")
    assert contents.drives().drives[0].trouble is None


def test_a_fifo_in_a_drive_is_named_and_blocks_nobody(contents: DriveContents, put: Any):
    place = put("models", "run", {"a.txt": "content"})
    place.chmod(0o700)
    os.mkfifo(place / "pipe")
    assert [entry.name for entry in contents.folder("models", "run").entries] == ["a.txt", "pipe"]
    with pytest.raises(DriveSpecialFile, match="is a FIFO"):
        contents.preview("models", "run/pipe")


def test_names_that_only_a_hand_can_make_are_listed_and_said_not_to_be_there(
    contents: DriveContents, put: Any
):
    place = put("models", "run", {"a.txt": "content"})
    place.chmod(0o700)
    for name in (b"caf\xe9", b"line\nend", b"\x1b[31m"):
        Path(os.fsdecode(bytes(place) + b"/" + name)).touch()
    entries = contents.folder("models", "run").entries
    assert [entry.name for entry in entries] == ["\x1b[31m", "a.txt", "caf\\udce9", "line\nend"]
    json.dumps(entries, ensure_ascii=False).encode()
    for entry in entries:
        if entry.name != "a.txt":
            with pytest.raises((DriveNotFound, DrivePathError)):
                contents.preview("models", entry.path)
    assert [len(page.entries) for page in all_pages(contents, "models", "run", limit=1)] == [1, 1, 1, 1]


def test_artifacts_are_shown_like_drives_and_payloads_are_never_unpickled(
    contents: DriveContents, own_place: Path, root: str
):
    assert contents.drives().drives == []
    for path in ("@paths", "@payloads", "@files"):
        assert contents.folder(path).total == 0
    (own_place / "plot.svg").write_text("<svg/>")
    (own_place / "object").write_bytes(pickle.dumps(Bomb()))
    with acting_as(Caller("work", "root.train", root, False)):
        Artifacts(".paths").keep("root.train", ("home", "plot.svg"), str(own_place / "plot.svg"))
        Artifacts(".payloads").keep("root.train", ("value", "1"), str(own_place / "object"))
    FileSystem().put(str(own_place / "plot.svg"), "/notes/plot.svg")

    assert [drive[:4] for drive in DriveContents(root).drives().drives] == [
        ("@paths", "Files of Path", 1, 6),
        ("@payloads", "Objects of Payload", 1, (own_place / "object").stat().st_size),
        ("@files", "Files of FileSystem", 1, 6),
    ]
    assert contents.folder("@paths", "home").entries[0][:4] == (
        "plot.svg",
        "home/plot.svg",
        "root.train",
        "file",
    )
    assert contents.preview("@paths", "home/plot.svg").kind == "svg"
    assert contents.preview("@files", "notes/plot.svg").kind == "svg"
    assert contents.folder(PAYLOADS, "value").entries[0].name == "1"
    shown = contents.preview(PAYLOADS, "value/1")
    assert (shown.kind, shown.size) == (None, (own_place / "object").stat().st_size)
    assert "pickle" in (shown.note or "")


class Bomb:
    """Fails a test that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("it was unpickled",)


def test_sums_count_files_only():
    assert (Totals().files, Totals().size, Totals().changed, Totals().owners) == (0, 0, None, set())


@needs_users
def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch):
    with folder_for_all(ALICE) as place:
        home, root = place / str(ALICE.uid), str(place / str(ALICE.uid) / "root")

        def look() -> tuple[str, str, int]:
            (home / "a.txt").write_text("text")
            Drive("lit://models", root_dir=root, root_folder=home).put("a.txt")
            Path(root, "drives", "models", "main", "a.txt").chmod(0)
            contents = DriveContents(root)
            with pytest.raises(DrivePermissionError) as raised:
                contents.preview("models", "a.txt")
            return (
                str(raised.value),
                contents.folder("models").entries[0].name,
                contents.drives().drives[0].size or 0,
            )

        message, name, size = act_as(ALICE, look)
        assert "permission denied" in message
        assert (name, size) == ("a.txt", 4)


@needs_users
def test_the_root_of_another_user_is_refused_in_a_sentence():
    with folder_for_all(ALICE) as place:
        root = place / "root"
        root.mkdir(mode=0o777)
        os.chown(root, EVE.uid, EVE.uid)

        def look() -> str | None:
            with pytest.raises(DriveRefused):
                DriveContents(str(root)).folder("models")
            return DriveContents(str(root)).drives().trouble

        assert "belongs to" in act_as(ALICE, look)


@needs_users
def test_users_of_a_group_see_its_drives_but_not_the_artifacts_of_others():
    with folder_for_all(ALICE, EVE) as place:
        root = str(make_group_root(place / "root"))
        home = place / str(ALICE.uid)

        def fill() -> None:
            (home / "a.txt").write_text("text")
            Drive("lit://shared", root_dir=root, root_folder=home).put("a.txt")
            FileSystem(root_dir=root).put(str(home / "a.txt"), "/private.txt")

        def look() -> tuple[list[str], str | None]:
            contents = DriveContents(root)
            return [drive.id for drive in contents.drives().drives], contents.preview("shared", "a.txt").text

        act_as(ALICE, fill)
        assert act_as(ALICE, look) == (["shared", "@files"], "text")
        bob = EVE._replace(groups=(LAB,))
        assert act_as(bob, look) == (["shared"], "text")
        assert not Path(root, "users", str(bob.uid)).exists(), "looking makes no folder"
        refused = act_as(EVE, look)
        assert isinstance(refused, Refused)
