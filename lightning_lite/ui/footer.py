r"""Lines that stay at the bottom of a terminal, below all other output.

    root.train | epoch 4      printed by a work, scrolls
    best so far: 0.31         printed by the flow, scrolls
    ▮                         the cursor: the next line is written here
    Train · 2:05 · ...        the footer: erased before a print, drawn again after it

The cursor stays at the end of the text. So output that bypasses Python, such as that of C code or of a
process that the flow started, overwrites the footer and is not lost, and it does not matter how a terminal
moves lines when its size changes. `rich.live.Live` leaves the cursor below its lines, so it is not used.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import monotonic
from typing import TextIO

from lightning_lite.ui.tty import Tty
from lightning_lite.ui.whole_lines import WholeLines

#: Maximum rate of immediate redraws after prints, and their maximum in a burst. Above it, the footer stays
#: hidden until `redraw`.
_REDRAWS_PER_SECOND, _REDRAWS_IN_BURST = 100.0, 10.0

_ERASE = b"\x1b[J"  # from the cursor to the end of the screen
_SAVE, _RESTORE = b"\x1b7", b"\x1b8"  # the position of the cursor
_DOWN = b"\x1bD"  # in the same column; scrolls at the bottom


class Footer:
    """Draws the footer, and intercepts the output of streams to hide the footer during a print.

    All methods can be called from any thread.

    Args:
        tty: The terminal.
        streams: The streams that write to the terminal.

    Attributes:
        on_hidden: Called when the footer was erased and must be drawn again soon.
    """

    def __init__(self, tty: Tty, streams: Sequence[io.TextIOWrapper]) -> None:
        self.on_hidden: Callable[[], None] = _do_nothing
        self.tty = tty
        # Re-entrant: a finaliser may print while this thread prints.
        self._lock = threading.RLock()
        self._frame = b""
        self._is_drawn = False
        self._credit = _REDRAWS_IN_BURST
        self._credit_at = 0.0
        self._is_open = True
        self._num_holds = 0
        self._prints = [_LinesAbove(stream, self) for stream in streams]

    @property
    def prints(self) -> Sequence[WholeLines]:
        """The buffers of the output to each of the streams."""
        return self._prints

    @property
    def lines(self) -> WholeLines:
        """The buffer of the output to the first of the streams."""
        return self._prints[0]

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`; without effect while the footer is held or the terminal blocks.

        Args:
            lines: Not wider than the terminal, and fewer than it has lines; empty to show nothing.
        """
        below = "".join(f"\r\n{line}" for line in lines).encode()
        room = _DOWN * len(lines) + b"\x1b[%dA" % len(lines)
        frame = _ERASE + room + _SAVE + below + _RESTORE if lines else b""
        with self._lock:
            if self._is_drawn and frame == self._frame:
                return
            self._frame = frame
            self._draw()

    def redraw(self) -> None:
        """Draw the last lines again, if a print erased them."""
        with self._lock:
            if not self._is_drawn:
                self._draw()

    def hold(self) -> None:
        """Hide the footer until `release` was called as often as `hold`."""
        with self._lock:
            self._num_holds += 1
            self.hide()

    def release(self) -> None:
        """End one `hold`; the footer is drawn again soon after the last one."""
        with self._lock:
            self._num_holds -= 1
        self.on_hidden()

    def hide(self, patience: float = -1) -> None:
        """Erase the footer, and write the output that the streams have buffered.

        Args:
            patience: Maximum of seconds to wait for a thread that is printing or a terminal that blocks;
                -1 for no limit. A signal handler must not wait for long.
        """
        if (patience < 0 or self.tty.is_ready) and self._lock.acquire(timeout=patience):
            try:
                for prints in self._prints:
                    prints.write_beginning()
                self._erase()
            finally:
                self._lock.release()

    def write(self, data: bytes) -> None:
        """Print `data` above the footer; blocks as long as the terminal does.

        Raises:
            OSError: The terminal is gone.
        """
        with self._lock:
            was_drawn, self._is_drawn = self._is_drawn, False
            if not was_drawn:
                self.tty.write(data)
            elif self._may_redraw():
                self.tty.write(_ERASE + data + self._frame)
                self._is_drawn = True
            else:
                self.tty.write(_ERASE + data)
                self.on_hidden()

    def interrupt(self) -> None:
        """Make writes to a terminal that blocks return at once; later output is lost."""
        self.tty.interrupt()

    def close(self) -> None:
        """Erase the footer, restore the streams, and close the terminal."""
        with self._lock:
            if not self._is_open:
                return
            with suppress(OSError):  # the terminal was closed
                self.hide()
            self._is_open = False
            for prints in self._prints:
                prints.close()
            self.tty.close()

    def _draw(self) -> None:
        if not self._frame:
            self._erase()
        elif self._is_open and not self._num_holds and self.tty.is_ready and self.tty.is_ours:
            self.tty.write(self._frame)
            self._is_drawn = True

    def _may_redraw(self) -> bool:
        now = monotonic()
        earned = (now - self._credit_at) * _REDRAWS_PER_SECOND
        self._credit, self._credit_at = min(_REDRAWS_IN_BURST, self._credit + earned), now
        if self._credit < 1:
            return False
        self._credit -= 1
        return True

    def _erase(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            self.tty.write(_ERASE)


class _LinesAbove(WholeLines):
    """Prints to the terminal of a footer."""

    def __init__(self, stream: io.TextIOWrapper, footer: Footer) -> None:
        stream.flush()
        self._footer = footer
        super().__init__(stream, footer._lock)

    def _send(self, text: str) -> None:
        self._footer.write(text.encode(self.stream.encoding, self.stream.errors or "strict"))


def open_footer() -> Footer | None:
    """Return a footer for the terminal of `sys.stdout`; `None` without a terminal that can draw one."""
    stdout, stderr = sys.stdout, sys.stderr
    if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return None
    if not isinstance(stdout, io.TextIOWrapper):  # an object of the user, or a notebook
        return None
    if stdout.encoding.lower() not in ("utf-8", "utf8"):  # it can't encode the characters of the bars
        return None
    tty = Tty.of(stdout)
    if tty is None:
        return None
    streams = [stdout]
    if isinstance(stderr, io.TextIOWrapper) and _is_same_terminal(stdout, stderr):
        streams.append(stderr)
    return Footer(tty, streams)


def _is_same_terminal(one: TextIO, other: TextIO) -> bool:
    try:
        return os.ttyname(one.fileno()) == os.ttyname(other.fileno())
    except OSError:
        return False


def _do_nothing() -> None:
    """Ignore that the footer was hidden."""
