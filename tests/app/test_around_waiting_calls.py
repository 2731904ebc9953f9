"""A pass that waits for a call is still one ordinary call of `run`: for contexts, profilers and Ctrl-C."""

from __future__ import annotations

import cProfile
import os
import pstats
import signal
import sys
import threading
from collections import Counter
from contextvars import ContextVar, copy_context
from inspect import unwrap
from types import FrameType
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork

#: Number of calls for which the flow waits one after the other.
NUM_CALLS = 20

STEP: ContextVar[Any] = ContextVar("STEP", default="unset")

#: How often the flow has executed the counted lines.
counts: Counter[str] = Counter()


class Double(LightningWork):
    def run(self, number: int) -> int:
        return 2 * number


class InterruptApp(LightningWork):
    """A work that presses Ctrl-C in its second call, and then runs until it is stopped."""

    def __init__(self) -> None:
        super().__init__(parallel=True)  # in a thread of its own, so that the signal meets the waiting flow
        self.position = 0

    def run(self, number: int) -> None:
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                threading.Event().wait(0.01)
                self.position += 1  # the inline runner stops a work at a change of its state


@pytest.fixture(autouse=True)
def own_root(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    counts.clear()


def run_inline(flow: LightningFlow) -> None:
    LightningApp(flow).run(runner="inline")


class ContextFlow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = Double(), Double(parallel=True)
        self._seen: list[tuple[Any, Any]] = []

    def run(self) -> None:
        counts["from outside"] += STEP.get() == "of the script"
        for number in range(NUM_CALLS):
            STEP.set(number)
            self.one.run(number)
            self._seen.append((number, STEP.get()))
            STEP.set(-number)
            self.other.run(number)
            self.wait_for(self.other)
            self._seen.append((-number, STEP.get()))
        STEP.set("of the flow")
        self.stop()


def test_context_variables_keep_their_values_over_waits():
    flow, context = ContextFlow(), copy_context()
    context.run(STEP.set, "of the script")

    context.run(run_inline, flow)

    assert len(flow._seen) >= 2 * NUM_CALLS
    assert [seen for seen in flow._seen if seen[0] != seen[1]] == []
    assert counts["from outside"] == 1
    assert context[STEP] == "of the flow", "the flow does not run in the context of app.run()"


#: The functions of `CountedFlow`; each of them counts how often it runs.
FUNCTIONS = ["run", "before", "after", "at_end"]


class CountedFlow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = Double(), Double(parallel=True)

    def run(self) -> None:
        counts["run"] += 1
        for number in range(NUM_CALLS):
            self.before()
            self.one.run(number)
            self.after()
        self.other.run(1)
        self.wait_for(self.other)
        self.at_end()
        self.stop()

    def before(self) -> None:
        counts["before"] += 1

    def after(self) -> None:
        counts["after"] += 1

    def at_end(self) -> None:
        counts["at_end"] += 1


def test_a_profiler_counts_each_function_of_a_waiting_flow_as_often_as_it_ran():
    profiler = cProfile.Profile()

    profiler.runcall(run_inline, CountedFlow())

    stats = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    first_lines = {unwrap(getattr(CountedFlow, name)).__code__.co_firstlineno: name for name in FUNCTIONS}
    profiled = {
        first_lines[line]: calls
        for (file, line, _), (_, calls, *_) in stats.items()
        if file == __file__ and line in first_lines
    }
    assert profiled == counts
    assert counts["after"] >= NUM_CALLS
    assert counts["run"] < NUM_CALLS, "the passes do not go on in place"


def test_a_tracer_sees_each_line_of_a_waiting_flow_as_often_as_it_ran():
    """Coverage and debuggers are such tracers."""
    lines: Counter[tuple[str, int]] = Counter()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != __file__:
            return None
        if event == "line":
            code = frame.f_code
            lines[code.co_qualname, frame.f_lineno - code.co_firstlineno] += 1
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        run_inline(CountedFlow())
    finally:
        sys.settrace(previous)

    run = "CountedFlow.run"
    assert {name: lines[f"CountedFlow.{name}", 1] for name in FUNCTIONS} == counts
    before, call, after, wait, at_end = 3, 4, 5, 7, 8  # lines of `run`
    assert lines[run, before] == lines[run, call] == counts["before"]
    assert lines[run, after] == counts["after"]
    assert lines[run, wait] >= lines[run, at_end] == counts["at_end"] == 1


class InterruptedFlow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.work = InterruptApp()

    def run(self) -> None:
        self.work.run(1)
        self.wait_for(self.work)
        try:
            counts["begun"] += 1
            self.work.run(2)
            self.wait_for(self.work)
            counts["went on"] += 1
        except Exception:  # noqa: BLE001 - it must see none
            counts["seen"] += 1
        finally:
            counts["left"] += 1


def test_ctrl_c_while_a_pass_waits_leaves_its_blocks_once():
    with pytest.raises(KeyboardInterrupt):
        run_inline(InterruptedFlow())

    assert counts == {"begun": 1, "left": 1}
