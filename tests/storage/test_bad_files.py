"""Files that no drive accepts, and disks and processes that reach their limits."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import races
from mounts import NO_MOUNTS, mount_small_disk

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import (
    DriveError,
    DriveGone,
    DriveOSError,
    DrivePathError,
    DrivePermissionError,
    DriveSourceChanged,
    DriveSourceMissing,
    DriveSpecialFile,
    DriveSymlink,
)
from lightning_lite.storage.fs import files, syscalls

from tests.support.files import write

SECRET = "secret"


@pytest.fixture
def secret(own_place: Path) -> Path:
    path = own_place.parent / "secret"
    path.mkdir()
    (path / "file").write_text(SECRET)
    return path


def refused(drive: Drive, kind: type[DriveError], words: str, **options: object) -> None:
    with pytest.raises(kind, match=words) as caught:
        drive.put("thing", **options)
    assert "\n" not in str(caught.value)
    assert drive.list() == []
    write("good")
    drive.put("good")
    drive.delete("good")


def test_a_missing_source_is_refused(drive: Drive):
    refused(drive, DriveSourceMissing, "The provided path .*thing' doesn't exist")
    assert issubclass(DriveSourceMissing, FileNotFoundError)


@pytest.mark.parametrize("inside", [False, True])
def test_special_files_are_refused_and_never_waited_for(drive: Drive, inside: bool):
    folder = "thing/" if inside else ""
    os.makedirs(folder or "unused")
    os.mkfifo(f"{folder}thing")
    refused(drive, DriveSpecialFile, "thing' is a FIFO")
    os.unlink(f"{folder}thing")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(f"{folder}thing")
        refused(drive, DriveSpecialFile, "thing' is a socket")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_link_to_a_device_is_refused_even_if_links_may_lead_out(drive: Drive, device: str):
    os.symlink(device, "thing")
    refused(drive, DriveSpecialFile, "is a device", follow_symlinks=True)


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_that_leads_out_is_followed_only_if_asked(drive: Drive, secret: Path, inside: bool):
    os.makedirs("thing" if inside else "unused")
    path = "thing/link" if inside else "thing"
    for target in (secret / "file", secret, Path("/proc/self/environ")):
        os.symlink(target, path)
        refused(drive, DriveSymlink, "outside of .*follow_symlinks=True")
        os.unlink(path)
    os.symlink(secret, path)
    drive.put("thing", follow_symlinks=True)
    assert [name for name in drive.list(recursive=True) if name.endswith("/file")] == [f"{path}/file"]


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_to_something_inside_is_put_as_its_content(drive: Drive, inside: bool):
    write("real/file", "content")
    os.makedirs("thing" if inside else "unused")
    path = "thing/link" if inside else "thing"
    os.symlink(os.path.abspath("real"), path)
    drive.put("thing")
    got = Path(drive.get("thing", to="copy"))
    assert not any(entry.is_symlink() for entry in got.rglob("*"))
    assert (got / "link/file" if inside else got / "file").read_text() == "content"


def test_links_that_lead_nowhere_or_back_are_refused(drive: Drive):
    os.symlink("nothing", "thing")
    refused(drive, DriveSourceMissing, "doesn't exist")
    os.unlink("thing")
    os.symlink("thing", "thing")
    refused(drive, DriveSymlink, "leads back to itself")
    os.unlink("thing")
    os.makedirs("thing/inner")
    os.symlink("nothing", "thing/inner/link")
    refused(
        drive, DriveSourceMissing, "thing/inner/link' is a symbolic link to 'nothing', which doesn't exist"
    )
    os.unlink("thing/inner/link")
    os.symlink("..", "thing/inner/loop")
    refused(drive, DriveSymlink, "leads back to a folder above it")


def test_the_drive_is_not_put_into_itself(own_place: Path):
    write("thing/good")
    drive = Drive("lit://d", root_dir="thing/root")
    with pytest.raises(DriveError, match="contains the drives"):
        drive.put("thing")
    with pytest.raises(DriveError, match="contains the drives"):
        drive.put(".", to="all")
    drive.put("thing/good")
    with pytest.raises(DriveError, match="is inside one"):
        Drive("lit://d", root_dir="thing/root", root_folder="thing/root/drives/d").put("main")
    assert drive.list(recursive=True) == ["thing/good"]


def test_a_path_that_begins_like_the_folder_is_outside_of_it(own_place: Path):
    write("folder/a")
    write("folder-2/a", SECRET)
    drive = Drive("lit://d", root_folder="folder")
    with pytest.raises(DrivePathError, match="absolute path outside"):
        drive.put(os.path.abspath("folder-2/a"))
    os.symlink(os.path.abspath("folder-2/a"), "folder/link")
    with pytest.raises(DriveSymlink):
        drive.put("link")


def test_the_test_above_fails_if_paths_are_compared_by_prefix(own_place: Path, monkeypatch):
    monkeypatch.setattr(files, "is_inside", lambda path, folder: path.startswith(folder))
    with pytest.raises((pytest.fail.Exception, DriveSourceMissing)):
        test_a_path_that_begins_like_the_folder_is_outside_of_it(own_place)


def swap_races(drive: Drive, secret: Path, rounds: int) -> None:
    """Put a path while a second process changes it for a link, back and forth."""
    write("thing/file", "mine")
    os.symlink(secret, "link")
    os.rename("thing", "folder")
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(100)
            while True:
                os.rename("folder", "thing")
                os.rename("thing", "folder")
                os.rename("link", "thing")
                os.rename("thing", "link")
        finally:
            os._exit(0)
    try:
        for _ in range(rounds):
            try:
                drive.put("thing/file", to="got")
            except DriveError:
                continue
            with drive.open("got") as file:
                assert file.read() == "mine"
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_a_folder_that_is_replaced_by_a_link_during_a_put_is_never_followed(quick_drive: Drive, secret: Path):
    swap_races(quick_drive, secret, 500)


@pytest.mark.torture
def test_twenty_thousand_puts_never_follow_such_a_link(quick_drive: Drive, secret: Path):
    swap_races(quick_drive, secret, 20_000)


def test_a_get_does_not_write_through_a_link_that_leads_out(drive: Drive, secret: Path):
    write("file", "new")
    drive.put("file")
    os.symlink(secret, "link")
    with pytest.raises(DriveSymlink, match="leads out of"):
        drive.get("file", to="link/file")
    os.unlink("file")
    os.symlink(secret / "file", "file")
    drive.get("file")
    assert not os.path.islink("file")
    assert Path("file").read_text() == "new"
    assert (secret / "file").read_text() == SECRET


def test_a_link_made_in_the_drive_by_hand_is_not_followed(drive: Drive, secret: Path):
    write("folder/a")
    drive.put("folder")
    space = Path(drive.root_dir, "drives/d/main")
    os.symlink(secret, space / "folder/link")
    os.symlink(secret, space / "link")
    for verb in (
        lambda: drive.get("folder", to="copy"),
        lambda: drive.get("folder/link/file", to="copy"),
        lambda: drive.get("link/file", to="copy"),
        lambda: drive.get("link", to="copy"),
        lambda: drive.open("link/file"),
    ):
        with pytest.raises(DriveError):
            verb()
    with pytest.raises(DriveSymlink, match="in the drive, made by hand"):
        drive.list("link")
    assert drive.list("link/file") == []
    assert not os.path.exists("copy")
    drive.delete("link")
    assert (secret / "file").exists()


def test_a_source_that_is_written_during_the_put_is_refused(drive: Drive, monkeypatch):
    write("thing", "x" * 200_000)
    real = syscalls.copy_file_range

    def slow(source, target, count):
        with open("thing", "a") as file:
            file.write("more")
        return real(source, target, count)

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "copy_file_range", slow)
        refused(drive, DriveSourceChanged, "changed while it was copied")


def test_a_file_in_the_drive_that_is_written_by_hand_during_a_get_is_refused(drive: Drive, monkeypatch):
    write("thing", "x" * 200_000)
    drive.put("thing")
    (stored,) = Path(drive.root_dir).glob("drives/*/*/thing")
    stored.chmod(0o644)
    real = syscalls.copy_file_range

    def slow(source, target, count):
        with stored.open("a") as file:
            file.write("more")
        return real(source, target, count)

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "clone", lambda source, target: False)
        patch.setattr(syscalls, "copy_file_range", slow)
        with pytest.raises(DriveSourceChanged, match="changed while it was copied; no copy was made"):
            drive.get("thing", to="copy")
    assert not os.path.exists("copy")


def test_a_source_that_is_removed_during_the_put_is_refused(drive: Drive, monkeypatch):
    write("thing/a")
    write("thing/b")
    real = syscalls.open_file

    def vanishing(path, *args, **kwargs):
        if path in ("a", "b"):
            for name in ("a", "b"):
                Path("thing", name).unlink(missing_ok=True)
        return real(path, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "open_file", vanishing)
        refused(drive, DriveSourceChanged, "does not exist any more")


def test_a_removed_root_is_reported_and_not_created_again(drive: Drive):
    write("a")
    drive.put("a")
    shutil.rmtree(drive.root_dir)
    for verb in (
        lambda: drive.put("a"),
        lambda: drive.list(),
        lambda: drive.get("a", to="b"),
        lambda: drive.get("a", to="b", component_name="main"),
        lambda: drive.get("a", to="b", timeout=30),
        lambda: drive.delete("a"),
        lambda: drive.exists("a"),
    ):
        with pytest.raises(DriveGone, match="was removed while it was in use") as caught:
            verb()
        assert isinstance(caught.value, FileNotFoundError)
    assert not os.path.exists(drive.root_dir)
    Drive("lit://d").put("a")


def test_a_removed_root_ends_a_wait(drive: Drive):
    write("a")
    drive.put("a")
    timer = threading.Timer(0.2, lambda: shutil.rmtree(drive.root_dir))
    timer.start()
    with pytest.raises(DriveGone):
        drive.get("nothing", timeout=60)
    timer.join()


def test_a_root_that_is_a_file_is_refused(own_place: Path):
    write("a")
    write("root")
    with pytest.raises(DriveOSError, match=r"put 'a' failed: .*the old content is kept"):
        Drive("lit://d", root_dir="root").put("a")


def confined(verb: Callable[[], object], confine: Callable[[], object]) -> str:
    """Do a verb in a forked process that has limited rights, and return the error that it got."""

    def job() -> None:
        confine()
        verb()

    pid, pipe = races.fork(job)
    with open(pipe) as report:
        text = report.read()
    os.waitpid(pid, 0)
    return text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.parametrize("verb", ["put", "get"])
def test_missing_permission_is_reported(drive: Drive, own_place: Path, verb: str):
    write("a")
    write("theirs").chmod(0)
    os.mkdir("closed", 0o500)
    for path in (own_place, *own_place.parents[:3]):
        path.chmod(0o755)
    drive.put("a")
    for path in (Path(drive.root_dir), *Path(drive.root_dir).rglob("*")):
        os.chown(path, 1000, 1000)
    verbs = {"put": lambda: drive.put("theirs"), "get": lambda: drive.get("a", to="closed/b")}
    text = confined(verbs[verb], lambda: os.setuid(1000))
    assert text.startswith("DrivePermissionError: ")
    assert "(EACCES)" in text
    assert issubclass(DrivePermissionError, PermissionError)


@pytest.mark.parametrize(
    "verb", [lambda drive: drive.put("big"), lambda drive: drive.get("big", to="copy")], ids=["put", "get"]
)
def test_a_file_above_the_limit_of_the_process_is_reported_and_leaves_nothing(drive: Drive, verb):
    Path("big").write_bytes(b"x" * 3_000_000)
    Path("copy").write_text("old")
    drive.put("big")

    def confine() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    assert "(EFBIG)" in confined(lambda: verb(drive), confine)
    assert Path("copy").read_text() == "old"
    assert Path(drive.get("big", to="other")).stat().st_size == 3_000_000
    drive.put("copy")
    assert not list(Path(drive.root_dir).glob("drives/d/.lightning_lite/aside/*"))


def test_too_many_open_files_are_reported(drive: Drive):
    write("folder/a/b/c/d/e/f/g/h/i/j/k", "deep")
    few = len(os.listdir("/proc/self/fd")) + 6
    text = confined(
        lambda: drive.put("folder"), lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
    )
    assert text.startswith("DriveOSError: put 'folder' failed")
    assert "(EMFILE)" in text
    drive.put("folder")
    assert drive.list(recursive=True)


def test_a_full_disk_is_reported_and_the_old_version_stays(own_place: Path):
    os.mkdir("small")
    Path("big").write_bytes(os.urandom(300_000))
    Path("a").write_text("a")

    def fill() -> None:
        drive = Drive("lit://d", root_dir="small/root")
        drive.put("a")
        for _ in range(2):
            with pytest.raises(DriveOSError, match=r"put 'big' failed: .*\(ENOSPC\)") as caught:
                drive.put("big", to="a")
            assert caught.value.errno == errno.ENOSPC
            with drive.open("a") as file:
                assert file.read() == "a"
            assert drive.list() == ["a"]
            assert os.listdir("small/root/drives/d/.lightning_lite/aside") == []
        drive.put("a", to="b")

    text = confined(fill, lambda: mount_small_disk("small"))
    if NO_MOUNTS in text:
        pytest.skip("only root can mount a small disk")
    assert text == ""


def grown(action, limit: int = 64 * 1024 * 1024) -> None:
    def job() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        action()
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < limit

    races.together(job)  # in a fork: the peak of this process is that of all earlier tests


@pytest.mark.parametrize(
    ("files", "size"), [(1000, 80_000_000), pytest.param(10_000, 5_000_000_000, marks=pytest.mark.torture)]
)
def test_memory_does_not_grow_with_the_size_of_a_file(drive: Drive, files: int, size: int):
    os.mkdir("many")
    for number in range(files):
        Path(f"many/{number}").write_bytes(b"x" * 1024)
    with open("big", "wb") as file:
        for _ in range(size // 1_000_000):
            file.write(b"x" * 1_000_000)
    for name in ("many", "big"):
        grown(lambda name=name: drive.put(name))
        grown(lambda name=name: drive.get(name, to=f"copy-{name}"))
    grown(lambda: drive.list(recursive=True))
