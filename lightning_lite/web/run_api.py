"""The endpoints about one run: its overview, calls, state and numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from lightning_lite.monitor.call_details import describe_call
from lightning_lite.monitor.comparison import MAX_RUNS, compare
from lightning_lite.monitor.layout_file import read_layout
from lightning_lite.monitor.number_series import number_series
from lightning_lite.monitor.run_list import describe_run
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.answers import Tagged, to_json
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.refusals import refusing
from lightning_lite.web.run_readers import PATIENCE, RunReader
from lightning_lite.web.server_context import ServerContext

#: Maximum number of works in one question about the timeline: those in sight.
MAX_WORKS = 60

#: Maximum number of attributes in one question about numbers.
_MAX_ATTRIBUTES = 100


def show_run(server_context: ServerContext, id: str) -> Tagged:
    """Return the works of a run, its components and its failures."""
    run = server_context.find_run(id)
    shown = server_context.readers.reader_of(run).overview.describe(run, server_context.root)
    # The time alone does not count as a change.
    return Tagged(to_json({**shown, "now": None}).decode("ascii"), lambda: shown)


def show_usage(server_context: ServerContext, id: str, since: float) -> dict[str, Any]:
    """Return the CPU and memory of the processes of a run."""
    run = server_context.find_run(id)
    return server_context.readers.reader_of(run).overview.usage(run, since)


def show_timeline(
    server_context: ServerContext, id: str, work: tuple[str, ...], px: int, **borders: float | None
) -> Tagged:
    """Return the calls of some works over time."""

    def describe(run: RunSummary, reader: RunReader) -> dict[str, Any]:
        return reader.views.timeline.describe(
            work,
            now=time.time(),
            is_running=run.state == "running",
            start=borders["from"],
            end=borders["to"],
            pixels=px,
        )

    return _tagged(server_context, id, describe)


def list_calls(
    server_context: ServerContext,
    id: str,
    work: tuple[str, ...],
    outcome: str | None,
    text: str,
    before: str | None,
    limit: int,
) -> Tagged:
    """Return a page of the calls, the newest first."""

    def describe(run: RunSummary, reader: RunReader) -> dict[str, Any]:
        return reader.views.calls.page(
            works=work,
            outcome=outcome,
            text=text,
            before=before,
            limit=limit,
            is_running=run.state == "running",
        )

    return _tagged(server_context, id, describe)


def show_call(server_context: ServerContext, id: str, work: str, number: int) -> dict[str, Any]:
    """Return one call in detail."""
    run = server_context.find_run(id)
    reader = server_context.readers.reader_of(run)
    with reader.follower.lock, refusing():
        return describe_call(
            reader.follower.history,
            work,
            number,
            root=server_context.place,
            is_running=run.state == "running",
        )


def show_state(server_context: ServerContext, id: str) -> Tagged:
    """Return all components with their attributes."""

    def describe(_: RunSummary, reader: RunReader) -> dict[str, Any]:
        follower = reader.follower
        return {
            "generation": follower.generation,
            "revision": follower.revision,
            **reader.views.state.tree(follower.index.changes),
        }

    return _tagged(server_context, id, describe)


def show_value(server_context: ServerContext, id: str, component: str, attribute: str) -> Tagged:
    """Return one value as a text."""

    def describe(_: RunSummary, reader: RunReader) -> dict[str, Any]:
        return reader.views.state.value(component, attribute)

    return _tagged(server_context, id, describe)


def show_layout(server_context: ServerContext, id: str) -> Tagged:
    """Return the layout of the flows of a run."""
    shown = read_layout(server_context.find_run(id))
    return Tagged(to_json(shown).decode("ascii"), lambda: shown)


def show_graph(server_context: ServerContext, id: str) -> dict[str, Any]:
    """Return the graph of the calls between flows and works."""
    run = server_context.find_run(id)
    reader = server_context.readers.reader_of(run)
    with reader.follower.lock:
        return reader.views.graph.describe(is_running=run.state == "running")


def show_numbers(server_context: ServerContext, id: str, attribute: tuple[str, ...]) -> dict[str, Any]:
    """Return numbers of the state over time."""
    return number_series(server_context.find_run(id).path, attribute)


def compare_runs(server_context: ServerContext, run: tuple[str, ...]) -> dict[str, Any]:
    """Return the scalars of runs side by side, as far as they were read."""
    runs = [server_context.find_run(each) for each in dict.fromkeys(run)]
    readers = [server_context.readers.reader_of(each, PATIENCE / len(runs)) for each in runs]
    with ExitStack() as locks:
        for each in sorted(readers, key=lambda each: each.follower.path):  # always in the same order
            locks.enter_context(each.follower.lock)
        followers = [each.follower for each in readers]
        compared = compare([each.history for each in followers])
        read = {
            "bytes": sum(each.bytes_read for each in followers),
            "of": sum(each.size for each in followers),
        }
    return {"runs": [describe_run(each, server_context.root) for each in runs], "read": read, **compared}


def _tagged(
    server_context: ServerContext, id: str, describe: Callable[[RunSummary, RunReader], Any]
) -> Tagged:
    """Return an answer that depends only on the read part of the journal and on whether the app runs."""
    run = server_context.find_run(id)
    reader = server_context.readers.reader_of(run)
    follower = reader.follower

    def make() -> Any:
        with follower.lock, refusing():
            return describe(run, reader)

    return Tagged(f"{reader.name} {follower.generation} {follower.revision} {run.state}", make)


_WORKS = Parameter("work", "text", "Full name of a work; may be repeated.", most=MAX_WORKS)

#: The endpoints.
ENDPOINTS = (
    Endpoint(
        "GET", "/api/runs/{id}", show_run, "The works of a run, its components and its failures.", "Run"
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/usage",
        show_usage,
        "CPU and memory of the processes of a running app: a sample each second while it is asked for.",
        "Usage",
        (Parameter("since", "number", "Only samples after this time.", default=0.0),),
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/timeline",
        show_timeline,
        "The calls of some works over time: spans, or bins where they are narrower than a pixel.",
        "Timeline",
        (
            _WORKS._replace(about=f"Full name of a work in sight; may be repeated, up to {MAX_WORKS} times."),
            Parameter("from", "number", "Begin of the range."),
            Parameter("to", "number", "End of the range."),
            Parameter("px", "whole", "Width of the range in pixels.", default=1000, least=1, highest=10_000),
        ),
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/calls",
        list_calls,
        "The calls, the newest first, in pages.",
        "Calls",
        (
            _WORKS,
            Parameter("outcome", "text", "Stage of the calls, or `lost`."),
            Parameter("text", "text", "A text in their arguments or messages.", default=""),
            Parameter("before", "text", "The `next` of the page before."),
            Parameter("limit", "whole", "Maximum number of calls.", default=100, least=1, highest=1000),
        ),
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/call",
        show_call,
        "One call: its arguments, value, statuses, attempts, error, and the files that its work put.",
        "Call",
        (
            Parameter("work", "text", "Full name of its work.", required=True),
            Parameter("number", "whole", "Its number, from 1.", required=True, least=1),
        ),
    ),
    Endpoint("GET", "/api/runs/{id}/state", show_state, "All components with their attributes.", "State"),
    Endpoint(
        "GET",
        "/api/runs/{id}/value",
        show_value,
        "One value of the state as a text.",
        "Value",
        (
            Parameter("component", "text", "Full name of a flow or work.", required=True),
            Parameter("attribute", "text", "Name of its attribute.", required=True),
        ),
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/layout",
        show_layout,
        "The layout of a run: tabs, and addresses of pages; none of these once it has ended.",
        "Layout",
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/graph",
        show_graph,
        "The calls of each work, and the values that go from work to work.",
        "Graph",
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/numbers",
        show_numbers,
        "Numbers of the state over time.",
        "Numbers",
        (
            Parameter(
                "attribute",
                "text",
                "Full name of an attribute, as root.train.loss; may be repeated. Others are left out.",
                most=_MAX_ATTRIBUTES,
            ),
        ),
    ),
    Endpoint(
        "GET",
        "/api/compare",
        compare_runs,
        "Parameters, results and first arguments of runs side by side.",
        "Comparison",
        (Parameter("run", "text", "Id of a run; may be repeated.", most=MAX_RUNS),),
    ),
)
