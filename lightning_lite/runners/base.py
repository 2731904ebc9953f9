"""The interface between the app and a runner, which starts works and carries messages.

    app.session ── Runner ──▶ processes | inline | remote ── WorkSide ──▶ engine.work_machine
                 send, wait, close          open, perform, receive, report_changes, interrupt, close

A runner knows processes, pipes and threads; the work side knows one work and its calls. Neither knows flows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, NamedTuple, Protocol, Self

from lightning_lite.errors import RunnerError
from lightning_lite.main_messages import ExternalRequest, Report, Request
from lightning_lite.messages import AcknowledgeState, Failure, RunCall, StartFailed, WriteState
from lightning_lite.process_places import Place
from lightning_lite.project_file import ProjectFile
from lightning_lite.run_options import RunOptions
from lightning_lite.values.pickling import pack


class RemoteOptions(NamedTuple):
    """The further options of a runner of several machines.

    Attributes:
        address: Address of the cluster, or `None`: the runner finds or starts one.
        lease: Seconds after which a work that does not hear of its app any more is ended.
        working_dir: Folder whose files the works find in their working directory and can import, or `None`.
        excludes: Patterns of files in it that are not sent, as in `.gitignore`.
        direct: Whether we may open a connection of our own, which is faster than the cluster's.
        keeps_files: Whether the app uses drives or paths, so that a machine that does not see the folder
            that holds them can't run its works.
    """

    address: str | None = None
    lease: float = 10.0
    working_dir: str | None = None
    excludes: tuple[str, ...] = ()
    direct: bool = True
    keeps_files: bool = False


class RunnerOptions(NamedTuple):
    """The options of a runner, made once for a run and passed down.

    Attributes:
        root_dir: Absolute folder that holds drives, runs and logs.
        logs: Folder of the logs of the works of this run.
        durable: Whether files that works put into drives must survive the loss of power.
        start_method: `spawn` starts an interpreter for each work, `forkserver` one and forks all from it.
        preload: Modules that works need; they are imported before it is known which work a process is.
        setup: A packed function, called in each process of a work before the work is loaded, or `None`.
        values: Folder for big values, or `None`: then these travel in the messages.
        file: The file with settings that the processes of works use in place of a search, or `None`.
        drives: Absolute folder or url that holds the drives, or `None` if they are in `root_dir`.
        remote: The options of a runner of several machines, or `None` with another one.
        session: Identifier of this execution of the app; see `Caller`.

    Example:
        >>> options = RunnerOptions.of(RunOptions("/root", durable=True), "/root/runs/1/logs")
        >>> options.durable, options.start_method
        (True, 'spawn')
    """

    root_dir: str
    logs: str
    durable: bool = False
    start_method: str = "spawn"
    preload: tuple[str, ...] = ()
    setup: bytes | None = None
    values: str | None = None
    file: ProjectFile | None = None
    drives: str | None = None
    remote: RemoteOptions | None = None
    session: str | None = None

    @classmethod
    def of(
        cls,
        options: RunOptions,
        logs: str,
        preload: Iterable[str] = (),
        setup: bytes | None = None,
        values: str | None = None,
        remote: RemoteOptions | None = None,
        session: str | None = None,
    ) -> Self:
        """Return the options of a runner for a run.

        Args:
            options: The options of the run.
            logs: See above.
            preload: See above.
            setup: See above.
            values: See above.
            remote: See above.
            session: See above.
        """
        return cls(
            options.root_dir,
            logs,
            options.durable,
            options.start_method,
            tuple(preload),
            setup,
            values,
            options.file,
            drives=options.drives,
            remote=remote,
            session=session,
        )


class Runner(ABC):
    """Carries messages between the machine and the work sides.

    A subclass implements `send`, `wait`, `wake` and `close`. It overrides the other methods that it
    supports, and declares that in the class attributes. A runner may be created, used and closed in different
    threads, one after another.

    Attributes:
        can_kill: Whether a work can be killed at any time. Without it, time limits and `kill` have no effect,
            and a crash of a work ends the app.
        can_suspend: Whether all works stop and continue with the app, on Ctrl-Z and `fg`. Without it, Ctrl-Z
            has no effect: the works would take the silence of the app for its death.
        can_take_external: Whether works can be ended on request from another terminal.
        can_write_stacks: Whether works can write the Python stacks of their threads.

    Example:
        >>> class NoRunner(Runner):
        ...     def send(self, request):
        ...         pass
        ...     def wait(self, timeout):
        ...         return []
        ...     def wake(self):
        ...         pass
        ...     def close(self, timeout):
        ...         return []
        >>> NoRunner().can_kill, NoRunner().places()
        (False, {})
    """

    can_kill: ClassVar[bool] = False
    can_suspend: ClassVar[bool] = False
    can_take_external: ClassVar[bool] = False
    can_write_stacks: ClassVar[bool] = False

    @abstractmethod
    def send(self, request: Request) -> None:
        """Accept one request to a work or about its process; return at once.

        A request to a dead work is no error. `wait` returns the reports that follow. However a process ends,
        `WorkExited` is its last report. `StartFailed` comes before it if there was no `WorkStarted`.

        Args:
            request: The request.
        """

    @abstractmethod
    def wait(self, timeout: float | None) -> Sequence[Report]:
        """Wait for the first report, and return all that have arrived, in order per work.

        Args:
            timeout: Maximum of seconds to wait, 0 to return at once, `None` for no limit.

        Returns:
            The reports; none if the time is over or `wake` was called.
        """

    @abstractmethod
    def wake(self) -> None:
        """Make the current or the next `wait` return; callable from any thread and signal handler."""

    @abstractmethod
    def close(self, timeout: float) -> Sequence[Report]:
        """Stop all works within about `timeout` seconds, kill the rest, and release all resources.

        Args:
            timeout: Seconds that the works have to exit.

        Returns:
            The remaining reports: the last changes of state, and one `WorkExited` for each work.
        """

    # Commands from other terminals; called in any thread, also while the flow is busy.

    def places(self) -> dict[str, Place]:
        """Return the places of the works that have a process, by name; for a thread, the place of the app."""
        return {}

    def take_external(self, external: ExternalRequest) -> None:
        """Start to execute a request from another terminal, and make the next `wait` return it.

        `wait` returns it before the `WorkExited` that it causes, so that the exit does not count as a crash.
        Called only if `can_take_external`.

        Args:
            external: The request; one with the timeout 0, which kills at once, only if `can_kill`.
        """
        raise NotImplementedError

    def write_stacks(self, work: str) -> None:
        """Make a work write the Python stacks of its threads to its output, if it has a process.

        Called only if `can_write_stacks`.

        Args:
            work: Name of the work.
        """
        raise NotImplementedError

    # Signals of the terminal and of the system; called in signal handlers, in the main thread.

    @property
    def is_ending(self) -> bool:
        """Whether the works are being stopped, or an exception that leads to it is under way."""
        return False

    def interrupt(self, error: BaseException) -> None:
        """Raise `error`, now or as soon as no message can be lost by it."""
        raise error

    def kill_all(self) -> None:  # noqa: B027 - optional
        """End all works at once."""

    def suspend(self) -> None:  # noqa: B027 - optional
        """Stop all works, as Ctrl-Z does; called only if `can_suspend`."""

    def resume(self, seconds: float) -> None:  # noqa: B027 - optional
        """Continue all works after `suspend`; called only if `can_suspend`.

        Args:
            seconds: How long they were stopped.
        """


class WorkSide(Protocol):
    """The work side of one work: a state machine that travels pickled in `StartWork.work_side`."""

    def open(self, send: Callable[[Report], None], request_report: Callable[[], None]) -> None:
        """Run the work's `on_start`; the runner sends `WorkStarted` when it returns.

        Args:
            send: Sends a report to the main process; callable from any thread. A `StateChanged` never blocks.
            request_report: Makes the helper thread call `report_changes` soon.
        """

    def perform(self, call: RunCall) -> None:
        """Run one attempt in the main thread of the work, and send its `RunEnded`."""

    def receive(self, message: WriteState | AcknowledgeState) -> None:
        """Apply a request that came while a call runs; called in the helper thread."""

    def report_changes(self) -> float | None:
        """Look for changes inside lists and dicts; called in the helper thread.

        Returns:
            Seconds until the next call, or `None` to wait for a request.
        """

    def interrupt(self) -> None:
        """Raise `StopRun` in the main thread of the work, but never inside a message.

        Called in that thread, it raises at once. Called in another thread, it takes effect at the work's next
        change of state.
        """

    def close(self) -> None:
        """Run the work's `on_exit` and send its last changes; called in the main thread of the work."""

    def after_fork(self) -> None:
        """Replace the locks, which other threads may have held; called in a process that the work forked."""


def start_failed(work: str, why: str) -> StartFailed:
    """Return the report that the process of a work could not start.

    Args:
        work: Name of the work.
        why: The reason, without a full stop.
    """
    message = f"{work} could not start: {why}"
    return StartFailed(work, Failure("start_failed", message, error=pack(RunnerError(message))))
