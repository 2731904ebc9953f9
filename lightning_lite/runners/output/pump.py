"""Moves the output of works from their pipes into log files, and from there to the display.

    works, their C code and grandchildren
      │ 1, 2            pipe of each work
      ▼
    OutputPump          one thread per app: drains all pipes, never waits for anybody
      │ harmless text
      ▼
    <logs>/<work>.log ──▶ Backlog ──▶ Display      a second thread: as fast as the terminal takes it

A flow that is busy blocks no work that prints, and a terminal that is blocked blocks neither.
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

from lightning_lite.runners.output.display_queue import Backlog, Display, Piece
from lightning_lite.runners.output.log import WorkLog

__all__ = ["Display", "OutputPump"]

logger = logging.getLogger(__name__)

#: Bytes that are read at once: all that a pipe holds.
_READ_SIZE = 64 * 1024


class OutputPump:
    """Carries what the works of one app print into `<logs>/<work>.log` and to the display.

    Its threads start with the first work. All methods may be called from any thread.

    Args:
        logs: Folder of the logs.
        display: Where lines are shown, or `None` for nowhere.
    """

    def __init__(self, logs: str, display: Display | None) -> None:
        self._logs = logs
        self._display = display
        self._lock = threading.Lock()  # held from a pipe to the log and the backlog, so that order is kept
        self._outputs: dict[str, _Output] = {}
        self._watch: _PipeWatch | None = None
        self._backlog: Backlog | None = None
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
        """Expect output of `work` that comes through `feed`, not through a pipe.

        Raises:
            RuntimeError: There are too many threads.
        """
        with self._lock:
            self._output(work)

    def feed(self, work: str, data: bytes) -> None:
        """Take output of `work`; before `open` and after `detach` nothing is taken."""
        with self._lock:
            output = self._outputs.get(work)
            if output is not None:
                self._show(output.log.append(data))

    def flush(self, work: str) -> None:
        """Return when all that `work` wrote before now is in its log, and shown unless the display stalls."""
        output = self._outputs.get(work)
        if output is None:
            return
        with self._lock:
            self._drain(output)
            if output.log.rest:
                self._show(output.log.cut())
        # Checked here, because most calls print nothing.
        if self._backlog is not None and self._backlog.shown != self._backlog.added:
            self._backlog.flush()

    def detach(self, work: str) -> None:
        """Take and show what is left of the output of `work`, whose process is gone, and close its log.

        Does not wait for the end of the pipe: what the work has left behind may hold it for ever.
        """
        with self._lock:
            output = self._outputs.pop(work, None)
            if output is not None:
                self._drain(output)
                self._close_pipe(output)
                self._show(output.log.close())
        if self._backlog is not None:
            self._backlog.flush()

    def tail(self, work: str, nlines: int) -> str:
        """Return the last lines of the log of `work`, harmless; "" if it has none."""
        return self._new_log(work).tail(nlines)

    def hurry(self) -> None:
        """Let `close` not wait for a display that stands still; for handlers of signals, too."""
        if self._backlog is not None:
            self._backlog.hurry()

    def close(self) -> None:
        """Detach all works, and wait until everything is shown; Ctrl-C ends the waiting and the showing."""
        try:
            for work in list(self._outputs):
                self.detach(work)
        except BaseException:
            if self._backlog is not None:
                self._backlog.cut()
            raise
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        if self._backlog is not None:
            self._backlog.close()
            self._backlog = None

    def _output(self, work: str) -> _Output:
        if self._display is not None and self._backlog is None:
            self._backlog = Backlog(self._display)
        output = self._outputs.get(work)
        if output is None:
            output = self._outputs[work] = _Output(self._new_log(work))
        return output

    def _new_log(self, work: str) -> WorkLog:
        return WorkLog(work, os.path.join(self._logs, f"{work}.log"), self._complain)

    def _complain(self, error: OSError) -> None:
        if not self._has_complained:
            self._has_complained = True
            logger.warning(
                "the output of works can't be written to %r: %s; the works go on, and their output is shown "
                "but not kept until it can be written again",
                self._logs,
                error.strerror,
            )

    def _show(self, piece: Piece | None) -> None:
        if piece is not None and self._backlog is not None:
            self._backlog.add(piece)

    def _on_ready(self, output: _Output) -> None:
        with self._lock:
            if output.pipe is None:
                return
            try:
                data = os.read(output.pipe, _READ_SIZE)
            except BlockingIOError:
                return  # another thread has flushed it
            if data:
                self._show(output.log.append(data))
            else:
                self._close_pipe(output)

    def _drain(self, output: _Output) -> None:
        # Asking for the size costs half of a read that finds nothing, and most calls print nothing. One
        # read is enough: it takes all that is there; lines written during the read are not promised.
        if output.pipe is not None:
            fcntl.ioctl(output.pipe, termios.FIONREAD, output.size)
            nbytes = int.from_bytes(output.size, sys.byteorder)
            if nbytes:
                self._show(output.log.append(os.read(output.pipe, nbytes)))

    def _close_pipe(self, output: _Output) -> None:
        if output.pipe is not None and self._watch is not None:
            self._watch.remove(output.pipe)
            os.close(output.pipe)
            output.pipe = None


class _Output:
    """The pipe and the log of one work."""

    __slots__ = ("log", "pipe", "size")

    def __init__(self, log: WorkLog) -> None:
        self.log = log
        self.pipe: int | None = None
        self.size = bytearray(4)  # a C int for FIONREAD


class _PipeWatch:
    """A thread that sleeps until a pipe can be read.

    Args:
        on_ready: Called in that thread with the output whose pipe has something, or has ended.
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
