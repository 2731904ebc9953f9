"""Random events of a run, and all that a history of them must know."""

from __future__ import annotations

import random

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import (
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    ComponentAttached,
    ComponentDetached,
    Event,
    RunBegun,
    StateReported,
    StateWritten,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.status import WorkStatus

EVERYTHING = 10**9

NAMES = ("root.a", "root.b", "root.b.c")


class Story:
    """Random events of a run that follow from each other, as an app could record them.

    Args:
        rng: Source of the random decisions.
        size: Size of values and of state, in bytes.
    """

    def __init__(self, rng: random.Random, size: int = 1) -> None:
        self._rng = rng
        self._size = size
        self._time = 100.0
        self._attached: dict[str, bool] = {}
        self._numbers: dict[str, int] = {}
        self._running: dict[tuple[str, str], int] = {}
        self._ended: list[tuple[str, str]] = []

    def begin(self) -> list[Event]:
        """Return the first events of a process."""
        self._attached.clear()
        self._running.clear()
        return [
            RunBegun(self._tick()),
            ComponentAttached("root", self._time, False, ("app.py", "Root"), {"turn": b"I0"}),
            *(event for name in NAMES for event in self._attach(name)),
        ]

    def step(self) -> list[Event]:
        """Return the events of a step; none if nothing happened."""
        return self._rng.choice([self._ask, self._ask, self._go_on, self._go_on, self._write, self._move])()

    def _tick(self) -> float:
        self._time += self._rng.choice([0.0, 0.25, 1.0])
        return self._time

    def _attach(self, name: str) -> list[Event]:
        self._attached[name] = True
        self._numbers.setdefault(name, 0)
        return [ComponentAttached(name, self._tick(), True, ("app.py", "W"), {"loss": b"F0", "table": b"x"})]

    def _ask(self) -> list[Event]:
        name = self._rng.choice(NAMES)
        key = f"{self._rng.randrange(12)}"
        if name not in self._attached or (name, key) in self._running:
            return []
        self._numbers[name] += 1
        number = self._running[name, key] = self._numbers[name]
        return [CallAsked(name, key, self._tick(), number, self._rng.choice([None, b"args"]))]

    def _go_on(self) -> list[Event]:
        if not self._running:
            return []
        (name, key), number = self._rng.choice([*self._running.items()])
        time, fate = self._tick(), self._rng.random()
        if fate < 0.3:
            return [CallStatusChanged(name, key, time, number, WorkStatus("running", time, count=1))]
        if fate < 0.4:
            return [CallSurvived(name, key, time)]
        if fate < 0.5:
            failed = WorkStatus("failed", time, "crashed", "gone", 1)
            return [CallStatusChanged(name, key, time, number, failed)]
        del self._running[name, key]
        self._ended.append((name, key))
        if fate < 0.65:
            failed = WorkStatus("failed", time, "user_exception", "no good", 1, "Traceback ...")
            failure = Failure("user_exception", "no good", "Traceback ...", b"error", True)
            return [CallStatusChanged(name, key, time, number, failed), CallFailed(name, key, time, failure)]
        return [CallSucceeded(name, key, time, key.encode() * self._size)]

    def _write(self) -> list[Event]:
        name = self._rng.choice(["root", *self._attached])
        if name not in self._attached:
            return [
                StateWritten("root", self._tick(), {"turn": b"I%d" % self._rng.randrange(9) * self._size})
            ]
        if self._rng.random() < 0.3:
            stage = self._rng.choice(["started", "stopped", "failed"])
            return [WorkStatusChanged(name, self._tick(), WorkStatus(stage, self._time))]
        return [StateReported(name, self._tick(), {"loss": b"F%d" % self._rng.randrange(9)})]

    def _move(self) -> list[Event]:
        if self._rng.random() < 0.2:
            return self.begin()
        if self._ended and self._rng.random() < 0.5:
            name, key = self._rng.choice(self._ended)
            return [AnswerUsed(name, key, self._tick())] if name in self._attached else []
        name = self._rng.choice(NAMES)
        if name not in self._attached:
            return self._attach(name)
        if self._rng.random() < 0.8:
            return []
        for gone in [other for other in self._attached if f"{other}.".startswith(f"{name}.")]:
            del self._attached[gone], self._numbers[gone]
            for running in [one for one in self._running if one[0] == gone]:
                del self._running[running]
            self._ended = [one for one in self._ended if one[0] != gone]
        return [ComponentDetached(name, self._tick())]


def known(history: RunHistory, *, limit: int = EVERYTHING) -> dict[str, object]:
    """Return all that a snapshot with a limit must keep of a history."""
    books: dict[str, object] = {}
    listed: dict[str, list[object]] = {}
    for name, work in history.works.items():
        calls = {
            key: (
                call.key, call.number, call.attempt, call.ended, call.succeeded, call.answered, call.failure,
                call.stored_value, b"" if call.ended else call.arguments, call.statuses[-1],
            )
            for key, call in work.records.current.items()
            if not (call.ended and call.answered and call is not work.records.newest and limit < EVERYTHING)
        }  # fmt: skip
        book = work.records
        counts = book.num_calls, book.num_failures, book.num_successes, book.num_timeouts, book.has_started
        books[name] = calls, counts, book.status, book.process_statuses, book.newest and book.newest.key
        for call in work.calls:
            shown = call.number, call.statuses, call.arguments, call.lost_at, call.ended, call.attempts
            listed.setdefault(name, []).append((call.asked, call.key, *shown))
    return {
        "books": {name: book for name, book in books.items() if not history.works[name].is_detached},
        "detached": {name for name, work in history.works.items() if not work.is_detached},
        "identities": {name: work.identity for name, work in history.works.items() if not work.is_detached},
        "num_calls": {name: work.num_calls for name, work in history.works.items() if not work.is_detached},
        "listed": listed if limit == EVERYTHING else None,
        "statuses": {name: work.statuses for name, work in history.works.items() if not work.is_detached},
        "states": history.states,
        "written": history.written,
        "begun": history.begun,
        "times": history.times[max(0, len(history.times) - limit) :],
        "deaths": history.deaths,
        "last time": history.last_time if limit else None,
    }
