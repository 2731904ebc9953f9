"""Checks the rules of the Trace Event Format, as in its description, for the phases that we use."""

from __future__ import annotations

from numbers import Real
from typing import Any

#: Required fields of an event, by phase.
REQUIRED = {
    "X": {"name", "ph", "ts", "dur", "pid", "tid"},
    "i": {"name", "ph", "ts", "pid", "tid", "s"},
    "C": {"name", "ph", "ts", "pid", "args"},
    "M": {"name", "ph", "pid", "args"},
}

#: Names of metadata, with their required argument and its type.
METADATA = {
    "process_name": ("name", str),
    "process_labels": ("labels", str),
    "process_sort_index": ("sort_index", int),
    "thread_name": ("name", str),
    "thread_sort_index": ("sort_index", int),
}


def check_trace(trace: Any) -> list[dict[str, Any]]:
    """Assert that a trace is valid, and return its events without the metadata."""
    assert isinstance(trace, dict)
    assert trace.get("displayTimeUnit", "ms") in ("ms", "ns")
    events = trace["traceEvents"]
    assert isinstance(events, list)
    for event in events:
        _check_event(event)
    timed = [event for event in events if event["ph"] != "M"]
    assert [event["ts"] for event in timed] == sorted(event["ts"] for event in timed)
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    assert {(event["pid"], event["tid"]) for event in timed} <= named
    _check_nesting([event for event in timed if event["ph"] == "X"])
    return timed


def _check_event(event: dict[str, Any]) -> None:
    assert REQUIRED[event["ph"]] <= set(event), event
    assert isinstance(event["name"], str)
    assert isinstance(event["pid"], int)
    assert isinstance(event.get("cat", ""), str)
    assert isinstance(event.get("args", {}), dict)
    for field in ("ts", "dur"):
        assert isinstance(event.get(field, 0), Real)
        assert event.get(field, 0) >= 0
    if event["ph"] == "i":
        assert event["s"] in ("g", "p", "t")
    if event["ph"] == "C":
        assert all(isinstance(value, Real) for value in event["args"].values())
    if event["ph"] == "M":
        argument, kind = METADATA[event["name"]]
        assert isinstance(event["args"][argument], kind)


def _check_nesting(slices: list[dict[str, Any]]) -> None:
    """Assert that slices of one thread follow each other or are nested, but do not overlap."""
    ends: dict[tuple[int, int], list[int]] = {}
    for event in sorted(slices, key=lambda event: (event["ts"], -event["dur"])):
        open_ends = ends.setdefault((event["pid"], event["tid"]), [])
        while open_ends and open_ends[-1] <= event["ts"]:
            open_ends.pop()
        end = event["ts"] + event["dur"]
        assert not open_ends or end <= open_ends[-1], event
        open_ends.append(end)
