"""Messages on a one-way pipe: whole, in order, and without blocking the sender.

    │ 1 byte: number of the kind │ 7 bytes: size, big-endian │ the fields, pickled │ 1 byte: … │

Bytes for the boot of a work, which are not a message, have the kind 0.

Both sides use this module: the main process writes requests and reads reports, a work the opposite.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each child another 8 ms
import os
from collections import deque

from lightning_lite.errors import RunnerError
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StartFailed,
    StateChanged,
    StopWork,
    WorkStarted,
    WriteState,
)
from lightning_lite.runners.wire.terminal_messages import TerminalGranted, TerminalReleased, TerminalRequested

if TYPE_CHECKING:
    from typing import Any

#: Maximum number of bytes of one read: the capacity of a pipe.
CHUNK = 65536

# Plain tuples take a third of the time of named ones to pickle; the names of their fields do not travel.
_KINDS: tuple[type[tuple[Any, ...]], ...] = (
    RunCall,
    WriteState,
    AcknowledgeState,
    StopWork,
    WorkStarted,
    StateChanged,
    RunEnded,
    StartFailed,
    TerminalRequested,
    TerminalGranted,
    TerminalReleased,
)
_NUMBERS = {kind: number for number, kind in enumerate(_KINDS, 1)}

_HEADER = 8
_SIZE_BITS = 56
_SIZE = (1 << _SIZE_BITS) - 1
_PROTOCOL = 5
_LARGEST = 1 << 40


class PipeWriter:
    """Writes messages into a pipe as far as it accepts them, and keeps the rest.

    Args:
        fd: The write end; it is made non-blocking.
    """

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self._rest: deque[bytes | memoryview] = deque()

    def put(self, message: tuple[Any, ...]) -> None:
        """Append `message` to the kept bytes; `push` writes them."""
        self.put_bytes(_pickle.dumps(tuple(message), _PROTOCOL), _NUMBERS[type(message)])

    def put_bytes(self, body: bytes, kind: int = 0) -> None:
        """Append one frame with `body` to the kept bytes."""
        header = (kind << _SIZE_BITS | len(body)).to_bytes(_HEADER, "big")
        if len(body) < CHUNK:
            self._rest.append(header + body)
        else:
            self._rest += header, body

    def send(self, message: tuple[Any, ...]) -> bool:
        """Put a message and push; return whether everything is out.

        Raises:
            BrokenPipeError: The reader has closed the pipe; the rest is dropped.
        """
        self.put(message)
        return self.push()

    def push(self) -> bool:
        """Write as much as the pipe accepts; return whether everything is out.

        Raises:
            BrokenPipeError: The reader has closed the pipe; the rest is dropped.
        """
        while self._rest:
            part = self._rest[0]
            try:
                nbytes = os.write(self.fd, part)
            except BlockingIOError:
                return False
            except BrokenPipeError:
                self._rest.clear()
                raise
            if nbytes < len(part):
                self._rest[0] = memoryview(part)[nbytes:]
            else:
                self._rest.popleft()
        return True


class MessageReader:
    """Assembles messages from the parts in which a pipe delivers them.

    A message that a kill has cut off stays incomplete, and is never returned.
    """

    def __init__(self) -> None:
        self._piece = bytearray()
        self._wanted = _HEADER

    def feed(self, data: bytes | bytearray) -> list[Any]:
        """Return the messages that `data` completes.

        Raises:
            RunnerError: The data is not a sequence of messages.
            Exception: Any error of unpickling a damaged message.
        """
        if self._piece:
            self._piece += data
            if len(self._piece) < self._wanted:
                return []
            data = self._piece
        messages: list[Any] = []
        view = memoryview(data)
        start, size = 0, len(data)
        self._wanted = _HEADER
        while size - start >= _HEADER:
            head = int.from_bytes(view[start : start + _HEADER], "big")
            number, nbytes = head >> _SIZE_BITS, head & _SIZE
            if nbytes > _LARGEST or not 0 < number <= len(_KINDS):
                raise RunnerError("the pipe holds something else than messages")
            if size - start < _HEADER + nbytes:
                self._wanted = _HEADER + nbytes
                break
            start += _HEADER
            fields = _pickle.loads(view[start : start + nbytes])
            messages.append(tuple.__new__(_KINDS[number - 1], fields))
            start += nbytes
        if start < size:
            self._piece = bytearray(view[start:])
        elif self._piece:
            self._piece = bytearray()
        return messages
