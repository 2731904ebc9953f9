"""The value of P12, and the two functions that make it and read it: the same for all."""

from __future__ import annotations

import time
from typing import Any

import numpy

SIZE = 256 * 1024 * 1024


def make() -> tuple[float, Any]:
    """Return the time when the array was made, in seconds, and the array."""
    array = numpy.arange(SIZE // 8, dtype="i8")
    return time.monotonic(), array


def take(value: tuple[float, Any]) -> float:
    """Read one number of each page, and return the seconds since the array was made."""
    began, array = value
    assert int(array[::512].sum()) > 0
    return time.monotonic() - began
