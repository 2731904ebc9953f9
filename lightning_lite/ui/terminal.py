"""Writes the output of works to the terminal, each line with the name of its work."""

from __future__ import annotations

import errno
import logging
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TextIO

from lightning_lite.colour_codes import end_colours, without_colours
from lightning_lite.ui.footer import Footer
from lightning_lite.ui.recorded_stream import RecordedStream
from lightning_lite.ui.terminal_colours import Palette, in_colour, shows_colours
from lightning_lite.ui.whole_lines import WholeLines

_log = logging.getLogger("lightning_lite")

#: Maximum number of characters in one write: a pipe or terminal that is ready accepts them without blocking.
_WRITE_SIZE = 1024

#: Errors of a closed output: the reader of a pipe has ended (`app.py | head`), or the terminal was closed.
_GONE = frozenset({errno.EPIPE, errno.EIO})

#: Maximum number of characters to keep of the last line of a work.
_LAST_LINE_LIMIT = 500


class Terminal:
    r"""Writes the output of works to the present `sys.stdout`.

    Lines begin with `root.work_2 | `; on a terminal, each work has its colour. They use the same buffer as
    the prints of the flow, so the order of prints is kept. If no process reads the output any more, nothing
    more is written, and `broken` and `gone` are true. If the disk is full, nothing more is written either,
    and a warning says so.

    `show` and `write` block while the terminal blocks; all other methods return at once. All methods can be
    called from any thread.

    Attributes:
        footer: Lines that stay below the output, or `None`; hidden while the terminal is held.
        gone: Whether the reader of the pipe has ended, or the terminal was closed.
        on_gone: Called when `gone` becomes true, in any thread.

    Example:
        >>> Terminal().show("root.work", "Hello\nWorld")
        root.work | Hello
        root.work | World
    """

    def __init__(self) -> None:
        self.footer: Footer | None = None
        self.gone = False
        self.on_gone: Callable[[], None] = _do_nothing
        self._is_broken = False
        self._num_holds = 0
        self._holding = threading.Lock()  # protects _num_holds
        self._free = threading.Event()  # cleared while the terminal is held
        self._free.set()
        self._in_line = threading.RLock()  # held while the parts of a line are written
        self._writing = threading.Lock()
        self._last_lines: dict[str, str] = {}
        self._waiting = threading.Lock()  # protects _waker
        self._waker: int | None = None  # write end of a pipe that ends the wait for the terminal
        self._whole_lines: WholeLines | None = None
        self._recorded: list[RecordedStream] = []
        self._palette = Palette()
        self._styled: TextIO | None = None  # the stream for which the prefixes are coloured
        self._has_colours = False  # whether that stream shows them
        self._prefixes: dict[str, str] = {}

    @property
    def broken(self) -> bool:
        """Whether nothing can be written any more."""
        return self._is_broken

    def show(self, work: str, text: str) -> None:
        """Write the lines of `text`, each with the name of the work before it.

        Blocks while the terminal blocks or is held.

        Args:
            work: Name of the work.
            text: Harmless text, which may have colours.
        """
        last_line = text.rstrip("\n").rpartition("\n")[2]
        self._last_lines[work] = without_colours(last_line)[:_LAST_LINE_LIMIT]
        self._show(lambda stream: self._add_prefix(stream, work, text))

    def write(self, text: str) -> None:
        """Write `text` unchanged; blocks like `show`."""
        self._show(lambda _: text)

    def write_unrecorded(self, line: str) -> None:
        """Write a line to standard error that the log of the flow must not have: it has a token."""
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # it is full or closed: the app needs no such line
                self._write_only(sys.stderr, f"{line}\n")
                sys.stderr.flush()

    def _show(self, make_text: Callable[[TextIO], str]) -> None:
        stream: TextIO | None = sys.stdout
        if stream is None:  # a program without a console
            self._is_broken = True
            return
        try:
            with self._in_line:
                try:
                    for lines in _portions(make_text(stream)):
                        self._write(stream, lines)
                finally:
                    self._give_up_line()
        except (OSError, ValueError) as error:  # closed by the reader, disk full; closed by the flow
            self._is_broken = True
            if isinstance(error, OSError) and error.errno in _GONE:
                self.gone = True
                _discard_rest(stream)
                self.on_gone()
            elif isinstance(error, OSError):
                _log.warning(
                    "The output of works is not shown any more, only written to their logs: %s", error
                )

    def keep_lines_whole(self) -> None:
        """Let neither prints of the flow nor prints of works split a line, if there is no footer."""
        if self.footer is None:
            self._whole_lines = WholeLines.of(sys.stdout)

    def record(self, record: Callable[[str, str], None]) -> None:
        """Record the output of the flow to the present `sys.stdout` and `sys.stderr`, not our own output.

        Args:
            record: Called with the name of the stream and a text; in any thread and signal handler.
        """
        kept = self._whole_lines
        whole_lines = self.footer.prints if self.footer is not None else [kept] if kept is not None else []
        for name in ("stdout", "stderr"):
            stream, named = _real(getattr(sys, name)), partial(record, name)
            lines = next((lines for lines in whole_lines if lines.stream is stream), None)
            if lines is not None:
                lines.record = named
            elif stream is not None and all(stream is not recorded.stream for recorded in self._recorded):
                recorded = RecordedStream.of(stream, named)
                self._recorded += [recorded] if recorded is not None else []

    def last_line(self, work: str) -> str:
        """Return the last line that a work printed, or ""."""
        return self._last_lines.get(work, "")

    def hold(self) -> None:
        """Write nothing until `release` was called as often as `hold`; waiting lines are not lost."""
        with self._holding:
            self._num_holds += 1
            self._free.clear()
        with self._writing:
            pass  # waits for the end of a write in another thread
        self._give_up_line()  # its end is written after the release
        if self.footer is not None:
            self.footer.hold()

    def release(self) -> None:
        """End one `hold`."""
        with self._holding:
            self._num_holds -= 1
            if self._num_holds == 0:
                self._free.set()
        if self.footer is not None:
            self.footer.release()

    def close(self) -> None:
        """Make a `show` that blocks return at once, and write nothing from now on."""
        self._is_broken = True
        self._free.set()
        with self._waiting:
            if self._waker is not None:
                os.write(self._waker, b"!")
        if self.footer is not None:
            self.footer.interrupt()
        self._give_up_line()
        if self._whole_lines is not None:
            self._whole_lines.close()
        for recorded in self._recorded:
            recorded.close()

    def _write(self, stream: TextIO, lines: str) -> None:
        while not self._is_broken:
            self._free.wait()
            self._wait_until_ready(stream)
            with self._writing:
                if self._free.is_set() and not self._is_broken:
                    kept = self._kept_lines
                    if kept is not None and _real(stream) is kept.stream:
                        kept.write_lines(lines)
                    else:
                        self._write_only(stream, lines)
                        stream.flush()
                    return

    def _write_only(self, stream: TextIO, lines: str) -> None:
        """Write lines that are not output of the flow."""
        for recorded in self._recorded:
            if recorded.stream is _real(stream):
                recorded.write_only(lines)
                return
        stream.write(lines)

    @property
    def _kept_lines(self) -> WholeLines | None:
        """The buffer that keeps the lines of the standard output whole, if there is one."""
        return self._whole_lines if self.footer is None else self.footer.lines

    def _give_up_line(self) -> None:
        if (kept := self._kept_lines) is not None:
            kept.give_up_line()

    def _wait_until_ready(self, stream: TextIO) -> None:
        """Wait until a write will not block.

        A thread that blocks in `stream.write` holds a lock of the stream, which Python needs at its exit.
        """
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
            self._has_colours = shows_colours(stream)
        prefix = self._prefixes.get(work)
        if prefix is None:
            colour = self._palette.colour_of(work)
            prefix = self._prefixes[work] = in_colour(stream, f"{work} | ", colour)
        if "\x1b" in text:
            text = _colour_lines(text) if self._has_colours else without_colours(text)
        lines = prefix + text.removesuffix("\n").replace("\n", "\n" + prefix) + "\n"
        encoding = getattr(stream, "encoding", None) or "utf-8"
        return lines.encode(encoding, "backslashreplace").decode(encoding)


def _colour_lines(text: str) -> str:
    """Return the lines of a text; a part of a line does not colour the text after it."""
    return "\n".join(map(end_colours, text.split("\n")))


def _do_nothing() -> None:
    """Ignore that the reader is gone."""


def _portions(text: str) -> Iterator[str]:
    """Split a text at line ends where possible."""
    start = 0
    while start < len(text):
        end = text.rfind("\n", start, start + _WRITE_SIZE) + 1 or start + _WRITE_SIZE
        yield text[start:end]
        start = end


def _real(stream: TextIO) -> TextIO:
    """Return the stream below the object that the inline runner puts in its place."""
    return getattr(stream, "real", stream)


def _descriptor(stream: TextIO) -> int | None:
    """Return the file descriptor of a stream, or `None` if it has none."""
    try:
        return stream.fileno()
    except (AttributeError, OSError):  # a user's class that has only `write`, or StringIO
        return None


def _discard_rest(stream: TextIO) -> None:
    """Redirect the stream to the null device: Python flushes it at exit, and would print an error."""
    fd = _descriptor(stream)
    if fd is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, fd)
        os.close(null)
