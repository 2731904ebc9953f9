"""Frames around the pages that flows show: a document of ours with one frame, for one address.

    the page ── ticket ──▶ GET /frame/... ──▶ <iframe sandbox src="http://127.0.0.1:40001/root.site">

The policy of the page can't name these addresses: it is sent before their ports are known, and tabs appear
later. So each frame is in a document of its own, whose policy allows this one origin, no script and nothing
else. The page itself may only have frames of its own origin.

The inner frame has a `sandbox`. It is not a script of ours: it can't navigate the page, and data that it
reads belong to its own origin, because an origin includes the port. `allow-same-origin` gives it this origin
of its own and not that of the page; without it, the pages of Streamlit, Panel and Gradio can't open their
sockets, because their servers refuse the origin `null`. An address of this server itself is refused: there,
`allow-same-origin` would mean the origin of the page, with its token.
"""

from __future__ import annotations

import html
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, Response

from lightning_lite.monitor.layout_file import find_page, read_layout
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.refusals import Refused

#: The permissions of a page in a frame. Without `allow-top-navigation`, it can't navigate the page around it.
SANDBOX = "allow-scripts allow-same-origin allow-forms allow-popups allow-modals allow-downloads"

_STYLE = "/static/frame.css"


class PageFrame(NamedTuple):
    """The page for which a ticket stands, by its address."""

    url: str


def frame_of(run: RunSummary, url: str, port: int) -> PageFrame:
    """Return the frame of a page that a run shows.

    Args:
        run: The run, as it is now.
        url: Address of the page, as the layout has it.
        port: The port of this server.

    Raises:
        Refused: The run does not show this address now, or it can't be in a frame.
    """
    root = read_layout(run)["root"]
    if root is None or not find_page(root, url):
        raise Refused(404, f"Run {run.id} does not show a page with the address {url[:200]!r} now.")
    parts = urlsplit(url)
    if (parts.port or {"http": 80, "https": 443}[parts.scheme]) == port and _is_this_machine(parts.hostname):
        raise Refused(409, f"Invalid address {url[:200]!r}: a frame can't show this page itself.")
    if ":" in (parts.hostname or "") or not (parts.hostname or "").isascii():
        # A policy has no form for them.
        raise Refused(
            409, f"Invalid address {url[:200]!r}: a frame needs a name in ASCII or an IPv4 address."
        )
    return PageFrame(url)


def _is_this_machine(host: str | None) -> bool:
    return host is not None and (host == "localhost" or host.endswith(".localhost") or host[:4] == "127.")


def show_frame(frame: PageFrame) -> Response:
    """Return the document with a frame, and its policy."""
    parts = urlsplit(frame.url)
    origin = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    policy = (
        f"default-src 'none'; frame-src {origin}; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'"
    )
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Frame</title>'
        f'<link rel="stylesheet" href="{_STYLE}">'
        f'<iframe sandbox="{SANDBOX}" referrerpolicy="no-referrer" title="The page" '
        f'src="{html.escape(frame.url)}"></iframe></html>\n'
    )
    return HTMLResponse(text, headers={"Content-Security-Policy": policy})
