"""Warns of attributes with big values that change often: each change sends and writes the whole value."""

from __future__ import annotations

import warnings

from lightning_lite.errors import LightningFlowWarning
from lightning_lite.quantity_text import format_bytes

#: A value of at least this number of bytes is big: sending and writing it costs more than the step itself.
BIG = 16 * 1024

#: Bytes and number of the big values of one attribute at which the user is warned.
_MUCH = 64 * 1024 * 1024
_OFTEN = 20


class BigValueWarnings:
    """Counts the big values of the attributes of one run, and warns once for each attribute."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[int, int]] = {}  # how many, and their bytes
        self._warned: set[str] = set()

    def count(self, attribute: str, size: int) -> None:
        """Count a new value of at least `BIG` bytes.

        Args:
            attribute: Full name of the attribute, such as `root.train.losses`.
            size: Size of the encoded value in bytes.

        Warns:
            LightningFlowWarning: The attribute has changed so often that it costs much.
        """
        if attribute in self._warned:
            return
        times, total = self._counts.get(attribute, (0, 0))
        self._counts[attribute] = times, total = times + 1, total + size
        if total >= _MUCH and times >= _OFTEN:
            self._warned.add(attribute)
            # Not with the line of this call: it is in this package, and runs after the assignment.
            warnings.warn_explicit(
                f"{attribute} has {format_bytes(size)} and has changed {times} times: {format_bytes(total)} "
                "were sent and written, because a change inside a list or dict costs all of it. Keep only "
                "the last items, give each item an attribute or a work of its own, or write the items to a "
                "file and put that into a Drive.",
                LightningFlowWarning,
                filename=attribute.rpartition(".")[0],
                lineno=0,
            )
