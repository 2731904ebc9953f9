"""The program of the fork server: one thread that forks a process for each work and reaps it.

    python … forkserver_main <socket> <parent>

Before the first request it imports the modules that every work needs, and no module of the user. All works
share that memory until one of them changes it. The server ends when the other end of its socket is closed.
"""

from __future__ import annotations

import _socket  # socket itself would cost the first work some milliseconds
import errno
import gc
import marshal
import os
import sys
from array import array
from contextlib import suppress

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import ModuleType
    from typing import NoReturn

#: Imported by name, because the path to them comes in the first message.
_BOOT, _CHILD = "lightning_lite.runners.worker.boot", "lightning_lite.runners.worker.main"

#: Bytes of a number in a report.
_REPORT_SIZE = 8  # as in processes/forkserver

#: Bytes of a message at most.
_LARGEST = 1 << 20

#: Index in /proc/<pid>/stat, after the name of the program, of the address of the first environment.
_ENV_START = 47

#: File descriptors that come with one request at most.
_NUM_ENDS = 6


def main() -> NoReturn:
    """Run the fork server, and in its forks the processes of works."""
    gc.disable()
    number, parent = map(int, sys.argv[1:])
    os.set_inheritable(number, False)
    connection = _socket.socket(fileno=number)
    setup = marshal.loads(connection.recv(_LARGEST))
    mark = setup["mark"]
    server_mark = f"{mark}={os.environ[mark]}"
    sys.path[:] = setup["path"]
    for module in (_BOOT, _CHILD, *setup["preload"]):
        __import__(module)
    boot = sys.modules[_BOOT]
    boot.hide(__name__)
    boot.die_with(parent)
    address = _address_of(server_mark)
    # A work looks for modules that were added since. Not `importlib.invalidate_caches`: since Python 3.13 it
    # would import importlib.metadata and 84 more modules. In each work, this would copy 35 shared pages.
    sys.path_importer_cache.clear()
    gc.freeze()  # the collector never writes to the objects that exist now, so their memory stays shared

    ends = serve(connection, boot)

    gc.enable()
    calls = ends[0]
    setup = marshal.loads(boot.read_frame(calls))
    _change_environment(setup["env"])
    _write_first_environment(address, f"{mark}={setup['env'][mark]}")
    sys.path[:] = setup["path"]
    sys.argv[:] = setup["argv"]
    for module in setup["preload"]:  # those that the server has not imported
        __import__(module)
    child = sys.modules[_CHILD].Child(setup["work"], *ends)
    sys.exit(child.live(setup, boot.read_frame(calls), boot.read_frame(calls)))


def serve(connection: _socket.socket, boot: ModuleType) -> list[int]:
    """Answer requests; return in each forked process, with its pipes of calls, control and messages.

    The result has a fourth file descriptor if there is a socket for the descriptors of the work.
    """
    server = os.getpid()
    reports: dict[int, int] = {}
    while True:
        words, ends, is_cut = _receive(connection)
        if not words:
            os._exit(0)  # the main process has closed its end, or has died
        if words != b"fork":
            _reap(int(words), reports)
        elif is_cut:  # this process may not have more files
            for report in ends[:1]:
                _report(report, -errno.EMFILE)
            _close(ends)
        else:
            report, output, *work_ends = ends
            try:
                pid = os.fork()
            except OSError as error:
                _report(report, -(error.errno or errno.EAGAIN))
                _close(ends)
                continue
            if pid == 0:
                os.setpgid(0, 0)
                _close([connection.detach(), report, *reports.values()])
                boot.die_with(server)
                _open_streams(output)
                return work_ends
            with suppress(OSError):  # the child has done it itself, and has exited
                os.setpgid(pid, pid)
            reports[pid] = report
            _report(report, pid)
            _close([output, *work_ends])


def _change_environment(changes: dict[str, str | None]) -> None:
    """Set the variables that are others than those of the server, and delete those without a value."""
    for name, value in changes.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _address_of(variable: str) -> int | None:
    """Return where a variable is in the first environment of this process and its forks, if that is known.

    Args:
        variable: Its name and value, as in the environment.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            start = int(file.read().rpartition(b")")[2].split()[_ENV_START])
        with open("/proc/self/environ", "rb") as file:
            offset = (b"\0" + file.read()).find(f"\0{variable}\0".encode())
    except (OSError, IndexError):
        return None  # not on this system
    return start + offset if start and offset >= 0 else None


def _write_first_environment(address: int | None, variable: str) -> None:
    """Overwrite a variable in the first environment with one of the same length.

    `/proc/<pid>/environ` shows the memory that the kernel filled when the program started. `os.environ` does
    not change it, so without this, all forks would show the mark of the server.
    """
    if address is not None:
        with suppress(OSError), open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(variable.encode())


def _receive(connection: _socket.socket) -> tuple[bytes, list[int], bool]:
    """Return the next message, the file descriptors that came with it, and whether some of them did not."""
    ends = array("i")
    room = _socket.CMSG_SPACE(_NUM_ENDS * ends.itemsize)
    words, rights, flags, _ = connection.recvmsg(_LARGEST, room, _socket.MSG_CMSG_CLOEXEC)
    for _, _, data in rights:
        ends.frombytes(data)
    return words, ends.tolist(), bool(flags & _socket.MSG_CTRUNC)


def _reap(pid: int, reports: dict[int, int]) -> None:
    """Report the exit of a process; one of an earlier server is not known here."""
    report = reports.pop(pid, None)
    if report is not None:
        _report(report, os.waitpid(pid, 0)[1])
        os.close(report)


def _report(report: int, number: int) -> None:
    with suppress(BrokenPipeError):  # the main process has died
        os.write(report, number.to_bytes(_REPORT_SIZE, "big", signed=True))


def _close(fds: list[int]) -> None:
    for fd in fds:
        os.close(fd)


def _open_streams(output: int) -> None:
    """Make `output` the standard output and error, and replace the Python streams of the server."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(output, number)
        stream = open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.close(output)
