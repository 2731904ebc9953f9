"""The endpoint `/metrics`, which Prometheus asks."""

from __future__ import annotations

from time import time

from starlette.responses import Response

from lightning_lite.monitor.prometheus import CONTENT_TYPE, WatchedRun, metrics
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.run_readers import MAX_READERS
from lightning_lite.web.server_context import ServerContext

#: Seconds for which a sample of CPU and memory counts as the present one.
_RECENT = 5.0


def show_metrics(server_context: ServerContext) -> Response:
    """Return the metrics of all runs that are still running, and the numbers of runs in each state."""
    runs = read_runs(server_context.root)
    running = [run for run in reversed(runs) if run.state == "running"]
    text = metrics(runs, [_watch(server_context, run) for run in running[:MAX_READERS]])
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _watch(server_context: ServerContext, run: RunSummary) -> WatchedRun:
    reader = server_context.readers.reader_of(run)
    shown = reader.overview.describe(run, server_context.root)
    with reader.follower.lock:
        reader.counters.update(reader.follower.history)
    usage = {work["name"]: (work["cpu"], work["memory"]) for work in shown["works"]}
    for sample in reader.overview.usage(run, time() - _RECENT)["app"]:
        usage[""] = sample.cpu, sample.memory
    states = {work["name"]: work["state"] for work in shown["works"] if not work["detached"]}
    return WatchedRun(run, states, reader.counters, usage)


#: The endpoint.
ENDPOINTS = (
    Endpoint(
        "GET",
        "/metrics",
        show_metrics,
        "Metrics of the runs in the text format of Prometheus.",
        "Metrics",
        media_type="text/plain",
    ),
)
