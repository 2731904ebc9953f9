"""The endpoints about the server itself, all runs of its root, and tickets."""

from __future__ import annotations

import os
import platform
import time
from typing import Any

from lightning_lite.distribution import __version__
from lightning_lite.process_places import this_host
from lightning_lite.runs.catalog import RUN_STATES
from lightning_lite.web.downloads import log_download, trace_download
from lightning_lite.web.drive_api import file_download
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.page_frames import frame_of
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.refusals import Refused, refusing
from lightning_lite.web.server_context import PERIOD, ServerContext, user_name

#: Maximum number of runs in one question about activity.
_MAX_RUNS = 30


def show_server(server_context: ServerContext) -> dict[str, Any]:
    """Return the properties of the server."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "root": server_context.root,
        "drives": server_context.place,
        "run": server_context.run,
        "read_only": server_context.read_only,
        "can_resume": not server_context.read_only,
        "user": user_name(),
        "host": this_host(),
        "pid": os.getpid(),
        "now": time.time(),
        "period": PERIOD,
    }


def list_runs(
    server_context: ServerContext, before: str | None, limit: int, **filters: str | None
) -> dict[str, Any]:
    """Return the runs that match, the newest first."""
    given = {name: text for name, text in filters.items() if text is not None}
    with refusing():
        return server_context.runs.page(before=before or "", limit=limit, **given)


def show_activity(server_context: ServerContext, run: tuple[str, ...]) -> dict[str, Any]:
    """Return the ended attempts of some runs over time; runs that are gone are left out."""
    found = [summary for summary in map(server_context.runs.find, run) if summary is not None]
    return server_context.activity.describe(found)


def give_ticket(
    server_context: ServerContext, kind: str, component: str | None, **names: str | None
) -> dict[str, str]:
    """Return the address of a download or a frame, which works once."""
    for name in _NEEDED[kind]:
        if names[name] is None:
            raise Refused(400, f"{name} is missing: a ticket of the kind {kind} needs it.")
    run, work, drive, path = (names[name] or "" for name in ("run", "work", "drive", "path"))
    if kind == "frame":
        frame = frame_of(server_context.find_run(run), names["url"] or "", server_context.port)
        return {"url": f"/frame/{server_context.tickets.give(frame)}"}
    match kind:
        case "file":
            download = file_download(server_context, drive, path, component)
        case "log":
            download = log_download(server_context.find_run(run), work)
        case _:
            download = trace_download(server_context.find_run(run))
    download.open().close()  # the page gets the error, not the tab of the download
    return {"url": f"/download/{server_context.tickets.give(download)}"}


#: The parameters that a ticket of each kind needs.
_NEEDED = {"file": ("drive", "path"), "log": ("run", "work"), "trace": ("run",), "frame": ("run", "url")}


#: The endpoints.
ENDPOINTS = (
    Endpoint("GET", "/api/server", show_server, "The server of the page.", "Server"),
    Endpoint(
        "GET",
        "/api/runs",
        list_runs,
        "The runs of the root, the newest first.",
        "Runs",
        (
            Parameter("text", "text", "Words, each of which is in id, name, app, tags, error or command."),
            Parameter("state", "text", "State of the runs.", choices=RUN_STATES),
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
        "The ended attempts of calls of some runs over time.",
        "Activity",
        (Parameter("run", "text", "Id of a run; may be repeated.", most=_MAX_RUNS),),
    ),
    Endpoint(
        "POST",
        "/api/tickets",
        give_ticket,
        "Get an address for one download or one frame, which works once and for 60 seconds.",
        "Ticket",
        (
            Parameter("kind", "text", "The data to load.", required=True, choices=tuple(_NEEDED)),
            Parameter("run", "text", "Id of the run of the log, the trace or the frame."),
            Parameter("url", "text", "Address of the page in the frame, as the layout of the run has it."),
            Parameter("work", "text", "Full name of the work of the log; root for the flow."),
            Parameter("drive", "text", "Id of the drive of the file."),
            Parameter("path", "text", "Path of the file in the drive."),
            Parameter("component", "text", "Name of the component that put the file."),
        ),
    ),
)
