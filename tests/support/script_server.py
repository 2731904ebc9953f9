"""The program of `forked_scripts`: it runs each script in a fork of itself, in which the package is imported.

Each line of its input names a script; it answers with the exit code, and with whether a process that the
script has started is still there. For that, it becomes the parent of those whose parent has ended: a fork
without exec has no mark of the test in its environment. Without `prctl`, such a fork is not seen.

A fork is like a process that has just started: `__main__` is the script, and the streams, environment,
arguments and first path are its own.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import runpy
import sys
import time
from contextlib import suppress
from typing import Any

import lightning_lite.app.app
import lightning_lite.app.session
import lightning_lite.storage.drive  # noqa: F401 - imported once for all scripts

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Become the parent of processes whose parent has ended, where the system has that."""
    with suppress(AttributeError, OSError):  # not Linux
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def wait_for(pid: int) -> int:
    """Return the exit code of a fork, and reap what has ended before it."""
    while (ended := os.waitpid(-1, 0))[0] != pid:
        pass
    return os.waitstatus_to_exitcode(ended[1])


def is_any_left(patience: float) -> bool:
    """Return whether a process of the script is still there after `patience` seconds."""
    until = time.monotonic() + patience
    try:
        while time.monotonic() < until:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.005)  # noqa: TID251 - there is no wait for a child with a time limit
    except ChildProcessError:
        return False
    return True


def serve() -> dict[str, Any] | None:
    """Fork for each line of the input; return the request in the fork, `None` at the end of the input."""
    while line := sys.stdin.readline():
        request: dict[str, Any] = json.loads(line)
        if not (pid := os.fork()):
            return request
        sys.stdout.write(json.dumps([wait_for(pid), is_any_left(request["patience"])]) + "\n")
        sys.stdout.flush()
    return None


def run_script(request: dict[str, Any]) -> None:
    """Run the script of a request in this process."""
    script, *arguments = request["command"]
    os.chdir(request["folder"])
    for number, name in enumerate((os.devnull, *request["streams"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(request["environ"])
    sys.argv[:] = [script, *arguments]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    become_subreaper()
    gc.freeze()
    if (request := serve()) is not None:
        run_script(request)
