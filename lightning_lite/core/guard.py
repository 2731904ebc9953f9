"""A lock that a stop can't cut into."""

from __future__ import annotations

from _thread import RLock, get_ident

from lightning_lite.errors import StopRun
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Guard:
    """Keeps what is under way whole: other threads wait, and `StopRun` is raised behind it.

    A work is stopped by an exception raised between two instructions of its main thread. Inside the
    guard it is held back, so that no letter is sent by half and no change is noted without being stored.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._main = get_ident()
        self._depth = 0
        self._interrupted = False

    def __enter__(self) -> None:
        # Counted before the lock is taken: an exception between the two would keep it for ever.
        if get_ident() == self._main:
            self._depth += 1
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        if get_ident() == self._main:
            self._depth -= 1
            if self._interrupted and self._depth == 0:
                self._interrupted = False
                raise StopRun

    def interrupt(self) -> None:
        """Raise `StopRun`: here and now in the main thread and outside the guard, else at its next exit."""
        if get_ident() == self._main and self._depth == 0:
            raise StopRun
        self._interrupted = True
