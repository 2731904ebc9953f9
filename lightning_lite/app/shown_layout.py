"""The layout of one run while it goes on: collected after changes, kept for other threads, and noted on disk.

session ── look, after a change ──▶ collect_layout ──▶ layout.json in the folder of the run
command channel ── snapshot ──▶
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning_lite.app.layout import Tab, collect_layout, has_layout
from lightning_lite.context import Caller, acting_as
from lightning_lite.tree.flow import LightningFlow


class ShownLayout:
    """What the flows of one run show.

    Args:
        root: The root flow.
        caller: The identity of the flow.
        note: Called with each new layout, to write it to the folder of the run.

    Attributes:
        is_wanted: Whether a flow overrides `configure_layout`.
        is_stale: Whether the layout has to be collected; the session sets it after changes. `look` does so.
    """

    def __init__(self, root: LightningFlow, caller: Caller, note: Callable[[Tab], None]) -> None:
        self.is_wanted = False
        self.is_stale = True
        self._root = root
        self._acting = acting_as(caller)
        self._note = note
        self._shown: Tab | None = None

    def look(self) -> None:
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
            found = collect_layout(self._root)
        if found.root != self._shown:
            self._shown = found.root
            self._note(found.root)

    def snapshot(self) -> dict[str, Any] | None:
        """Return the last layout, or `None` if the app shows nothing; callable from any thread."""
        return self._shown
