"""The endpoints about the logs of a run: pages in both directions, and a search in whole logs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lightning_lite.runners.output.flow_log import FLOW
from lightning_lite.runners.output.log_pages import LogPage, LogPages, LogState, PageLine
from lightning_lite.runners.output.log_search import LogQuery, search_logs
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.answers import Tagged
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.refusals import Refused, refusing
from lightning_lite.web.server_context import ServerContext

#: Maximum number of logs that a question may name.
_MAX_WORKS = 1000


def show_logs(
    server_context: ServerContext,
    id: str,
    work: tuple[str, ...],
    before: str | None,
    after: str | None,
    at: float | None,
    around: str | None,
    limit: int,
) -> Tagged:
    """Return a page of the lines of logs, in the order of their times."""
    run = server_context.find_run(id)
    if sum(given is not None for given in (before, after, at, around)) > 1:
        raise Refused(400, "Only one of before, after, at and around may be given.")
    pages, to_end = LogPages(run.path), run.state != "running"
    states = pages.logs(work)
    _check_works(server_context, run, work, states)

    def make() -> dict[str, Any]:
        with refusing():
            if before is not None:
                page = pages.before(before, limit, work, to_end=to_end)
            elif after is not None:
                page = pages.after(after, limit, work, to_end=to_end)
            elif at is not None:
                page = pages.at(at, limit, work, to_end=to_end)
            elif around is not None:
                page = pages.around(around, limit, work, to_end=to_end)
            else:
                page = pages.newest(limit, work, to_end=to_end)
        return _describe_page(page)

    return Tagged(f"{states} {to_end}", make)


def search(
    server_context: ServerContext,
    id: str,
    q: str,
    regex: bool,
    case: bool,
    work: tuple[str, ...],
    limit: int,
    **place: str | None,
) -> dict[str, Any]:
    """Return lines that have a text, and how far the logs were looked through."""
    run = server_context.find_run(id)
    pages = LogPages(run.path)
    _check_works(server_context, run, work, pages.logs(work))
    with refusing():
        result = search_logs(pages, LogQuery(q, regex, case), limit, place["from"], work)
    return {
        "hits": [
            {"work": hit.work, "time": hit.time, "text": hit.text, "place": hit.place, "cursor": hit.cursor}
            for hit in result.hits
        ],
        "looked": {"bytes": result.looked, "of": result.size},
        "next": result.next,
        "done": result.next is None,
    }


def _check_works(
    server_context: ServerContext, run: RunSummary, works: Collection[str], logs: Collection[LogState]
) -> None:
    """Refuse the name of a work that the run does not have.

    A work that has printed nothing has no log, so only the journal says that it exists.

    Args:
        server_context: The data of the server.
        run: The run.
        works: The names that were asked for.
        logs: The logs with these names.

    Raises:
        Refused: The run has no such work. While its journal is not read to the end, that is not known.
    """
    missing = {*works} - {FLOW, *(log.name for log in logs)}
    if not missing:
        return
    follower = server_context.readers.reader_of(run).follower
    with follower.lock:
        unknown = sorted(missing - follower.history.works.keys())
        if unknown and follower.is_complete and not follower.trouble:
            raise Refused(404, f"The run has no work {unknown[0][:100]!r}.")


def _describe_page(page: LogPage) -> dict[str, Any]:
    return {
        "lines": [_describe_line(line) for line in page.lines],
        "first": page.first,
        "last": page.last,
        "has_earlier": page.has_earlier,
        "has_later": page.has_later,
        "works": [log._asdict() for log in page.logs],
    }


def _describe_line(line: PageLine) -> dict[str, Any]:
    colours = [
        [span.start, span.end, {name: value for name, value in span.style._asdict().items() if value}]
        for span in line.colours
    ]
    return {
        "work": line.work,
        "time": line.time,
        "text": line.text,
        "colours": colours or None,
        "place": line.place,
    }


_WORKS = Parameter(
    "work",
    "text",
    "Full name of a work, or root for the flow; may be repeated. Without it: all logs.",
    most=_MAX_WORKS,
)
_LIMIT = Parameter("limit", "whole", "Maximum number of lines.", default=500, least=1, highest=5000)

#: The endpoints.
ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/runs/{id}/logs",
        show_logs,
        "A page of the lines of logs, in the order of their times; the newest, or those at a place.",
        "Logs",
        (
            _WORKS,
            Parameter("before", "text", "A cursor: the lines before it."),
            Parameter("after", "text", "A cursor: the lines after it."),
            Parameter("at", "number", "A time: the lines around it."),
            Parameter("around", "text", "A cursor: the lines around it."),
            _LIMIT,
        ),
    ),
    Endpoint(
        "GET",
        "/api/runs/{id}/logs/search",
        search,
        "Lines that have a text, in whole logs, for a part of a second; `next` continues the search.",
        "LogHits",
        (
            Parameter("q", "text", "The text, or the regular expression.", required=True, least=1),
            Parameter("regex", "flag", "Whether `q` is a regular expression.", default=False),
            Parameter("case", "flag", "Whether capital letters count.", default=False),
            _WORKS,
            Parameter("from", "text", "The `next` of the answer before."),
            _LIMIT._replace(default=200),
        ),
    ),
)
