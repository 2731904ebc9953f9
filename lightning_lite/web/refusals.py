"""Refusals of requests: the status code and the sentence that the page shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from lightning_lite.errors import ArgumentError, CommandError, LightningLiteError, NothingToResume
from lightning_lite.harmless_text import one_line
from lightning_lite.web.tickets import TicketUsed

#: Maximum number of characters of a sentence.
_LIMIT = 2000


class Refused(Exception):
    """A request is refused.

    Args:
        status: Status code of the answer.
        reason: One sentence: the problem, the value that was found, what to do.
        **headers: More headers of the answer.
    """

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


def refusal_of(error: Exception) -> Refused | None:
    """Return how an error is answered, or `None` if it is a defect of this package.

    Example:
        >>> refusal_of(FileNotFoundError(2, "No such file or directory", "a.txt")).status
        404
        >>> refusal_of(KeyError("a")) is None
        True
    """
    if isinstance(error, Refused):
        return error
    if isinstance(error, TicketUsed):
        return Refused(410, "This link was used or is older than a minute: load the page again.")
    if isinstance(error, NothingToResume | FileNotFoundError):
        return Refused(404, _sentence(error))
    if isinstance(error, LightningLiteError) and isinstance(error, ArgumentError | ValueError | TypeError):
        return Refused(400, _sentence(error))
    if isinstance(error, LightningLiteError | OSError | psutil.Error):
        return Refused(409, _sentence(error))
    return None


def unanswered(error: CommandError) -> Refused:
    """Return how a request is answered that could not be handed on to the app.

    Example:
        >>> unanswered(CommandError("run a does not answer within 1 s", is_late=True)).status
        504
    """
    status = 413 if error.is_too_long else 504 if error.is_late else 503
    return Refused(status, f"{error}.")


@contextmanager
def refusing() -> Iterator[None]:
    """Refuse the request if a value in it is not possible (`ValueError`), or is not there (`LookupError`).

    Raises:
        Refused: With the text of the error.

    Example:
        >>> with refusing():
        ...     raise LookupError("the run has no work 'root.a'")
        Traceback (most recent call last):
            ...
        lightning_lite.web.refusals.Refused: the run has no work 'root.a'.
    """
    try:
        yield
    except LightningLiteError:
        raise
    except LookupError as error:
        raise Refused(404, _sentence(error)) from error
    except ValueError as error:
        raise Refused(400, _sentence(error)) from error


def _sentence(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and not isinstance(error, LightningLiteError) and error.strerror:
        text = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    text = one_line(text, _LIMIT)
    return text if text.endswith((".", "!", "?")) else f"{text}."
