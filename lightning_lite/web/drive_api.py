"""The endpoints about the drives of the root."""

from __future__ import annotations

from typing import Any, BinaryIO

from lightning_lite.web.downloads import Download
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.server_context import ServerContext


def list_drives(server_context: ServerContext) -> dict[str, Any]:
    """Return the drives, and where they are if not in the root."""
    found = server_context.drives.drives()
    place = None if server_context.place == server_context.root else server_context.place
    return {"place": place, "drives": [drive._asdict() for drive in found.drives], "trouble": found.trouble}


def show_folder(
    server_context: ServerContext, id: str, path: str, component: str | None, after: str | None, limit: int
) -> dict[str, Any]:
    """Return a page of a folder of a drive."""
    page = server_context.drives.folder(id, path, component, after, limit)
    return {**page._asdict(), "entries": [entry._asdict() for entry in page.entries]}


def show_preview(server_context: ServerContext, id: str, path: str, component: str | None) -> dict[str, Any]:
    """Return the beginning of a file, or the address at which a browser shows it."""
    preview = server_context.drives.preview(id, path, component)
    url = None
    if preview.media_type is not None:
        shown = file_download(server_context, id, path, component)._replace(media_type=preview.media_type)
        url = f"/preview/{server_context.tickets.give(shown)}"
    return {**preview._asdict(), "url": url}


def file_download(server_context: ServerContext, drive: str, path: str, component: str | None) -> Download:
    """Return the download of a file in a drive."""

    def open_file() -> BinaryIO:
        return server_context.drives.open(drive, path, component).file

    return Download(path.rpartition("/")[2], open_file)


_PATH = Parameter("path", "text", "Path in the drive.", required=True, least=1)
_COMPONENT = Parameter("component", "text", "Name of the component that has put it.")

#: The endpoints.
ENDPOINTS = (
    Endpoint("GET", "/api/drives", list_drives, "The drives of the root.", "Drives"),
    Endpoint(
        "GET",
        "/api/drives/{id}",
        show_folder,
        "The files and folders in a folder of a drive, in pages. `@paths`, `@payloads` and `@files` are the "
        "places of Path, Payload and FileSystem.",
        "Folder",
        (
            _PATH._replace(required=False, least=0, default="", about="Path of the folder."),
            _COMPONENT,
            Parameter("after", "text", "The `next` of the page before."),
            Parameter("limit", "whole", "Maximum number of entries.", default=500, least=1, highest=5000),
        ),
    ),
    Endpoint(
        "GET",
        "/api/drives/{id}/preview",
        show_preview,
        "The beginning of a file as text or table; for an image or HTML, an address that works once.",
        "Preview",
        (_PATH, _COMPONENT),
    ),
)
