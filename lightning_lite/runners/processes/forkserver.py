"""The fork server, as the main process sees it: one per app; works are forked from it.

    start ─ ends of the work's pipes ──▶ server ── fork ──▶ process of a work
         ◀── report: its process id ────
    reap ── its process id ────────────▶
         ◀── report: its wait status ───    the end of this pipe: the server has died

It is a fresh process with one thread that has loaded the framework once, so a work costs a fork and not the
start of an interpreter. Requests go over a socket pair; there is no address to connect to. Pidfds report
exits, as for all works. The server reaps a process only on request, because the kernel may reuse the pid as
soon as it is reaped.
"""

from __future__ import annotations

import marshal
import os
import select
import signal
import socket
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress

from lightning_lite.errors import RunnerError
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.runners.processes.environment_marks import VARIABLE, mark_of
from lightning_lite.runners.processes.guardian import Guardian, wait_for_exit
from lightning_lite.runners.processes.process import WorkProcess, open_pipes
from lightning_lite.runners.processes.spawn import search_path, spawn_program

#: Bytes of a number in a report.
_REPORT_SIZE = 8  # as in worker/forkserver_main

#: Seconds after which a server that does not answer is killed: it may be suspended.
_TIMEOUT = 20.0

#: The same for its first answer, for which it has to import the modules that works need.
_START_TIMEOUT = 60.0

#: Seconds that a server has to exit by itself after it has closed its pipes, so that its exit code is known.
_EXIT_TIMEOUT = 1.0

#: Prefixes of variables that a program reads when it starts: they have no effect in a forked process.
_STARTUP_PREFIXES = ("PYTHON", "LD_", "MALLOC_", "GLIBC_", "LANG", "LC_", "TZ")


class ForkServer:
    """Starts the server with the first process, and another one when it has died.

    Args:
        guardian: Ends the server if the flow is killed.
        preload: Modules that the server imports once for all works.

    Raises:
        RunnerError: This system has no pidfds or no sockets of this kind.
    """

    def __init__(self, guardian: Guardian, preload: Sequence[str] = ()) -> None:
        if not hasattr(os, "pidfd_open") or not hasattr(socket, "SOCK_SEQPACKET"):
            raise RunnerError(
                "start_method='forkserver' needs os.pidfd_open, which is not there. Use start_method='spawn'."
            )
        self._guardian = guardian
        self._preload = list(preload)
        self._environ = {**os.environ, VARIABLE: mark_of(guardian.token, 0)}
        self._pid = 0
        self._has_answered = False
        self._connection: socket.socket | None = None

    def suits(self, env: Mapping[str, str]) -> bool:
        """Return whether all of `env` has an effect in a forked process; if not, it has to be spawned."""
        return _startup_variables(env) == _startup_variables(self._environ)

    def changes_of_environment(self, env: Mapping[str, str]) -> dict[str, str | None]:
        """Return what a forked process changes in the environment of the server to have `env`.

        A process that compared all variables would copy 60 pages that it shares with the server.

        Returns:
            The new values, by the name of the variable; `None` for one that it deletes.
        """
        deleted: dict[str, str | None] = dict.fromkeys(self._environ.keys() - env.keys())
        return deleted | {name: value for name, value in env.items() if self._environ.get(name) != value}

    def start(self, process: WorkProcess) -> int:
        """Fork the process of a work, in a process group of its own, and return its id.

        Called in a thread that lives as long as the runner, because the server dies with it.

        Raises:
            OSError: The system refuses.
            ValueError: A variable of the environment is invalid.
            RunnerError: The server does not start.
        """
        _check(process.env)
        if self._connection is None:
            self._start_server()
        number = self._ask(process)
        if number is None:
            self._end(_EXIT_TIMEOUT)  # it was killed, and with it all that it has forked
            self._start_server()
            number = self._ask(process)
        if number is None:
            raise RunnerError(f"the fork server has ended with {describe_exit(self._end(_EXIT_TIMEOUT))}")
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return number

    def reap(self, process: WorkProcess) -> int:
        """Return the wait status of a process that has ended.

        Raises:
            ChildProcessError: The server has died, so the status is not known.
        """
        with suppress(OSError):  # the server has died, and is being replaced at this moment
            self._send(b"%d" % process.pid)
        status = self._read_report(process.report)
        if status is None:
            raise ChildProcessError("the fork server has died, and with it all that was forked from it")
        return status

    def close(self) -> None:
        """End the server; all works are gone by now."""
        if self._connection is not None:
            self._end()

    def close_after_fork(self) -> None:
        """Close its socket in a forked child."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _start_server(self) -> None:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            arguments = (there.fileno(), os.getpid())
            self._pid = spawn_program("forkserver_main", arguments, self._environ, [there.fileno()], None)
        except BaseException:
            here.close()
            raise
        finally:
            there.close()
        self._has_answered = False
        try:
            self._guardian.watch(self._pid)
            # It is dead already, as the first report shows.
            with suppress(BrokenPipeError, ConnectionResetError):
                setup = {"path": search_path(), "preload": self._preload, "mark": VARIABLE}
                here.sendmsg([marshal.dumps(setup)])
        except BaseException:
            here.close()
            with suppress(ProcessLookupError, ChildProcessError):  # other code of the app has reaped it
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            raise
        # Set last: the main thread may send a request to reap now, and the setup has to come first.
        self._connection = here

    def _end(self, timeout: float = 0.0) -> int | None:
        """Kill and reap the server, and return its exit code if it is known."""
        assert self._connection is not None
        self._connection.close()
        self._connection = None
        with suppress(ProcessLookupError):  # other code of the app has reaped it
            wait_for_exit(self._pid, timeout)
            os.kill(self._pid, signal.SIGKILL)
        self._guardian.forget(self._pid)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        except ChildProcessError:
            return None

    def _ask(self, process: WorkProcess) -> int | None:
        """Return the id of the process that the server forks, a negative error, or `None` if it is dead."""
        report, report_of_server = open_pipes(1)
        try:
            ends = [report_of_server, process.output_end, *process.child_ends]
            self._send(b"fork", ends)
        except BaseException:
            os.close(report)
            raise
        finally:
            os.close(report_of_server)
        number = self._read_report(report)
        if number is None or number < 0:
            os.close(report)
        else:
            process.report = report
        return number

    def _send(self, words: bytes, ends: Sequence[int] = ()) -> None:
        """Send one message; if the server is dead, the report shows it."""
        connection = self._connection
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", ends))] if ends else []
        if connection is not None:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendmsg([words], rights)

    def _read_report(self, report: int) -> int | None:
        """Return the next number in a report, or `None` if the server is dead."""
        poller = select.poll()
        poller.register(report, select.POLLIN)
        timeout = _TIMEOUT if self._has_answered else _START_TIMEOUT
        if not poller.poll(timeout * 1000):
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            poller.poll()
        data = os.read(report, _REPORT_SIZE)
        self._has_answered = bool(data)
        return int.from_bytes(data, "big", signed=True) if data else None


def _check(env: Mapping[str, str]) -> None:
    """Refuse the variables that `posix_spawn` would refuse.

    Raises:
        ValueError: A variable is invalid.
    """
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value:
            raise ValueError(f"illegal environment variable {name!r}")


def _startup_variables(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(_STARTUP_PREFIXES)}
