"""The program of a work's process until it can import this package.

    python … boot <work> <parent> <calls> <control> <messages> [<socket for file descriptors>]

It uses only the standard library: the paths of this package and of the user's modules come in the first
frame of the pipe. The user's script is never executed again; `__main__` is an empty module here.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9

#: Imported by name, because the path to it comes in the first frame.
_CHILD = "lightning_lite.runners.worker.main"


def main() -> NoReturn:
    """Run the process of a work."""
    gc.disable()  # nothing that is loaded here becomes garbage, and a collection costs 2 ms
    work = sys.argv[1]
    parent, *ends = map(int, sys.argv[2:])
    for fd in ends:
        os.set_inheritable(fd, False)
    die_with(parent)
    calls = ends[0]
    setup = marshal.loads(read_frame(calls))
    sys.path[:] = setup["path"]
    sys.argv[:] = setup["argv"]
    hide(__name__)
    for module in (_CHILD, *setup["preload"]):
        __import__(module)
    gc.freeze()  # all this lives as long as the process; a collection of it at the end costs 5 ms
    gc.enable()
    sys.exit(sys.modules[_CHILD].Child(work, *ends).live(setup, read_frame(calls), read_frame(calls)))


def hide(program: str) -> None:
    """Remove a program of this folder from the modules that user code sees."""
    sys.modules["__main__"] = type(sys)("__main__")
    del sys.modules[program]


def die_with(parent: int) -> None:
    """Make the kernel kill this process when the thread that started it has ended, if it supports that."""
    if sys.platform == "linux":
        try:
            import _ctypes  # noqa: PLC0415 - the whole of ctypes costs 10 ms; some builds have none of it

            prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None: this program
            _ctypes.call_cdeclfunction(prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
        except (ImportError, OSError):
            pass  # the end of the control pipe ends it too, but later
    if os.getppid() != parent:
        os._exit(1)  # it has died before the call above


def read_frame(fd: int) -> bytes:
    """Return the next frame of a pipe, and read no byte more."""
    return _read_exactly(fd, int.from_bytes(_read_exactly(fd, 8), "big"))


def _read_exactly(fd: int, nbytes: int) -> bytes:
    parts = []
    while nbytes:
        part = os.read(fd, min(nbytes, 1 << 20))
        if not part:
            os._exit(1)  # the main process has died
        parts.append(part)
        nbytes -= len(part)
    return b"".join(parts)
