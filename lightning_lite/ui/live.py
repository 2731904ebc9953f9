"""The live view: a thread that draws the table of works on the terminal.

    session ── request_redraw ──▶ LiveView ─ read_rows ─▶ rows ── live_table ──▶ Footer
                                  its own thread          snapshots of the works

`request_redraw` never blocks. The thread sleeps while nothing calls `request_redraw` and no work is busy.
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

from lightning_lite.colour_codes import has_no_colour
from lightning_lite.process_usage import Usage, UsageMeter
from lightning_lite.quantity_text import format_clock
from lightning_lite.ui.footer import Footer, open_footer
from lightning_lite.ui.live_table import BUSY, live_table
from lightning_lite.ui.terminal import Terminal
from lightning_lite.work_row import WorkRow

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: Minimum of seconds between two updates while something changes.
_INTERVAL = 0.25

#: Seconds between two updates while works are busy: durations, CPU and memory change all the time.
_TICK = 1.0

#: Seconds without an update after which the view is drawn again, when too many prints have hidden it.
_REDRAW_DELAY = 0.05

#: Seconds that the end of the app waits for a terminal that blocks.
_BLOCKED_TIMEOUT = 2.0

#: Seconds that a signal handler waits for a thread that is printing.
_HANDLER_TIMEOUT = 0.2

#: Part of the lines of the terminal that stays free for output, and the minimum number of these lines.
_OUTPUT_SHARE, _OUTPUT_LINES = 1 / 3, 4


def open_view(app: str, terminal: Terminal, read_rows: Callable[[], Sequence[WorkRow]]) -> LiveView | None:
    """Return a view for the terminal of `sys.stdout`, or `None` without a terminal that can draw one.

    Args:
        app: Name of the app.
        terminal: Shows the output of the works.
        read_rows: Returns the present rows of the works; called in the thread of the view.
    """
    footer = open_footer()
    return LiveView(app, terminal, footer, read_rows) if footer is not None else None


class LiveView:
    """Shows the works of one app below all output, from `start` to `close`; see `open_view`."""

    def __init__(
        self, app: str, terminal: Terminal, footer: Footer, read_rows: Callable[[], Sequence[WorkRow]]
    ) -> None:
        self._app = app
        self._read_rows = read_rows
        self._terminal = terminal
        self._footer = footer
        terminal.footer = footer
        self._input = builtins.input
        self._meter = UsageMeter()
        self._measured: set[int] = set()
        self._measured_at = float("-inf")
        self._usage: dict[int, Usage] = {}
        self._began = time.time()
        self._is_changed = True
        self._has_busy = False
        self._updated_at = monotonic()  # the first update comes later, so a short app shows no view
        self._woken: SimpleQueue[None] = SimpleQueue()  # re-entrant: signal handlers put into it too
        self._is_woken = False
        self._closing = threading.Event()
        self._console: Console | None = None
        self._thread = threading.Thread(target=self._run, name="lightning-lite-view", daemon=True)

    def start(self) -> None:
        """Start the thread, and hide the view during `input()`."""
        self._footer.on_hidden = self._wake
        builtins.input = self._input_without_view
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGWINCH) == signal.SIG_DFL:
            signal.signal(signal.SIGWINCH, self._resized)
        self._thread.start()

    @property
    def has_begun(self) -> bool:
        """Whether `start` was called."""
        return self._thread.ident is not None

    def request_redraw(self) -> None:
        """Request an update, because something may have changed; signal handlers may call it."""
        self._is_changed = True
        self._wake()

    def hide(self) -> None:
        """Erase the view before Ctrl-Z gives the terminal to the shell; signal handlers may call it."""
        self._footer.hide(_HANDLER_TIMEOUT)

    def close(self) -> None:
        """End the thread, and erase the view."""
        self._closing.set()
        self._wake()
        if signal.getsignal(signal.SIGWINCH) == self._resized:
            signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        if builtins.input == self._input_without_view:
            builtins.input = self._input
        if self.has_begun:
            self._thread.join(_BLOCKED_TIMEOUT)
            if self._thread.is_alive():  # the terminal blocks
                self._footer.interrupt()
                self._thread.join()
        self._footer.close()
        self._terminal.footer = None

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._woken.put(None)

    def _run(self) -> None:
        with suppress(OSError):  # the terminal was closed; the next print raises this too
            while True:
                with suppress(Empty):
                    self._woken.get(timeout=self._seconds_until_update())
                self._is_woken = False
                if self._closing.is_set():
                    return
                if self._seconds_until_update() == 0.0:
                    self._update()
                # Prints have hidden the view, or `request_redraw` came early.
                elif not self._closing.wait(_REDRAW_DELAY):
                    self._footer.redraw()

    def _resized(self, *_: object) -> None:
        """Update the view after a change of the terminal's size; the handler of SIGWINCH."""
        self.request_redraw()

    def _input_without_view(self, prompt: object = "", /) -> str:
        """Replace `input()` of the flow and of its debugger: hide the view and the output of works."""
        self._terminal.hold()
        try:
            return self._input(prompt)
        finally:
            self._terminal.release()

    def _seconds_until_update(self) -> float | None:
        """Return the seconds until the next update, `None` if nothing changes."""
        if not (self._is_changed or self._has_busy):
            return None
        next_update = self._updated_at + (_INTERVAL if self._is_changed else _TICK)
        return max(0.0, next_update - monotonic())

    def _update(self) -> None:
        self._is_changed = False
        self._updated_at = monotonic()
        rows = self._read_rows()
        self._measure({row.place.pid for row in rows if row.place is not None and row.place.is_here()})
        rows = [self._complete(row) for row in rows]
        num_busy = sum(row.state in BUSY for row in rows)
        self._has_busy = num_busy > 0
        columns, lines = self._footer.tty.size
        height = lines - max(int(lines * _OUTPUT_SHARE), _OUTPUT_LINES)
        if height < 3:  # too small for the title, the head and one work
            self._footer.draw([])
            return
        now = time.time()
        busy = f"{num_busy} of {len(rows)} works busy" if self._has_busy else "nothing to do"
        title = f"{self._app} · {format_clock(now - self._began)} · {busy}"
        table = live_table(rows, title=title, now=now, width=columns - 1, height=height)
        self._footer.draw(self._render(table, columns))

    def _measure(self, pids: set[int]) -> None:
        """Measure processes, if one is new or has ended, or if the last measurement is a second old.

        Over less than the 0.25 s between two drawings, the CPU use of a process is not meaningful.
        """
        if pids != self._measured or monotonic() - self._measured_at >= _TICK:
            self._measured, self._measured_at = pids, monotonic()
            self._usage = self._meter.measure(pids)

    def _complete(self, row: WorkRow) -> WorkRow:
        """Return the row with CPU, memory and last line of the work."""
        usage = None
        if row.place is not None and row.place.is_here():
            usage = self._usage.get(row.place.pid)
        if usage is not None:
            row = row._replace(cpu=usage.cpu if row.state in BUSY else None, memory=usage.memory)
        return row._replace(last_line=self._terminal.last_line(row.name))

    def _render(self, table: RenderableType, columns: int) -> list[str]:
        from rich.console import Console  # noqa: PLC0415 - takes 70 ms, and only terminals need it

        if self._console is None:
            self._console = Console(file=io.StringIO(), force_terminal=True, no_color=has_no_colour())
        self._console.width = columns
        with self._console.capture() as capture:
            self._console.print(table, soft_wrap=True)
        return capture.get().splitlines()
