"""`put(move=True)`: the source is moved or removed as a whole, or it stays as it was and is copied."""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import filelock  # noqa: F401 - loaded before a test gives up its rights
import pytest
import races
from faults import content, leftovers
from mounts import NO_MOUNTS, mount_read_only

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveError, DriveSourceChanged, DriveWarning
from lightning_lite.storage.fs import probe, syscalls
from lightning_lite.storage.transfer import snapshot, staging

from tests.support.files import write


@pytest.fixture
def their_place(quick_place: Path) -> Path:
    """A folder of another user, in which `races.as_nobody` runs."""
    if os.geteuid() == 0:
        os.chown(quick_place, races.NOBODY, races.NOBODY)
    return quick_place


@contextmanager
def stays(words: str) -> Iterator[None]:
    """Expect one warning, with these words: the source of a move stays."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    assert len(caught) == 1, [str(one.message) for one in caught]
    assert caught[0].category is DriveWarning
    assert "does not remove it: " in str(caught[0].message)
    assert words in str(caught[0].message)


def status(path: str) -> tuple[int, int, int]:
    info = os.stat(path)
    return info.st_mode, info.st_nlink, info.st_ino


def look(drive: Drive, name: str) -> str:
    with drive.open(name) as file:
        return file.read()


@pytest.mark.parametrize("mode", [0o644, 0o444, 0o4755, 0o600])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_in_a_folder_that_can_not_be_written_is_copied_and_stays(
    their_place: Path, mode: int, is_there: bool
):
    def job() -> None:
        drive = Drive("lit://d", root_dir=their_place / "root")
        if is_there:
            write("f", "old")
            drive.put("f")
        write("data/f", "new").chmod(mode)
        os.chmod("data", 0o555)
        before = status("data/f")
        with stays("its folder"):
            drive.put("data/f", to="f", move=True)
        assert status("data/f") == before
        os.chmod("data/f", 0o644)
        write("data/f", "edited later")
        assert look(drive, "f") == "new"
        os.chmod("data", 0o755)

    races.as_nobody(job)


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("mode", [0o755, 0o555])
def test_a_folder_whose_place_can_not_be_written_is_copied_and_stays(
    their_place: Path, is_there: bool, mode: int
):
    def job() -> None:
        drive = Drive("lit://d", root_dir=their_place / "root")
        for name in ("a", "inner/b"):
            write(f"p/t/{name}", name).chmod(0o640)
        if is_there:
            drive.put("p/t", to="t")
        os.chmod("p/t", mode)
        os.chmod("p", 0o555)
        before = [status(f"p/t{name}") for name in ("", "/a", "/inner", "/inner/b")]
        with stays("its folder"):
            drive.put("p/t", to="t", move=True)
        assert [status(f"p/t{name}") for name in ("", "/a", "/inner", "/inner/b")] == before
        assert drive.list(recursive=True) == ["t/a", "t/inner/b"]
        for folder in ("p", "p/t"):
            os.chmod(folder, 0o755)

    races.as_nobody(job)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the files of another user")
@pytest.mark.parametrize("is_there", [False, True])
def test_a_folder_with_a_folder_of_another_user_in_it_is_never_half_removed(
    their_place: Path, is_there: bool
):
    write("t/theirs/a", "theirs")
    write("t/b", "mine")
    os.chmod("t/theirs", 0o755)
    for path in ("t", "t/b"):
        os.chown(path, races.NOBODY, races.NOBODY)

    def job() -> None:
        drive = Drive("lit://d", root_dir=their_place / "root")
        if is_there:
            drive.put("t")
        before = content(Path("t"))
        with stays("t/theirs' can't be written"):
            drive.put("t", move=True)
        assert content(Path("t")) == before
        assert drive.list(recursive=True) == ["t/b", "t/theirs/a"]

    races.as_nobody(job)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make the files of another user")
def test_a_file_of_another_user_in_a_sticky_folder_is_copied_and_stays(their_place: Path):
    write("shared/f", "theirs")
    os.chmod("shared", 0o1777)

    def job() -> None:
        drive = Drive("lit://d", root_dir=their_place / "root")
        with stays("its folder"):
            drive.put("shared/f", to="f", move=True)
        assert look(drive, "f") == Path("shared/f").read_text() == "theirs"

    races.as_nobody(job)


@pytest.mark.parametrize("name", ["disk/f", "disk/t", "disk"])
def test_a_source_on_a_disk_that_can_not_be_written_is_copied_and_stays(quick_place: Path, name: str):
    for path in ("disk/f", "disk/t/a"):
        write(path, "new")

    def job() -> None:
        mount_read_only("disk")
        drive = Drive("lit://d", root_dir=quick_place / "root")
        for _ in range(2):
            with stays("does not remove"):
                drive.put(name, to="x", move=True)
        assert content(Path("disk")) == {"f": b"new", "t": {"a": b"new"}}
        assert drive.exists("x")

    pid, pipe = races.fork(job)
    with open(pipe) as report:
        text = report.read()
    os.waitpid(pid, 0)
    if NO_MOUNTS in text:
        pytest.skip("only root can mount")
    assert text == ""


@pytest.mark.parametrize("name", ["f", "t"])
def test_nothing_is_put_if_warnings_are_errors_and_the_source_would_stay(their_place: Path, name: str):
    def job() -> None:
        drive = Drive("lit://d", root_dir=their_place / "root")
        for path in ("p/f", "p/t/a"):
            write(path)
        os.chmod("p", 0o555)
        before = status(f"p/{name}")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(DriveWarning):
                drive.put(f"p/{name}", to="x", move=True)
        assert drive.list() == []
        assert status(f"p/{name}") == before
        os.chmod("p", 0o755)

    races.as_nobody(job)


@pytest.mark.parametrize(("name", "source"), [("unlink", "f"), ("rename", "f"), ("rename", "t")])
def test_a_source_whose_removal_fails_all_the_same_is_no_part_of_the_drive(
    quick_drive: Drive, monkeypatch: pytest.MonkeyPatch, name: str, source: str
):
    write("f", "new").chmod(0o4711)
    write("t/a", "new")
    quick_drive.put("t")
    before = status("f"), status("t/a")
    real = getattr(syscalls, name)

    def refuse(path: str, *args: object, **kwargs: object) -> None:
        if not path.startswith(quick_drive.root_dir):
            raise PermissionError(13, os.strerror(13), path)
        real(path, *args, **kwargs)

    monkeypatch.setattr(syscalls, name, refuse)
    with stays("permission denied"):
        quick_drive.put(source, move=True)
    assert (status("f"), status("t/a")) == before
    assert sorted(os.listdir()) == ["f", "root", "t"]
    write("f", "edited later")
    assert look(quick_drive, "f" if source == "f" else "t/a") == "new"
    assert not leftovers(Path(quick_drive.root_dir))


# Another process that puts something else at the path of the source, just before it is removed.


def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system refuse the flags of `renameat2`, as some file systems do."""
    monkeypatch.setattr(syscalls, "_rename_with", lambda *args: False)


def without_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system refuse hard links, too."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    without_exchange(monkeypatch)
    monkeypatch.setattr(syscalls, "link", refuse)


SYSTEMS = (lambda monkeypatch: None, without_exchange, without_links)


def before_the_removal(monkeypatch: pytest.MonkeyPatch, source: str, *actions: Callable[[], object]) -> None:
    """Do the first action just before the source gets its new name, the second one just after that."""
    real, left = syscalls.rename, list(actions)

    def rename(path: str, *args: object, **kwargs: object) -> None:
        is_source = path == os.path.abspath(source)
        if is_source and left:
            left.pop(0)()
        real(path, *args, **kwargs)
        if is_source and left:
            left.pop(0)()

    monkeypatch.setattr(syscalls, "rename", rename)


@pytest.mark.parametrize("prepare", SYSTEMS)
@pytest.mark.parametrize("source", ["p/f", "p/t"])
@pytest.mark.parametrize("is_folder", [False, True])
def test_what_another_process_renames_over_the_source_is_never_removed(
    quick_drive: Drive,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[pytest.MonkeyPatch], None],
    source: str,
    is_folder: bool,
):
    write("p/f", "old")
    write("p/t/a", "old")
    quick_drive.put("p/t", to="x/t")  # so that a move of the folder has to copy it
    write("new/a" if is_folder else "new", "new")
    number = os.stat("new").st_ino

    def exchange() -> None:
        os.rename(source, "gone")
        os.rename("new", source)

    with monkeypatch.context() as patch:
        prepare(patch)
        before_the_removal(patch, source, exchange)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DriveWarning)
            quick_drive.put(source, to=f"x/{source[2:]}", move=True)
    assert os.stat(source).st_ino == number
    assert sorted(os.listdir("p")) == ["f", "t"]
    assert content(Path(source)) == ({"a": b"new"} if is_folder else b"new")
    # The source has got another name, so that the drive must not share its file.
    path = "gone" if source == "p/f" else "gone/a"
    write(path, "edited later")
    assert look(quick_drive, "x/f" if source == "p/f" else "x/t/a") == "old"


@pytest.mark.parametrize("prepare", SYSTEMS)
@pytest.mark.parametrize("source", ["p/f", "p/t"])
def test_nothing_is_lost_if_another_process_replaces_the_source_twice(
    quick_drive: Drive,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[pytest.MonkeyPatch], None],
    source: str,
):
    write("p/f", "old")
    write("p/t/a", "old")
    quick_drive.put("p/t", to="t")  # so that a move of the folder has to copy it
    for name in ("second", "third"):
        write(name, name)

    def exchange() -> None:
        os.rename(source, "gone")
        os.rename("second", source)

    with monkeypatch.context() as patch:
        prepare(patch)
        before_the_removal(patch, source, exchange, lambda: os.rename("third", source))
        with stays("another process has replaced it; the source is at"):
            quick_drive.put(source, to=source[2:], move=True)
    assert Path(source).read_text() == "third"
    (aside,) = (path for path in Path("p").iterdir() if path.name.startswith(".lightning_lite-"))
    assert aside.read_text() == "second"


@pytest.mark.parametrize("prepare", SYSTEMS)
@pytest.mark.parametrize(("source", "path"), [("f", "f"), ("t", "t/a"), ("t", "t/b/c"), ("t", "t/b/new")])
def test_what_is_written_just_before_the_removal_is_kept(
    drive: Drive,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[pytest.MonkeyPatch], None],
    source: str,
    path: str,
):
    for name in ("f", "t/a", "t/b/c"):
        write(name, "old")
    drive.put("t")  # so that a move of the folder has to copy it
    with monkeypatch.context() as patch:
        # So that a move of the file has to copy it.
        patch.setattr(syscalls, "is_open_for_writing", lambda fd: None)
        prepare(patch)
        before_the_removal(patch, source, partial(write, path, "written later"))
        with stays("it has changed since"):
            drive.put(source, move=True)
    assert Path(path).read_text() == "written later"
    assert not [name for name in os.listdir() if name.startswith(".lightning_lite-")]
    assert look(drive, "f" if source == "f" else "t/a") == "old"


@pytest.mark.parametrize("source", ["f", "t"])
def test_what_is_open_for_writing_just_before_the_removal_is_kept(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, source: str
):
    write("t/a", "old")
    drive.put("t")  # so that a move of the folder has to copy it
    write("f", "old")
    os.link("f", "second")  # so that a move of the file has to copy it
    path = "f" if source == "f" else "t/a"
    with ExitStack() as stack, monkeypatch.context() as patch:
        before_the_removal(patch, source, lambda: stack.enter_context(open(path, "a")))
        with stays("open for writing"):
            drive.put(source, move=True)
    assert Path(path).read_text() == "old"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), PermissionError(13, os.strerror(13))])
def test_a_source_is_at_its_path_if_the_last_look_at_it_fails(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, error: BaseException
):
    write("t/a", "old")
    drive.put("t")  # so that a move of the folder has to copy it
    real = staging.states_of_folder

    def look_again(fd: int) -> dict[str, int]:
        if not os.path.exists("t"):
            raise error
        return real(fd)

    with monkeypatch.context() as patch:
        patch.setattr(staging, "states_of_folder", look_again)
        expected = stays("permission denied") if isinstance(error, OSError) else pytest.raises(type(error))
        with expected:
            drive.put("t", move=True)
    assert Path("t/a").read_text() == "old"
    assert not [name for name in os.listdir() if name.startswith(".lightning_lite-")]


@pytest.mark.parametrize("source", ["f", "t"])
def test_a_source_that_another_process_removes_first_is_just_gone(
    quick_drive: Drive, monkeypatch: pytest.MonkeyPatch, source: str
):
    write("f", "old")
    write("t/a", "old")
    quick_drive.put("t")  # so that a move of the folder has to copy it
    with monkeypatch.context() as patch:
        before_the_removal(patch, source, lambda: shutil.rmtree("t") if source == "t" else os.unlink("f"))
        quick_drive.put(source, move=True)
    assert not os.path.exists(source)
    assert look(quick_drive, "f" if source == "f" else "t/a") == "old"


# A source that a process can write to.


@contextmanager
def opened(path: str, mode: str) -> Iterator[Callable[[bytes], object]]:
    """Give a function that writes to a file through an open descriptor or a memory map."""
    with open(path, "r+b" if mode == "map" else mode) as file:
        if mode != "map":
            yield lambda data: (file.write(data), file.flush())
            return
        view = mmap.mmap(file.fileno(), 0)
    with view:  # the descriptor is closed by now
        yield lambda data: view.__setitem__(slice(0, len(data)), data)


@pytest.mark.parametrize("mode", ["r+b", "ab", "map"])
@pytest.mark.parametrize(("put", "inner"), [("f", ""), ("t", "/deep/f"), ("old", "/f")])
def test_a_file_that_is_open_for_writing_is_copied_and_stays(drive: Drive, mode: str, put: str, inner: str):
    write("old/f", "old")
    drive.put("old")
    path = f"{put}{inner}"
    write(path, "v1")
    before = status(path)
    with opened(path, mode) as change:
        with stays("open for writing"):
            drive.put(put, move=True)
        change(b"v2")
        assert look(drive, path) == "v1"
    assert status(path) == before
    assert b"v2" in Path(path).read_bytes()
    drive.put(put, move=True)
    assert not os.path.exists(put)
    assert "v2" in look(drive, path)


def test_a_file_that_another_process_has_open_for_writing_is_copied(drive: Drive):
    write("f", "v1")
    reader, writer = os.pipe()

    def job() -> None:
        os.close(writer)
        with open("f", "r+") as file:
            os.write(ready[1], b"!")
            os.read(reader, 1)  # until the test ends
            file.write("v2")

    ready = os.pipe()
    pid, pipe = races.fork(job)
    os.close(ready[1])
    assert os.read(ready[0], 1) == b"!"
    with stays("open for writing"):
        drive.put("f", move=True)
    os.close(writer)
    os.waitpid(pid, 0)
    for fd in (reader, ready[0], pipe):
        os.close(fd)
    assert look(drive, "f") == "v1"
    assert Path("f").read_text() == "v2"


def test_a_file_that_is_open_for_reading_is_moved(drive: Drive):
    write("f", "v1")
    number = os.stat("f").st_ino
    with open("f"):
        drive.put("f", move=True)
    assert not os.path.exists("f")
    with drive.open("f") as file:
        assert os.fstat(file.fileno()).st_ino == number


def without_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system not say whether a file is open for writing."""
    monkeypatch.setattr(syscalls, "is_open_for_writing", lambda fd: None)


def on_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the working directory be on a network file system that refuses each lease."""
    device = os.stat(".").st_dev
    mount = f"27 1 {os.major(device)}:{os.minor(device)} / / rw - nfs4 server:/x rw"
    write("mounts", mount)
    mounts = os.path.abspath("mounts")
    monkeypatch.setattr(probe, "has_true_leases", partial(probe.has_true_leases, mounts=mounts))
    monkeypatch.setattr(syscalls, "is_open_for_writing", lambda fd: True)


@pytest.mark.parametrize("prepare", [without_leases, on_a_network])
@pytest.mark.parametrize("is_open", [False, True])
def test_a_file_is_copied_and_removed_where_the_system_does_not_say_if_it_is_written(
    drive: Drive,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[pytest.MonkeyPatch], None],
    is_open: bool,
):
    prepare(monkeypatch)
    for name in ("f", "t/a"):
        write(name, "v1")
    numbers = os.stat("f").st_ino, os.stat("t/a").st_ino
    with ExitStack() as stack:
        changes = [stack.enter_context(opened(name, "r+b")) for name in ("f", "t/a") if is_open]
        for name in ("f", "t"):
            drive.put(name, move=True)
            assert not os.path.exists(name)
        for change in changes:
            change(b"v2")
    with drive.open("f") as file, drive.open("t/a") as other:
        assert file.read() == other.read() == "v1"
        # Each differs from its own source; the copy of the second may get the number of the first source.
        copies = os.fstat(file.fileno()).st_ino, os.fstat(other.fileno()).st_ino
    assert all(copy != number for copy, number in zip(copies, numbers, strict=True))


# A source that changes while it is put.


def longer(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"X")


def same_size(path: str) -> None:
    with open(path, "r+b") as file:
        file.write(b"X")


def same_size_and_time(path: str) -> None:
    info = os.stat(path)
    same_size(path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))


def disguised(path: str) -> None:
    """Change the content, and the mode and the links, which explain the new time of the status."""
    same_size_and_time(path)
    os.chmod(path, 0o640)
    os.link(path, tempfile.mktemp(dir=os.getcwd()))


def shorter(path: str) -> None:
    os.truncate(path, 5)
    same_size(path)


def rewritten(path: str) -> None:
    """Change the beginning and the end, as a database does."""
    same_size(path)
    longer(path)


CHANGES = (longer, same_size, same_size_and_time, disguised, shorter, rewritten)


@pytest.fixture(params=[False, True], ids=["put", "move"])
def move(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    def no_link(*args: object, **kwargs: object) -> None:
        raise OSError(18, os.strerror(18))

    monkeypatch.setattr(syscalls, "link", no_link)  # so that a move of a file has to copy it
    return request.param


@pytest.mark.parametrize("size", [10, 100_000])
@pytest.mark.parametrize(("put", "changed"), [("f", "f"), ("t", "t/a"), ("t", "t/z/b")])
def test_a_source_that_changes_during_the_put_is_refused(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, move: bool, size: int, put: str, changed: str
):
    real, count, change = syscalls.utime, 0, longer

    def later(*args: object, **kwargs: object) -> None:
        nonlocal count
        real(*args, **kwargs)
        count += 1
        if count == (1 if put == "f" else 4):  # the file, or the two files and their folders, are copied
            change(changed)

    for wanted in CHANGES:
        if wanted is longer and put == "t":
            continue  # see below
        change = wanted
        for name in ("f", "t/a", "t/z/b"):
            write(name, "x" * size).chmod(0o644)
        drive.put("t")  # a second put of the folder copies it
        count = 0
        with monkeypatch.context() as patch:
            patch.setattr(syscalls, "utime", later)
            with pytest.raises(DriveSourceChanged, match=f"{changed}' changed while it was copied"):
                drive.put(put, move=move)
        assert "X" in Path(changed).read_text()
        assert drive.list() == ["t"]
        assert look(drive, "t/a") == look(drive, "t/z/b") == "x" * size
    drive.put(put)
    assert "X" in look(drive, changed)


@pytest.mark.parametrize(("put", "changed"), [("f", "f"), ("t", "t/a"), ("t", "t/new")])
def test_a_source_that_changes_after_its_copy_is_not_removed(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, put: str, changed: str
):
    for name in ("f", "t/a"):
        write(name, "x")
        drive.put(name)

    def no_link(*args: object, **kwargs: object) -> None:
        raise OSError(18, os.strerror(18))

    change = longer
    step = "rename" if put == "f" else "exchange"  # which makes the copy visible
    real = getattr(syscalls, step)

    def place(*args: object, **kwargs: object) -> object:
        write(changed, "x") if changed == "t/new" else change(changed)
        return real(*args, **kwargs)

    for wanted in CHANGES:
        change = wanted
        for name in ("f", "t/a"):
            write(name, "x")
        with monkeypatch.context() as patch:
            patch.setattr(syscalls, "link", no_link)
            patch.setattr(syscalls, step, place)
            with stays("it has changed since"):
                drive.put(put, move=True)
        assert os.path.exists(changed)
        assert look(drive, "f") == look(drive, "t/a") == "x"


def after_the_copy(monkeypatch: pytest.MonkeyPatch, count: int, action: Callable[[], object]) -> None:
    """Do `action` once, when the times of `count` copies are set."""
    real, left = syscalls.utime, count

    def utime(*args: object, **kwargs: object) -> None:
        nonlocal left
        real(*args, **kwargs)
        left -= 1
        if left == 0:
            action()

    monkeypatch.setattr(syscalls, "utime", utime)


def new_link(path: str) -> None:
    os.link(path, "second")


def new_mode(path: str) -> None:
    os.chmod(path, 0o400)


def new_owner(path: str) -> None:
    os.chown(path, -1, os.getgroups()[-1] if os.geteuid() else races.NOBODY)


@pytest.mark.parametrize("act", [new_link, new_mode, new_owner])
@pytest.mark.parametrize("move", [False, True])
@pytest.mark.parametrize(
    ("put", "path"), [("f", "f"), ("t", "t/a"), ("t", "t/z/b"), ("t", "t/z"), ("t", "t")]
)
def test_a_hard_link_new_permissions_and_a_new_owner_are_no_change_of_the_content(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, act: Callable[[str], None], move: bool, put: str, path: str
):
    for name in ("f", "t/a", "t/z/b"):
        write(name, "x" * 100_000)
        drive.put(name)  # so that a move of the folder has to copy it
    if os.path.isdir(path) and act is not new_owner:
        act = partial(os.chmod, mode=0o755)
    with monkeypatch.context() as patch:
        # So that a move of the file has to copy it.
        patch.setattr(syscalls, "is_open_for_writing", lambda fd: None)
        after_the_copy(patch, 1 if put == "f" else 4, partial(act, path))
        drive.put(put, move=move)
    assert look(drive, path if os.path.basename(path) in "fab" else "t/a") == "x" * 100_000
    assert os.path.exists(put) != move


# A file that grows while its folder is put.


@contextmanager
def grows(*names: str) -> Iterator[None]:
    """Expect one warning: these files grew while their folder was put."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    (text,) = (str(one.message) for one in caught if one.category is DriveWarning)
    assert f"{names[0]}'" in text
    assert f"and {len(names) - 1} more" in text or len(names) == 1
    assert "grew while" in text


@pytest.mark.parametrize("size", [0, 10, 100_000])
@pytest.mark.parametrize("path", ["t/a", "t/z/b"])
@pytest.mark.parametrize("durable", [False, True])
def test_a_file_that_has_grown_is_whole(
    own_place: Path, monkeypatch: pytest.MonkeyPatch, size: int, path: str, durable: bool
):
    drive = Drive("lit://d", durable=durable)
    for name in ("t/a", "t/z/b", "t/z/c"):
        write(name, "x" * size).chmod(0o640)
    os.link("t/z/c", "t/other name of c")
    with monkeypatch.context() as patch, grows(path):
        after_the_copy(patch, 5, lambda: Path(path).write_text("x" * size + "more"))
        drive.put("t")
    assert look(drive, path) == "x" * size + "more"
    drive.get("t", to="back")
    assert content(Path("back")) == content(Path("t"))
    assert os.stat(f"back{path[1:]}").st_mtime_ns == os.stat(path).st_mtime_ns
    assert status(f"back{path[1:]}")[0] == status(path)[0]
    assert os.stat("back/z/c").st_nlink == 2


@pytest.mark.parametrize("names", [("t/a", "t/name"), ("t/name", "t/a")])
def test_a_file_with_two_names_that_grows_is_whole(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
):
    write("t/a", "x")
    os.link("t/a", "t/name")
    with monkeypatch.context() as patch, grows("t/name"):
        after_the_copy(patch, 2, partial(longer, names[0]))
        drive.put("t")
    assert look(drive, "t/a") == look(drive, "t/name") == "xX"


def writing_a_log(path: str) -> tuple[int, int, int]:
    """Append lines to a file in another process until a pipe is closed: its pid, report, and that pipe."""
    reader, end = os.pipe()
    begun = os.pipe()

    def job() -> None:
        os.close(end)
        os.set_blocking(reader, False)
        number = 0
        with open(path, "a", buffering=1) as log:
            while True:
                log.write(f"line {number}\n")
                number += 1
                if number == 100:
                    os.write(begun[1], b"!")
                try:
                    os.read(reader, 1)
                    return
                except BlockingIOError:
                    pass

    pid, report = races.fork(job)
    os.close(begun[1])
    assert os.read(begun[0], 1) == b"!"
    os.close(begun[0])
    os.close(reader)
    return pid, report, end


@pytest.mark.parametrize("move", [False, True])
def test_a_folder_with_a_log_to_which_a_process_always_writes_is_put(drive: Drive, move: bool):
    for number in range(50):
        write(f"t/{number}", "x" * 100_000)
    pid, report, end = writing_a_log("t/log")
    try:
        puts = grew = 0
        while puts < 3 or not grew:  # the other process may have no time on the processor during a put
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                drive.put("t", move=move)
            texts = [str(one.message) for one in caught]
            puts += 1
            grew += any("t/log' grew while" in text for text in texts)
            assert any("does not remove it: " in text for text in texts) == move
            lines = look(drive, "t/log")
            assert Path("t/log").read_text().startswith(lines)
            assert len(lines) > 100
    finally:
        os.close(end)
        os.waitpid(pid, 0)
        with open(report) as errors:
            assert errors.read() == ""
    assert content(Path("t"))["0"] == b"x" * 100_000


def test_a_log_is_never_older_than_the_files_that_it_names(drive: Drive, monkeypatch: pytest.MonkeyPatch):
    for name in ("one", "other"):
        write(f"t/{name}", "v1")
    log, data = (entry.name for entry in os.scandir("t"))  # in the order of the copy

    def change() -> None:
        write(f"t/{data}", "v2")
        with open(f"t/{log}", "a") as file:
            file.write(", and the other file is v2")

    with monkeypatch.context() as patch, grows(log):
        after_the_copy(patch, 1, change)
        drive.put("t")
    assert look(drive, f"t/{data}") == "v2"
    assert look(drive, f"t/{log}") == "v1, and the other file is v2"


def at_each_look(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> None:
    """Do one action after the other, each before the states of a folder are compared; the last one always."""
    real, left = snapshot.states_of_folder, list(actions)

    def look_again(fd: int, path: str = "") -> dict[str, int]:
        if not path:
            (left.pop(0) if len(left) > 1 else left[0])()
        return real(fd, path)

    monkeypatch.setattr(snapshot, "states_of_folder", look_again)


def test_files_that_grow_in_turn_are_put_when_one_of_them_pauses(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
):
    for name in ("t/a", "t/b", "t/c"):
        write(name, "x")

    def both() -> None:
        longer("t/a")
        longer("t/b")

    with monkeypatch.context() as patch, grows("t/a", "t/b"):
        at_each_look(
            patch, both, both, partial(longer, "t/a"), partial(longer, "t/b"), partial(longer, "t/b")
        )
        drive.put("t")
    assert look(drive, "t/a") == "xXXX"
    assert look(drive, "t/b") == "xXXX"  # later content is not in the drive
    assert Path("t/b").read_text() == "xXXXX"


def test_a_folder_in_which_two_files_grow_all_the_time_is_refused(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
):
    for name in ("t/a", "t/b"):
        write(name, "x")

    def both() -> None:
        longer("t/a")
        longer("t/b")

    with monkeypatch.context() as patch:
        at_each_look(patch, both)
        with pytest.raises(DriveSourceChanged, match="t/a' and other files changed all the time"):
            drive.put("t")
    assert drive.list() == []
    assert not leftovers(Path(drive.root_dir))


def test_a_log_that_grows_excuses_no_other_change(drive: Drive, monkeypatch: pytest.MonkeyPatch):
    for change in CHANGES[1:]:
        write("t/a", "x" * 10).chmod(0o644)
        write("t/log", "x")
        with monkeypatch.context() as patch:
            at_each_look(patch, partial(longer, "t/log"), partial(change, "t/a"))
            with pytest.raises(DriveSourceChanged, match="t/a' changed while it was copied"):
                drive.put("t")
    assert drive.list() == []


def to_the_side(path: str) -> None:
    os.rename(path, tempfile.mktemp(dir=os.getcwd()))


def replaced(path: str) -> None:
    write("new", "new")
    os.rename("new", path)


def come_and_gone(path: str) -> None:
    write("t/z/come", "x").unlink()


def other_link(path: str) -> None:
    info = os.lstat("t/link")
    os.unlink("t/link")
    os.symlink("z", "t/link")
    os.utime("t/link", ns=(info.st_atime_ns, info.st_mtime_ns), follow_symlinks=False)


def other_kind(path: str, make: Callable[[str], object]) -> None:
    """Replace a link, a file or an empty folder by the result of `make`."""
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)
    else:
        os.unlink(path)
    make(path)


def new_file(path: str, size: int) -> None:
    write(path, "n" * size)


def new_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as peer:
        peer.bind(path)


@pytest.mark.parametrize(
    ("act", "path", "words"),
    [
        (partial(other_kind, make=partial(new_file, size=10)), "t/link", "t/link' changed while"),
        (partial(other_kind, make=partial(new_file, size=10)), "t/empty", "t/empty' changed while"),
        (partial(other_kind, make=partial(new_file, size=4096)), "t/empty", "t/empty' changed while"),
        (partial(other_kind, make=partial(new_file, size=9000)), "t/empty", "t/empty' changed while"),
        (partial(other_kind, make=partial(os.symlink, "z")), "t/empty", "t/empty' changed while"),
        (partial(other_kind, make=partial(os.symlink, "z/b")), "t/a", "t/a' changed while"),
        (partial(other_kind, make=os.mkdir), "t/a", "t/a' changed while"),
        (partial(other_kind, make=os.mkfifo), "t/a", "t/a' changed while"),
        (partial(other_kind, make=new_socket), "t/a", "t/a' changed while"),
        (lambda path: write(path), "t/new", "t/new' was added while its folder was copied"),
        (lambda path: os.mkdir(path), "t/z/new", "t/z/new' was added while its folder was copied"),
        (to_the_side, "t/a", "t/a' was removed while its folder was copied"),
        (to_the_side, "t/z", "t/z' was removed while its folder was copied"),
        (replaced, "t/a", "t/a' changed while it was copied"),
        (come_and_gone, "t/z", "t/z' changed while it was copied"),
        (other_link, "t/link", "t/link' changed while it was copied"),
    ],
)
@pytest.mark.parametrize("symlinks", ["keep", "copy"])
def test_what_changed_is_named(
    drive: Drive,
    monkeypatch: pytest.MonkeyPatch,
    act: Callable[[str], object],
    path: str,
    words: str,
    symlinks: str,
):
    for name in ("t/a", "t/z/b"):
        write(name, "x")
    os.mkdir("t/empty")
    os.symlink("a", "t/link")
    with monkeypatch.context() as patch:
        at_each_look(patch, partial(act, path))
        with pytest.raises(DriveSourceChanged, match=words):
            drive.put("t", symlinks=symlinks)
    assert drive.list() == []


def test_a_move_leaves_nothing_next_to_its_source(quick_drive: Drive):
    for _ in range(2):
        for name in ("t/a", "t/b/c", "f"):
            write(f"p/{name}")
        os.chmod("p/t/b", 0o555)
        for name in ("t", "f"):
            quick_drive.put(f"p/{name}", move=True)
        assert os.listdir("p") == []
    with pytest.raises(DriveError):
        quick_drive.put("p/t", move=True)
