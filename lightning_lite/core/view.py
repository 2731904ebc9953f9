"""What a person at the terminal sees of an app: its works while it runs, and a summary when it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Self

from lightning_lite.core.overview import sum_up_work
from lightning_lite.core.work import LightningWork
from lightning_lite.ui.live import LiveView, open_view
from lightning_lite.ui.live_table import WorkRow
from lightning_lite.ui.summary import RunSummary, show_run
from lightning_lite.ui.terminal import Terminal


class AppView:
    """The view of one app; `open` makes one where there is a terminal for it.

    Args:
        app: Name of the app.
        terminal: Shows the output of its works.
        live: Shows the works while they run.
    """

    def __init__(self, app: str, terminal: Terminal, live: LiveView) -> None:
        self._app = app
        self._terminal = terminal
        self._live = live
        self._began = time.time()

    @classmethod
    def open(cls, app: str, terminal: Terminal, look: Callable[[], Sequence[WorkRow]]) -> Self | None:
        """Return a view on the terminal of `sys.stdout`; `None` if that is none, or shows only plain text.

        Args:
            app: Name of the app.
            terminal: Shows the output of its works.
            look: Returns what is to be seen of the works; called in any thread.
        """
        live = open_view(app, terminal, look)
        return cls(app, terminal, live) if live is not None else None

    def start(self) -> None:
        """Begin to show something."""
        self._live.start()

    def poke(self) -> None:
        """Note that something may have changed; takes no time, and is for handlers of signals, too."""
        self._live.poke()

    def hide(self) -> None:
        """Leave the terminal to the shell; called in the handler of a signal."""
        self._live.hide()

    def close(self, ending: str, works: Sequence[LightningWork]) -> None:
        """Wipe the works from the terminal, and say what became of them if the app has begun.

        Args:
            ending: `stopped`, `failed` or `interrupted`.
            works: The works of the app.
        """
        has_begun = self._live.has_begun
        self._live.close()
        if has_begun:
            summaries = [sum_up_work(work, self._began) for work in works]
            seconds = time.time() - self._began
            show_run(RunSummary(self._app, ending, seconds, summaries), self._terminal)
