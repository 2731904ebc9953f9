"""The JSON API: each function answers one address with what the modules of `monitor` read.

Times are seconds since 1970, durations seconds, sizes bytes. Names and paths stand in the query, because they
may have any characters; only ids of runs and drives are parts of an address.
"""

from __future__ import annotations

import os
import platform
import time
from typing import Any

from lightning_lite.distribution import __version__
from lightning_lite.places import this_host
from lightning_lite.web import drive_api, log_api, metrics_api, run_api
from lightning_lite.web.actions import COMMANDS, act, resume
from lightning_lite.web.downloads import log_download, trace_download
from lightning_lite.web.drive_api import file_download
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.frames import frame_of
from lightning_lite.web.openapi import describe_api
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.refusals import Refused
from lightning_lite.web.site import PERIOD, Site, user_name

#: Maximum number of runs in one question about activity.
_MAX_RUNS = 30


def show_server(site: Site) -> dict[str, Any]:
    """Return what the server is."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "root": site.root,
        "drives": site.place,
        "run": site.run,
        "read_only": site.read_only,
        "can_resume": not site.read_only,
        "user": user_name(),
        "host": this_host(),
        "pid": os.getpid(),
        "now": time.time(),
        "period": PERIOD,
    }


def list_runs(site: Site, before: str | None, limit: int, **filters: str | None) -> dict[str, Any]:
    """Return the runs that match, the newest first."""
    given = {name: text for name, text in filters.items() if text is not None}
    return site.runs.look(before=before or "", limit=limit, **given)


def show_activity(site: Site, run: tuple[str, ...]) -> dict[str, Any]:
    """Return the ended calls of some runs over time; a run that is not there any more is left out."""
    found = [summary for summary in map(site.runs.find, run) if summary is not None]
    return site.activity.look(found)


def give_ticket(site: Site, kind: str, component: str | None, **names: str | None) -> dict[str, str]:
    """Return the address of a download or a frame, which works once."""
    for name in _NEEDED[kind]:
        if names[name] is None:
            raise Refused(400, f"{name} is missing: a ticket of the kind {kind} needs it.")
    run, work, drive, path = (names[name] or "" for name in ("run", "work", "drive", "path"))
    if kind == "frame":
        frame = frame_of(site.find_run(run), names["url"] or "", site.port)
        return {"url": f"/frame/{site.tickets.give(frame)}"}
    match kind:
        case "file":
            download = file_download(site, drive, path, component)
        case "log":
            download = log_download(site.find_run(run), work)
        case _:
            download = trace_download(site.find_run(run))
    download.open().close()  # the page gets the error, not the tab of the download
    return {"url": f"/download/{site.tickets.give(download)}"}


#: What a ticket of each kind needs.
_NEEDED = {"file": ("drive", "path"), "log": ("run", "work"), "trace": ("run",), "frame": ("run", "url")}


def show_description(_: Site) -> dict[str, Any]:
    """Return the description of the API."""
    return describe_api(ENDPOINTS)


#: All endpoints of the API.
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/openapi.json",
        show_description,
        "This description of the API, in OpenAPI 3.1.",
        "Description",
    ),
    Endpoint("GET", "/api/server", show_server, "What the server is.", "Server"),
    Endpoint(
        "GET",
        "/api/runs",
        list_runs,
        "The runs of the root, the newest first.",
        "Runs",
        (
            Parameter("text", "text", "Words, each of which is in id, name, app, tags, error or command."),
            Parameter("state", "text", "State of the runs."),
            Parameter("app", "text", "Name of their app."),
            Parameter("tag", "text", "A tag that they have."),
            Parameter("before", "text", "Id of a run: only older ones."),
            Parameter("limit", "whole", "Maximum number of runs.", default=200, least=1, highest=1000),
        ),
    ),
    Endpoint(
        "GET",
        "/api/activity",
        show_activity,
        "The ended calls of some runs over time.",
        "Activity",
        (Parameter("run", "text", "Id of a run; may be repeated.", most=_MAX_RUNS),),
    ),
    *run_api.ENDPOINTS,
    *log_api.ENDPOINTS,
    *drive_api.ENDPOINTS,
    *metrics_api.ENDPOINTS,
    Endpoint(
        "POST",
        "/api/runs/{id}/actions",
        act,
        "Stop, kill or restart a work or the run, or read a stack, and wait for the effect.",
        "Done",
        (
            Parameter("command", "text", "What to do.", required=True, choices=COMMANDS),
            Parameter("work", "text", "Full name of a work; without it, the run or its flow is meant."),
            Parameter(
                "timeout",
                "number",
                "Seconds that a work has to end before it is killed.",
                least=0,
                highest=3600,
            ),
        ),
        changes=True,
    ),
    Endpoint(
        "POST",
        "/api/runs/{id}/resume",
        resume,
        "Start the recorded command of a run that ended or died again, detached from the server.",
        "Resumed",
        (Parameter("retry_failed", "flag", "Whether to run failed calls again.", default=False),),
        changes=True,
    ),
    Endpoint(
        "POST",
        "/api/tickets",
        give_ticket,
        "Get an address for one download or one frame, which works once and for 60 seconds.",
        "Ticket",
        (
            Parameter("kind", "text", "What to load.", required=True, choices=tuple(_NEEDED)),
            Parameter("run", "text", "Id of the run of the log, the trace or the frame."),
            Parameter("url", "text", "Address of the page in the frame, as the layout of the run has it."),
            Parameter("work", "text", "Full name of the work of the log; root for the flow."),
            Parameter("drive", "text", "Id of the drive of the file."),
            Parameter("path", "text", "Path of the file in the drive."),
            Parameter("component", "text", "Name of the component that put the file."),
        ),
    ),
)
