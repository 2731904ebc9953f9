r"""Lines that stay at the bottom of a terminal, below all other output.

    root.train | epoch 4      printed by a work, scrolls
    best so far: 0.31         printed by the flow, scrolls
    ▮                         where the next line goes: the cursor is left here
    Train · 2:05 · ...        the footer: wiped before something is printed, drawn again behind it

The cursor stays at the end of the text, so a print that bypasses Python (of C code, of a
process that the flow has started) overwrites a footer, and never gets lost under one; nor does it
matter how a terminal moves the lines when its size changes. That is why `rich.live.Live` is not used,
which leaves the cursor below what it draws.
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

#: How often in a second the footer is drawn again at once behind what is printed, and how often in a burst;
#: in a flood it stays away.
_REDRAWS_PER_SECOND, _REDRAWS_IN_BURST = 100.0, 10.0

_WIPE = b"\x1b[J"
_SAVE, _RESTORE = b"\x1b7", b"\x1b8"
_DOWN = b"\x1bD"  # in the same column; scrolls at the bottom


class Footer:
    """Draws the footer, and hears what is printed: writing to the streams goes through it.

    The `write` of the stream objects themselves is replaced, so that code that holds one, a handler of
    `logging` for example, is heard as well. All methods are for any thread.

    Args:
        tty: The terminal.
        streams: Those that write to it.

    Attributes:
        on_hidden: Called when it was wiped and has to be drawn again soon.
    """

    def __init__(self, tty: Tty, streams: Sequence[TextIO]) -> None:
        self.on_hidden: Callable[[], None] = _nothing
        self.tty = tty
        self._lock = threading.RLock()  # a finaliser may print while this thread prints
        self._frame = b""
        self._is_drawn = False
        self._credit = _REDRAWS_IN_BURST
        self._credit_at = 0.0
        self._is_open = True
        self._num_holds = 0
        self._taps = [_Tap(stream, self) for stream in streams]

    def draw(self, lines: Sequence[str]) -> None:
        """Show `lines`; nothing happens while another user has the terminal, or while it blocks.

        Args:
            lines: None of them wider than the terminal, and fewer than it has lines; none to show nothing.
        """
        below = "".join(f"\r\n{line}" for line in lines).encode()
        room = _DOWN * len(lines) + b"\x1b[%dA" % len(lines)
        frame = _WIPE + room + _SAVE + below + _RESTORE if lines else b""
        with self._lock:
            if self._is_drawn and frame == self._frame:
                return
            self._frame = frame
            self._draw()

    def redraw(self) -> None:
        """Show again what was wiped to make room for prints."""
        with self._lock:
            if not self._is_drawn:
                self._draw()

    def hold(self) -> None:
        """Hide it, and draw nothing until each `hold` has its `release`."""
        with self._lock:
            self._num_holds += 1
            self.hide()

    def release(self) -> None:
        """Let it be drawn again, soon."""
        with self._lock:
            self._num_holds -= 1
        self.on_hidden()

    def hide(self, patience: float = -1) -> None:
        """Wipe it, and let everything be out that was printed.

        Args:
            patience: Seconds to wait for a thread that prints at this moment, or for a terminal that blocks;
                a handler of a signal must not wait for long. Without limit by default.
        """
        if (patience < 0 or self.tty.is_ready) and self._lock.acquire(timeout=patience):
            try:
                for tap in self._taps:
                    tap.flush()
                self._wipe()
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
                self.tty.write(_WIPE + data + self._frame)
                self._is_drawn = True
            else:
                self.tty.write(_WIPE + data)
                self.on_hidden()

    def interrupt(self) -> None:
        """Release the threads that print on a terminal that blocks; later output is lost."""
        self.tty.interrupt()

    def close(self) -> None:
        """Wipe it for good, and give the streams and the terminal back."""
        with self._lock:
            if not self._is_open:
                return
            with suppress(OSError):  # the terminal is gone, and the footer with it
                self.hide()
            self._is_open = False
            for tap in self._taps:
                tap.close()
            self.tty.close()

    def _draw(self) -> None:
        if not self._frame:
            self._wipe()
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

    def _wipe(self) -> None:
        if self._is_drawn:
            self._is_drawn = False
            self.tty.write(_WIPE)


class _Tap:
    """Stands in for `write` and `flush` of a stream; text waits for its newline, as it does in there."""

    def __init__(self, stream: TextIO, footer: Footer) -> None:
        stream.flush()
        self._stream = stream
        self._footer = footer
        self._write, self._flush = stream.write, stream.flush
        self._text = ""
        self._pid = os.getpid()
        self._is_open = True
        for name in ("write", "flush"):
            setattr(stream, name, getattr(self, name))

    def write(self, text: str) -> int:
        if not self._is_open or not isinstance(text, str) or os.getpid() != self._pid:
            return self._write(text)
        with self._footer._lock:
            self._text += text
            if "\n" in text or "\r" in text or getattr(self._stream, "write_through", False):
                self._print()
        return len(text)

    def flush(self) -> None:
        if self._is_open and os.getpid() == self._pid:
            with self._footer._lock:
                self._print()
        self._flush()

    def close(self) -> None:
        self._is_open = False
        for name in ("write", "flush"):
            if vars(self._stream).get(name) == getattr(self, name):  # else other code has replaced it
                delattr(self._stream, name)

    def _print(self) -> None:
        text, self._text = self._text, ""
        if text:
            self._footer.write(text.encode(self._stream.encoding, self._stream.errors or "strict"))


def open_footer() -> Footer | None:
    """Return a footer for the terminal of `sys.stdout`; `None` if that is none, or shows only plain text."""
    stdout, stderr = sys.stdout, sys.stderr
    if "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return None
    if not isinstance(stdout, io.TextIOWrapper):  # a stream of the user's, a notebook
        return None
    if stdout.encoding.lower() not in ("utf-8", "utf8"):  # it has no lines to draw
        return None
    tty = Tty.of(stdout)
    if tty is None:
        return None
    streams: list[TextIO] = [stdout]
    if isinstance(stderr, io.TextIOWrapper) and _is_same_terminal(stdout, stderr):
        streams.append(stderr)
    return Footer(tty, streams)


def _is_same_terminal(one: TextIO, other: TextIO) -> bool:
    try:
        return os.ttyname(one.fileno()) == os.ttyname(other.fileno())
    except OSError:
        return False


def _nothing() -> None:
    """Hear that it was hidden, and do nothing about it."""
