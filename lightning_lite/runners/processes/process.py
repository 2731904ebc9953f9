"""The process of one work, seen from the main process: its pipes, state and end."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Sequence
from contextlib import suppress
from threading import RLock
from typing import Any, Protocol

from lightning_lite.errors import RunnerError
from lightning_lite.runners.exit_status import OUT_OF_MEMORY, count_out_of_memory_kills
from lightning_lite.runners.processes.descriptor_channel import DescriptorChannel
from lightning_lite.runners.processes.guardian import Guardian
from lightning_lite.runners.wire.channel import CHUNK, MessageReader, PipeWriter
from lightning_lite.runners.wire.work_signals import ENDED_BY_SIGTERM, STACK_SIGNAL, STOP_SIGNAL
from lightning_lite.values.multiprocessing_objects import Descriptor


class Origin(Protocol):
    """A starter of processes: `factory.Spawner` or `forkserver.ForkServer`."""

    def start(self, process: WorkProcess) -> int:
        """Start a process, in a process group of its own, and return its id.

        Raises:
            OSError: The system refuses.
            ValueError: A variable of the environment is invalid.
        """

    def reap(self, process: WorkProcess) -> int:
        """Return the wait status of a process that has ended.

        Raises:
            ChildProcessError: The status is unknown; the error says why.
        """


class WorkProcess:
    """One process, from before its start until it is reaped and its pipes are closed.

    Args:
        name: Name of the work.
        number: The number in its mark, see `marked`.
        env: The whole environment of the process, with that mark.
        output: Write end of a pipe that becomes its standard output and error; this object closes it.
        guardian: Ends the group of the process if the flow is killed.
        origin: Starts it, and knows its exit code.
        takes_descriptors: Whether its work may need file descriptors of this process.

    Attributes:
        env: See above.
        origin: See above.
        pid: Its id, also that of its process group; 0 before the start.
        sentinel: Readable when the process has exited; -1 before the start, and on systems without pidfds,
            where the end of `messages` is used instead.
        calls: Carries calls to it.
        control: Carries messages to a running work.
        messages: Read end of the pipe of its reports.
        child_ends: Its own ends of these three pipes, and of the socket for file descriptors if there is one;
            until the process is started.
        output_end: See `output`.
        report: Read end of the pipe on which the fork server reports about it; -1 if it was not forked.
        start_error: Why it could not be started, or `None`.
        must_end: Whether it must be killed, or not be started at all.
        has_closed_pipe: Whether no message can come any more.
        is_reaped: Whether it is reaped.
        registered: The process object of `multiprocess` that represents it, or `None`.
        detail: Information about its end in addition to the exit code.

    Raises:
        OSError: There are too many open files.
    """

    def __init__(
        self,
        name: str,
        number: int,
        env: dict[str, str],
        output: int,
        guardian: Guardian,
        origin: Origin,
        *,
        takes_descriptors: bool = False,
    ) -> None:
        self.name = name
        self._number = number
        self.env = env
        self.origin = origin
        self.pid = 0
        self.sentinel = -1
        self.start_error: Exception | None = None
        self.must_end = False
        self.has_closed_pipe = False
        self.is_reaped = False
        self.registered: Any = None
        self.detail = ""
        self.output_end = output
        self.report = -1
        self._channel: DescriptorChannel | None = None
        fds = open_pipes(3)
        calls_of_child, calls, control_of_child, control, self.messages, messages_of_child = fds
        self.calls = PipeWriter(calls)
        self.control = PipeWriter(control)
        self.child_ends: tuple[int, ...] = (calls_of_child, control_of_child, messages_of_child)
        if takes_descriptors:
            try:
                self._channel = DescriptorChannel()
            except OSError:
                for fd in fds:
                    os.close(fd)
                raise
            self.child_ends += (self._channel.child_end,)
        os.set_blocking(self.messages, False)
        self._reader = MessageReader()
        self._guardian = guardian
        self._reaping = RLock()  # re-entrant, because a signal handler may need it while it is held
        self._exitcode: int | None = None
        self._kills_before = 0
        self._has_reported = False

    def begin(self, pid: int) -> None:
        """Note the process that was started, and watch it.

        Raises:
            OSError: There are too many open files, or the guardian can't be started.
        """
        self.pid = pid
        self._kills_before = count_out_of_memory_kills()
        # Sent before any of the work's own code runs: its interpreter takes longer to start than this.
        self._guardian.watch(pid)
        if hasattr(os, "pidfd_open"):
            self.sentinel = os.pidfd_open(pid)

    def send_descriptors(self, descriptors: Sequence[Descriptor]) -> None:
        """Send the file descriptors that its work needs, and close them here; before the work itself.

        Raises:
            OSError: The system refuses.
            RunnerError: It was made without a socket for them.
        """
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.send(descriptors)
        elif descriptors:
            raise RunnerError(
                "it shares objects with the app that did not exist when its process was prepared"
            )

    def close_child_ends(self) -> None:
        """Close our copies of the ends that the process has now, or will never need."""
        for fd in (*self.child_ends, self.output_end):
            os.close(fd)

    def read(self) -> tuple[list[Any], bool]:
        """Return the messages that have arrived, and whether there may be more at once; never waits."""
        if self.has_closed_pipe:
            return [], False
        try:
            data = os.read(self.messages, CHUNK)
        except BlockingIOError:
            return [], False
        try:
            messages = self._reader.feed(data)
        except Exception as error:  # noqa: BLE001 - unpickling other data may raise anything
            self.detail = f"its messages are damaged: {type(error).__name__}: {error}"
            messages, data = [], b""
        self.has_closed_pipe = not data
        self._has_reported = self._has_reported or bool(messages)
        return messages, not self.has_closed_pipe

    def signal_group(self, signum: int) -> None:
        """Send a signal to the process and all that it has started, unless they have exited."""
        with self._reaping:
            if self.pid and not self.is_reaped:
                self._signal_group(signum)

    def begin_end(self, *, at_once: bool) -> None:
        """Start to end it, from any thread; the runner's next turn continues the shutdown.

        Args:
            at_once: Whether it is killed with all that it has started; else it is asked to stop.
        """
        self.must_end = True
        if at_once:
            self.signal_group(signal.SIGKILL)
        elif self._has_reported:
            # To the process alone, whose main thread handles it as a stop. The message `StopWork` is read by
            # its helper thread, which waits 5 ms for the interpreter lock if the main thread is busy. Before
            # the first message of the process, the handler is not installed.
            self._signal(STOP_SIGNAL)

    def ask_for_stacks(self) -> None:
        """Let the process write the Python stacks of its threads to its output."""
        self._signal(STACK_SIGNAL)

    def has_ended(self) -> bool:
        """Return whether the process has ended, also if it was not reaped yet."""
        with self._reaping:
            if self.is_reaped:
                return True
            if self.sentinel >= 0:
                poller = select.poll()
                poller.register(self.sentinel, select.POLLIN)
                return bool(poller.poll(0))
            if not hasattr(os, "waitid"):
                return self.has_closed_pipe
            try:
                return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            except ChildProcessError:
                return True

    def reap(self) -> int | None:
        """End the remaining processes of its group, and return the exit code of the process.

        Returns:
            As `subprocess` has it; `None` if it is not known.
        """
        with self._reaping:
            if not self.is_reaped and self.pid:
                # Reap last: once the leader is reaped, the kernel may reuse its pid, and killpg() would hit
                # another group.
                self._signal_group(signal.SIGKILL)
                self._guardian.forget(self.pid, self._number)
                self.is_reaped = True
                try:
                    self._exitcode = os.waitstatus_to_exitcode(self.origin.reap(self))
                except ChildProcessError as error:
                    self.detail = str(error)
                if self._exitcode == ENDED_BY_SIGTERM and self.must_end:
                    self._exitcode = 0  # it was our signal, which it got before the message
                if self._exitcode == -signal.SIGKILL and not self.must_end:
                    self.detail = self.detail or self._explain_kill()
            return self._exitcode

    def close_after_fork(self) -> None:
        """Close everything in a forked child, which is not the parent of the process."""
        self._reaping = RLock()  # another thread may have held it at the fork
        self.is_reaped = True
        self.registered = None
        self.close()

    def abandon(self) -> None:
        """Give up a process that was killed and does not exit."""
        with self._reaping:
            self.is_reaped = True
            self.detail = "it was killed, but hangs in the kernel"

    def close(self) -> None:
        """Close our ends of the pipes; the process is reaped."""
        if self.registered is not None:
            self.registered.join()
        if self._channel is not None:
            self._channel.close()
        for fd in (self.calls.fd, self.control.fd, self.messages, self.sentinel, self.report):
            if fd >= 0:
                os.close(fd)

    def _explain_kill(self) -> str:
        return OUT_OF_MEMORY if count_out_of_memory_kills() > self._kills_before else ""

    def _signal(self, signum: int) -> None:
        with self._reaping, suppress(ProcessLookupError):  # others may have reaped it
            if self.pid and not self.is_reaped:
                os.kill(self.pid, signum)

    def _signal_group(self, signum: int) -> None:
        # Some systems refuse to signal a group that has only zombies left.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signum)


def open_pipes(count: int) -> list[int]:
    """Return read and write ends of new pipes, but never file descriptors 0 to 2 (standard streams)."""
    fds: list[int] = []
    low: list[int] = []
    try:
        while len(fds) < 2 * count:
            for fd in os.pipe():
                fds.append(fd)
                while fds[-1] <= 2:  # this process was started with a standard stream closed
                    low.append(fds[-1])
                    fds[-1] = os.dup(fd)
    except OSError:
        low += fds
        raise
    finally:
        for fd in low:
            os.close(fd)
    return fds
