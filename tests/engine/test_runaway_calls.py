"""The warning about a line that calls a work with new arguments in each pass."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import LightningFlowWarning
from lightning_lite.structures import Dict, List
from lightning_lite.tree import runaway_calls

NUM_PASSES = 80


@pytest.fixture(autouse=True)
def lower_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warn after fewer calls, which is quicker."""
    assert (runaway_calls._MANY, runaway_calls._MANY_CHANGED) == (300, 1000)  # as docs/model.md says
    monkeypatch.setattr(runaway_calls, "_MANY", 60)
    monkeypatch.setattr(runaway_calls, "_MANY_CHANGED", 200)


class Echo(LightningWork):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen = 0

    def run(self, fixed: str, value: object) -> object:
        return value


class Sees(Echo):
    def run(self, fixed: str, value: object) -> object:
        self.seen += 1
        return value


class Flow(LightningFlow):
    """Makes `NUM_PASSES` passes; `_new` is a value from outside the state, as a random number is."""

    def __init__(self, work: LightningWork) -> None:
        super().__init__()
        self.work = work
        self.other = Echo(cache_calls=False)
        self.step = 0
        self._outside = itertools.count(7)
        self._num_passes = 0

    def run(self) -> None:
        self._num_passes += 1
        if self._num_passes > NUM_PASSES:
            self.stop()
        self.call(next(self._outside))

    def call(self, new: int) -> None:
        self.work.run("same", value=new)  # the line of the warning


def warnings_of(root: LightningFlow) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        LightningApp(root).run(runner="inline")
    return [one for one in caught if issubclass(one.category, LightningFlowWarning)]


@pytest.mark.parametrize("options", [{}, {"parallel": True}, {"cache_calls": False}], ids=str)
def test_new_arguments_in_each_pass_are_reported_once_with_line_and_argument(options: dict[str, bool]):
    (warning,) = warnings_of(Flow(Echo(**options)))

    assert "root.work.run(...) makes a new call in each pass, 60 by now" in str(warning.message)
    assert "argument 'value', now 67, is new each time" in str(warning.message)
    lines = Path(__file__).read_text().splitlines()
    assert warning.filename == __file__
    assert lines[warning.lineno - 1].endswith("# the line of the warning")


class Counts(Flow):
    """Counts when a call has ended."""

    def call(self, new: int) -> None:
        if self.work.run("same", self.step) is not None:
            self.step += 1


class RunsAway(Flow):
    """Counts before each call, so that the pass is cut there, and counts again."""

    def call(self, new: int) -> None:
        self.step += 1
        self.work.run("same", self.step)


class NewWorks(Flow):
    def __init__(self, several: Dict[Any] | List[Any]) -> None:
        super().__init__(Echo())
        self.several = several

    def call(self, new: int) -> None:
        work = Echo(parallel=True)
        if isinstance(self.several, List):
            self.several.append(work)
        else:
            self.several["a"] = work
        work.run("same", 1)


class Tasks(Flow):
    """Calls one work after the other on the same line, each when the one before has succeeded."""

    def __init__(self, work: LightningWork) -> None:
        super().__init__(work)
        self.several = List(*(Echo() for _ in range(NUM_PASSES)))

    def call(self, new: int) -> None:
        for work in self.several:
            if not work.has_succeeded:
                work.run("same", 1)
                break


class Loops(Flow):
    def call(self, new: int) -> None:
        for number in range(NUM_PASSES):
            self.work.run("same", number)
        self.stop()


class Answers(Flow):
    def call(self, new: int) -> None:
        self.work.run("same", self.other.run("source", 1) + new)


class Reaches(Flow):
    """Reaches the earlier calls again before each new one, as a loop of parallel calls does."""

    def call(self, new: int) -> None:
        for number in range(new):
            self.work.run("same", number)


@pytest.mark.parametrize(
    "root",
    [
        Counts(Echo(parallel=True)),
        Loops(Echo()),
        Flow(Sees()),
        Answers(Echo()),
        Reaches(Echo(parallel=True)),
        Tasks(Echo()),
    ],
    ids=[
        "counter in the state",
        "loop in one pass",
        "state of the work",
        "new answers",
        "earlier calls",
        "one work after the other",
    ],
)
def test_calls_that_follow_from_the_state_or_from_other_calls_are_not_reported(root: Flow):
    assert warnings_of(root) == []


@pytest.mark.parametrize(
    ("root", "what"),
    [
        (
            RunsAway(Echo()),
            "root.work.run(...) makes a new call in each pass, 60 by now, and the last one has ",
        ),
        (RunsAway(Echo()), "has not ended: argument 1, now 61, is new each time"),
        (NewWorks(List()), "has not ended: the work is a new one each time"),
        (NewWorks(Dict()), "the work is a new one each time. If nothing limits these calls, the flow"),
    ],
    ids=["counter before the call", "its argument", "list of works", "dict of works"],
)
def test_calls_that_each_pass_adds_to_those_that_wait_are_reported(
    root: Flow, what: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runaway_calls, "_MANY_CHANGED", 60)

    (warning,) = warnings_of(root)

    assert what in str(warning.message)
    assert warning.filename == __file__


def test_some_hundred_calls_that_a_flow_makes_one_in_each_pass_are_not_reported():
    assert warnings_of(RunsAway(Echo(parallel=True))) == []


def test_the_report_survives_an_argument_that_can_not_be_shown():
    class Unshown:
        def __init__(self, number: int) -> None:
            self.number = number

        def __repr__(self) -> str:
            raise ValueError("no text")

    class Root(Flow):
        def call(self, new: int) -> None:
            self.work.run("same", Unshown(new))

    (warning,) = warnings_of(Root(Echo()))
    assert "argument 1, now " in str(warning.message)
