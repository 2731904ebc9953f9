"""The output of a work on another machine: read from its pipe there, sent to the main process as messages."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios
import threading
from collections.abc import Callable
from typing import NamedTuple

#: Bytes that are read at once: the capacity of a pipe.
_READ_SIZE = 64 * 1024


class Printed(NamedTuple):
    """A message with output of the work."""

    data: bytes


class ServerOutput:
    """Sends the output of the one work of a server, in place of an `OutputPump`.

    Args:
        send: Takes a piece of output; callable from any thread.
        wait_for_room: Returns when the main process has got enough of the earlier pieces; called in the
            thread that reads, so a work that prints faster than the network takes it has to wait, as at a
            full pipe.
    """

    def __init__(self, send: Callable[[Printed], None], wait_for_room: Callable[[], None]) -> None:
        self._send = send
        self._wait_for_room = wait_for_room
        self._lock = threading.Lock()  # held from a read until its piece is sent, to keep the order
        self._pipe: int | None = None

    def attach(self, work: str) -> int:
        """Return the write end of a new pipe for the output; the caller closes it after the launch.

        Raises:
            OSError: There are too many open files.
            RuntimeError: There are too many threads.
        """
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        self._pipe = read_end
        thread = threading.Thread(
            target=self._read, args=(read_end,), name="lightning-lite-output", daemon=True
        )
        try:
            thread.start()
        except BaseException:
            self._pipe = None
            os.close(read_end)
            os.close(write_end)
            raise
        return write_end

    def flush(self, work: str) -> None:
        """Send all that the work has written."""
        with self._lock:
            self._drain()

    def detach(self, work: str) -> None:
        """Send the rest; the pipe is not read to its end, which a process of the work may keep open."""
        with self._lock:
            self._drain()
            self._pipe = None

    def limit_close(self) -> None:
        """Do nothing: no reader makes it wait."""

    def close(self) -> None:
        """Do nothing: the process of the server ends now, and the pipe with it."""

    def _drain(self) -> None:
        if self._pipe is not None:
            size = bytearray(4)  # a C int
            fcntl.ioctl(self._pipe, termios.FIONREAD, size)
            nbytes = int.from_bytes(size, sys.byteorder)
            if nbytes:
                self._send(Printed(os.read(self._pipe, nbytes)))

    def _read(self, pipe: int) -> None:
        poller = select.poll()
        poller.register(pipe, select.POLLIN)
        while True:
            poller.poll()
            self._wait_for_room()
            with self._lock:
                if self._pipe != pipe:
                    break
                try:
                    data = os.read(pipe, _READ_SIZE)
                except BlockingIOError:
                    continue  # `flush` has read it
                if not data:
                    self._pipe = None
                    break
                self._send(Printed(data))
        os.close(pipe)
