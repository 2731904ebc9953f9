"""A progress bar for long transfers, on terminals only."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from lightning_lite.colour_codes import has_no_colour
from lightning_lite.storage.base import OnProgress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Seconds after which a transfer gets a bar.
PATIENCE = 0.5


def progress(label: str, measure: Callable[[], int]) -> AbstractContextManager[OnProgress | None]:
    """Give the function that a transfer calls with its progress; it shows a bar if the transfer takes long.

    Without a terminal it gives `None`.

    Args:
        label: Name of the transfer.
        measure: Returns the total number of bytes; called only if there is a bar.
    """
    return _Bar(label, measure) if _on_terminal() else _UNSEEN


class _Bar:
    def __init__(self, label: str, measure: Callable[[], int]) -> None:
        self._label = label
        self._measure = measure
        self._done = 0
        self._begin = time.monotonic() + PATIENCE
        self._shown: tuple[Progress, TaskID] | None = None

    def advance(self, count: int) -> None:
        self._done += count
        if self._shown is None:
            if time.monotonic() < self._begin:
                return
            self._shown = self._start()
        shown, task = self._shown
        shown.update(task, completed=self._done)

    def __enter__(self) -> OnProgress:
        return self.advance

    def __exit__(self, *_: object) -> None:
        if self._shown is not None:
            self._shown[0].stop()

    def _start(self) -> tuple[Progress, TaskID]:
        from rich import progress as parts  # noqa: PLC0415 - takes 70 ms; only long transfers need it
        from rich.console import Console  # noqa: PLC0415 - the same
        from rich.markup import escape  # noqa: PLC0415 - the same

        shown = parts.Progress(
            parts.TextColumn("{task.description}"),
            parts.BarColumn(),
            parts.DownloadColumn(),
            parts.TransferSpeedColumn(),
            parts.TimeRemainingColumn(),
            console=Console(stderr=True, no_color=has_no_colour()),
            transient=True,
        )
        task = shown.add_task(escape(self._label), total=self._measure())
        shown.start()
        return shown, task


def _on_terminal() -> bool:
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


_UNSEEN = nullcontext(None)
