"""The program of the fork server: one thread that forks a process for each work and reaps it.

    python … forkserver_main <socket> <parent>

It imports what every work needs, and nothing of the user's, before the first request; what it has then is
shared by all works until one of them changes it. It ends when the other end of its socket is closed.
"""

from __future__ import annotations

import _socket
import errno
import gc
import marshal
import os
import sys
from array import array
from contextlib import suppress
from importlib import invalidate_caches

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

#: Imported by name, because they are found only when the first message has come.
_BOOT, _CHILD = "lightning_lite.runners.worker.boot", "lightning_lite.runners.worker.main"

#: Bytes of a number in a report.
_REPORT_SIZE = 8

#: Bytes of a message at most.
_LARGEST = 1 << 20

#: File descriptors that come with one request at most.
_NUM_ENDS = 6


def main() -> NoReturn:
    """Be the fork server, and in its forks the processes of works."""
    gc.disable()
    number, parent = map(int, sys.argv[1:])
    os.set_inheritable(number, False)
    door = _socket.socket(fileno=number)
    setup = marshal.loads(door.recv(_LARGEST))
    sys.path[:] = setup["path"]
    for module in (_BOOT, _CHILD, *setup["preload"]):
        __import__(module)
    boot = sys.modules[_BOOT]
    boot.hide(__name__)
    boot.die_with(parent)
    gc.freeze()  # what is here now is never looked through, so it stays shared

    ends = serve(door, boot)

    gc.enable()
    calls = ends[0]
    setup = marshal.loads(boot.read_frame(calls))
    _take_environment(setup["env"])
    sys.path[:] = setup["path"]
    sys.argv[:] = setup["argv"]
    invalidate_caches()  # there may be modules that were not there when the server started
    child = sys.modules[_CHILD].Child(setup["work"], *ends)
    sys.exit(child.live(setup, boot.read_frame(calls)))


def serve(door: _socket.socket, boot: ModuleType) -> list[int]:
    """Answer requests; return in each process that is forked for one, with its calls, control and letters.

    The result has a fourth file descriptor if there is a socket for those of the work.
    """
    server = os.getpid()
    reports: dict[int, int] = {}
    while True:
        words, ends, is_cut = _receive(door)
        if not words:
            os._exit(0)  # the main process has closed its end, or has died
        if words != b"fork":
            _reap(int(words), reports)
        elif is_cut:  # this process may not have more files
            for report in ends[:1]:
                _tell(report, -errno.EMFILE)
            _close(ends)
        else:
            report, output, *work_ends = ends
            try:
                pid = os.fork()
            except OSError as error:
                _tell(report, -(error.errno or errno.EAGAIN))
                _close(ends)
                continue
            if pid == 0:
                os.setpgid(0, 0)
                _close([door.detach(), report, *reports.values()])
                boot.die_with(server)
                _open_streams(output)
                return work_ends
            with suppress(OSError):  # it has done so itself and has ended already
                os.setpgid(pid, pid)
            reports[pid] = report
            _tell(report, pid)
            _close([output, *work_ends])


def _take_environment(env: dict[str, str]) -> None:
    """Make `env` the environment; most of it is there already, and to set it costs 1 ms."""
    for name in os.environ.keys() - env.keys():
        del os.environ[name]
    for name, value in env.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _receive(door: _socket.socket) -> tuple[bytes, list[int], bool]:
    """Return the next message, the file descriptors that came with it, and whether some of them did not."""
    ends = array("i")
    room = _socket.CMSG_SPACE(_NUM_ENDS * ends.itemsize)
    words, rights, flags, _ = door.recvmsg(_LARGEST, room, _socket.MSG_CMSG_CLOEXEC)
    for _, _, data in rights:
        ends.frombytes(data)
    return words, ends.tolist(), bool(flags & _socket.MSG_CTRUNC)


def _reap(pid: int, reports: dict[int, int]) -> None:
    """Report the exit of a process; one of an earlier server is not known here."""
    report = reports.pop(pid, None)
    if report is not None:
        _tell(report, os.waitpid(pid, 0)[1])
        os.close(report)


def _tell(report: int, number: int) -> None:
    with suppress(BrokenPipeError):  # the main process has died
        os.write(report, number.to_bytes(_REPORT_SIZE, "big", signed=True))


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _open_streams(output: int) -> None:
    """Make `output` the standard output and standard error, and forget what Python knows of the server's."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(output, number)
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.close(output)
