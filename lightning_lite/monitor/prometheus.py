"""Metrics of the runs of a root in the text format 0.0.4 of Prometheus.

All runs are counted by state. Only runs that are still running have series of their own, of a bounded
number: a server that looked at all runs for months would have as many series as the root has works.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import NamedTuple

from lightning_lite.engine.history import CallHistory, RunHistory
from lightning_lite.harmless_text import one_line
from lightning_lite.monitor.ended_calls import EndedCalls
from lightning_lite.runs.catalog import RunSummary

#: The `Content-Type` of the text.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Maximum number of running runs and of works that have series; further works are one work `(others)`.
MAX_RUNS = 50
MAX_WORKS = 500
_OTHERS = "(others)"

_PREFIX = "lightning_lite"
_LABEL_LIMIT = 200


class CallCounters:
    """Counts the calls of one run by work and outcome, and their attempts and seconds.

    A counter never goes back, also when the journal was compacted and has only the newest calls: then give
    the new history to the same counters. A call that has ended is read once.

    Attributes:
        calls: Numbers of calls that have ended, by work and outcome.
        attempts: Numbers of attempts that have ended, by work and outcome.
        seconds: Seconds in which attempts that have ended ran, by work.

    Example:
        >>> counters = CallCounters()
        >>> counters.update(RunHistory())
        >>> counters.calls
        Counter()
    """

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str]] = Counter()
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.seconds: dict[str, float] = {}
        self._ended = EndedCalls()

    def update(self, history: RunHistory) -> None:
        """Count the calls that have ended since the last update.

        Args:
            history: The history of the run, which has grown, or a new one of the same run.
        """
        for call in self._ended.take(history):
            self._count(call)
        for name, work in history.works.items():
            # Calls that a compaction has removed before the first reading are in this number only.
            succeeded = name, "succeeded"
            self.calls[succeeded] = max(self.calls[succeeded], work.records.num_successes)

    def _count(self, call: CallHistory) -> None:
        self.calls[call.work, call.stage] += 1
        for attempt in call.attempts:
            ended = attempt.ended if attempt.ended is not None else call.lost_at
            self.attempts[call.work, attempt.outcome] += 1
            if ended is not None:
                seconds = max(0.0, ended - attempt.began)
                self.seconds[call.work] = self.seconds.get(call.work, 0.0) + seconds


class WatchedRun(NamedTuple):
    """A run that is still running.

    Attributes:
        run: The run.
        states: State of each work, by name.
        counters: Its counters, up to date.
        usage: CPU (1.0 is one processor) and memory in bytes of the processes of each work, by name; the
            name "" stands for the app.
    """

    run: RunSummary
    states: Mapping[str, str]
    counters: CallCounters
    usage: Mapping[str, tuple[float | None, float | None]]


#: Labels and value.
_Sample = tuple[dict[str, str], float]

#: Name of a work, the labels besides it, and value.
_Value = tuple[str, dict[str, str], float]


def metrics(runs: Sequence[RunSummary], watched: Sequence[WatchedRun]) -> str:
    """Return the metrics of a root as text.

    Args:
        runs: All runs of the root.
        watched: The runs that are still running, the newest first.

    Example:
        >>> print(metrics([], []).splitlines()[2])
        # HELP lightning_lite_works Works of running runs, by state.
    """
    shown = watched[:MAX_RUNS]
    names = _shown_works(shown)

    def per_work(values_of: Callable[[WatchedRun], Iterable[_Value]]) -> list[_Sample]:
        return [
            sample for one in shown for sample in _summed(_labels(one), names[one.run.id], values_of(one))
        ]

    states = sorted(Counter(run.state for run in runs).items())
    families: tuple[tuple[str, str, str, list[_Sample]], ...] = (
        ("runs", "gauge", "Runs of the root, by state.", [({"state": state}, n) for state, n in states]),
        (
            "works",
            "gauge",
            "Works of running runs, by state.",
            [
                ({**_labels(one), "state": state}, count)
                for one in shown
                for state, count in sorted(Counter(one.states.values()).items())
            ],
        ),
        (
            "run_start_time_seconds",
            "gauge",
            "When a running run was started, in seconds since 1970.",
            [(_labels(one), one.run.started) for one in shown if one.run.started is not None],
        ),
        (
            "calls_total",
            "counter",
            "Calls of works that have ended, by outcome.",
            per_work(lambda one: _by_outcome(one.counters.calls)),
        ),
        (
            "attempts_total",
            "counter",
            "Attempts of calls that have ended, by outcome.",
            per_work(lambda one: _by_outcome(one.counters.attempts)),
        ),
        (
            "call_seconds_total",
            "counter",
            "Seconds in which attempts that have ended ran.",
            per_work(lambda one: ((work, {}, seconds) for work, seconds in one.counters.seconds.items())),
        ),
        (
            "cpu_ratio",
            "gauge",
            "Use of one processor by the processes of a work; of the app if `work` is empty.",
            per_work(lambda one: _known((work, cpu) for work, (cpu, _) in one.usage.items())),
        ),
        (
            "memory_bytes",
            "gauge",
            "Memory of the processes of a work; of the app if `work` is empty.",
            per_work(lambda one: _known((work, memory) for work, (_, memory) in one.usage.items())),
        ),
    )
    return "".join(f"{line}\n" for family in families for line in _lines(*family))


def _labels(one: WatchedRun) -> dict[str, str]:
    return {"run": one.run.id, "app": one.run.app}


def _by_outcome(counts: Mapping[tuple[str, str], int]) -> Iterator[_Value]:
    return ((work, {"outcome": outcome}, count) for (work, outcome), count in counts.items())


def _known(values: Iterable[tuple[str, float | None]]) -> Iterator[_Value]:
    return ((work, {}, value) for work, value in values if value is not None)


def _shown_works(watched: Iterable[WatchedRun]) -> dict[str, set[str]]:
    """Return for each run the works that have series of their own; "" is the app."""
    found: dict[str, set[str]] = {}
    room = MAX_WORKS
    for one in watched:
        names = sorted({*one.states, *(work for work, _ in one.counters.calls)})[:room]
        room -= len(names)
        found[one.run.id] = {"", *names}
    return found


def _summed(run: dict[str, str], shown: set[str], values: Iterable[_Value]) -> list[_Sample]:
    """Return samples; the values of works that have no series of their own are added up."""
    found: dict[tuple[str, ...], tuple[dict[str, str], float]] = {}
    for work, labels, value in values:
        all_labels = {**run, "work": work if work in shown else _OTHERS, **labels}
        key = tuple(all_labels.values())
        _, before = found.get(key, ({}, 0.0))
        found[key] = all_labels, before + value
    return [found[key] for key in sorted(found)]


def _lines(name: str, kind: str, purpose: str, samples: Sequence[_Sample]) -> Iterator[str]:
    """Yield the lines of one metric."""
    full = f"{_PREFIX}_{name}"
    yield f"# HELP {full} {purpose}"
    yield f"# TYPE {full} {kind}"
    for labels, value in samples:
        texts = ",".join(f'{label}="{_escape(text)}"' for label, text in labels.items())
        yield f"{full}{{{texts}}} {_number(value)}"


def _escape(text: str) -> str:
    r"""Return the text of a label, as the format has it.

    Example:
        >>> print(_escape('a"b\\c'))
        a\"b\\c
    """
    safe = one_line(text, _LABEL_LIMIT).encode("utf-8", "replace").decode("utf-8")
    return safe.replace("\\", "\\\\").replace('"', '\\"')


def _number(value: float) -> str:
    if isnan(value):
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value) if isinstance(value, int) or value != int(value) else str(int(value))
