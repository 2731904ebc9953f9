"""Converts the calls of a run to the Trace Event Format, which Perfetto and `chrome://tracing` show.

There is one process, with a track for the flow and one for each work. An attempt of a call is a slice. A
status of a process is an instant. The number of running works is a counter. Times are in microseconds since
the start of the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from lightning_lite.engine.history import Attempt, CallHistory, RunHistory
from lightning_lite.runs.catalog import RunSummary

_PID = 1
_FLOW = 0  # the track of the flow; the tracks of works follow

#: Maximum number of characters in the name of a slice.
_NAME_LIMIT = 120

#: Reasons of failures that end the process of a work; they are also shown as instants.
_DEADLY = frozenset({"crashed", "lost", "timeout", "start_failed"})


class _Slice(NamedTuple):
    track: int
    call: CallHistory
    attempt: Attempt
    ended: float


def trace(run: RunSummary, history: RunHistory, now: float) -> dict[str, Any]:
    """Return a run as an object in the Trace Event Format, ready for JSON.

    Args:
        run: The run.
        history: The content of its journal.
        now: Present time in seconds since 1970; in a running run, attempts without an end are drawn until
            then.
    """
    zero = min(history.begun[:1] + history.times[:1], default=run.started or now)
    end = now if run.state == "running" else max(run.ended or 0.0, history.last_time)
    clock = _Clock(zero)
    slices = list(_slices(history, end, is_running=run.state == "running"))
    events = [
        *_flow(run, history, clock, end),
        *_processes(history, clock),
        *(_draw(found, clock) for found in slices),
        *_deaths(slices, clock),
        *_counter(slices, clock),
    ]
    events.sort(key=lambda event: event["ts"])
    return {
        "traceEvents": [*_tracks(run, history), *events],
        "displayTimeUnit": "ms",
        "otherData": {
            "run": run.id,
            "app": run.app,
            "state": run.state,
            "started": run.details.get("started"),
            "lightning_lite": run.details.get("lightning_lite"),
        },
    }


class _Clock:
    """Converts seconds since 1970 to microseconds since the start of the run."""

    def __init__(self, zero: float) -> None:
        self._zero = zero

    def __call__(self, seconds: float) -> int:
        return max(0, round((seconds - self._zero) * 1e6))


def _tracks(run: RunSummary, history: RunHistory) -> Iterator[dict[str, Any]]:
    yield _named("process_name", _FLOW, name=f"{run.app} ({run.id})")
    for track, name in enumerate(["flow", *history.works]):
        yield _named("thread_name", track, name=name)
        yield _named("thread_sort_index", track, sort_index=track)


def _named(what: str, track: int, **args: Any) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": _PID, "tid": track, "args": args}


def _slices(history: RunHistory, end: float, *, is_running: bool) -> Iterator[_Slice]:
    for track, work in enumerate(history.works.values(), _FLOW + 1):
        for call in work.calls:
            for attempt in call.attempts:
                is_lost = attempt.outcome == "running" and not is_running
                known = attempt._replace(outcome="lost") if is_lost else attempt
                ended = next(at for at in (known.ended, call.lost_at, end) if at is not None)
                yield _Slice(track, call, known, max(ended, known.began))  # a clock may be set back


def _draw(found: _Slice, clock: _Clock) -> dict[str, Any]:
    _, call, attempt, ended = found
    number, began, _, outcome, reason, message = attempt
    arguments = call.arguments
    name = f"run({arguments})"
    args = {
        "work": call.work,
        "call": call.number,
        "key": call.key,
        "arguments": arguments,
        "attempt": number,
        "outcome": outcome,
        "waited_ms": round(max(0.0, began - call.asked) * 1e3, 3),
    }
    if reason is not None:
        args |= {"reason": reason, "message": message}
    return {
        "ph": "X",
        "name": name if len(name) <= _NAME_LIMIT else f"{name[: _NAME_LIMIT - 3]}...",
        "cat": f"call,{outcome}",
        "pid": _PID,
        "tid": found.track,
        "ts": clock(began),
        "dur": clock(ended) - clock(began),
        "args": args,
    }


def _deaths(slices: list[_Slice], clock: _Clock) -> Iterator[dict[str, Any]]:
    for found in slices:
        if found.attempt.reason in _DEADLY:
            args = {"message": found.attempt.message}
            yield _instant(found.attempt.reason, "death", found.track, clock(found.ended), args)


def _processes(history: RunHistory, clock: _Clock) -> Iterator[dict[str, Any]]:
    for track, work in enumerate(history.works.values(), _FLOW + 1):
        for event in work.statuses:
            args = {"message": event.message} if event.message else {}
            yield _instant(event.reason or event.stage, "process", track, clock(event.timestamp), args)


def _flow(run: RunSummary, history: RunHistory, clock: _Clock, end: float) -> Iterator[dict[str, Any]]:
    for number, moment in enumerate(history.begun):
        yield _instant("resumed" if number else "begun", "run", _FLOW, clock(moment), {}, scope="p")
    for moment in history.times:
        yield _instant("turn", "flow", _FLOW, clock(moment), {})
    if run.state != "running":
        yield _instant(run.state, "run", _FLOW, clock(end), {}, scope="p")


def _instant(
    name: str, category: str, track: int, moment: int, args: dict[str, Any], *, scope: str = "t"
) -> dict[str, Any]:
    return {
        "ph": "i",
        "name": name,
        "cat": category,
        "pid": _PID,
        "tid": track,
        "ts": moment,
        "s": scope,
        "args": args,
    }


def _counter(slices: list[_Slice], clock: _Clock) -> Iterator[dict[str, Any]]:
    """Yield the number of works that run a call, at each time at which it changes."""
    changes: dict[int, int] = {}
    for found in slices:
        began, ended = clock(found.attempt.began), clock(found.ended)
        changes[began] = changes.get(began, 0) + 1
        if found.attempt.outcome != "running":
            changes[ended] = changes.get(ended, 0) - 1
    running = 0
    for moment in sorted(changes):
        if changes[moment]:
            running += changes[moment]
            args = {"works": running}
            yield {"ph": "C", "name": "running", "pid": _PID, "tid": _FLOW, "ts": moment, "args": args}
