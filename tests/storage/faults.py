"""Lets the n-th system call of a verb fail, or kill the process; reads the state of the disk afterwards."""

from __future__ import annotations

import errno
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning_lite.storage.fs import syscalls

#: Calls that change a disk. Kills between the same two of them leave the same, so these are all crash points.
#: `close` is not among them, because nothing can be done about it.
CHANGING = (
    "clone", "copy_file_range", "exchange", "fchmod", "flock", "fsync", "ftruncate", "link", "mkdir",
    "open_file", "pwrite", "rename", "rename_new", "rmdir", "sendfile", "unlink", "utime", "write",
)  # fmt: skip

#: These, and the calls that only read.
OPERATIONS = (
    *CHANGING, "fstat", "listdir", "lseek", "read", "scandir", "stat", "stat_if_exists",
)  # fmt: skip

ERRNOS = (
    errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EFBIG, errno.EACCES, errno.EROFS,
)  # fmt: skip


class Plan:
    """Counts operations, and does something at one of them.

    Args:
        at: Number of the operation, from 1; 0 only counts.
        act: Called there, before the operation.
    """

    def __init__(self, at: int = 0, act: Callable[[str], None] | None = None) -> None:
        self.count = 0
        self.log: list[str] = []
        self._at = at
        self._act = act

    def pass_by(self, name: str) -> None:
        self.count += 1
        self.log.append(name)
        if self.count == self._at and self._act is not None:
            self._act(name)


@contextmanager
def guarded(plan: Plan, names: tuple[str, ...] = CHANGING) -> Iterator[Plan]:
    """Count all system calls of the package with `plan` in the `with` block."""
    originals = {name: getattr(syscalls, name) for name in names}

    def intercepted(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            plan.pass_by(name)
            return original(*args, **kwargs)

        return operation

    for name, original in originals.items():
        setattr(syscalls, name, intercepted(name, original))
    try:
        yield plan
    finally:
        for name, original in originals.items():
            setattr(syscalls, name, original)


def fail(code: int) -> Callable[[str], None]:
    def act(name: str) -> None:
        raise OSError(code, os.strerror(code), f"/injected/{name}")

    return act


def die(name: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(number: int, operation: Callable[[], object], names: tuple[str, ...] = CHANGING) -> bool:
    """Do `operation` in a forked process that is killed at its n-th file operation; return whether it was."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            with guarded(Plan(number, die), names):
                operation()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the operation failed although it was not killed"
    return False


def content(path: Path) -> object:
    """Return the content of `path`: bytes of a file, a dict of a folder, `None`."""
    if path.is_dir():
        return {inner.name: content(inner) for inner in path.iterdir()}
    return path.read_bytes() if path.exists() else None


def leftovers(root: Path) -> list[Path]:
    """Return the leftovers in the staging folders of all drives below `root`."""
    return list(root.glob("drives/*/.lightning_lite/aside/.lightning_lite-*"))
