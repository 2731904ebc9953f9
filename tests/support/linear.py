"""Tests whether a history of operations is linearizable, with the search of Wing, Gong and Lowe."""

from __future__ import annotations

import math
from typing import NamedTuple


class Operation(NamedTuple):
    """One operation on one name.

    Attributes:
        kind: `put`, `get` or `delete`.
        value: The text that was put or returned (`None`: nothing there); whether delete found something.
        begin: When it was called.
        end: When it returned; never, if its process was killed.
    """

    kind: str
    value: str | bool | None
    begin: float
    end: float = math.inf


def is_linearizable(history: list[Operation]) -> bool:
    """Return whether an order exists in which each operation takes effect between its begin and its end."""
    operations = sorted(history, key=lambda operation: operation.begin)
    must = sum(1 << n for n, operation in enumerate(operations) if operation.end < math.inf)
    todo: list[tuple[int, str | None]] = [(0, None)]  # the operations that are done, and the text
    seen = set(todo)
    while todo:
        done, there = todo.pop()
        if done & must == must:
            return True
        rest = [n for n in range(len(operations)) if not done >> n & 1]
        first_end = min(operations[n].end for n in rest)
        for number in rest:
            operation = operations[number]
            if operation.begin > first_end:
                break
            possible, after = _apply(operation, there)
            state = (done | 1 << number, after)
            if possible and state not in seen:
                seen.add(state)
                todo.append(state)
    return False


def _apply(operation: Operation, there: str | None) -> tuple[bool, str | None]:
    if operation.kind == "put":
        return True, str(operation.value)
    if operation.kind == "get":
        return operation.value == there, there
    if operation.end == math.inf:  # its result was never returned
        return True, None
    return operation.value == (there is not None), None
