"""Moves the output of works from their pipes into log files, and from there to the display.

    works, their C code and grandchildren
      │ 1, 2            pipe of each work
      ▼
    OutputPump          one thread per app: drains all pipes, never blocks
      │ text without control characters
      ▼
    <logs>/<work>.log ──▶ DisplayQueue ──▶ Display      a second thread: as fast as the terminal takes it

A busy flow blocks no work that prints, and a blocked terminal blocks neither works nor flow.
"""

from __future__ import annotations

import fcntl
import logging
import os
import selectors
import sys
import termios
import threading
from collections.abc import Callable
from typing import Protocol

from lightning_lite.runners.output.display_queue import Display, DisplayQueue, Piece
from lightning_lite.runners.output.log_writer import LogWriter

__all__ = ["Display", "OutputPump", "WorkOutput"]

_log = logging.getLogger("lightning_lite")

#: Bytes that are read at once: the capacity of a pipe.
_READ_SIZE = 64 * 1024


class WorkOutput(Protocol):
    """The part of an `OutputPump` that a runner of processes needs: reads the output of works from pipes."""

    def attach(self, work: str) -> int:
        """Return the write end of a new pipe for the output of a work."""

    def flush(self, work: str) -> None:
        """Wait until all that a work has written has its place."""

    def detach(self, work: str) -> None:
        """Take the rest of the output of a work, whose process has exited."""

    def limit_close(self) -> None:
        """Do not let `close` wait for a reader; callable from signal handlers."""

    def close(self) -> None:
        """Detach all works."""


class OutputPump:
    """Writes the output of the works of one app to `<logs>/<work>.log` and to the display.

    Its threads start with the first work. All methods are callable from any thread.

    Args:
        logs: Folder of the logs.
        display: Where lines are shown, or `None` for nowhere.
    """

    def __init__(self, logs: str, display: Display | None) -> None:
        self._logs = logs
        self._display = display
        # Held from the read of a pipe until the piece is queued, to keep the order.
        self._lock = threading.Lock()
        self._outputs: dict[str, _Output] = {}
        self._watch: _PipeWatch | None = None
        self._queue: DisplayQueue | None = None
        self._has_complained = False

    def attach(self, work: str) -> int:
        """Return the write end of a new pipe for the output of `work`; the caller closes it after the launch.

        Raises:
            OSError: There are too many open files.
            RuntimeError: There are too many threads.
        """
        read_end, write_end = os.pipe()  # both are closed in processes that are started later
        try:
            os.set_blocking(read_end, False)
            with self._lock:
                output = self._output(work)
                self._close_pipe(output)
                if self._watch is None:
                    self._watch = _PipeWatch(self._on_ready)
                self._watch.add(read_end, output)
                output.pipe = read_end
        except BaseException:
            os.close(read_end)
            os.close(write_end)
            raise
        return write_end

    def open(self, work: str) -> None:
        """Open the log of a work whose output comes through `feed`, not through a pipe.

        Raises:
            RuntimeError: There are too many threads.
        """
        with self._lock:
            self._output(work)

    def feed(self, work: str, data: bytes) -> None:
        """Accept output of `work`; before `open` and after `detach` it is ignored."""
        with self._lock:
            output = self._outputs.get(work)
            if output is not None:
                self._add(output, data)

    def flush(self, work: str) -> None:
        """Wait until all that `work` has written is in its log, and shown unless the display is blocked."""
        output = self._outputs.get(work)
        if output is None:
            return
        with self._lock:
            self._drain(output)
            if output.has_news:  # most calls print nothing
                output.has_news = False
                output.log.end_call()
                if output.log.is_in_line:
                    self._show(output.log.cut())
        if self._queue is not None and self._queue.shown != self._queue.added:
            self._queue.flush()

    def detach(self, work: str) -> None:
        """Log and show the rest of the output of `work`, whose process has exited, and close its log.

        It does not wait for the end of the pipe: a process that the work has started may keep it open.
        """
        with self._lock:
            output = self._outputs.pop(work, None)
            if output is not None:
                self._drain(output)
                self._close_pipe(output)
                self._show(output.log.close())
        if self._queue is not None:
            self._queue.flush()

    def limit_close(self) -> None:
        """Do not let `close` wait for a blocked display; callable from signal handlers."""
        if self._queue is not None:
            self._queue.limit_close()

    def close(self) -> None:
        """Detach all works, and wait until everything is shown; Ctrl-C ends the waiting and the showing."""
        try:
            for work in list(self._outputs):
                self.detach(work)
        except BaseException:
            if self._queue is not None:
                self._queue.cut()
            raise
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    def _output(self, work: str) -> _Output:
        if self._display is not None and self._queue is None:
            self._queue = DisplayQueue(self._display)
        output = self._outputs.get(work)
        if output is None:
            log = LogWriter(work, os.path.join(self._logs, f"{work}.log"), self._complain)
            output = self._outputs[work] = _Output(log)
        return output

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            _log.warning(
                "the output of works can't be written to %r: %s; the works continue, and their output is "
                "shown but not kept until it can be written again",
                self._logs,
                error.strerror,
            )

    def _show(self, pieces: list[Piece]) -> None:
        if self._queue is not None:
            for piece in pieces:
                self._queue.add(piece)

    def _on_ready(self, output: _Output) -> None:
        with self._lock:
            if output.pipe is None:
                return
            try:
                data = os.read(output.pipe, _READ_SIZE)
            except BlockingIOError:
                return  # another thread has read it
            if data:
                self._add(output, data)
            else:
                self._close_pipe(output)

    def _drain(self, output: _Output) -> None:
        # To ask for the size costs half of a read that finds nothing, and most calls print nothing. One read
        # gets all that was written before.
        if output.pipe is not None:
            fcntl.ioctl(output.pipe, termios.FIONREAD, output.size)
            nbytes = int.from_bytes(output.size, sys.byteorder)
            if nbytes:
                self._add(output, os.read(output.pipe, nbytes))

    def _add(self, output: _Output, data: bytes) -> None:
        """Log and show output of a work."""
        output.has_news = True
        self._show(output.log.append(data))

    def _close_pipe(self, output: _Output) -> None:
        if output.pipe is not None and self._watch is not None:
            self._watch.remove(output.pipe)
            os.close(output.pipe)
            output.pipe = None


class _Output:
    """The pipe and the log of one work.

    Attributes:
        log: Writes the log.
        pipe: The end of the pipe to read, or `None` if it is closed.
        size: Where `FIONREAD` writes the number of bytes in the pipe.
        has_news: Whether the work has printed something since the last `flush`.
    """

    __slots__ = ("has_news", "log", "pipe", "size")

    def __init__(self, log: LogWriter) -> None:
        self.log = log
        self.has_news = False
        self.pipe: int | None = None
        self.size = bytearray(4)  # a C int for FIONREAD


class _PipeWatch:
    """A thread that waits until a pipe can be read.

    Args:
        on_ready: Called in that thread with the output whose pipe has data, or has ended.
    """

    def __init__(self, on_ready: Callable[[_Output], None]) -> None:
        self._on_ready = on_ready
        self._selector = selectors.DefaultSelector()
        self._closed, self._close = os.pipe()
        self._selector.register(self._closed, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="lightning-lite-output", daemon=True)
        self._thread.start()

    def add(self, pipe: int, output: _Output) -> None:
        self._selector.register(pipe, selectors.EVENT_READ, output)

    def remove(self, pipe: int) -> None:
        self._selector.unregister(pipe)

    def close(self) -> None:
        os.close(self._close)
        self._thread.join()
        self._selector.close()
        os.close(self._closed)

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                self._on_ready(key.data)
