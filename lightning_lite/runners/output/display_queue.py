"""Queue of output that waits for the terminal: ranges of log files, not text in memory.

    OutputPump ── add ──▶ DisplayQueue ── thread ──▶ Display (`ui.terminal`)
                             ▲                    │
                             └── reads the log ◀──┘ at its own pace

A display may block for hours (Ctrl-S, `| less`). Only this thread waits for it, nothing is lost, and a piece
of output takes only a few numbers of memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from lightning_lite.regular_files import open_regular
from lightning_lite.runners.output.log_reader import whole_characters

#: Maximum of seconds that one `flush` waits for the display.
STALL = 2.0

#: Maximum of seconds that `cut` waits for a `show` that blocks.
_LAST_STALL = 5.0

#: Maximum of seconds until `close` handles a signal.
_NOTICE = 0.2

#: Number of pieces from which on a new one is joined to the last one of its work. This limits the memory, and
#: changes only the order between works in output that is shown late.
_MANY_PIECES = 10_000

#: Maximum of characters that are kept of output that could not be logged and is not yet shown.
_UNLOGGED_LIMIT = 1024 * 1024

#: Bytes that are read at once from a log; a longer line is shown as several.
_READ_SIZE = 512 * 1024


class Display(Protocol):
    """Shows the output of works; `ui.terminal.Terminal` is one."""

    @property
    def broken(self) -> bool:
        """Whether output can no longer be shown."""

    def show(self, work: str, text: str) -> None:
        """Show text of a work without control characters, but with colours; may block for any time."""

    def hold(self) -> None:
        """Pause, because a debugger uses the terminal: `show` blocks until `release`."""

    def release(self) -> None:
        """Resume after `hold`."""

    def close(self) -> None:
        """Make a blocked `show` return, and show nothing from now on; called from another thread."""


class Piece(NamedTuple):
    """Lines that a work has printed.

    Attributes:
        work: Name of the work.
        path: The log that holds them.
        start: Position of their first byte in the log.
        end: Position after their last byte.
        text: The lines themselves if the log could not be written, else `None`.
    """

    work: str
    path: str
    start: int
    end: int
    text: str | None = None


class DisplayQueue:
    """Passes pieces of output to a display, in order, in a thread of its own.

    Args:
        display: Where to show them.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        # `with` enters the lock and not its condition, whose `__enter__` is Python code: an exception that a
        # signal handler raises in there would keep the lock forever.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._pieces: list[Piece] = []
        self._last: dict[str, int] = {}  # index in `_pieces` of the newest piece of each work
        self._unlogged = 0  # characters in pieces that carry their text
        self.added = 0
        self.shown = 0
        self._stalled = False
        self._closing = False
        self._is_limited = False
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lightning-lite-display", daemon=True)
        self._thread.start()

    def add(self, piece: Piece) -> None:
        """Add a piece to be shown after the earlier ones; return at once."""
        with self._lock:
            self.added += 1
            self._join(piece)
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until all that was added before now is shown.

        If a display has blocked a caller for `STALL` seconds, no caller waits again until all is shown.
        """
        if self.shown == self.added:
            return
        with self._lock:
            added = self.added
            if not self._stalled:
                self._stalled = not self._changed.wait_for(lambda: self.shown >= added, STALL)

    def close(self) -> None:
        """Wait until all is shown, for any time; `limit_close` and Ctrl-C end the waiting."""
        try:
            with self._lock:
                self._closing = True
                self._changed.notify_all()
            # With a limit, because a signal just before the wait does not end it. Not `Thread.join`: before
            # Python 3.13, it returns after Ctrl-C as if the thread had ended.
            while not self._has_ended.wait(_NOTICE):
                if self._is_limited and not self._has_ended.wait(STALL):
                    self.cut()
                    return
        except BaseException:
            self.cut()
            raise
        self._thread.join()

    def limit_close(self) -> None:
        """Limit the waiting of `close` to `STALL` more seconds; callable from signal handlers."""
        self._is_limited = True

    def cut(self) -> None:
        """Show nothing from now on, and wait for the thread, for at most `_LAST_STALL` seconds.

        A thread that still imports a module while Python exits could change the exit code of a Ctrl-C.
        """
        self._display.close()
        with self._lock:
            self._closing = True
            self._changed.notify_all()
        self._has_ended.wait(_LAST_STALL)

    def _join(self, piece: Piece) -> None:
        """Append `piece`, or extend the last piece of the same work."""
        index = self._last.get(piece.work)
        last = self._pieces[index] if index is not None else None
        if piece.text is not None:
            self._unlogged += len(piece.text)
            if self._unlogged > _UNLOGGED_LIMIT:
                piece = piece._replace(text="")
        elif last is not None and index is not None and last.text is None and last.path == piece.path:
            is_next = index == len(self._pieces) - 1 and last.end == piece.start
            if is_next or len(self._pieces) >= _MANY_PIECES:
                self._pieces[index] = last._replace(end=piece.end)
                return
        self._last[piece.work] = len(self._pieces)
        self._pieces.append(piece)

    def _run(self) -> None:
        added = 0
        try:
            while True:
                with self._lock:
                    self.shown = added
                    self._stalled = self._stalled and bool(self._pieces)
                    self._changed.notify_all()
                    self._changed.wait_for(lambda: self._pieces or self._closing)
                    if not self._pieces:
                        return
                    pieces, added = self._take()
                for piece in pieces:
                    for text in _texts(piece):
                        if not self._display.broken:
                            self._display.show(piece.work, text)
        finally:
            with self._lock:
                self.shown = self.added
                self._changed.notify_all()
            self._has_ended.set()

    def _take(self) -> tuple[list[Piece], int]:
        pieces, self._pieces = self._pieces, []
        self._last.clear()
        if self._unlogged > _UNLOGGED_LIMIT:
            lost = f"[{self._unlogged - _UNLOGGED_LIMIT} characters are neither logged nor shown]\n"
            pieces.append(pieces[-1]._replace(text=lost))
        self._unlogged = 0
        return pieces, self.added


def _texts(piece: Piece) -> Iterator[str]:
    """Yield the lines of a piece, in parts of limited size."""
    if piece.text is not None:
        if piece.text:
            yield piece.text
        return
    try:
        with open(open_regular(piece.path), "rb") as log:
            place = log.seek(piece.start)
            while place < piece.end:
                data = log.read(min(_READ_SIZE, piece.end - place))
                if not data:  # the log was truncated by another program
                    return
                if place + len(data) < piece.end:
                    data = data[: data.rfind(b"\n") + 1] or whole_characters(data)
                place = log.seek(place + len(data))
                yield data.decode("utf-8", "backslashreplace")
    except OSError as error:
        name = os.path.basename(piece.path)
        yield f"[{piece.end - piece.start} bytes can't be shown: {name}: {error.strerror}]\n"
