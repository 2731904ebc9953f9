"""The program of a work's process until it can import this package.

    python … boot <work> <parent> <calls> <control> <letters> [<socket for file descriptors>]

It knows the standard library only: the path of this package and of the user's modules comes in the first
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

#: Imported by name, because it is found only when the first frame has come.
_CHILD = "lightning_lite.runners.worker.main"


def main() -> NoReturn:
    """Be the process of a work."""
    gc.disable()  # nothing of what is loaded here becomes garbage, and to look for it costs 2 ms
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
    gc.freeze()  # all this lives as long as the process; to look through it again at the end costs 5 ms
    gc.enable()
    sys.exit(sys.modules[_CHILD].Child(work, *ends).live(setup, read_frame(calls)))


def hide(program: str) -> None:
    """Leave nothing of a program of this folder where user code looks for its own modules."""
    sys.modules["__main__"] = type(sys)("__main__")
    del sys.modules[program]


def die_with(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it is gone, where it can do that."""
    if sys.platform == "linux":
        try:
            import _ctypes  # noqa: PLC0415 - the whole of ctypes costs 10 ms; some builds have none of it

            prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None: this program
            _ctypes.call_cdeclfunction(prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
        except (ImportError, OSError):
            pass  # the end of the control pipe ends it too, only later
    if os.getppid() != parent:
        os._exit(1)  # it has died before we asked


def read_frame(fd: int) -> bytes:
    """Return the next frame of a pipe, and take not a byte more than that."""
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
