"""Writes the output of the flow to its log, in a thread of its own, so that a print waits for no disk.

    print in the flow ── write ──▶ queue ── thread ──▶ LogWriter of `root`

A print puts one entry into the queue. 20 ms after the first, the thread takes all entries that are there, and
writes them at once. If the process is killed, or ends by `os._exit`, the lines of that time are lost; every
other end writes them.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from itertools import groupby
from operator import itemgetter
from queue import Empty, SimpleQueue
from time import time

from lightning_lite.runners.output.line_times import RESOLUTION, take_turn
from lightning_lite.runners.output.log_writer import LogWriter

_log = logging.getLogger("lightning_lite")

#: The name of the flow in the logs of a run: the root of the tree.
FLOW = "root"

#: Seconds after which the beginning of a line is written whose end has not come.
_PATIENCE = 0.1

#: Characters of a line from which on its beginning is written before its end comes.
_LONGEST = 64 * 1024

#: Maximum of characters that wait for the disk, about; then a print waits, too.
_WAITING_LIMIT = 16 * 1024 * 1024

#: Characters that an entry takes at least, in memory.
_SMALLEST = 160

#: Seconds between a print and the write to the log, in which more prints may come.
_PAUSE = 0.02

#: Maximum number of entries that are written at once.
_BATCH = 10_000

#: Seconds between two looks of a print that waits.
_INTERVAL = 0.001

#: Maximum of seconds that `close` waits for a disk that blocks.
_LAST_PATIENCE = 10.0


#: When a text was printed, in seconds since 1970; its turn; the name of its stream; the text.
_Entry = tuple[float, int, str, str]


class FlowLog:
    """Writes the output of the flow to `<logs>/root.log`.

    Lines of the standard output and of the standard error stay whole. A forked process must not use it. If
    the flow runs in the background, the main thread is not the flow's: a notebook executes other cells.

    Args:
        logs: Folder of the logs.
    """

    def __init__(self, logs: str) -> None:
        main = threading.main_thread()
        self._other = 0 if threading.current_thread() is main else main.ident
        self._moment = 0.0  # when the text that is being written was printed
        self._turn = 0  # as `line_times.take_turn` gave it then
        self._path = os.path.join(logs, f"{FLOW}.log")
        self._log = LogWriter(FLOW, self._path, self._complain, lambda: self._moment, lambda: self._turn)
        self._logs = logs
        self._pid = os.getpid()
        # `SimpleQueue`, because a signal handler or a finaliser may print while this thread prints.
        self._texts: SimpleQueue[_Entry | None] = SimpleQueue()
        self._has_complained = False
        self._is_open = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lightning-lite-flow-log", daemon=True)
        self._thread.start()

    def write(self, stream: str, text: str) -> None:
        """Accept printed text; callable from any thread and signal handler, ignored after `close`.

        Args:
            stream: Name of the stream to which it was printed.
            text: A line, or a part of one.
        """
        if not self._is_open or (self._other and threading.get_ident() == self._other):
            return
        self._texts.put((time(), take_turn(self._path), stream, text))
        if self._texts.qsize() * (len(text) + _SMALLEST) > _WAITING_LIMIT:
            self._wait(_WAITING_LIMIT // (len(text) + _SMALLEST))

    def close(self) -> None:
        """Write all that was printed, and close the log."""
        self._is_open = False
        if os.getpid() == self._pid:
            self._texts.put(None)
            self._closing.set()
            self._thread.join(_LAST_PATIENCE)

    def _wait(self, most: int) -> None:
        """Wait until at most some entries are left."""
        if threading.current_thread() is not self._thread and os.getpid() == self._pid:
            while self._texts.qsize() > most and self._thread.is_alive():
                self._thread.join(_INTERVAL)

    def _run(self) -> None:
        lines = _Lines()
        is_open = True
        while is_open:
            entries = self._take(_PATIENCE if lines.has_beginnings else None)
            is_open = None not in entries
            known = [entry for entry in entries if entry is not None]
            # Written apart, because each has its time, by which the lines of all logs are put in order.
            for _, group in groupby(known, lambda entry: (entry[0] // RESOLUTION, entry[1])):
                self._write(list(group), lines)
            if not known or not is_open:
                self._append(lines.take_beginnings())
        self._log.close()

    def _take(self, timeout: float | None) -> list[_Entry | None]:
        """Wait for the first entry, and return all that are there; none after `timeout` seconds."""
        entries = []
        with suppress(Empty):
            entries.append(self._texts.get(timeout=timeout))
            # Else this thread would wake for each print of a busy flow, which costs more than the print.
            self._closing.wait(_PAUSE)
            while len(entries) < _BATCH:
                entries.append(self._texts.get_nowait())
        return entries

    def _write(self, entries: list[_Entry], lines: _Lines) -> None:
        """Write the text that was printed within a millisecond, and without a print of a work in between."""
        self._moment, self._turn = entries[0][:2]
        texts = []
        for stream, group in groupby(entries, itemgetter(2)):
            texts.append(lines.add(stream, "".join(map(itemgetter(3), group))))
        self._append("".join(texts))

    def _append(self, text: str) -> None:
        if text:
            self._log.append(text.encode("utf-8", "backslashreplace"))

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            _log.warning(
                "the output of the flow can't be written to %r: %s; the app continues, and its output is "
                "shown but not kept until it can be written again",
                self._logs,
                error.strerror,
            )


class _Lines:
    """Joins the texts that were printed to several streams to whole lines."""

    def __init__(self) -> None:
        self._beginnings: dict[str, str] = {}  # of each stream: the line whose end has not come
        self._written: str | None = None  # the stream of which the beginning of a line was written

    @property
    def has_beginnings(self) -> bool:
        """Whether the end of a line has not come."""
        return bool(self._beginnings)

    def add(self, stream: str, text: str) -> str:
        """Return the text that can be written after `text` was printed to a stream."""
        if stream in self._beginnings:
            text = self._beginnings.pop(stream) + text
        lines, newline, beginning = text.rpartition("\n")
        if len(beginning) >= _LONGEST:
            lines, newline, beginning = text, "", ""
        if beginning:
            self._beginnings[stream] = beginning
        return self._take(stream, lines + newline)

    def take_beginnings(self) -> str:
        """Return the beginnings of lines, whose ends have not come."""
        taken = "".join(self._take(stream, text) for stream, text in self._beginnings.items())
        self._beginnings.clear()
        return taken

    def _take(self, stream: str, text: str) -> str:
        if not text:
            return ""
        if self._written not in (None, stream):
            text = f"\n{text}"
        self._written = None if text.endswith("\n") else stream
        return text
