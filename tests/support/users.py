"""Other users of this machine: forked processes that have given up the rights of the administrator.

Such a process may not be able to read the interpreter's own files: modules that it imports late have to be
imported by the test before. Therefore this module imports the modules that puts and gets need.
"""

from __future__ import annotations

import ctypes
import difflib
import encodings.ascii
import encodings.latin_1
import grp
import os
import pickle
import shlex
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import pytest

from lightning_lite.storage import Drive

#: Imported for the processes of other users.
PRELOADED = (ctypes, difflib, filelock, encodings.ascii, encodings.latin_1, grp, shlex)

#: Seconds after which a process of another user is ended.
DEADLINE = 60

needs_users = pytest.mark.skipif(os.geteuid() != 0, reason="only the administrator can act as other users")

#: The group that shares a root.
LAB = 64_201


class User(NamedTuple):
    """A user of this machine, who needs no entry in its lists.

    Attributes:
        uid: Number of the user; the user's own group has the same number.
        groups: Further groups of the user.
    """

    uid: int
    groups: tuple[int, ...] = ()


ALICE = User(64_101, (LAB,))
BOB = User(64_102, (LAB,))
EVE = User(64_103)


class Refused(NamedTuple):
    """An error in the process of a user.

    Attributes:
        kinds: Names of its class and of all base classes.
        text: Its message.
    """

    kinds: tuple[str, ...]
    text: str


@contextmanager
def folder_for_all(*owners: User) -> Iterator[Path]:
    """Give a folder into which every user may write, with a folder for each of some users in it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o1777)
        for user in owners:
            os.mkdir(f"{folder}/{user.uid}", 0o700)
            os.chown(f"{folder}/{user.uid}", user.uid, user.uid)
        yield Path(folder)


def make_group_root(path: Path) -> Path:
    """Make a group root of Alice for the group of the lab, declared by its mode, and return its path."""
    path.mkdir()
    os.chown(path, ALICE.uid, LAB)
    path.chmod(0o2770)
    return path


def put_as(user: User, root: Path, name: str = "a", **options: Any) -> Any:
    """Put a file from the folder of a user into the drive `d` of a root next to it, and return the error.

    Args:
        user: The user.
        root: The root.
        name: Name of the file, and its content.
        options: Options of the drive.
    """

    def job() -> None:
        folder = root.parent / str(user.uid)
        (folder / name).write_text(name)
        Drive("lit://d", root_dir=root, root_folder=folder, **options).put(name)

    return act_as(user, job)


def act_as(user: User, job: Callable[[], Any], *, umask: int = 0o022) -> Any:
    """Return the result of a job as another user, or `Refused` with the error that it raised.

    Args:
        user: The user.
        job: Called in a forked process; its result must be picklable.
        umask: The umask of the process.
    """
    return finish(start_as(user, job, umask=umask))


def start_as(user: User, job: Callable[[], Any], *, umask: int = 0o022) -> tuple[int, int]:
    """Start a job as another user; pass the result to `finish`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # not the test runner's
        signal.alarm(DEADLINE)
        os.setgroups(user.groups)
        os.setgid(user.uid)
        os.setuid(user.uid)
        os.umask(umask)
        try:
            result = job()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            result = Refused(tuple(kind.__name__ for kind in type(error).__mro__), str(error))
        with open(writer, "wb") as pipe:
            pickle.dump(result, pipe)
    finally:
        os._exit(0)


def finish(process: tuple[int, int]) -> Any:
    """Wait for a process of `start_as`, and return its result."""
    pid, reader = process
    try:
        with open(reader, "rb") as pipe:
            data = pipe.read()
    finally:
        os.waitpid(pid, 0)
    assert data, "the process of the user died, or did not end in time"
    return pickle.loads(data)
