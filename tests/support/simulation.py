"""Drives the machine without any process: works answer when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from lightning_lite.clock import ManualClock
from lightning_lite.context import Caller
from lightning_lite.engine.machine import Machine
from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.events import Event
from lightning_lite.main_messages import KillWork, Report, Request, StartWork, WorkExited
from lightning_lite.messages import (
    AcknowledgeState,
    Failure,
    RunCall,
    RunEnded,
    StartFailed,
    StateChanged,
    StopWork,
    WorkStarted,
    WriteState,
)
from lightning_lite.process_places import Place
from lightning_lite.status import WorkStatus
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.codec import decode, encode
from lightning_lite.values.pickling import pack, unpack

#: Number of passes without a report after which a flow counts as spinning.
_MAX_PASSES = 50

T = TypeVar("T")


class MachineDriver:
    """Drives a machine step by step, and keeps the messages that it sent."""

    def __init__(self, root: LightningFlow, max_running: int | None = None) -> None:
        self.clock = ManualClock()
        self.machine = Machine(root, Caller("flow", "root", "/nowhere"), max_running)
        step = self.machine.open(self.clock.now())
        self.sent: list[Request] = list(step.requests)
        self.events: list[Event] = list(step.events)
        self.answers: list[Callable[[], None]] = []  # of handlers, which the caller gives
        self.calls: dict[str, RunCall] = {}
        self.settle()

    @property
    def root(self) -> Any:
        """The root flow."""
        return self.machine.root

    def step(self, *reports: Report) -> list[Request]:
        """Apply reports, then run a pass if the flow wants one; return the messages that the machine sent."""
        now, num_passes = self.clock.now(), self.machine.num_passes
        step = self.machine.step(now, reports)
        self.events += step.events
        self.answers += step.answers
        sent = step.requests
        if self.machine.wants_pass and self.machine.num_passes == num_passes:
            step = self.machine.step(now)
            self.events += step.events
            self.answers += step.answers
            sent = sent + step.requests
        for message in sent:
            if isinstance(message, RunCall):
                self.calls[message.work] = message
        self.sent += sent
        return sent

    def settle(self, *reports: Report) -> list[Request]:
        """Step until the flow has nothing more to do; return all messages that were sent."""
        sent = self.step(*reports)
        for _ in range(_MAX_PASSES):
            if not self.machine.wants_pass:
                return sent
            sent += self.step()
        raise AssertionError(f"the flow wants a pass after each pass: {list(self.machine._outbox.reasons)}")

    def advance(self, seconds: float) -> list[Request]:
        """Advance the clock and step."""
        self.clock.advance(seconds)
        return self.settle()

    def up(self, *works: str) -> list[Request]:
        """Report that the processes of works have started."""
        return self.settle(
            *[WorkStarted(work, Place.of(100 + position)) for position, work in enumerate(works)]
        )

    def answer(self, work: str, value: Any = None, **changes: Any) -> list[Request]:
        """Report that the running call has succeeded."""
        return self.settle(self.ended(work, changes, pack(value), None))

    def fail(
        self,
        work: str,
        error: BaseException | None = None,
        reason: str = "user_exception",
        captured: Any = None,
    ) -> list[Request]:
        """Report that the running call has failed."""
        error = error or ValueError("no good")
        failure = Failure(reason, f"{type(error).__name__}: {error}", "the traceback", pack(error), captured)
        return self.settle(self.ended(work, {}, None, failure))

    def change(self, work: str, applied: int = 0, **changes: Any) -> list[Request]:
        """Report that the work has new values."""
        encoded = {name: encode(value, name) for name, value in changes.items()}
        return self.settle(StateChanged(work, encoded, applied))

    def exit(self, work: str, exitcode: int = -9, detail: str = "") -> list[Request]:
        """Report that the process of the work has exited."""
        return self.settle(WorkExited(work, exitcode, detail))

    def fail_start(self, work: str, message: str = "it can't be loaded") -> list[Request]:
        """Report that the process of the work failed to start."""
        return self.settle(StartFailed(work, Failure("start_failed", message)), WorkExited(work, 1))

    def arguments(self, work: str) -> Any:
        """Return the arguments of the call that was sent last."""
        return unpack(self.calls[work].arguments)

    def ended(
        self,
        work: str,
        changes: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        value: bytes | None = None,
        failure: Failure | None = None,
    ) -> RunEnded:
        """Return the report that ends the running call."""
        call = self.calls[work]
        encoded = {name: encode(item, name) for name, item in dict(changes).items()}
        return RunEnded(work, call.key, call.attempt, encoded, call.written, value, failure)


class ScriptedFlow(LightningFlow):
    """A flow whose `run` is a function of the test."""

    def __init__(self, script: Callable[[Any], object], **attributes: Any) -> None:
        super().__init__()
        self._script = script
        self._passes = 0
        for name, value in attributes.items():
            setattr(self, name, value)

    def run(self) -> None:
        """Call the function."""
        self._passes += 1
        self._script(self)


class Work(LightningWork):
    """A work with some state."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss = 0.0
        self.step = 0
        self.curve: list[Any] = []
        self.table: dict[str, Any] = {}

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Return the arguments."""
        return (args, kwargs)


def play(script: Callable[[Any], object], max_running: int | None = None, **attributes: Any) -> MachineDriver:
    """Return a driven machine with a flow that runs `script`; its works have started."""
    driver = MachineDriver(ScriptedFlow(script, **attributes), max_running)
    driver.up(*[work.name for work in driver.root.works()])
    return driver


class MessageCollector:
    """Collects the messages of a work side, in place of pipes."""

    def __init__(self, work_side: WorkMachine) -> None:
        self.messages: deque[Report] = deque()
        self.num_report_requests = 0
        self.work_side = work_side

    def send(self, message: Report) -> None:
        """Keep a message."""
        self.messages.append(message)

    def request_report(self) -> None:
        """Count a request for a check."""
        self.num_report_requests += 1

    def take(self) -> list[Report]:
        """Return the messages since the last time."""
        messages = list(self.messages)
        self.messages.clear()
        return messages


def kinds(messages: Iterable[Any]) -> list[tuple[str, str]]:
    """Return class and work of each message."""
    return [(type(message).__name__, message.work) for message in messages]


def only(messages: Iterable[Any], kind: type[T]) -> list[T]:
    """Return the messages of one class."""
    return [message for message in messages if isinstance(message, kind)]


def decoded(changes: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the decoded values of a message."""
    return {name: decode(value) for name, value in changes.items()}


def stages(statuses: Iterable[WorkStatus]) -> list[str]:
    """Return the stages of statuses."""
    return [status.stage for status in statuses]


__all__ = [
    "AcknowledgeState",
    "KillWork",
    "MachineDriver",
    "MessageCollector",
    "RunCall",
    "RunEnded",
    "ScriptedFlow",
    "StartWork",
    "StateChanged",
    "StopWork",
    "Work",
    "WorkExited",
    "WorkStarted",
    "WriteState",
    "decoded",
    "kinds",
    "only",
    "play",
    "stages",
]
