"""Texts that distinguish values that are equal for `==`, such as `1`, `1.0` and `True`."""

from __future__ import annotations


def exact(value: object, *, order: bool) -> str:
    """Return a text that is equal only for values that are equal with their types.

    Args:
        value: Any nesting of lists, tuples and dicts.
        order: Whether the order of a dict's keys counts.
    """
    if isinstance(value, dict):
        items = [(exact(key, order=order), exact(item, order=order)) for key, item in value.items()]
        return f"dict({items if order else sorted(items)})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({[exact(item, order=order) for item in value]})"
    return f"{type(value).__name__}({value!r})"
