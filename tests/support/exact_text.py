"""Texts that make values comparable that `==` takes for equal, such as `1`, `1.0` and `True`."""

from __future__ import annotations


def exact(value: object, *, order: bool) -> str:
    """Return a text that is equal exactly for values that are equal in type, too.

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
