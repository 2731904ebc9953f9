"""Base class of objects that take part in what is printed to a stream: the footer, and whole lines."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TextIO


class StreamInterceptor(ABC):
    """Replaces the methods `write` and `flush` of a stream object.

    So it also sees what code prints that keeps a reference to the stream, for example a handler of `logging`.

    Args:
        stream: The stream.

    Attributes:
        stream: As above.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._write, self._flush = stream.write, stream.flush
        self._pid = os.getpid()
        for name in ("write", "flush"):
            setattr(stream, name, getattr(self, name))

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked process: there, a thread that holds a lock may not exist."""
        return os.getpid() != self._pid

    @abstractmethod
    def write(self, text: str) -> int:
        """Take a text that is printed to the stream, and return its number of characters."""

    @abstractmethod
    def flush(self) -> None:
        """Flush the stream."""

    def restore(self) -> None:
        """Restore the methods of the stream, unless other code has replaced them since."""
        for name in ("write", "flush"):
            if vars(self.stream).get(name) == getattr(self, name):
                delattr(self.stream, name)
