"""The messages of the machine that stay in the main process, and the types of all that it sends and receives.

    main → runner   PrepareWork, StartWork, KillWork, DumpStack   requests about a process
    runner → main   WorkExited                                    report about a process
    outside → main  StopWanted, RestartWanted                     requests from another terminal
                    HandlerWanted                                 request of another thread to the flow

The name of a request is a verb and a noun; the name of a report ends in a past participle. No process of a
work loads this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StartFailed,
    StateChanged,
    StopWork,
    WorkStarted,
    WriteState,
)
from lightning_lite.resources import Resources


class PrepareWork(NamedTuple):
    """Start the process of a work early: it boots while the main process pickles its `StartWork`.

    Attributes:
        work: Name of the work.
        env: See `StartWork`.
        cwd: See `StartWork`.
        resources: See `StartWork`.
    """

    work: str
    env: dict[str, str] | None = None
    cwd: str | None = None
    resources: Resources | None = None


class StartWork(NamedTuple):
    """Start the process of a work.

    Attributes:
        work: Name of the work.
        work_side: The pickled `engine.work_machine.WorkMachine` of the work.
        parallel: Whether the flow continues while a call runs (the inline runner then uses a thread).
        env: Environment variables that are added to the environment of the parent.
        cwd: Working directory, or `None` for the directory of the parent.
        descriptors: A `values.multiprocessing_objects.Descriptor` for each file descriptor that
            `work_side` needs; the runner takes them over.
        secrets: The texts of the secrets in `work_side`, by token, or `None`; the process gets them first.
        resources: The resources that the process needs; `None` with a runner of one machine.
    """

    work: str
    work_side: bytes
    parallel: bool = False
    env: dict[str, str] | None = None
    cwd: str | None = None
    descriptors: tuple[Any, ...] = ()
    secrets: dict[str, str] | None = None
    resources: Resources | None = None


class KillWork(NamedTuple):
    """Kill the process of a work and its whole process group."""

    work: str


class DumpStack(NamedTuple):
    """Make the process of a work write the Python stacks of its threads to its output."""

    work: str


class WorkExited(NamedTuple):
    """The process of a work has exited; always the last message about that process.

    Attributes:
        work: Name of the work.
        exitcode: The exit code as in `subprocess`: negative for a signal. `None` if there was no process, or
            if the code is unknown; `detail` says which.
        detail: Further information, for example that the system ran out of memory; or "".
        lost: The part that was lost together with the process, in words that name the node: the node itself,
            the connection to it, or the server there; "" if the end of the process was seen. It has ended.
    """

    work: str
    exitcode: int | None
    detail: str = ""
    lost: str = ""


class StopWanted(NamedTuple):
    """Request from another terminal to stop a work, as with `work.stop(timeout)`; 0 means at once.

    The runner may have started to end the process already, because the flow may be busy.
    """

    work: str
    timeout: float


class RestartWanted(NamedTuple):
    """Request from another terminal to restart a work, as with `work.restart(timeout)`.

    The runner may have started to end the old process already.
    """

    work: str
    timeout: float


class HandlerWanted(NamedTuple):
    """Request of another thread of the main process to run a function in the thread of the flow.

    Attributes:
        work: Name of the root flow; it stands where other reports have the name of their work.
        begin: Returns the function, or `None` if its answer is not wanted any more.
        answer: Takes the value and the error of the function, once its events are in the journal.
    """

    work: str
    begin: Callable[[], Callable[[], Any] | None]
    answer: Callable[[Any, Exception | None], None]


#: Requests from other terminals.
ExternalRequest = StopWanted | RestartWanted

#: Messages that the machine sends.
Request = PrepareWork | StartWork | StopWork | KillWork | RunCall | WriteState | AcknowledgeState | DumpStack

#: Messages that the machine receives.
Report = WorkStarted | StateChanged | RunEnded | StartFailed | WorkExited | ExternalRequest | HandlerWanted
