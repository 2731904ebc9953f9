"""The guardian: a small process that kills processes started by works, and the works if the flow dies.

    flow ── "+123 "      watch the process group 123                    ──▶ guardian
         ── "-123 !4 "   forget it; kill the marked processes of work 4 soon
         ── "~5000 "     the lease now ends at this time; then as below
         ── the pipe ends, or the flow dies: SIGKILL to all groups and all marked processes of the app

The parent-death signal ends the works, but not the processes that they have started. Most of these are in
the process groups of the works. A process that has left its group, such as a program with a session of its
own, has a mark in its environment; the guardian looks for it, so that the flow does not wait for a search of
all processes of the machine.

A lease is for works whose flow is on another machine: the process that carries their messages renews it as
long as it gets messages from the flow. If that process is frozen, or the network is cut, the works end all
the same.

The guardian has a session of its own and gets no signal of the terminal. This file is also its program, run
with `-I -S`. It imports only a few modules of the standard library.
"""

from __future__ import annotations

import os
import select
import sys
import time
from _thread import allocate_lock  # threading would cost this program 2 ms

if __package__:
    from lightning_lite.runners.processes.environment_marks import VARIABLE, kill_marked
else:  # in the process of the guardian
    from environment_marks import VARIABLE, kill_marked  # type: ignore[import-not-found, no-redef]

_HERE = os.path.dirname(os.path.abspath(__file__))
_PROGRAM = f"import sys; sys.path.insert(0, {_HERE!r}); import guardian; guardian.main()"

_SIGHUP, _SIGINT, _SIGKILL, _SIGTERM = 1, 2, 9, 15

#: Maximum interval between two checks of the lease, in seconds. A poll timeout excludes the time in which the
#: computer was suspended.
_TICK = 0.25

#: Seconds from the end of a work to the search for its processes: works that end together need one search,
#: and those of an app that ends need only the last one.
_PAUSE = 0.05

#: Seconds that the flow waits at its end for the guardian, which looks for marked processes.
_PATIENCE = 5.0


def read_clock() -> float:
    """Return `CLOCK_BOOTTIME`, which includes suspension, or else `CLOCK_MONOTONIC`, in seconds."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Guardian:
    """The side of the main process; its methods are callable from any thread.

    Attributes:
        token: The first part of the marks of all processes of the app.
    """

    def __init__(self) -> None:
        self.token = os.urandom(8).hex()
        self._lock = allocate_lock()
        self._groups: set[int] = set()
        self._pid: int | None = None
        self._pipe = -1
        self._lease = ""

    def watch(self, group: int) -> None:
        """Add a process group to the list; the first one starts the guardian.

        Raises:
            OSError: The guardian can't be started.
        """
        with self._lock:
            self._groups.add(group)
            self._write(f"+{group} ")

    def forget(self, group: int, work: int | None = None) -> None:
        """Remove a process group from the list, before its leader is reaped: then the id may be reused.

        Args:
            group: The process group.
            work: Number in the mark of its work; the guardian kills all other processes with that mark.
        """
        with self._lock:
            self._groups.discard(group)
            try:
                self._write(f"-{group} " if work is None else f"-{group} !{work} ")
            except OSError:
                pass  # it was killed, and can't be started again now; the next `watch` tries once more

    def renew_lease(self, deadline: float) -> None:
        """Have all groups and marked processes killed at a time, unless this is called again before it.

        Args:
            deadline: Seconds of `read_clock`.

        Raises:
            OSError: The guardian was killed, and can't be started again.
        """
        with self._lock:
            self._lease = f"~{int(deadline * 1000)} "
            if self._pid is not None:
                self._write(self._lease)

    def close(self) -> None:
        """End the guardian, which kills the last marked processes; all groups have exited before."""
        with self._lock:
            if self._pid is None:
                return
            pid, self._pid = self._pid, None
            os.close(self._pipe)
            if not wait_for_exit(pid, _PATIENCE):  # it was suspended
                os.kill(pid, _SIGKILL)
                kill_marked(self.token, None)
            _reap(pid)

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
                os.close(self._pipe)
                pid, self._pid = self._pid, None
                _reap(pid)  # it was killed; the next one gets the whole list
        self._start()
        words = "".join(f"+{group} " for group in self._groups)
        os.write(self._pipe, (words + self._lease).encode())

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        try:
            self._pid = _spawn(read_end, self.token)
            self._pipe = write_end
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)


def wait_for_exit(pid: int, seconds: float) -> bool:
    """Wait for the exit of a child; return whether it came in time."""
    try:
        pidfd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return True  # not on this system: `_reap` waits for it
    try:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        return bool(poller.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # other code of the app has reaped it


def _spawn(pipe: int, token: str) -> int:
    # It holds neither the terminal nor the pipe of `app.py | cat`, so no reader waits for it.
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(pipe), str(os.getpid()), token],
            # In a work of another app, it has to survive that work, and does not get its mark.
            {name: value for name, value in os.environ.items() if name != VARIABLE},
            file_actions=[
                (os.POSIX_SPAWN_DUP2, *ends) for ends in ((null, 0), (null, 1), (null, 2), (pipe, pipe))
            ],
            setsid=True,
            setsigmask=[_SIGHUP, _SIGINT, _SIGTERM],
        )
    finally:
        os.close(null)


class Orders:
    """The words that the flow has written to the guardian so far.

    Attributes:
        groups: The process groups to kill at the end.
        lease: End of the lease in seconds of `read_clock`, or `None` if there is no lease.
        ended: Numbers of the works that have ended since the last search for their processes.
    """

    def __init__(self) -> None:
        self.groups: set[int] = set()
        self.lease: float | None = None
        self.ended: set[int] = set()
        self._search_at = 0.0  # if a work has ended: when to search, in seconds of `time.monotonic`
        self._begun = b""  # the beginning of the next word

    def take(self, data: bytes) -> None:
        """Read bytes of the flow.

        Example:
            >>> orders = Orders()
            >>> orders.take(b"+12 +34 -12 !5 ~70")
            >>> orders.groups, orders.ended, orders.lease
            ({34}, {5}, None)
            >>> orders.take(b"00 ")
            >>> orders.lease
            7.0
        """
        *words, self._begun = (self._begun + data).split(b" ")
        for word in words:
            sign, number = word[:1], int(word[1:])
            if sign == b"+":
                self.groups.add(number)
            elif sign == b"-":
                self.groups.discard(number)
            elif sign == b"~":
                self.lease = number / 1000
            else:
                if not self.ended:
                    self._search_at = time.monotonic() + _PAUSE
                self.ended.add(number)

    def take_ended(self) -> set[int]:
        """Return the works whose processes have to be searched for now."""
        if not self.ended or time.monotonic() < self._search_at:
            return set()
        ended, self.ended = self.ended, set()
        return ended

    def seconds_to_wait(self) -> float | None:
        """Return how long to wait for further words; `None` means no limit."""
        limits = [] if self.lease is None else [_TICK]
        if self.ended:
            limits.append(max(0.0, self._search_at - time.monotonic()))
        return min(limits, default=None)

    def is_lease_over(self) -> bool:
        """Return whether there is a lease, and its time is over."""
        return self.lease is not None and read_clock() >= self.lease


def guard(pipe: int, flow: int, token: str) -> None:
    """Kill the processes of works that have ended; when the flow is gone, the processes of all works."""
    os.chdir("/")  # no folder is kept busy; files that the shell of the flow left open are closed
    os.closerange(3, pipe)
    os.closerange(pipe + 1, 1 << 20)
    poller = select.poll()
    poller.register(pipe, select.POLLIN)
    try:
        # A process that the flow has forked may hold the other end of the pipe for longer than it lives.
        poller.register(os.pidfd_open(flow), select.POLLIN)
    except (AttributeError, OSError):
        pass  # not on this system, or it is gone already
    is_flow_gone = os.getppid() != flow
    orders = Orders()
    while not orders.is_lease_over():
        if ended := orders.take_ended():
            kill_marked(token, ended)
        seconds = 0.0 if is_flow_gone else orders.seconds_to_wait()
        ready = dict(poller.poll(None if seconds is None else seconds * 1000))
        if not ready and not is_flow_gone:
            continue  # to look at the clock
        data = os.read(pipe, 65536) if pipe in ready else b""
        if not data:
            break  # the flow is gone
        orders.take(data)
    for group in orders.groups:
        try:
            os.killpg(group, _SIGKILL)
        except OSError:
            pass  # it is gone, or no longer ours
    kill_marked(token, None)


def main() -> None:
    """Be the guardian."""
    guard(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
    os._exit(0)
