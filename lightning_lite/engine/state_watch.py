"""Follows the changes of state in a run: the history of numbers, and a warning about big values."""

from __future__ import annotations

import warnings

from lightning_lite.clock import Moment
from lightning_lite.errors import LightningFlowWarning
from lightning_lite.events import StateReported, StateWritten
from lightning_lite.quantity_text import format_bytes
from lightning_lite.runs.numbers_log import NumbersLog
from lightning_lite.values.codec import decode_number

#: A value of at least this number of bytes is big: sending and writing it costs more than the step itself.
_BIG = 16 * 1024

#: Bytes and number of the big values of one attribute at which the user is warned.
_MUCH = 64 * 1024 * 1024
_OFTEN = 20


class StateWatch:
    """Sees the events of one run.

    Args:
        folder: Absolute path of the folder of the run.

    Attributes:
        due: When `flush` should be called, in monotonic seconds; `None` if nothing waits to be written.
    """

    def __init__(self, folder: str) -> None:
        self._numbers = NumbersLog(folder)
        self._big: dict[str, tuple[int, int]] = {}  # big values: how many, and their bytes
        self._warned: set[str] = set()
        self.due: float | None = None

    def see(self, event: StateReported | StateWritten, now: Moment) -> None:
        """Take note of a change of state.

        Warns:
            LightningFlowWarning: A big attribute has changed so often that it costs much.
        """
        for name, encoded in event.values.items():
            if len(encoded) >= _BIG:
                self._count(f"{event.component}.{name}", len(encoded))
            elif (number := decode_number(encoded)) is not None:
                self._numbers.add(f"{event.component}.{name}", event.time, number, now.monotonic)
        self.due = self._numbers.due

    def flush(self) -> None:
        """Write the numbers that have not been written."""
        self._numbers.flush()
        self.due = None

    def _count(self, attribute: str, size: int) -> None:
        if attribute in self._warned:
            return
        times, total = self._big.get(attribute, (0, 0))
        self._big[attribute] = times, total = times + 1, total + size
        if total >= _MUCH and times >= _OFTEN:
            self._warned.add(attribute)
            warnings.warn(
                f"{attribute} has {format_bytes(size)} and has changed {times} times: {format_bytes(total)} "
                "were sent and written, because a change inside a list or dict costs all of it. Keep only "
                "the last items, give each item an attribute or a work of its own, or write the items to a "
                "file and put that into a Drive.",
                LightningFlowWarning,
                stacklevel=2,
            )
