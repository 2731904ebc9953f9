"""The lock of a drive: one holder, released at death, not inherited, its file never deleted."""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import filelock
import pytest
import races

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveLockError, DriveLockTimeout
from lightning_lite.storage.fs import locks
from lightning_lite.storage.fs.locks import DriveLock

from tests.support.files import pinned

pytestmark = pytest.mark.dependencies

#: Seconds that are no measure of speed.
LONG = 60


def lock_file(place: Path) -> str:
    return str(place / "lock")


def nobody_holds_it_twice(path: str, processes: int, turns: int) -> None:
    """Take the lock again and again: a marker shows a second holder, a counter shows a lost turn."""
    marker, counter = Path(f"{path}.marker"), Path(f"{path}.counter")
    counter.write_text("0")

    def take() -> None:
        lock = DriveLock(path)
        for _ in range(turns):
            with lock.held():
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))  # fails if another process is in the block
                counter.write_text(str(int(counter.read_text()) + 1))
                marker.unlink()

    races.together(*[take] * processes)
    assert counter.read_text() == str(processes * turns)


def test_there_are_never_two_holders(quick_place: Path):
    nobody_holds_it_twice(lock_file(quick_place), processes=8, turns=60)


@pytest.mark.torture
def test_there_are_never_two_holders_in_eight_times_five_hundred_turns(quick_place: Path):
    nobody_holds_it_twice(lock_file(quick_place), processes=8, turns=500)


def test_it_is_the_lock_that_filelock_takes(quick_place: Path):
    ours = DriveLock(lock_file(quick_place), timeout=0)
    theirs = filelock.FileLock(lock_file(quick_place), timeout=0)
    with theirs, pytest.raises(DriveLockTimeout), ours.held():
        pass
    with ours.held(), pytest.raises(filelock.Timeout):
        theirs.acquire()
    with theirs:
        pass


def test_threads_exclude_each_other_as_well(quick_place: Path):
    lock = DriveLock(lock_file(quick_place))
    inside, most = [0], [0]

    def take() -> None:
        for _ in range(50):
            with lock.held():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                os.sched_yield()
                inside[0] -= 1

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


def test_the_harness_fails_if_the_lock_file_is_deleted_on_release(quick_place: Path, monkeypatch):
    real = DriveLock._take

    def forgetful(self, holder):
        real(self, holder)
        Path(self.path).unlink(missing_ok=True)

    monkeypatch.setattr(DriveLock, "_take", forgetful)
    with pytest.raises(AssertionError):
        nobody_holds_it_twice(lock_file(quick_place), processes=4, turns=2000)


def hold(lock: AbstractContextManager[object]) -> tuple[int, int]:
    """Let a forked process hold a lock; return it, and a pipe that reports when it does."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(LONG)
        with lock:
            os.write(writer, b"!")
            signal.pause()
    os.close(writer)
    assert os.read(reader, 1) == b"!"
    return pid, reader


def end(pid: int, reader: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reader)


@pytest.mark.parametrize("kills", [5, pytest.param(500, marks=pytest.mark.torture)])
def test_the_lock_of_a_killed_holder_is_free(quick_place: Path, kills: int):
    path = lock_file(quick_place)
    for _ in range(kills):
        end(*hold(DriveLock(path).held()))
        with DriveLock(path, timeout=LONG).held():
            assert os.path.exists(path)


def test_a_forked_child_does_not_keep_the_lock(quick_place: Path):
    path = lock_file(quick_place)
    lock = DriveLock(path, timeout=LONG)
    with lock.held():
        pid, pipe = races.fork(signal.pause)
    try:
        with DriveLock(path, timeout=LONG).held():
            pass
    finally:
        end(pid, pipe)


def test_a_forked_child_does_not_keep_the_lock_of_a_holder_that_is_killed(quick_place: Path):
    path = lock_file(quick_place)
    reader, writer = os.pipe()

    def hold_and_fork() -> None:
        signal.alarm(LONG)
        with DriveLock(path).held():
            child, _ = races.fork(signal.pause)
            os.write(writer, str(child).encode())
            signal.pause()

    holder, pipe = races.fork(hold_and_fork)
    os.close(writer)
    child = int(os.read(reader, 10))
    os.close(reader)
    end(holder, pipe)
    try:
        with DriveLock(path, timeout=LONG).held():
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_an_exception_right_after_the_lock_was_taken_releases_it(quick_place: Path, monkeypatch):
    lock = DriveLock(lock_file(quick_place))
    real = DriveLock._take

    def interrupted(self, holder):
        real(self, holder)
        raise KeyboardInterrupt

    monkeypatch.setattr(DriveLock, "_take", interrupted)
    with pytest.raises(KeyboardInterrupt), lock.held():
        pass
    monkeypatch.setattr(DriveLock, "_take", real)
    with DriveLock(lock.path, timeout=0).held():
        pass


def test_a_child_that_was_forked_by_another_thread_keeps_no_lock_either(quick_place: Path):
    path = lock_file(quick_place)
    stop = threading.Event()

    def take() -> None:
        while not stop.is_set():
            with DriveLock(path).held():
                pass

    thread = threading.Thread(target=take)
    thread.start()
    children = [races.fork(signal.pause) for _ in range(10)]
    stop.set()
    thread.join()
    try:
        with DriveLock(path, timeout=LONG).held():
            pass
    finally:
        for child in children:
            end(*child)


def test_a_forked_child_does_not_release_the_lock_of_its_parent(quick_place: Path):
    path = lock_file(quick_place)
    reader, writer = os.pipe()
    with DriveLock(path).held():
        pid = os.fork()
        if pid == 0:
            other = os.open("other", os.O_CREAT | os.O_RDWR)  # gets the number of the closed file
    if pid == 0:
        os.write(writer, str(os.fstat(other).st_size).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"0"
    os.close(reader)
    os.close(writer)


def test_a_signal_handler_can_put_while_its_thread_holds_the_lock(quick_drive: Drive):
    Path("a").write_text("a")
    quick_drive.put("a")
    lock = DriveLock(f"{quick_drive.root_dir}/drives/d/.lightning_lite/lock")
    before = signal.signal(signal.SIGUSR1, lambda *_: quick_drive.put("a", to="b"))
    try:
        with lock.held():
            signal.raise_signal(signal.SIGUSR1)
            assert quick_drive.list() == ["a", "b"]
            with pytest.raises(filelock.Timeout):  # the handler has not released it
                filelock.FileLock(lock.path, timeout=0).acquire()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_lock_file_that_is_deleted_while_others_wait_has_one_holder(quick_place: Path):
    path = lock_file(quick_place)
    pid, reader = hold(DriveLock(path).held())
    inside = []

    def wait() -> None:
        with DriveLock(path).held():
            inside.append(os.stat(path).st_ino)

    waiters = [threading.Thread(target=wait) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    os.unlink(path)
    end(pid, reader)
    for waiter in waiters:
        waiter.join()
    assert len(set(inside)) == 1
    assert len(inside) == 3


def test_a_lock_file_that_is_deleted_by_hand_is_made_again(quick_place: Path):
    lock = DriveLock(lock_file(quick_place))
    with lock.held():
        os.unlink(lock.path)
    with lock.held():
        assert os.path.exists(lock.path)


def test_a_forked_child_can_take_the_lock_itself(quick_drive: Drive):
    Path("a").write_text("a")
    quick_drive.put("a")
    races.together(lambda: quick_drive.put("a", to="b"))
    assert quick_drive.list() == ["a", "b"]


def test_a_timeout_names_the_holder_and_how_long_it_holds_the_lock(quick_place: Path):
    path = lock_file(quick_place)
    pid, reader = hold(DriveLock(path).held())
    try:
        with (
            pytest.raises(
                DriveLockTimeout,
                match=rf"not free within 0.2 s: process {pid} holds it for (\d+ ms|\d\.\d s)",
            ) as caught,
            DriveLock(path, timeout=0.2).held(),
        ):
            pass
        assert isinstance(caught.value, TimeoutError)
    finally:
        end(pid, reader)


def test_a_stopped_holder_is_named_by_the_verbs_that_wait_and_does_not_block_a_get(
    quick_drive: Drive, monkeypatch
):
    Path("a").write_text("a")
    quick_drive.put("a")
    pid, reader = hold(DriveLock(f"{quick_drive.root_dir}/drives/d/.lightning_lite/lock").held())
    os.kill(pid, signal.SIGSTOP)
    try:
        other = Drive("lit://d", root_dir=quick_drive.root_dir)
        assert other.list() == ["a"]
        assert Path(other.get("a", to="b")).read_text() == "a"
        monkeypatch.setattr(other._store()._folders.lock, "_timeout", 0.2)
        with pytest.raises(DriveLockTimeout, match=f"process {pid}"):
            other.put("a")
        assert other.list() == ["a"]
    finally:
        end(pid, reader)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: os.symlink("elsewhere", path),
        os.mkdir,
        os.mkfifo,
        lambda path: os.close(os.open(path, os.O_CREAT)) or os.chmod(path, 0),
    ],
    ids=["a link", "a folder", "a FIFO", "closed to everybody"],
)
def test_a_lock_file_that_is_something_else_is_an_error_with_its_path(quick_place: Path, make):
    path = lock_file(quick_place)
    make(path)

    def take() -> None:
        if os.geteuid() == 0:
            os.chmod(quick_place, 0o777)
            os.setuid(1000)
        with pytest.raises(DriveLockError, match=re.escape(repr(path))), DriveLock(path, timeout=1).held():
            pass

    races.together(take)


def test_a_file_system_without_locks_is_refused(quick_place: Path, monkeypatch):
    def without_locks(fd: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(filelock, "lock_descriptor", without_locks)
    with pytest.raises(DriveLockError, match="has no locks"), DriveLock(lock_file(quick_place)).held():
        pass


def test_a_dead_process_leaves_no_pin(quick_drive: Drive):
    os.makedirs("folder")
    Path("folder/a").write_text("old")
    quick_drive.put("folder")
    pid, reader = hold(pinned(f"{quick_drive.root_dir}/drives/d/main/folder"))
    Path("folder/a").write_text("new")
    quick_drive.put("folder")
    aside = Path(quick_drive.root_dir, "drives/d/.lightning_lite/aside")
    assert len(list(aside.iterdir())) == 1  # the old one is still read
    end(pid, reader)
    quick_drive.put("folder")
    assert not list(aside.iterdir())


def test_a_holder_on_another_host_is_named_with_its_host(quick_place: Path, monkeypatch):
    path = lock_file(quick_place)
    for host in ("host-with-a-long-name", "n2"):  # the shorter name replaces the longer one
        with monkeypatch.context() as patch:
            patch.setattr(locks, "_HOST", host)
            pid, reader = hold(DriveLock(path).held())
        try:
            with (
                pytest.raises(DriveLockTimeout, match=rf": process {pid} on {host} holds it for \d"),
                DriveLock(path, timeout=0).held(),
            ):
                pass
        finally:
            end(pid, reader)


def test_time_in_the_message_is_that_of_the_holder(quick_place: Path):
    path = lock_file(quick_place)
    with DriveLock(path).held():
        pid, since, _ = Path(path).read_text().split()
        assert int(pid) == os.getpid()
        assert abs(float(since) - time.time()) < LONG
