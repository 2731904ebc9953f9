"""The layout of one run while the app runs: collected after changes, kept for other threads, noted on disk.

session ── collect, after a change ──▶ collect_layout ──▶ layout.json in the folder of the run
frontends ── a server answers ─────────────────────────▶
command channel ── snapshot ──▶
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from lightning_lite.app.frontend_servers import FrontendServers
from lightning_lite.app.layout import Collected, Tab, collect_layout, has_layout
from lightning_lite.context import Caller, acting_as
from lightning_lite.frontends.base import Frontend
from lightning_lite.tree.flow import LightningFlow

_NOT_SERVED = "No page shows it: the app runs with ui=False, or without the extra ui."


class ShownLayout:
    """The layout that the flows of one run show.

    Args:
        root: The root flow.
        caller: The identity of the flow.
        note: Called with each new layout, to write it to the folder of the run; in any thread.

    Attributes:
        is_wanted: Whether a flow overrides `configure_layout`.
        is_stale: Whether the layout has to be collected; the session sets it after changes, and calls
            `collect`.
    """

    def __init__(self, root: LightningFlow, caller: Caller, note: Callable[[Tab], None]) -> None:
        self.is_wanted = False
        self.is_stale = True
        self._root = root
        self._acting = acting_as(caller)
        self._note = note
        self._servers: FrontendServers | None = None
        self._lock = Lock()
        self._found: Collected | None = None
        self._shown: Tab | None = None

    @property
    def frontends(self) -> dict[str, Frontend]:
        """The frontends in the last layout, by the names of their flows."""
        return {} if self._found is None else self._found.frontends

    @property
    def is_serving(self) -> bool:
        """Whether a frontend is served, so that the app has a purpose even if its flow is at rest."""
        return self._servers is not None and bool(self.frontends)

    def collect(self) -> None:
        """Collect the layout again; called in the thread of the flow, between passes or while one waits.

        Raises:
            LayoutError: A flow or work returns no layout.
            Exception: The exception of a `configure_layout`.
        """
        self.is_stale = False
        self.is_wanted = self.is_wanted or has_layout(self._root)
        if not self.is_wanted:
            return
        with self._acting:
            self._found = collect_layout(self._root)
        if self._servers is not None:
            self._servers.keep(self._found.frontends)
        self._publish()

    def serve(self, folder: str, say: Callable[[str], None]) -> None:
        """Serve the frontends from now on, because there is a page that shows them.

        Args:
            folder: Absolute path of the folder for the output of their servers.
            say: Called with a line for the user if one fails.
        """
        self._servers = FrontendServers(folder, self._publish, say)
        self._servers.keep(self.frontends)
        self._publish()

    def snapshot(self) -> Tab | None:
        """Return the last layout, or `None` if the app shows nothing; callable from any thread."""
        return self._shown

    def close(self) -> None:
        """Stop the frontends."""
        if self._servers is not None:
            self._servers.close()

    def _publish(self) -> None:
        """Note the layout if it has changed; called in the thread of the flow, or of the frontends."""
        with self._lock:
            if self._found is None:
                return
            shown = self._with_addresses(self._found.root)
            if shown != self._shown:
                self._note(shown)
                self._shown = shown  # last, so that the result of `snapshot` is in the file, too

    def _with_addresses(self, tab: Tab) -> Tab:
        """Return a copy of a tab with the addresses of the frontends."""
        if tab["frontend"]:
            url, note = ("", _NOT_SERVED)
            if self._servers is not None:
                url, note = self._servers.address_of(tab["component"])
            return {**tab, "url": url, "note": note}
        return {**tab, "tabs": [self._with_addresses(inner) for inner in tab["tabs"]]}
