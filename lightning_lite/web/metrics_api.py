"""The endpoint `/metrics`, which Prometheus asks."""

from __future__ import annotations

from time import time

from starlette.responses import Response

from lightning_lite.monitor.prometheus import CONTENT_TYPE, WatchedRun, metrics
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.followers import MAX_FOLLOWED
from lightning_lite.web.site import Site

#: Seconds for which a sample of CPU and memory counts as the present one.
_RECENT = 5.0


def show_metrics(site: Site) -> Response:
    """Return the metrics of all runs that go on, and the numbers of runs in each state."""
    runs = read_runs(site.root)
    running = [run for run in reversed(runs) if run.state == "running"]
    text = metrics(runs, [_watch(site, run) for run in running[:MAX_FOLLOWED]])
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _watch(site: Site, run: RunSummary) -> WatchedRun:
    followed = site.followers.follow(run)
    shown = followed.overview.look(run, site.root)
    with followed.follower.lock:
        followed.counters.update(followed.follower.history)
    usage = {work["name"]: (work["cpu"], work["memory"]) for work in shown["works"]}
    for sample in followed.overview.usage(run, time() - _RECENT)["app"]:
        usage[""] = sample.cpu, sample.memory
    states = {work["name"]: work["state"] for work in shown["works"] if not work["detached"]}
    return WatchedRun(run, states, followed.counters, usage)


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
