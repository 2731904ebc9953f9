"""The program of a work's process, up to the moment when it can import the rest.

    python … boot.py <work> <calls> <control> <letters> <parent>

It knows the standard library only: where this package and the user's modules are found is told by the first
frame of the pipe. The user's script is never executed again; `__main__` is an empty module here.
"""

from __future__ import annotations

import gc
import marshal
import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def die_with(parent: int) -> None:
    """Let the kernel kill this process when the thread that started it is gone, where it can do that."""
    if sys.platform == "linux":
        try:
            import _ctypes  # noqa: PLC0415 - the whole of ctypes costs 10 ms; some builds have none of it

            prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type] # None: this program
            _ctypes.call_cdeclfunction(prctl, (_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
        except (ImportError, OSError):
            pass  # the end of the control pipe tells it too, only later
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


if __name__ == "__main__":
    work = sys.argv[1]
    calls, control, letters, parent = map(int, sys.argv[2:])
    for fd in (calls, control, letters):
        os.set_inheritable(fd, False)
    die_with(parent)
    setup = marshal.loads(read_frame(calls))
    sys.path[:] = setup["path"]
    sys.argv[:] = setup["argv"]
    # Kept by a name, because what is defined here is still needed.
    boot, sys.modules["__main__"] = sys.modules["__main__"], type(sys)("__main__")

    from lightning_lite.runners.child import Child

    gc.freeze()  # all this lives as long as the process; to look through it again at the end costs 5 ms

    sys.exit(Child(work, calls, control, letters).live(setup, read_frame(calls)))
