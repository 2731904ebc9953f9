"""Folders come back as they were put: symbolic links, hard links, extended attributes, databases."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import warnings
from contextlib import closing
from pathlib import Path

import pytest

from lightning_lite.storage import Drive
from lightning_lite.storage.base import Problem
from lightning_lite.storage.errors import (
    DriveError,
    DriveNotADirectory,
    DriveNotFound,
    DriveSymlink,
    DriveTypeError,
    DriveWarning,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.stores import open_store

from tests.support.files import while_read, write


def look(folder: str | Path) -> dict[str, str | None]:
    """Return the content of each file and the text of each link in a folder; `None` for a folder."""
    found: dict[str, str | None] = {}
    for path in sorted(Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)}"
        else:
            found[name] = path.read_text() if path.is_file() else None
    return found


def test_links_that_stay_inside_are_kept(drive: Drive):
    write("t/real/a", "a")
    os.makedirs("t/x/y")
    links = {
        "t/file": "real/a",
        "t/folder": "real",
        "t/x/up": "../real/a",
        "t/x/y/top": "../..",
        "t/by-link": "folder/a",
        "t/x/detour": "y/../../real/./a",
        "t/dangling": "real/nothing",
        "t/x/nowhere": "../no/where",
    }
    for path, target in links.items():
        os.symlink(target, path)
    os.utime("t/file", ns=(0, 1_234_567_890), follow_symlinks=False)
    before = look("t")

    drive.put("t", symlinks="keep")
    got = Path(drive.get("t", to="copy"))

    assert look(got) == before
    assert os.lstat(got / "file").st_mtime_ns == 1_234_567_890
    assert drive.list("t") == ["t/by-link", "t/dangling", "t/file", "t/folder", "t/real", "t/x"]
    assert "t/folder" in drive.list(recursive=True)
    assert not list(_problems(drive))
    drive.put("t", symlinks="keep")  # replaces the folder, links included
    drive.delete("t/file")
    assert "file" not in look(drive.get("t", overwrite=True))


def _problems(drive: Drive) -> list[Problem]:
    found = open_store(drive.root_dir, drive.id.removeprefix("lit://")).verify(hashes=True)
    return [one for one in found if isinstance(one, Problem)]


@pytest.mark.parametrize(
    "target", ["../out/a", "{here}/out/a", "{here}/t/real/a", "real/../../out/a", "by/a", "../t/real/a"]
)
def test_a_link_that_does_not_stay_inside_is_stored_as_its_content(
    drive: Drive, own_place: Path, target: str
):
    write("out/a", "content")
    write("t/real/a", "content")
    os.symlink("../out", "t/by")
    os.symlink(target.format(here=own_place), "t/link")
    drive.put("t", symlinks="keep")
    assert look(drive.get("t", to="copy"))["link"] == "content"


def test_a_link_out_of_the_root_folder_is_refused_or_followed_with_keep_as_without(
    drive: Drive, own_place: Path
):
    write(own_place.parent / "secret", "secret")
    write("t/a", "a")
    os.symlink("a", "t/inside")
    os.symlink(own_place.parent / "secret", "t/link")
    with pytest.raises(DriveSymlink, match="outside of"):
        drive.put("t", symlinks="keep")
    drive.put("t", symlinks="keep", follow_symlinks=True)
    assert look(drive.get("t", to="copy")) == {"a": "a", "inside": "-> a", "link": "secret"}


@pytest.mark.parametrize("links", [{"loop": "loop"}, {"one": "two", "two": "one"}])
def test_a_link_that_leads_back_to_itself_is_refused(drive: Drive, links: dict[str, str]):
    write("t/a")
    for name, target in links.items():
        os.symlink(target, f"t/{name}")
    for symlinks in ("copy", "keep"):
        with pytest.raises(DriveSymlink, match="leads back"):
            drive.put("t", symlinks=symlinks)
    assert drive.list() == []


@pytest.mark.parametrize("value", ["link", "", None, True])
def test_another_value_of_symlinks_is_refused(drive: Drive, value: object):
    write("a")
    with pytest.raises(DriveTypeError, match="symlinks must be 'copy' or 'keep'"):
        drive.put("a", symlinks=value)


def test_a_path_through_kept_links_is_got_opened_and_listed(drive: Drive):
    write("cache/blobs/123", "weights")
    os.makedirs("cache/snapshots/main/deep")
    os.symlink("../../blobs/123", "cache/snapshots/main/model.bin")
    os.symlink("main", "cache/snapshots/latest")
    drive.put("cache", symlinks="keep")
    for path in ("cache/snapshots/main/model.bin", "cache/snapshots/latest/model.bin"):
        with drive.open(path) as file:
            assert file.read() == "weights"
        got = drive.get(path, to="got/here")
        assert not os.path.islink(got)
        assert Path(got).read_text() == "weights"
        assert drive.exists(path)
    assert drive.list("cache/snapshots/latest") == [
        "cache/snapshots/latest/deep",
        "cache/snapshots/latest/model.bin",
    ]
    with pytest.raises(DriveSymlink, match="get a folder that contains its target"):
        drive.get("cache/snapshots", to="part")
    assert not os.path.exists("part")
    write("x")
    for verb in (
        lambda: drive.put("x", to="cache/snapshots/latest/x"),
        lambda: drive.delete("cache/snapshots/latest/model.bin"),
    ):
        with pytest.raises(DriveNotADirectory, match="is a symbolic link, so nothing can be put or removed"):
            verb()
    drive.delete("cache/blobs/123")
    with pytest.raises(
        DriveNotFound, match=r"model.bin' is a symbolic link to .*blobs/123', which doesn't exist"
    ):
        drive.get("cache/snapshots/main/model.bin")


def test_a_change_in_a_folder_that_is_read_keeps_its_links_and_attributes(drive: Drive):
    write("folder/a", "a")
    os.symlink("a", "folder/link")
    os.link("folder/a", "folder/second")
    os.setxattr("folder", "user.note", b"folder")
    drive.put("folder", symlinks="keep")
    write("b", "b")
    while_read(lambda drive: drive.put("b", to="folder/b"))(drive)
    got = drive.get("folder", to="copy")
    assert look(got) == {"a": "a", "b": "b", "link": "-> a", "second": "a"}
    assert os.path.samefile(f"{got}/a", f"{got}/second")
    assert os.getxattr(got, "user.note") == b"folder"


def test_links_are_kept_when_the_folder_is_moved(drive: Drive):
    write("t/a", "a")
    os.symlink("a", "t/link")
    drive.put("t", symlinks="keep", move=True)
    assert not os.path.exists("t")
    assert look(drive.get("t")) == {"a": "a", "link": "-> a"}


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_git_checkout_comes_back_clean(drive: Drive, own_place: Path):
    def git(*words: str, folder: str = "repo") -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=folder,
            env={**os.environ, "HOME": str(own_place), "GIT_CONFIG_NOSYSTEM": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    write("repo/src/a.py", "a")
    write("repo/run.sh", "run").chmod(0o755)
    os.symlink("src/a.py", "repo/link.py")
    os.symlink("src", "repo/source")
    os.symlink("nothing", "repo/src/broken")
    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    drive.put("repo", symlinks="keep")
    drive.get("repo", to="copy")
    assert git("status", "--porcelain", folder="copy") == ""
    assert git("fsck", folder="copy") == ""


def test_a_link_made_in_the_drive_by_hand_that_leads_out_is_never_given_out(drive: Drive, own_place: Path):
    write(own_place.parent / "secret/file", "secret")
    write("t/x/a")
    os.symlink("a", "t/x/good")
    drive.put("t", symlinks="keep")
    space = Path(drive.root_dir, "drives/d/main")
    for number, target in enumerate(
        (str(own_place.parent / "secret"), "../../../../../..", "../../../other", "x/../../../d/main/../..")
    ):
        os.symlink(target, space / f"t/bad-{number}")
        with pytest.raises(DriveSymlink):
            drive.get("t", to="copy")
        with pytest.raises(DriveError):
            drive.get(f"t/bad-{number}/secret/file", to="copy")
        assert [one.path for one in _problems(drive)] == [f"main/t/bad-{number}"]
        assert not os.path.lexists("copy")
        os.unlink(space / f"t/bad-{number}")
    assert look(drive.get("t", to="copy")) == {"x": None, "x/a": "text", "x/good": "-> a"}


# Hard links.


def same(folder: str, *names: str) -> bool:
    return len({os.stat(f"{folder}/{name}").st_ino for name in names}) == 1


def test_hard_links_in_a_folder_are_kept(drive: Drive):
    write("t/a", "x" * 1000)
    os.makedirs("t/deep/er")
    os.link("t/a", "t/deep/b")
    os.link("t/a", "t/deep/er/c")
    os.link("t/a", "outside")
    write("t/single")
    for durable in (False, True):
        Drive("lit://d", durable=durable).put("t")
        got = drive.get("t", to="copy", overwrite=True)
        assert same(got, "a", "deep/b", "deep/er/c")
        assert os.stat(f"{got}/a").st_nlink == 3
        assert os.stat(f"{got}/single").st_nlink == 1
        assert oct(os.stat(f"{got}/a").st_mode & 0o777) == "0o644"
    part = drive.get("t/deep", to="part")
    assert same(part, "b", "er/c")
    assert os.stat(f"{part}/b").st_nlink == 2
    write("new", "new")
    drive.put("new", to="t/a")
    again = drive.get("t", to="again")
    assert [Path(again, name).read_text()[:3] for name in ("a", "deep/b")] == ["new", "xxx"]


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_the_loss_of_hard_links_is_said_once(drive: Drive, monkeypatch: pytest.MonkeyPatch, code: int):
    write("t/a", "text")
    for name in "bcd":
        os.link("t/a", f"t/{name}")
    real = syscalls.link

    def refuse(source: str, target: str, **places: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(syscalls, "link", refuse)
    with pytest.warns(DriveWarning, match="does not keep hard links between its files") as caught:
        drive.put("t")
    assert [warning.filename for warning in caught] == [__file__]
    monkeypatch.setattr(syscalls, "link", real)
    assert look(drive.get("t", to="copy")) == dict.fromkeys("abcd", "text")


# Extended attributes.


def attributes(path: str) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path) if name.startswith("user.")}


def test_extended_attributes_are_kept(drive: Drive):
    write("t/inner/a").chmod(0o444)
    write("f").chmod(0o600)
    given = {"f": b"file", "t": b"folder", "t/inner": b"\0\xff", "t/inner/a": b"read-only"}
    for path, value in given.items():
        os.setxattr(path, "user.note", value)
        os.setxattr(path, "user.empty", b"")
    modes = {path: os.stat(path).st_mode for path in given}
    for name in ("t", "f"):
        drive.put(name)
        drive.get(name, to=f"copy/{name}")
    for path, value in given.items():
        assert attributes(f"copy/{path}") == {"user.note": value, "user.empty": b""}
        assert os.stat(f"copy/{path}").st_mode == modes[path]
    for name in ("t", "f"):
        drive.put(name, to=f"moved/{name}", move=True)
        drive.get(f"moved/{name}", to=name)
    assert {path: attributes(path)["user.note"] for path in given} == given


@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOSPC, errno.EPERM])
@pytest.mark.parametrize("name", ["f", "t"])
def test_the_loss_of_extended_attributes_is_said_once(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, code: int, name: str
):
    for path in ("f", "t/a", "t/b"):
        write(path)
        os.setxattr(path, "user.note", b"1")

    def refuse(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "setxattr", refuse)
        with pytest.warns(DriveWarning, match="does not keep the extended attribute 'user.note'") as caught:
            drive.put(name)
        assert len(caught) == 1
    drive.put(name)
    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "setxattr", refuse)
        with pytest.warns(DriveWarning, match="copy/.' does not keep the extended attribute") as caught:
            drive.get(name, to=f"copy/{name}")
        assert len(caught) == 1
    assert Path("copy", name).exists()


def test_an_error_of_the_disk_while_attributes_are_copied_is_reported(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
):
    write("f")
    os.setxattr("f", "user.note", b"1")

    def broken(*args: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(syscalls, "setxattr", broken)
    with pytest.raises(DriveError, match="EIO"):
        drive.put("f")
    assert drive.list() == []


def test_files_are_put_where_there_are_no_extended_attributes(drive: Drive, monkeypatch: pytest.MonkeyPatch):
    def none(fd: int) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    write("t/a")
    for listing in (none, None):
        monkeypatch.setattr(syscalls, "listxattr", listing)
        drive.put("t")
        drive.get("t", overwrite=True)


# SQLite.


def database(path: str, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    return connection


@pytest.mark.parametrize(
    ("mode", "suffix"), [("WAL", "-wal"), ("DELETE", "-journal"), ("PERSIST", "-journal")]
)
@pytest.mark.parametrize("move", [False, True])
def test_a_database_without_its_log_is_put_with_a_warning(drive: Drive, mode: str, suffix: str, move: bool):
    with closing(database("app.db", mode)) as connection:
        if mode != "WAL":
            connection.execute("PRAGMA cache_size=1")
            connection.execute("PRAGMA cache_spill=1")
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO t VALUES (?)", [("x" * 1000,)] * 200)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            drive.put("app.db", move=move)
        texts = [str(one.message) for one in caught]
        assert f"app.db{suffix}', which is not put" in texts[0]
        assert len(texts) == 1 + move  # a moved one is open for writing, too
        connection.rollback()


@pytest.mark.parametrize("mode", ["WAL", "DELETE", "PERSIST", "TRUNCATE"])
def test_a_closed_database_is_put_without_a_warning(drive: Drive, mode: str):
    database("app.db", mode).close()
    drive.put("app.db")
    drive.get("app.db")


def test_a_database_and_its_log_that_are_put_together_are_whole(drive: Drive):
    os.mkdir("data")
    with closing(database("data/app.db", "WAL")):
        drive.put("data")
        drive.put(["data/app.db", "data/app.db-wal", "data/app.db-shm"], to="list/")
        drive.put("data/app.db*", to="pattern/")
    for got in (drive.get(name, to=f"got/{name}") for name in ("data", "list", "pattern")):
        with closing(sqlite3.connect(f"{got}/app.db")) as copy:
            assert copy.execute("SELECT count(*) FROM t").fetchone() == (1,)


def test_a_file_that_is_no_database_has_no_log(drive: Drive):
    for name, size in (("a.bin", 4096), ("empty", 0), ("b.bin", 100)):
        Path(name).write_bytes(b"x" * size)
        Path(f"{name}-wal").write_bytes(b"y" * 100)
        drive.put(name)
        drive.get(name)


def test_a_database_that_replaces_one_whose_log_is_left_is_got_with_a_warning(drive: Drive):
    database("app.db", "DELETE").close()
    drive.put("app.db")
    with closing(database("app.db", "WAL")):
        with pytest.warns(DriveWarning, match="app.db-wal' next to it is the log of another one"):
            drive.get("app.db")
        drive.get("app.db", to="other.db")
        drive.get("app.db", to="new/folder/app.db")
