"""Where a `get` writes: never through a link out of the allowed folder, never over other files."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
import races
from faults import content

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveError, DriveLockTimeout, DriveNotADirectory, DriveSymlink
from lightning_lite.storage.fs import locks, syscalls
from lightning_lite.storage.transfer.delivery import REPLACED, STAGING, Delivery

from tests.support.files import write


@pytest.fixture
def full(quick_drive: Drive) -> Drive:
    write("file", "new")
    write("folder/inner/a", "new")
    quick_drive.put("file")
    quick_drive.put("folder")
    return quick_drive


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the drive be on another file system than everything else."""
    rename = syscalls.rename

    def far(source: str, target: str, *, src_dir_fd=None, dst_dir_fd=None) -> None:
        def is_drive(path: str) -> bool:
            return "/drives/" in path

        if is_drive(source) != is_drive(target):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)
        rename(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    def no_link(*args, **kwargs) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(syscalls, "rename", far)
    monkeypatch.setattr(syscalls, "link", no_link)
    monkeypatch.setattr(syscalls, "exchange", lambda *places: False)


# Links.


class Swap:
    """A folder `work/target` that is exchanged with a link out of the allowed folder, and back."""

    def __init__(self) -> None:
        os.makedirs("work/target")
        for name in ("file", "folder/kept"):
            write(f"secret/target/{name}", "secret")
        self._secret = content(Path("secret"))
        os.symlink(os.path.abspath("secret/target"), "link")

    def to_link(self) -> None:
        os.rename("work/target", "mine")
        os.rename("link", "work/target")

    def back(self) -> None:
        os.rename("work/target", "link")
        os.rename("mine", "work/target")

    def get(self, drive: Drive, rounds: int, names: tuple[str, ...] = ("file", "folder")) -> int:
        """Get repeatedly, check that nothing was written outside, and return how many gets succeeded."""
        mine = Drive(drive.id, root_dir=drive.root_dir, root_folder="work")
        got = 0
        for turn in range(rounds):
            name = names[turn % len(names)]
            try:
                mine.get(name, to=f"target/{name}" if turn % 3 else f"target/{turn}/{name}", overwrite=True)
                got += 1
            except DriveError:
                continue
        assert content(Path("secret")) == self._secret
        return got

    def get_while_it_swaps(self, drive: Drive, count: int) -> None:
        """Do so while a second process swaps all the time, until so many gets have succeeded."""
        pid = os.fork()
        if pid == 0:
            try:
                signal.alarm(races.DEADLINE)
                while True:
                    self.to_link()
                    self.back()
            finally:
                os._exit(0)
        try:
            while count > 0:
                count -= self.get(drive, 12)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def around(self, operation):
        """Return a file operation that finds the link in the place of the folder."""

        def swapped(*args, **kwargs):
            self.to_link()
            try:
                return operation(*args, **kwargs)
            finally:
                self.back()

        return swapped


def test_a_get_never_follows_a_folder_that_becomes_a_link_during_it(full: Drive):
    Swap().get_while_it_swaps(full, 300)


def test_a_get_that_stages_next_to_its_destination_never_follows_such_a_link(full: Drive, elsewhere: None):
    Swap().get_while_it_swaps(full, 200)


@pytest.mark.torture
def test_twenty_thousand_gets_never_follow_such_a_link(full: Drive):
    Swap().get_while_it_swaps(full, 20_000)


OPERATIONS = ("mkdir", "open_file", "rename", "exchange", "unlink", "rmdir")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_get_follows_no_link_that_appears_at_any_of_its_operations(
    full: Drive, monkeypatch, operation: str
):
    monkeypatch.setattr(syscalls, operation, Swap.around(swap := Swap(), getattr(syscalls, operation)))
    assert (swap.get(full, 6) == 0) == (operation == "open_file")  # that one notices the link, and refuses it


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_replacement_in_two_steps_follows_no_link_that_appears_at_any_operation(
    full: Drive, elsewhere: None, monkeypatch, operation: str
):
    monkeypatch.setattr(syscalls, operation, Swap.around(swap := Swap(), getattr(syscalls, operation)))
    assert (swap.get(full, 6) == 0) == (operation == "open_file")


def test_the_harness_fails_if_files_are_renamed_by_path(full: Drive, monkeypatch):
    rename = syscalls.rename

    def by_path(source: str, target: str, *, src_dir_fd=None, dst_dir_fd=None) -> None:
        rename(source, os.path.abspath(f"work/target/{target}") if dst_dir_fd else target)

    swap = Swap()
    monkeypatch.setattr(syscalls, "rename", swap.around(by_path))
    with pytest.raises(AssertionError):
        swap.get(full, 6, names=("file",))


def test_a_link_to_a_folder_inside_is_followed(full: Drive):
    os.makedirs("real/deep")
    os.symlink("real", "link")
    full.get("file", to="link/deep/file")
    full.get("file", to="link/new/file")
    assert content(Path("real")) == {"deep": {"file": b"new"}, "new": {"file": b"new"}}


@pytest.mark.parametrize("target", ["nothing", "loop", "file"])
def test_a_parent_that_is_a_link_to_no_folder_is_refused(full: Drive, target: str):
    os.symlink(target, "loop")
    with pytest.raises(DriveSymlink, match="does not lead to a folder"):
        full.get("file", to="loop/x" if target == "loop" else link_to(target))
    assert not os.path.exists("nothing")


def link_to(target: str) -> str:
    os.symlink(target, "link")
    return "link/x"


def test_a_parent_that_is_a_file_is_refused(full: Drive):
    with pytest.raises(DriveNotADirectory, match="is a file, so nothing can be written below it"):
        full.get("file", to="file/x/y")


# Staging next to the destination.


def test_a_get_from_another_file_system_stages_next_to_the_destination_and_leaves_nothing(
    full: Drive, elsewhere: None
):
    write("user/.lightning_lite-mine", "mine")
    os.makedirs("user/.lightning_lite-1-2-3/folder")
    before = content(Path("user"))
    for name in ("file", "folder"):
        for to in (f"user/{name}", f"user/{name}", f"user/x/y/{name}"):
            full.get(name, to=to, overwrite=True)
    after = content(Path("user"))
    both = {"file": b"new", "folder": {"inner": {"a": b"new"}}}
    assert after == {**before, **both, "x": {"y": both}}


def test_staged_files_of_a_dead_get_are_removed_and_those_of_a_running_get_stay(full: Drive, elsewhere: None):
    reader, writer = os.pipe()

    def stop_while_staging() -> None:
        def report(source: int, target: int) -> bool:
            os.write(writer, b"!")
            signal.pause()
            return False

        check = Delivery._check
        Delivery._check = lambda *args, **kind: check(*args, **kind) and False
        syscalls.clone = report
        full.get("big", to="user/living")

    write("big", "x" * 100_000)
    full.put("big")
    os.mkdir("user")
    pid, pipe = races.fork(stop_while_staging)
    os.close(writer)
    try:
        assert os.read(reader, 1)
        full.get("file", to="user/file")
        assert len(os.listdir(f"user/{STAGING}")) == 1
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(reader)
        os.close(pipe)
    full.get("file", to="user/file")
    assert os.listdir("user") == ["file"]


def test_gets_that_stage_next_to_the_same_destination_do_not_disturb_each_other(full: Drive, elsewhere: None):
    os.mkdir("user")

    def replace(number: int) -> None:
        for turn in range(40):
            full.get("folder", to="user/copy", overwrite=True)
            full.get("file", to=f"user/{number}-{turn % 3}")

    races.together(*(lambda n=n: replace(n) for n in range(3)))
    full.get("folder", to="user/copy", overwrite=True)
    assert content(Path("user/copy")) == {"inner": {"a": b"new"}}
    assert not [name for name in os.listdir("user") if name.startswith(".")]


# Waiting for others.


def test_waiting_for_a_folder_that_another_process_replaces_times_out_and_names_it(full: Drive, monkeypatch):
    monkeypatch.setattr(syscalls, "exchange", lambda *places: False)
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.2)
    full.get("folder", to="user/copy")
    pid, pipe = stopped(lambda: full.get("folder", to="user/copy", overwrite=True), "rename", after=0)
    try:
        with pytest.raises(
            DriveLockTimeout, match=rf"user/{REPLACED}'.*0\.2 s: process {pid} holds it for \d"
        ):
            full.get("folder", to="user/copy", overwrite=True)
        with pytest.raises(DriveLockTimeout, match=f"process {pid}"):
            full.get("file", to="user/file")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
    full.get("folder", to="user/copy", overwrite=True)
    assert content(Path("user")) == {"copy": {"inner": {"a": b"new"}}}


def test_waiting_for_a_folder_that_another_process_changes_in_the_drive_times_out_and_names_it(
    full: Drive, monkeypatch
):
    monkeypatch.setattr(locks, "LOCK_TIMEOUT", 0.2)
    # The last rename of this put takes place while it keeps readers out of the folder.
    pid, pipe = stopped(lambda: full.put("file", to="folder/inner/b"), "rename", after=0)
    try:
        with pytest.raises(DriveLockTimeout, match=rf"process {pid} holds it for \d"):
            full.get("folder/inner", to="copy")
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pipe)
    full.get("folder/inner", to="copy")
    assert content(Path("copy")) == {"a": b"new"}


def stopped(verb, operation: str, after: int) -> tuple[int, int]:
    """Do a verb in a forked process that stops at its first such operation; return it when it has."""
    reader, writer = os.pipe()

    def stop(*args, **kwargs) -> None:
        os.write(writer, b"!")
        signal.pause()

    def job() -> None:
        setattr(syscalls, operation, stop)
        verb()

    pid, pipe = races.fork(job)
    os.close(writer)
    assert os.read(reader, 1)
    os.close(reader)
    return pid, pipe
