"""Abilities of drives that those of Lightning App did not have."""

from __future__ import annotations

import io
import os
import pty
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.storage import Drive, Entry, notebook, progress
from lightning_lite.storage.errors import (
    DriveIsDirectory,
    DriveNotFound,
    DrivePathError,
    DriveSourceMissing,
    DriveTypeError,
)
from lightning_lite.storage.fs import syscalls

from tests.support.files import write


@pytest.fixture
def full(drive: Drive) -> Drive:
    for name in ("a.txt", "b.txt", "c.csv", "x/d.txt", "x/y/e.txt", ".hidden.txt"):
        write(name, name)
        drive.put(name)
    return drive


def test_a_recursive_list_names_the_files_at_any_depth(full: Drive):
    assert full.list(recursive=True) == [".hidden.txt", "a.txt", "b.txt", "c.csv", "x/d.txt", "x/y/e.txt"]
    assert full.list("x", recursive=True) == ["x/d.txt", "x/y/e.txt"]


def test_entries_have_size_time_and_owner(full: Drive):
    os.utime("a.txt", (1, 1_234_567_890))
    full.put("a.txt")
    entries = {entry.name: entry for entry in full.entries()}
    assert entries["a.txt"] == Entry("a.txt", 5, 1_234_567_890.0, "main", is_folder=False)
    assert entries["x"].is_folder
    assert entries["x"].size == 0
    assert [entry.name for entry in full.entries("x", recursive=True)] == ["x/d.txt", "x/y/e.txt"]
    assert full.entries("a.txt")[0] == entries["a.txt"]
    assert full.entries("nothing") == []


def test_a_path_of_several_owners_has_an_entry_for_each(full: Drive):
    Drive("lit://d", allow_duplicates=True, component_name="other").put("a.txt")
    assert [(entry.name, entry.owner) for entry in full.entries("a.txt")] == [
        ("a.txt", "main"),
        ("a.txt", "other"),
    ]


def test_exists_is_true_if_any_component_or_the_given_one_has_the_path(full: Drive):
    assert full.exists("a.txt")
    assert full.exists("x")
    assert full.exists("x/y/e.txt")
    assert not full.exists("nothing")
    assert not full.exists("a.txt/below")
    assert full.exists("a.txt", component_name="main")
    assert not full.exists("a.txt", component_name="other")


def test_open_reads_in_place_and_keeps_its_version(full: Drive):
    with full.open("a.txt") as text, full.open("a.txt", "rb") as data:
        write("a.txt", "new")
        full.put("a.txt")
        full.delete("b.txt")
        assert text.read() == "a.txt"
        assert data.read() == b"a.txt"
        assert isinstance(data, io.BufferedReader)
        assert not data.writable()
    with full.open("a.txt") as text:
        assert text.read() == "new"
    for mode in ("w", "a", "r+", "rb+", "x", "rw"):
        with pytest.raises(DrivePathError, match="can only be read"):
            full.open("a.txt", mode)
    with pytest.raises(DriveIsDirectory):
        full.open("x")
    with pytest.raises(DriveNotFound):
        full.open("nothing")


def test_a_moved_file_is_not_copied(drive: Drive):
    write("a")
    number = os.stat("a").st_ino
    drive.put("a", move=True)
    assert not os.path.exists("a")
    with drive.open("a") as file:
        assert os.fstat(file.fileno()).st_ino == number
    assert os.stat(drive.get("a")).st_mode & 0o777 == 0o644


def test_a_moved_folder_is_not_copied_when_nothing_is_there_yet(drive: Drive):
    write("folder/x/a")
    number = os.stat("folder/x/a").st_ino
    drive.put("folder", move=True)
    assert not os.path.exists("folder")
    with drive.open("folder/x/a") as file:
        assert os.fstat(file.fileno()).st_ino == number
        assert not os.fstat(file.fileno()).st_mode & 0o200
    write("folder/x/b")
    drive.put("folder", move=True)
    assert not os.path.exists("folder")
    assert drive.list(recursive=True) == ["folder/x/b"]


def test_a_file_with_a_second_hard_link_is_copied_when_it_is_moved(drive: Drive):
    write("a", "old")
    os.link("a", "second")
    write("folder/b", "old")
    os.link("folder/b", "third")
    drive.put("a", move=True)
    drive.put("folder", move=True)
    write("second", "new")
    write("third", "new")
    for name in ("a", "folder/b"):
        with drive.open(name) as file:
            assert file.read() == "old"
    assert not os.path.exists("a")
    assert not os.path.exists("folder")


def test_a_put_that_is_refused_moves_nothing(drive: Drive):
    write("folder/con")
    with pytest.raises(DrivePathError):
        drive.put("folder", move=True)
    assert os.path.exists("folder/con")


def test_several_paths_are_put_and_got_at_once(drive: Drive):
    for name in ("a", "x/b", "c"):
        write(name, name)
    drive.put(["a", Path("x/b")])
    drive.put(["a", "c"], to="folder/")
    assert drive.list(recursive=True) == ["a", "folder/a", "folder/c", "x/b"]
    assert drive.get(["a", "x/b"], to="got/") == [os.path.abspath("got/a"), os.path.abspath("got/b")]
    with pytest.raises(DriveNotFound):
        drive.get([])


def test_a_pattern_matches_all_paths_that_fit(full: Drive):
    assert full.get("*.txt", to="got/") == [os.path.abspath("got/a.txt"), os.path.abspath("got/b.txt")]
    assert full.get("x/*/e.t?t", to="got/") == [os.path.abspath("got/e.txt")]
    assert full.get(["[ab].txt", ".h*"], to="more/") == [
        os.path.abspath(f"more/{name}") for name in ("a.txt", "b.txt", ".hidden.txt")
    ]
    other = Drive("lit://e")
    other.put("*.txt")
    other.put("x/*", to="deep/")
    assert other.list(recursive=True) == ["a.txt", "b.txt", "deep/d.txt", "deep/y/e.txt"]
    with pytest.raises(DriveNotFound):
        full.get("*.nothing")
    with pytest.raises(DriveSourceMissing):
        full.put("*.nothing")


def test_a_pattern_that_is_the_name_of_a_file_is_that_file(drive: Drive):
    write("a[1].txt", "brackets")
    write("a1.txt")
    drive.put("a[1].txt")
    assert drive.list() == ["a[1].txt"]
    assert Path(drive.get("a[1].txt", to="b")).read_text() == "brackets"


@pytest.mark.parametrize("path", [3, b"a", None, [3]])
def test_an_argument_that_is_not_a_path_or_a_list_of_paths_is_refused(drive: Drive, path):
    for verb in (drive.put, drive.get):
        with pytest.raises(DriveTypeError, match="must be str or Path"):
            verb(path)


def test_a_notebook_shows_a_table_and_never_fails(full: Drive):
    write("<b>.html")
    Drive("lit://d", portable_names=False).put("<b>.html")
    table = full._repr_html_()
    assert "&lt;b&gt;.html" in table
    assert "<b>.html" not in table
    assert "5 B" in table
    assert "x/" in table
    assert "main" in table
    with acting_as(Caller("flow", "root")):
        assert "Drive(" in full._repr_html_()
    many = [Entry(f"{n}", 1 << n, 0.0, "main", is_folder=False) for n in range(50)] * 3
    assert "and 50 more" in notebook.table("many", many)
    assert "512 TiB" in notebook.table("many", many)


def shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch, use: Callable[[], object]) -> str:
    """Call a function while the error output is a terminal, and return what that shows."""
    end = b"all is done"
    main, terminal = pty.openpty()
    with open(terminal, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        patch.setenv("TERM", "xterm")
        use()
        stderr.write(end.decode())
        stderr.flush()
        said = b""  # a read may end in the middle of a character
        while end not in said:
            said += os.read(main, 100_000)
    os.close(main)
    return said.partition(end)[0].decode()


def test_a_bar_is_shown_on_a_terminal_only_and_only_if_it_takes_long(drive: Drive, monkeypatch):
    def use() -> None:
        drive.put("a", to="[red]b")
        drive.get("[red]b", to="c")
        drive.delete("a")

    write("a", "x" * 300_000)
    monkeypatch.setattr(progress, "PATIENCE", 0)
    drive.put("a")  # without a terminal no bar is shown
    said = shown_on_a_terminal(monkeypatch, use)
    assert "put [red]b" in said
    assert "get [red]b" in said
    assert "delete" not in said


def test_a_short_transfer_on_a_terminal_shows_nothing(drive: Drive, monkeypatch):
    write("a")
    monkeypatch.setattr(progress, "PATIENCE", 1000)  # on a slow machine, each transfer would be a long one
    assert shown_on_a_terminal(monkeypatch, lambda: drive.put("a")) == ""


def test_a_drive_that_another_thread_creates_between_two_checks_is_not_gone(drive: Drive, monkeypatch):
    write("a")
    look = syscalls.stat_if_exists

    def create_between_checks(path: str, dir_fd: int | None = None):
        found = look(path, dir_fd)
        if path.endswith("/aside") and found is None:
            monkeypatch.setattr(syscalls, "stat_if_exists", look)
            drive.put("a")
        return found

    monkeypatch.setattr(syscalls, "stat_if_exists", create_between_checks)
    drive.put("a", to="b")
    assert drive.list() == ["a", "b"]


def test_threads_may_share_a_handle(drive: Drive):
    errors = []

    def use(number: int) -> None:
        try:
            for turn in range(10):
                name = f"{number}-{turn}"
                write(name)
                drive.put(name)
                drive.get(name, to=f"copy-{name}")
                drive.delete(name)
        except Exception as error:  # noqa: BLE001 - the main thread reports it
            errors.append(error)

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert drive.list() == []
