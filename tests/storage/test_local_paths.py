"""Paths as people have them: a removed working directory, links to it, `out/`, patterns, broken links."""

from __future__ import annotations

import ctypes  # noqa: F401 - loaded before a test gives up its rights
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import filelock  # noqa: F401 - loaded before a test gives up its rights
import pytest
import races
from faults import content

from lightning_lite.errors import WorkingDirectoryGone
from lightning_lite.storage import Drive, FileSystem
from lightning_lite.storage.errors import (
    DriveDuplicate,
    DriveExists,
    DriveNotADirectory,
    DriveNotFound,
    DriveNotOwner,
    DriveOSError,
    DrivePathError,
    DriveSourceMissing,
    DriveSymlink,
)
from lightning_lite.storage.fs import syscalls

from tests.support.files import write
from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import DEADLINE

# The working directory was removed.


@pytest.fixture
def settled(own_place: Path) -> Drive:
    """A drive that was used before its working directory was removed."""
    os.mkdir("gone")
    os.chdir("gone")
    drive = Drive("lit://d", root_dir=own_place / "root")
    write("f", "text")
    drive.put("f")
    os.remove("f")
    os.rmdir("../gone")
    return drive


def test_a_drive_works_after_the_removal_of_the_working_directory(settled: Drive):
    other = Drive("lit://d", root_dir=settled.root_dir)
    for drive in (settled, other):
        assert drive.list() == drive.list("f") == drive.list("*", recursive=True) == ["f"]
        assert [entry.name for entry in drive.entries()] == ["f"]
        assert drive.exists("f")
        with drive.open("f") as file:
            assert file.read() == "text"
    settled.delete("f")
    assert settled.list() == []


def test_a_root_folder_needs_no_working_directory(settled: Drive, own_place: Path):
    drive = Drive("lit://d", root_dir=settled.root_dir, root_folder=own_place)
    assert Path(drive.get("f", to="copy")).read_text() == "text"
    drive.put("copy")
    drive.put(own_place / "copy", to="again")
    assert drive.list() == ["again", "copy", "f"]


@pytest.mark.parametrize(
    "verb",
    [
        lambda drive: drive.put("f"),
        lambda drive: drive.get("f"),
        lambda drive: drive.get("f", to="copy"),
        lambda drive: drive.put("/etc/hostname"),
        lambda drive: drive.list("/etc"),
    ],
)
def test_a_verb_that_needs_the_working_directory_says_that_it_was_removed(settled: Drive, verb):
    with pytest.raises(DriveOSError, match=r"the working directory of this process was removed: .*os\.chdir"):
        verb(settled)
    assert settled.list() == ["f"]


def test_a_relative_root_says_that_the_working_directory_was_removed(
    settled: Drive, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    for make in (
        lambda: Drive("lit://d", root_dir="root"),
        lambda: Drive("lit://d", root_folder="folder"),
        lambda: Drive("lit://d").root_dir,
        lambda: FileSystem(root_dir="root"),
    ):
        with pytest.raises(WorkingDirectoryGone, match="the working directory of this process was removed"):
            make()
    with pytest.raises(DriveOSError, match="working directory"):
        Drive("lit://d").list()


_APP = """
import os, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive, FileSystem, Path


class Write(LightningWork):
    def __init__(self, cwd):
        super().__init__(cwd=cwd)
        self.note = None

    def run(self, drive):
        drive.list()
        with open("note", "w") as file:
            file.write("remember")
        self.note = Path("note")


class Read(LightningWork):
    def run(self, note):
        with open(note) as file:
            return file.read()


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.drive = Drive("lit://d")
        self.write, self.read = Write(sys.argv[2] or None), Read()

    def run(self):
        self.write.run(self.drive)
        print(self.read.run(self.write.note))
        self.stop("ran")


if __name__ == "__main__":
    root = os.path.abspath(sys.argv[1])
    if sys.argv[2]:
        os.rmdir(os.getcwd())
    LightningApp(Root(), root_dir=root).run()
    if not sys.argv[2]:
        with open("x", "w") as file:
            file.write("1")
        files = FileSystem(root_dir=root)
        files.put(os.path.abspath("x"), "/x")
        files.get("/x", os.path.abspath("y"))
        print(os.path.exists("y"))
"""


def test_an_app_runs_after_the_removal_of_the_working_directory(
    own_place: Path, forked_scripts: ForkedScripts
):
    app = write(own_place / "app.py", _APP)
    os.mkdir("gone")
    printed = forked_scripts.run(app, own_place / "root", own_place, cwd=own_place / "gone")
    assert "remember\nran" in printed


def test_an_app_runs_below_a_folder_whose_name_is_not_utf_8(own_place: Path, forked_scripts: ForkedScripts):
    app = write(own_place / "app.py", _APP)
    folder = Path(os.fsdecode(os.fsencode(own_place) + b"/caf\xe9"))
    folder.mkdir()
    printed = forked_scripts.run(app, ".lightning_lite", "", cwd=folder)
    assert printed.splitlines() == ["remember", "ran", "True"]


# Links to the working directory.


@pytest.fixture
def linked(own_place: Path) -> Path:
    """The folder `top`, with a project, a link to it, one to a folder in it, and a link to another disk."""
    for folder in ("top/project/sub", "top/big"):
        os.makedirs(folder)
    os.symlink("project", "top/link")
    os.symlink("project/sub", "top/sub-link")
    os.symlink("../big", "top/project/data")
    top = own_place / "top"
    os.chdir(top / "link")
    for name in ("f", "sub/g", "data/x"):
        write(name, name)
    return top


def test_a_path_through_a_link_to_the_folder_is_inside(linked: Path):
    drives = (
        Drive("lit://a"),
        Drive("lit://b", root_folder=linked / "link"),
        Drive("lit://c", root_folder=linked / "project"),
    )
    for drive in drives:
        for path in (linked / "link/f", linked / "project/f"):
            drive.put(path)
            assert drive.list(path) == ["f"]
            assert Path(drive.get(path, to=linked / "link/copy/f")).read_text() == "f"
            drive.delete(path)
        drive.put(linked / "sub-link/g")
        drive.put(f"{linked}/link/s*")
        assert drive.list(recursive=True) == ["sub/g"]
        for path in (linked / "big/x", linked / "link/data/x"):
            with pytest.raises((DrivePathError, DriveSymlink), match="outside of"):
                drive.put(path)
        drive.put(linked / "link/data/x", follow_symlinks=True)
        assert drive.list("data") == ["data/x"]


def test_what_was_put_through_a_link_out_of_the_folder_is_got_back_through_it(linked: Path):
    drive = Drive("lit://d")
    drive.put("data/x", follow_symlinks=True)
    write("data/x", "changed")
    with pytest.raises(DriveSymlink, match=r"data' is a symbolic link.*get\(\.\.\., follow_symlinks=True\)"):
        drive.get("data/x")
    assert (linked / "big/x").read_text() == "changed"
    assert drive.get("data/x", follow_symlinks=True).endswith("/data/x")
    assert (linked / "big/x").read_text() == "data/x"
    drive.get("data/x", to="data/new/y", follow_symlinks=True)
    assert (linked / "big/new/y").read_text() == "data/x"


# A folder as the argument `to`.


@pytest.mark.parametrize("to", ["out/", "out//", "out/.", "a/b/"])
def test_a_slash_at_the_end_of_to_means_a_folder(drive: Drive, own_place: Path, to: str):
    folder = os.path.normpath(to)
    for name in ("f", "t/x/g"):
        write(name, name)
        drive.put(name)
    for name in ("f", "t/x/g", "t/x"):
        last = os.path.basename(name)
        assert drive.get(name, to=to) == f"{own_place}/{folder}/{last}"
        assert os.path.exists(f"{folder}/{last}")
        drive.put(name, to=to)
        assert drive.exists(f"{folder}/{last}")
    drive.get("f", to=f"{own_place}/here/")
    assert Path("here/f").read_text() == "f"
    drive.get(["f", "t/x/g"], to=f"several/{to}")
    assert Path(f"several/{folder}/g").exists()
    for wrong in ("/", "", "../"):
        with pytest.raises(DrivePathError):
            drive.put("f", to=wrong)
        with pytest.raises(DrivePathError):
            drive.get("f", to=wrong)


@pytest.mark.parametrize("top", [".", "./"])
def test_a_dot_as_to_is_the_top(drive: Drive, own_place: Path, top: str):
    write("t/f", "text")
    drive.put("t/f", to=top)
    assert drive.list() == ["f"]
    assert drive.get("f", to=top) == f"{own_place}/f"


def test_a_folder_that_is_there_takes_files(drive: Drive, own_place: Path):
    for name in ("old/a", "f", "t/x/g"):
        write(name, name)
    drive.put("old")
    drive.put("f", to="old")
    drive.put(["f", "t/x/g"], to="old")
    assert drive.list("old") == ["old/a", "old/f", "old/g"]
    os.mkdir("here")
    assert drive.get("old/f", to="here") == f"{own_place}/here/f"
    assert drive.get("old/*", to="here") == [f"{own_place}/here/{name}" for name in ("a", "f", "g")]


def test_the_folder_that_takes_a_file_may_be_of_another_component(drive: Drive):
    write("old/a")
    write("f")
    Drive(drive.id, component_name="other").put("old")
    drive.put("f", to="old")
    assert [(entry.name, entry.owner) for entry in drive.entries("old")] == [
        ("old/a", "other"),
        ("old/f", "main"),
    ]


def test_to_is_the_new_name_of_a_folder_so_that_a_repeated_put_replaces_it(drive: Drive):
    for name in ("one", "two"):
        write(f"t/{name}")
        drive.put("t", to="new")
        os.unlink(f"t/{name}")
    assert drive.list("new") == ["new/two"]
    drive.get("new", to="copy")
    with pytest.raises(
        DriveExists, match=r"overwrite=True\) to replace it, or pass to=... with a '/' at its end"
    ):
        drive.get("new", to="copy")
    drive.get("new", to="copy/")
    assert Path("copy/new/two").exists()


@pytest.mark.parametrize("paths", [["f", "t/g"], ["f"], "f*"], ids=str)
def test_several_paths_need_a_folder(drive: Drive, paths: object):
    write("f")
    write("t/g")
    drive.put(["f", "t/g"])
    with pytest.raises(DriveNotADirectory, match=r"need a folder; write to='new/'"):
        drive.put(paths, to="new")
    assert not drive.exists("new")
    write("new")
    with pytest.raises(DriveNotADirectory, match=r"need a folder; write to='new/'"):
        drive.get(paths, to="new")
    assert Path("new").read_text() == "text"


@pytest.mark.parametrize("several", [False, True])
def test_the_whole_folder_does_not_replace_the_folder_that_takes_it(several: bool, own_place: Path):
    (own_place / "a.txt").write_text("a")
    drive = Drive("lit://whole")
    drive.put("a.txt", to="all/kept.txt")

    with pytest.raises(DrivePathError, match=r"The folder '\.' has no name that 'all/' could use"):
        drive.put(["a.txt", "."] if several else ".", to="all/")
    assert drive.list(recursive=True) == ["all/kept.txt"]

    drive.put(".", to="all")
    assert drive.list(recursive=True) == ["all/a.txt"]


@pytest.mark.parametrize("path", [".", "./", Path(), ["f", "."]], ids=str)
def test_a_put_of_the_whole_folder_without_a_name_says_that_it_needs_one(drive: Drive, path: object):
    write("f")

    with pytest.raises(DrivePathError, match=r"is the whole folder .* with a name such as to='all'"):
        drive.put(path)

    assert drive.list() == []


@pytest.mark.parametrize("verb", ["get", "delete", "open", "exists"])
def test_the_top_of_the_drive_is_called_the_whole_drive(drive: Drive, verb: str):
    with pytest.raises(DrivePathError, match=r"The path '\.' is the whole drive; name a file"):
        getattr(drive, verb)(".")


def test_a_get_that_would_replace_the_whole_folder_says_how_to_get_into_it(drive: Drive, own_place: Path):
    write("t/f")
    drive.put("t")

    with pytest.raises(DrivePathError, match=rf"write to='{own_place}/' to get it into"):
        drive.get("t", to=own_place)

    assert drive.get("t", to=f"{own_place}/", overwrite=True) == f"{own_place}/t"


@pytest.mark.parametrize("empty", [[], (), iter(())], ids=lambda empty: type(empty).__name__)
def test_an_empty_list_of_paths_is_called_empty(drive: Drive, empty: Iterable[str]):
    verbs = {"put": DriveSourceMissing, "get": DriveNotFound, "delete": DriveNotFound}

    for verb, kind in verbs.items():
        with pytest.raises(kind, match="The list of paths is empty; name at least one path"):
            getattr(drive, verb)(empty)
    with pytest.raises(DriveNotFound, match="The list of paths is empty"):
        drive.get(empty, timeout=2 * DEADLINE)  # there is nothing to wait for
    assert drive.list(empty) == []


def test_a_local_path_that_leaves_the_folder_is_not_said_to_leave_the_drive(drive: Drive, own_place: Path):
    write("f")
    drive.put("f")
    left = rf"'\.\.' is not allowed in .*; a local path can't leave the folder '{own_place}'.* root_folder="

    for put in ("../f", ["f", "../f"], "../*"):
        with pytest.raises(DrivePathError, match=left):
            drive.put(put)
    with pytest.raises(DrivePathError, match=left):
        drive.get("f", to="../../x")
    with pytest.raises(DrivePathError, match="can't leave the drive"):
        drive.get("../f")
    with pytest.raises(DrivePathError, match="can't leave the drive"):
        drive.put("f", to="../f")


def test_two_paths_with_the_same_last_name_do_not_replace_each_other(drive: Drive):
    for name in ("a/f", "b/f"):
        write(name, name)
    with pytest.raises(DrivePathError, match="'a/f' and 'b/f' have the same last name"):
        drive.put(["a/f", "b/f"], to="new/")
    assert drive.list() == []
    drive.put(["a/f", "b/f"])
    with pytest.raises(DrivePathError, match="'a/f' and 'b/f' have the same last name"):
        drive.get("*/f", to="new/")
    assert not Path("new").exists()
    drive.put(["a/f", "a/f"], to="new/")
    assert drive.list("new") == ["new/f"]


def test_a_duplicate_of_a_name_that_was_meant_as_a_folder_says_so(drive: Drive):
    write("f")
    other = Drive(drive.id, component_name="other")
    other.put("f", to="results")
    with pytest.raises(
        DriveDuplicate, match=r"If 'results' is meant as a folder, write to='results/'"
    ) as caught:
        drive.put("f", to="results")
    assert caught.value.owner == "other"
    other.put("f", to="results.txt")
    for options in ({"to": "results.txt"}, {}):
        other.put("f")
        with pytest.raises(DriveDuplicate) as caught:
            drive.put("f", **options)
        assert "folder" not in str(caught.value)


# Patterns.


@pytest.fixture
def full(drive: Drive) -> Drive:
    for name in ("a.txt", "b.txt", "c.csv", "run-1/d.txt", "run-2/e.txt"):
        write(name, name)
        drive.put(name)
    write("mine.txt")
    Drive("lit://d", component_name="other").put("mine.txt")
    return drive


def test_list_takes_patterns_and_several_paths(full: Drive):
    assert full.list("*.csv") == ["c.csv"]
    assert full.list("[ab].txt") == full.list(["b.txt", "a.txt", "a.*"]) == ["a.txt", "b.txt"]
    assert full.list("run-?") == full.list("run-*/*.txt") == ["run-1/d.txt", "run-2/e.txt"]
    assert full.list("*.txt", "other") == ["mine.txt"]
    assert full.list("*", recursive=True) == full.list(recursive=True)
    assert full.list("*.nothing") == full.list("nothing/*") == full.list([]) == []
    assert [entry.name for entry in full.entries("*.txt")] == ["a.txt", "b.txt", "mine.txt"]
    assert full.exists("*.csv")
    assert not full.exists("*.bin")


def test_delete_takes_patterns_and_several_paths(full: Drive):
    full.delete("*.txt")  # not that of the other component
    assert full.list() == ["c.csv", "mine.txt", "run-1", "run-2"]
    full.delete("run-[2]/*")
    full.delete(["c.csv", "run-1"])
    assert full.list(recursive=True) == ["mine.txt"]
    for path in ("*.txt", "*.nothing", [], "nothing"):
        with pytest.raises(DriveNotFound):
            full.delete(path)
    with pytest.raises(DriveNotOwner):
        full.delete(["mine.txt"])


def test_a_delete_of_several_says_how_many_were_removed(full: Drive, monkeypatch: pytest.MonkeyPatch):
    real = syscalls.unlink

    def refuse(path: str, **places: object) -> None:
        if path.endswith("main/b.txt"):
            raise OSError(5, os.strerror(5), path)
        real(path, **places)

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "unlink", refuse)
        with pytest.raises(DriveOSError, match=r"delete 'b.txt' failed: .*; 1 of 2 were removed"):
            full.delete("[ab].txt")
    assert full.list("*.txt", "main") == ["b.txt"]


def test_open_says_that_it_takes_no_pattern(full: Drive):
    for path in ("*.txt", "[ab].txt", "run-?/d.txt"):
        with pytest.raises(DrivePathError, match=r"is a pattern .*list\(\)"):
            full.open(path)


def test_a_pattern_that_is_a_name_is_that_name_for_each_verb(drive: Drive):
    for name in ("a[1].txt", "a1.txt"):
        write(name, name)
        drive.put(name)
    assert drive.list("a[1].txt") == ["a[1].txt"]
    with drive.open("a[1].txt") as file:
        assert file.read() == "a[1].txt"
    drive.delete("a[1].txt")
    assert drive.list() == drive.list("a[1].txt") == ["a1.txt"]


# Broken links.


@pytest.mark.parametrize("target", ["nothing", "/nothing", "f/below", "other-link"])
def test_a_broken_link_is_called_a_link(drive: Drive, own_place: Path, target: str):
    write("f")
    drive.put("f")
    write("t/a")
    drive.put("t")
    os.symlink("nothing", "other-link")
    os.symlink(target, "link")
    os.makedirs("inside/deep")
    os.symlink(target if target[0] == "/" else f"../../{target}", "inside/deep/link")
    words = "is a symbolic link to "
    for verb in (
        lambda: drive.put("link"),
        lambda: drive.put("link/below"),
        lambda: drive.put("inside"),
        lambda: drive.put("l*k"),
        lambda: drive.put("link", follow_symlinks=True),
        lambda: FileSystem().put(own_place / "link", "/x"),
    ):
        with pytest.raises(DriveSourceMissing, match=words) as caught:
            verb()
        assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(DriveSymlink, match=words):
        drive.get("f", to="link/f")
    with pytest.raises(DriveNotADirectory, match="is a symbolic link"):
        drive.get("t", to="link")
    with pytest.raises(DriveNotADirectory, match=words):
        Drive("lit://d", root_folder="link")
    with pytest.raises(DriveNotADirectory, match=words):
        Drive("lit://d", root_dir="link").put("f")
    with pytest.raises(DriveSourceMissing, match="doesn't exist; nothing was put"):
        drive.put("really-nothing")
    assert drive.list() == ["f", "t"]
    assert os.path.islink("link")


# Folders without permissions.


@pytest.mark.parametrize("mode", [0o555, 0o500, 0o444, 0o000])
@pytest.mark.parametrize("steps", [1, 2])
def test_a_folder_without_permissions_is_replaced(
    quick_place: Path, monkeypatch: pytest.MonkeyPatch, mode: int, steps: int
):
    if os.geteuid() == 0:
        os.chown(quick_place, races.NOBODY, races.NOBODY)
    if steps == 2:
        monkeypatch.setattr(syscalls, "exchange", lambda *places: False)

    def job() -> None:
        drive = Drive("lit://d", root_dir=quick_place / "root")
        write("t/a", "new")
        drive.put("t")
        write("copy/inner/b", "old")
        for folder in ("copy/inner", "copy"):
            os.chmod(folder, mode)
        with pytest.raises(DriveExists):
            drive.get("t", to="copy")
        assert stat.S_IMODE(os.stat("copy").st_mode) == mode
        drive.get("t", to="copy", overwrite=True)
        assert content(Path("copy")) == {"a": b"new"}
        drive.put("t")
        aside = quick_place / "root/drives/d/.lightning_lite/aside"
        assert not list(aside.glob(".lightning_lite-*"))
        assert sorted(os.listdir()) == ["copy", "root", "t"]

    races.as_nobody(job)


def test_a_folder_that_can_not_be_replaced_keeps_its_permissions(quick_place: Path):
    if os.geteuid() == 0:
        os.chown(quick_place, races.NOBODY, races.NOBODY)

    def job() -> None:
        drive = Drive("lit://d", root_dir=quick_place / "root")
        write("t/a", "new")
        drive.put("t")
        write("p/copy/b", "old")
        os.chmod("p/copy", 0o555)
        os.chmod("p", 0o555)
        with pytest.raises(DriveOSError, match="the old content is kept"):
            drive.get("t", to="p/copy", overwrite=True)
        assert stat.S_IMODE(os.stat("p/copy").st_mode) == 0o555
        assert content(Path("p")) == {"copy": {"b": b"old"}}
        os.chmod("p", 0o755)
        os.chmod("p/copy", 0o755)

    races.as_nobody(job)
