"""The live view: a thread that draws the table of works on the terminal.

    session ── poke ──▶ LiveView ── look ──▶ rows ── live_table ──▶ Footer
                        its own thread      snapshots of the works

`poke` never waits. Without a poke and without a busy work, the thread sleeps.
"""

from __future__ import annotations

import builtins
import io
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING

from lightning_lite.text import format_clock
from lightning_lite.ui.footer import Footer, open_footer
from lightning_lite.ui.live_table import BUSY, WorkRow, live_table
from lightning_lite.ui.terminal import Terminal
from lightning_lite.ui.usage import UsageMeter

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Seconds between two looks at least, while something changes.
_INTERVAL = 0.25

#: Seconds between two looks while works are busy and nothing else changes: durations and figures do.
_TICK = 1.0

#: Seconds after which the view is back when a flood of prints has taken its place.
_CALM = 0.05

#: Seconds for which the end of the app waits for a terminal that stands still.
_STALL = 2.0

#: Seconds that the handler of a signal waits for a thread that prints at that moment.
_HANDLER_PATIENCE = 0.2

#: What part of the lines of the terminal stays free for what is printed, and lines that do in any case.
_PRINTS_SHARE, _PRINTS_LINES = 1 / 3, 4


def open_view(app: str, terminal: Terminal, look: Callable[[], Sequence[WorkRow]]) -> LiveView | None:
    """Return a view for the terminal of `sys.stdout`, or `None` if that is none, or shows only plain text.

    Args:
        app: Name of the app.
        terminal: Shows the output of the works.
        look: Returns the rows of the works; called in the thread of the view.
    """
    footer = open_footer()
    return LiveView(app, terminal, footer, look) if footer is not None else None


class LiveView:
    """Shows the works of one app below all that is printed, from `start` to `close`; see `open_view`."""

    def __init__(
        self, app: str, terminal: Terminal, footer: Footer, look: Callable[[], Sequence[WorkRow]]
    ) -> None:
        self._app = app
        self._look = look
        self._terminal = terminal
        self._footer = footer
        terminal.footer = footer
        self._input = builtins.input
        self._usage = UsageMeter()
        self._began = time.time()
        self._is_changed = True
        self._has_busy = False
        self._looked_at = monotonic()  # the first look comes later: an app that is short shows nothing
        # What may be put into from handlers of signals, too.
        self._woken: SimpleQueue[None] = SimpleQueue()
        self._is_woken = False
        self._closing = threading.Event()
        self._console: Console | None = None
        self._thread = threading.Thread(target=self._run, name="lightning-lite-view", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._footer.on_hidden = self._wake
        builtins.input = self._ask_alone
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGWINCH) == signal.SIG_DFL:
            signal.signal(signal.SIGWINCH, self._resized)
        self._thread.start()

    @property
    def has_begun(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    def poke(self) -> None:
        """Note that something may have changed; also for handlers of signals."""
        self._is_changed = True
        self._wake()

    def hide(self) -> None:
        """Leave the terminal to the shell, for Ctrl-Z; may be called in the handler of a signal."""
        self._footer.hide(_HANDLER_PATIENCE)

    def close(self) -> None:
        """Let nothing be left of it on the terminal."""
        self._closing.set()
        self._wake()
        if signal.getsignal(signal.SIGWINCH) == self._resized:
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        if builtins.input == self._ask_alone:
            builtins.input = self._input
        if self.has_begun:
            self._thread.join(_STALL)
            if self._thread.is_alive():  # the terminal stands still
                self._footer.interrupt()
                self._thread.join()
        self._footer.close()
        self._terminal.footer = None

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._woken.put(None)

    def _run(self) -> None:
        with suppress(OSError):  # the terminal is gone; the next print raises this as well
            while True:
                with suppress(Empty):
                    self._woken.get(timeout=self._patience())
                self._is_woken = False
                if self._closing.is_set():
                    return
                if self._patience() == 0.0:
                    self._show()
                elif not self._closing.wait(_CALM):  # woken by a flood of prints, or too early
                    self._footer.redraw()

    def _resized(self, *_: object) -> None:
        """Hear that the terminal has another size; called in the handler of the signal."""
        self.poke()

    def _ask_alone(self, prompt: object = "", /) -> str:
        """Do what `input` does, with nothing else on the terminal: for the flow, and for its debugger."""
        self._terminal.hold()
        try:
            return self._input(prompt)
        finally:
            self._terminal.release()

    def _patience(self) -> float | None:
        """Return the seconds until the next look, `None` if nothing changes."""
        if not (self._is_changed or self._has_busy):
            return None
        next_look = self._looked_at + (_INTERVAL if self._is_changed else _TICK)
        return max(0.0, next_look - monotonic())

    def _show(self) -> None:
        self._is_changed = False
        self._looked_at = monotonic()
        rows = [self._complete(row) for row in self._look()]
        self._usage.forget_all_but(row.place.pid for row in rows if row.place is not None)
        num_busy = sum(row.state in BUSY for row in rows)
        self._has_busy = num_busy > 0
        columns, lines = self._footer.tty.size
        height = lines - max(int(lines * _PRINTS_SHARE), _PRINTS_LINES)
        if height < 3:  # the title, the head and one work
            self._footer.draw([])
            return
        now = time.time()
        busy = f"{num_busy} of {len(rows)} works busy" if self._has_busy else "nothing to do"
        title = f"{self._app} · {format_clock(now - self._began)} · {busy}"
        table = live_table(rows, title=title, now=now, width=columns - 1, height=height)
        self._footer.draw(self._render(table, columns))

    def _complete(self, row: WorkRow) -> WorkRow:
        """Return the row with what only the terminal and the system know."""
        is_here = row.place is not None and row.place.is_here()
        usage = self._usage.read(row.place.pid) if row.place is not None and is_here else None
        if usage is not None:
            row = row._replace(cpu=usage.cpu if row.state in BUSY else None, memory=usage.memory)
        return row._replace(last_line=self._terminal.last_line(row.name))

    def _render(self, table: RenderableType, columns: int) -> list[str]:
        from rich.console import Console  # noqa: PLC0415 - 70 ms, and only a terminal needs it

        if self._console is None:
            self._console = Console(file=io.StringIO(), force_terminal=True)
        self._console.width = columns
        with self._console.capture() as capture:
            self._console.print(table, soft_wrap=True)
        return capture.get().splitlines()
