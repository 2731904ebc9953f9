"""The guardian: one small process per app that kills the works if the flow is killed.

    flow ── "+123 -123 …" ──▶ guardian ── the pipe ends, or the flow dies ──▶ SIGKILL to the groups listed

The parent-death signal ends the works, but not what they have started; their process groups hold that too.
The guardian has a session of its own and hears no signal of the terminal. This file is also its program,
run with `-I -S`: it knows the standard library only, and as little of that as it can.
"""

from __future__ import annotations

import os
import select
import sys
from _thread import allocate_lock

_HERE = os.path.dirname(os.path.abspath(__file__))
_PROGRAM = f"import sys; sys.path.insert(0, {_HERE!r}); import guardian; guardian.main()"

_SIGHUP, _SIGINT, _SIGKILL, _SIGTERM = 1, 2, 9, 15


class Guardian:
    """The side of the main process; its methods are callable from any thread."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._groups: set[int] = set()
        self._pid: int | None = None
        self._pipe = -1

    def watch(self, group: int) -> None:
        """Add a process group to the list; the first one starts the guardian.

        Raises:
            OSError: The guardian can't be started.
        """
        with self._lock:
            self._groups.add(group)
            self._write(f"+{group} ")

    def forget(self, group: int) -> None:
        """Remove a process group from the list, before its leader is reaped: then the id may be reused."""
        with self._lock:
            self._groups.discard(group)
            try:  # noqa: SIM105 - contextlib is more than all that the guardian loads
                self._write(f"-{group} ")
            except OSError:
                pass  # it was killed, and can't be started again now; the next `watch` tries once more

    def close(self) -> None:
        """End the guardian; all groups have exited before."""
        with self._lock:
            if self._pid is not None:
                os.kill(self._pid, _SIGKILL)
                self._reap(self._pid)

    def close_after_fork(self) -> None:
        """Close its pipe in a forked child."""
        self._lock = allocate_lock()  # another thread may have held it at the fork
        if self._pid is not None:
            self._pid = None
            os.close(self._pipe)

    def _write(self, words: str) -> None:
        if self._pid is not None:
            try:
                os.write(self._pipe, words.encode())
                return
            except BrokenPipeError:
                self._reap(self._pid)  # it was killed; the next one gets the whole list
        self._start()
        os.write(self._pipe, "".join(f"+{group} " for group in self._groups).encode())

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        try:
            self._pid = _spawn(read_end)
            self._pipe = write_end
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)

    def _reap(self, pid: int) -> None:
        self._pid = None
        os.close(self._pipe)
        try:  # noqa: SIM105
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # other code of the app has reaped it


def _spawn(pipe: int) -> int:
    # It holds neither the terminal nor the pipe of `app.py | cat`, so no reader waits for it.
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(pipe), str(os.getpid())],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, *ends) for ends in ((null, 0), (null, 1), (null, 2), (pipe, pipe))
            ],
            setsid=True,
            setsigmask=[_SIGHUP, _SIGINT, _SIGTERM],
        )
    finally:
        os.close(null)


def guard(pipe: int, flow: int) -> None:
    """Wait until the flow is gone, then end all process groups that it has not taken off the list."""
    os.chdir("/")  # no folder is kept busy; files that the shell of the flow left open are closed
    os.closerange(3, pipe)
    os.closerange(pipe + 1, 1 << 20)
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    try:  # noqa: SIM105
        # A process that the flow has forked may hold the other end of the pipe for longer than it lives.
        poller.register(os.pidfd_open(flow), select.POLLIN)
    except (AttributeError, OSError):
        pass  # not on this system, or it is gone already
    patience = None if os.getppid() == flow else 0
    groups: set[int] = set()
    words = b""
    while True:
        ready = dict(poller.poll(patience))
        data = os.read(pipe, 65536) if pipe in ready else b""
        *whole, words = (words + data).split(b" ")
        for word in whole:
            (groups.add if word.startswith(b"+") else groups.discard)(abs(int(word)))
        if not data:
            break
    for group in groups:
        try:  # noqa: SIM105
            os.killpg(group, _SIGKILL)
        except OSError:
            pass  # it is gone, or no longer ours


def main() -> None:
    """Be the guardian."""
    guard(*map(int, sys.argv[1:]))
    os._exit(0)
