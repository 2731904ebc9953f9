"""Hosts for the tests of runners: each stands where the child-side machine of a work would.

Works import this module, so it is light.
"""

from __future__ import annotations

from collections.abc import Callable

from lightning_lite.errors import StopRun
from lightning_lite.main_messages import Report
from lightning_lite.messages import AcknowledgeState, Failure, RunCall, RunEnded, StateChanged, WriteState
from lightning_lite.values.pickling import pack, unpack


class TaskSide:
    """Runs the task that a call carries: `arguments` are `(task, *args)`, the value `task(work_side, *args)`.

    An exception of the task becomes the failure of the call, as in a real work.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def open(self, send: Callable[[Report], None], request_report: Callable[[], None]) -> None:
        self.send = send
        self.request_report = request_report
        self.received: list[WriteState | AcknowledgeState] = []
        self.on_receive: Callable[[], None] = lambda: None
        self.on_report: Callable[[], float | None] = lambda: None
        self.on_exit: Callable[[], None] = lambda: None

    def perform(self, call: RunCall) -> None:
        task, *args = unpack(call.arguments)
        value, failure = None, None
        try:
            value = pack(task(self, *args), to_main=True)
        except Exception as error:  # noqa: BLE001 - as a real work side does
            failure = Failure("user_exception", f"{type(error).__name__}: {error}")
        self.send(RunEnded(self.name, call.key, call.attempt, {}, 0, value, failure))

    def receive(self, message: WriteState | AcknowledgeState) -> None:
        self.received.append(message)
        self.on_receive()

    def report_changes(self) -> float | None:
        return self.on_report()

    def interrupt(self) -> None:
        raise StopRun

    def close(self) -> None:
        self.on_exit()

    def after_fork(self) -> None:
        """Do nothing: this work_side has no locks."""

    def change(self, **changes: bytes) -> None:
        self.send(StateChanged(self.name, changes, 0))


class BrokenSide(TaskSide):
    """Can't be opened: runs `task` in place of `on_start`."""

    def __init__(self, name: str, task: Callable[[TaskSide], None]) -> None:
        super().__init__(name)
        self.task = task

    def open(self, send: Callable[[Report], None], request_report: Callable[[], None]) -> None:
        super().open(send, request_report)
        self.task(self)


class Unloadable(TaskSide):
    """Runs `task` when it is unpacked."""

    def __init__(self, name: str, task: Callable[[], None]) -> None:
        super().__init__(name)
        self.task = task

    def __setstate__(self, state: dict[str, Callable[[], None]]) -> None:
        state["task"]()
