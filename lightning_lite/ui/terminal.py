"""Writes the output of works to the terminal, each line with the name of its work."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TextIO

from lightning_lite.ui.colors import Palette, in_colour
from lightning_lite.ui.footer import Footer

#: Characters that are written at once: what a pipe or terminal that is ready takes without blocking.
_WRITE_SIZE = 1024

#: Errors of a closed output: `app.py | head` has ended, the terminal was closed.
_GONE = frozenset({errno.EPIPE, errno.EIO})

#: Characters that are kept of the last line of a work.
_LAST_LINE_LIMIT = 500


class Terminal:
    r"""Shows the output of works on the `sys.stdout` of the moment of writing.

    Lines begin with `root.work_2 | `, on a terminal in a colour of the work's own. They go through
    the same buffer as the flow's own prints, so the order of prints is kept. When no process
    reads any more, it stops showing and says so in `broken` and `gone`.

    `show` blocks as long as the terminal does; everything else is quick, and for any thread.

    Attributes:
        footer: Lines that stay below the output, or `None`; hidden while another user has the terminal.
        gone: Whether the reader went away: `app.py | head` has ended, the terminal was closed.
        on_gone: What to call then, in any thread.

    Example:
        >>> Terminal().show("root.work", "Hello\nWorld")
        root.work | Hello
        root.work | World
    """

    def __init__(self) -> None:
        self.footer: Footer | None = None
        self.gone = False
        self.on_gone: Callable[[], None] = _nothing
        self._is_broken = False
        self._num_holds = 0
        self._holding = threading.Lock()  # guards the last one
        self._free = threading.Event()  # cleared while another user has the terminal
        self._free.set()
        self._writing = threading.Lock()
        self._last_lines: dict[str, str] = {}
        self._waiting = threading.Lock()  # guards the next
        self._waker: int | None = None  # write end of a pipe that ends the wait for the terminal
        self._palette = Palette()
        self._styled: TextIO | None = None  # the stream that the prefixes are made for
        self._prefixes: dict[str, str] = {}

    @property
    def broken(self) -> bool:
        """Whether nothing can be shown any more."""
        return self._is_broken

    def show(self, work: str, text: str) -> None:
        """Write the lines of `text`, which is harmless already, each with the name of its work.

        Blocks as long as the terminal does, or is held.
        """
        self._last_lines[work] = text.rstrip("\n").rpartition("\n")[2][:_LAST_LINE_LIMIT]
        self._show(lambda stream: self._add_prefix(stream, work, text))

    def write(self, text: str) -> None:
        """Write lines of our own, as they are; blocks like `show`."""
        self._show(lambda _: text)

    def _show(self, make_text: Callable[[TextIO], str]) -> None:
        stream: TextIO | None = sys.stdout
        if stream is None:  # a program without a console
            self._is_broken = True
            return
        try:
            for lines in _portions(make_text(stream)):
                self._write(stream, lines)
        except (OSError, ValueError) as error:  # the reader is gone, the disk is full; it was closed
            self._is_broken = True
            if isinstance(error, OSError) and error.errno in _GONE:
                self.gone = True
                _discard_rest(stream)
                self.on_gone()

    def last_line(self, work: str) -> str:
        """Return what a work has printed last, "" before that."""
        return self._last_lines.get(work, "")

    def hold(self) -> None:
        """Hand the terminal over: nothing is shown before the `release` of each `hold`, nothing is lost."""
        with self._holding:
            self._num_holds += 1
            self._free.clear()
        with self._writing:
            pass  # a write that was under way has ended
        if self.footer is not None:
            self.footer.hold()

    def release(self) -> None:
        """Take the terminal back."""
        with self._holding:
            self._num_holds -= 1
            if self._num_holds == 0:
                self._free.set()
        if self.footer is not None:
            self.footer.release()

    def close(self) -> None:
        """Let a `show` that blocks return, and show nothing from now on."""
        self._is_broken = True
        self._free.set()
        with self._waiting:
            if self._waker is not None:
                os.write(self._waker, b"!")
        if self.footer is not None:
            self.footer.interrupt()

    def _write(self, stream: TextIO, lines: str) -> None:
        while not self._is_broken:
            self._free.wait()
            self._wait_until_ready(stream)
            with self._writing:
                if self._free.is_set() and not self._is_broken:
                    stream.write(lines)
                    stream.flush()
                    return

    def _wait_until_ready(self, stream: TextIO) -> None:
        """Wait outside of the stream: a thread that sleeps in there holds a lock that Python needs to end."""
        fd = _descriptor(stream)
        if fd is None:
            return
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        if poll.poll(0):
            return
        woken, waker = os.pipe()
        poll.register(woken, select.POLLIN)
        try:
            with self._waiting:
                self._waker = waker
            if not self._is_broken:
                poll.poll()
        finally:
            with self._waiting:
                self._waker = None
            os.close(woken)
            os.close(waker)

    def _add_prefix(self, stream: TextIO, work: str, text: str) -> str:
        if stream is not self._styled:
            self._styled, self._prefixes = stream, {}
        prefix = self._prefixes.get(work)
        if prefix is None:
            colour = self._palette.colour_of(work)
            prefix = self._prefixes[work] = in_colour(stream, f"{work} | ", colour)
        lines = prefix + text.removesuffix("\n").replace("\n", "\n" + prefix) + "\n"
        encoding = getattr(stream, "encoding", None) or "utf-8"
        return lines.encode(encoding, "backslashreplace").decode(encoding)


def _nothing() -> None:
    """Hear that the reader is gone, and do nothing about it."""


def _portions(text: str) -> Iterator[str]:
    """Cut at ends of lines where possible, so that prints of the flow come between lines."""
    start = 0
    while start < len(text):
        end = text.rfind("\n", start, start + _WRITE_SIZE) + 1 or start + _WRITE_SIZE
        yield text[start:end]
        start = end


def _descriptor(stream: TextIO) -> int | None:
    """Return the file descriptor of a stream, or `None` if it only exists in memory."""
    try:
        return stream.fileno()
    except (AttributeError, OSError):  # the user's own class with nothing but `write`, StringIO
        return None


def _discard_rest(stream: TextIO) -> None:
    """Let what is left in the buffer go nowhere, else Python complains about it when it ends."""
    fd = _descriptor(stream)
    if fd is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, fd)
        os.close(null)
