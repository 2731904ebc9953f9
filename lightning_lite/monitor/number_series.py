"""The numbers in the state of a run over time, ready for a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning_lite.runs.numbers_log import read_numbers
from lightning_lite.values.json_form import json_number


def number_series(path: str, attributes: Sequence[str] = ()) -> dict[str, Any]:
    """Return the points of attributes, ready for JSON.

    Args:
        path: Absolute path of the folder of the run.
        attributes: Full names of the attributes, as `root.train.loss`. Those that the run does not have are
            left out, because several runs may be laid over each other.

    Returns:
        `attributes`, the names of all that have numbers, and `points`: for each of the chosen ones the times
        in seconds since 1970 and the values; those that are not finite are the texts nan, inf and -inf.

    Raises:
        OSError: The file with the numbers can't be read.

    Example:
        >>> number_series("/no/such/run", ["root.train.loss"])
        {'attributes': [], 'points': {}}
    """
    numbers = read_numbers(path)
    return {
        "attributes": sorted(numbers),
        "points": {
            name: [[json_number(moment), json_number(value)] for moment, value in numbers[name]]
            for name in dict.fromkeys(attributes)
            if name in numbers
        },
    }
