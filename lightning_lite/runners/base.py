"""The interface between the app and a runner, which starts works and carries messages.

    core.session ── Runner ──▶ processes | inline ── Host ──▶ core.host
                 send, wait, close                open, perform, receive, look, interrupt, close

A runner knows processes, pipes and threads; a host knows one work and its calls. Neither knows flows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from lightning_lite.messages import AcknowledgeState, ExternalRequest, Report, Request, RunCall, WriteState


class Runner(Protocol):
    """Carries letters between the machine and the hosts of its works."""

    def send(self, request: Request) -> None:
        """Take one letter for a work, or about its process; returns at once, never raises for a dead work.

        `wait` returns what becomes of it. However a process ends, `WorkExited` is its last message,
        and `StartFailed` comes before it if it never got as far as `WorkStarted`.
        """

    def wait(self, timeout: float | None) -> Sequence[Report]:
        """Return all letters that have arrived, in order per work; wait for the first one.

        Args:
            timeout: Seconds to wait at most, 0 to look only, `None` without limit.

        Returns:
            The letters, or nothing if the time is over or `wake` was called.
        """

    def wake(self) -> None:
        """Let a `wait` that is under way return; may be called from any thread and signal handler."""

    def close(self, timeout: float) -> Sequence[Report]:
        """End all works in order within about `timeout` seconds, then kill; leave nothing behind.

        Returns:
            The letters that still came: the last changes of state, and one `WorkExited` for each work.
        """


@runtime_checkable
class Steerable(Protocol):
    """A runner as commands from outside use it: for any thread, and also while the flow is busy."""

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes of the works that have one, by name; the app's own for a thread."""

    def take_external(self, external: ExternalRequest) -> None:
        """Begin with a request from outside, and let the next `wait` return it.

        It stands there before the `WorkExited` that follows from it: an end that was wanted is no crash.

        Raises:
            RunnerError: This runner can't do it.
        """

    def write_stacks(self, work: str) -> None:
        """Let a work write the Python stacks of its threads to its output, if it has a process."""


class Host(Protocol):
    """The child-side machine of one work; travels packed in `StartWork.host`."""

    def open(self, send: Callable[[Report], None], nudge: Callable[[], None]) -> None:
        """Run the work's `on_start`; the runner sends `WorkStarted` when it returns.

        Args:
            send: Carries a letter to the main side; whole letters only, from any thread, and a
                `StateChanged` never blocks.
            nudge: Lets the helper thread call `look` soon.
        """

    def perform(self, call: RunCall) -> None:
        """Run one attempt in the main thread of the work and send its `RunEnded`."""

    def receive(self, message: WriteState | AcknowledgeState) -> None:
        """Apply what came while a call runs; called in the helper thread."""

    def look(self) -> float | None:
        """Look for changes inside lists and dicts; called in the helper thread.

        Returns:
            Seconds until the next look, or `None` until nudged.
        """

    def interrupt(self) -> None:
        """Raise `StopRun` in the main thread of the work as soon as what is under way is whole.

        Called there, that is at once; from another thread, at the work's next change of state.
        """

    def close(self) -> None:
        """Run the work's `on_exit` and send its last changes; called in the main thread of the work."""
