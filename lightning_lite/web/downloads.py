"""Downloads: the data of a ticket, and how they are sent: in pieces, as a file to save, never as a page."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from lightning_lite.engine.history import read_history
from lightning_lite.monitor.perfetto import trace
from lightning_lite.regular_files import open_regular
from lightning_lite.runners.output.log_reader import list_logs
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.refusals import Refused
from lightning_lite.web.threads import in_thread

_PIECE = 256 * 1024


class Download(NamedTuple):
    """The data for which a ticket stands.

    Attributes:
        name: Name of the file for the browser.
        open: Opens the data that are sent.
        media_type: How a preview is shown; `None` for a file to save.
    """

    name: str
    open: Callable[[], BinaryIO]
    media_type: str | None = None


def log_download(run: RunSummary, work: str) -> Download:
    """Return the download of the log of a work, or of the flow, whose log has the name `root`.

    Raises:
        Refused: There is no such log.
        OSError: It can't be read, or is not a regular file.
    """
    folder = os.path.join(run.path, "logs")
    if work not in list_logs(folder):
        raise Refused(404, f"{work[:100]!r} has no log in run {run.id}: it has printed nothing.")
    path = os.path.join(folder, f"{work}.log")

    def open_log() -> BinaryIO:
        return open(open_regular(path), "rb", buffering=0)

    return Download(f"{run.id}-{work}.log", open_log)


def trace_download(run: RunSummary) -> Download:
    """Return the download of the calls of a run in the Trace Event Format."""

    def open_trace() -> BinaryIO:
        events = trace(run, read_history(run.path), time.time())
        return io.BytesIO(json.dumps(events, separators=(",", ":")).encode("ascii"))

    return Download(f"{run.id}-trace.json", open_trace)


async def send(download: Download) -> Response:
    """Return the response with a download.

    Raises:
        OSError: It can't be opened.
    """
    file, size = await in_thread(_open, download)
    headers = {"Content-Length": str(size)}
    if download.media_type is None:
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{_quoted(download.name)}"
    media_type = download.media_type or "application/octet-stream"
    return StreamingResponse(_pieces(file, size), headers=headers, media_type=media_type)


def _open(download: Download) -> tuple[BinaryIO, int]:
    file = download.open()
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, size


async def _pieces(file: BinaryIO, size: int) -> AsyncIterator[bytes]:
    """Yield the first `size` bytes of a file that may grow at the same time, and close it."""
    try:
        while size > 0:
            piece: Any = await in_thread(file.read, min(_PIECE, size))
            if not piece:
                return  # the file has become shorter
            size -= len(piece)
            yield piece
    finally:
        file.close()


def _quoted(name: str) -> str:
    return quote(name.encode("utf-8", "replace"), safe="")
