"""A block of code that no exception of a signal handler interrupts."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import NoReturn


class CriticalSection:
    """A block that no exception of a signal handler interrupts.

    A `KeyboardInterrupt` between two instructions would lose messages that were read but not yet stored. It
    is raised at the end of the block instead.

    Args:
        hurry: Called when an exception has to wait for the block, to end the block soon.

    Attributes:
        is_unwinding: Whether an exception was raised and no block was entered since.
    """

    def __init__(self, hurry: Callable[[], None]) -> None:
        self._hurry = hurry
        self._is_inside = False
        self._error: BaseException | None = None
        self.is_unwinding = False

    def __enter__(self) -> None:
        self._is_inside = True
        self.is_unwinding = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_inside = False
        if self._error is not None:
            pending, self._error = self._error, None
            self._raise(pending)

    def interrupt(self, error: BaseException) -> None:
        """Raise `error`: now, or at the end of the current block."""
        if not self._is_inside:
            self._raise(error)
        self._error = error
        self._hurry()

    @property
    def is_interrupted(self) -> bool:
        """Whether an exception waits for the end of the block."""
        return self._error is not None

    def _raise(self, error: BaseException) -> NoReturn:
        self.is_unwinding = True
        raise error from None  # it is not a consequence of what the interrupted code was handling
