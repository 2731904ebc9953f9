"""Passes the output to a stream to a recorder, too."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Self, TextIO


class RecordedStream:
    r"""Replaces the method `write` of a stream object, until `close`.

    So it also records the output of code that keeps a reference to the stream, for example a handler of
    `logging`. It does not record bytes that are written to `stream.buffer` or to the file descriptor, nor the
    output of a forked process.

    Args:
        stream: The stream.
        record: Called with each text before it is written, in any thread and signal handler.

    Attributes:
        stream: As above.
        write_only: Writes to the stream without a record.

    Example:
        >>> import io
        >>> stream, texts = io.StringIO(), []
        >>> recorded = RecordedStream(stream, texts.append)
        >>> print("flow", 1, file=stream)
        >>> _ = recorded.write_only("a work\n")
        >>> recorded.close()
        >>> print("after it", file=stream)
        >>> "".join(texts)
        'flow 1\n'
    """

    def __init__(self, stream: TextIO, record: Callable[[str], None]) -> None:
        self.stream = stream
        self.write_only = stream.write
        self._record = record
        self._pid = os.getpid()
        # Write to `vars()`: `setattr` on a proxy would change the wrapped stream.
        attributes = vars(stream)
        self._own = attributes.get("write")  # a replacement of the method of the class
        attributes["write"] = self._write

    @classmethod
    def of(cls, stream: TextIO, record: Callable[[str], None]) -> Self | None:
        """Return a recorded stream; `None` for an object that has no attributes."""
        try:
            return cls(stream, record)
        except (AttributeError, TypeError):  # it has no `write`; it has `__slots__`
            return None

    def close(self) -> None:
        """Restore the stream, unless other code has replaced its method since."""
        attributes = vars(self.stream)
        if attributes.get("write") == self._write:
            if self._own is not None:
                attributes["write"] = self._own
            else:
                del attributes["write"]

    def _write(self, text: str) -> int:
        if isinstance(text, str) and os.getpid() == self._pid:
            self._record(text)
        return self.write_only(text)
