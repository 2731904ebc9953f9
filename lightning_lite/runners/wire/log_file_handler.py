"""The handler that a work has in place of a handler of the main process that logs to a file."""

from __future__ import annotations

import logging
import os
from typing import TextIO


class LogFile(logging.FileHandler):
    """Appends to the file at a path, also after the app or logrotate has renamed it and begun a new one.

    `logging.handlers.WatchedFileHandler` does so, too, but the import of its module takes longer than that of
    `logging`, and its errors are raised in the code that logs.

    Args:
        path: Absolute path of the file, which is opened when the first record comes.
        encoding: Encoding of the file, or `None` for that of the locale.
    """

    def __init__(self, path: str, encoding: str | None) -> None:
        super().__init__(path, "a", encoding, delay=True)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; an error is printed as all errors of handlers are, and fails no call."""
        try:
            stream = self.stream
            if stream is not None and not self._is_at_path(stream):
                self.stream = None  # as after `close`: the base class opens the file
                stream.close()
            super().emit(record)
        except OSError:  # the folder was removed, or is not on this machine
            self.handleError(record)

    def _is_at_path(self, stream: TextIO) -> bool:
        try:
            return os.path.samestat(os.stat(self.baseFilename), os.fstat(stream.fileno()))
        except ValueError:
            return True  # the user has closed the stream, or set one without a file: the base class uses it
        except OSError:
            return False  # there is no file at the path, or a server of files has forgotten the open one
