"""A program: stores big values in forked processes, each of which is killed at another system call.

    python value_file_kills.py FOLDER staged|unnamed

It prints how many processes were killed, and the files left that the next start of an app would not remove.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_lite.values import pickling, value_files
from lightning_lite.values.pickling import files_of, in_place_of, pack, unpack

CALLS = ("mkdir", "open", "fstat", "pwrite", "fsync", "rename", "link", "unlink", "close")
VALUE = [bytearray(b"x" * 100_000), "text" * 80_000]  # the second is written in two pieces


def store(folder: Path, kill_at: int) -> None:
    """Store a value, hand it on in two ways, and be killed before the system call `kill_at`."""
    count = 0

    def killed(call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return counted

    for name in CALLS:
        setattr(os, name, killed(getattr(os, name)))
    packed = pack(VALUE, folder=str(folder), durable=True)
    value = unpack(packed)
    pack(value, folder=str(folder), durable=True)
    pack([in_place_of(value, packed)], folder=str(folder), durable=True)


def main(folder: Path, *, staged: bool) -> None:
    """Kill a process at each system call, and check that the files it leaves are allowed."""
    pickling.BIG = 200_000  # a smaller value goes to a file, so each process is quicker
    if staged:  # as on a file system that has no files without names
        os.path.isdir = lambda s: False
    (folder / "values").mkdir(parents=True)
    kept = pack(VALUE, folder=str(folder / "values"))
    kill_at = num_killed = 0
    while True:
        kill_at += 1
        child = os.fork()
        if child == 0:
            store(folder / "values", kill_at)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not staged:
            unfinished = [name for name in os.listdir(folder / "values") if name.endswith(".new")]
            assert not unfinished, unfinished
        value_files.remove_unreferenced(str(folder / "values"), set(files_of(kept)))
        assert os.listdir(folder / "values") == files_of(kept)
        if status == 0:
            break
        assert status == signal.SIGKILL, status
        num_killed += 1
    assert unpack(kept) == VALUE
    sys.stdout.write(str(num_killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), staged=sys.argv[2] == "staged")
