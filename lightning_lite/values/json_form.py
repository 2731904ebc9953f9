"""Values of a state as JSON represents them, and the comparison of two such values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any


def json_form(value: Any, of_other: Callable[[Any], Any]) -> Any:
    """Return a value as the lists, dicts, numbers and texts that JSON can represent.

    Tuples become lists, keys become texts, and numbers that are not finite become `nan`, `inf` and `-inf`.

    Args:
        value: The value.
        of_other: Called with each part that is not plain data; returns its replacement.

    Example:
        >>> json_form({1: (2.5, float("inf"), None)}, str)
        {'1': [2.5, 'inf', None]}
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, list | tuple):
        return [json_form(item, of_other) for item in value]
    if isinstance(value, Mapping):
        return {
            key if isinstance(key, str) else str(key): json_form(item, of_other)
            for key, item in value.items()
        }
    return of_other(value)


def json_number(value: float) -> float | str:
    """Return a number, or the text nan, inf or -inf if it is not finite: JSON has no such number.

    Example:
        >>> json_number(0.5), json_number(float("-inf"))
        (0.5, '-inf')
    """
    return value if isfinite(value) else str(value)


def are_equal(one: Any, other: Any) -> bool:
    """Return whether two values of JSON are equal: `1` and `1.0` are, `1` and `true` are not.

    Example:
        >>> are_equal([1, {"a": 2}], [1.0, {"a": 2}]), are_equal([1], [True])
        (True, False)
    """
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(are_equal(item, other[key]) for key, item in one.items())
    return bool(one == other)
