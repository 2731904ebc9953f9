"""The parameters of runs side by side: scalars in their states, and arguments of the first calls of works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lightning_lite.engine.history import RunHistory
from lightning_lite.monitor.run_status import tree_order
from lightning_lite.monitor.value_text import SHORT, read_value, write

#: Maximum number of runs in one comparison, of rows, and of items of one attribute.
MAX_RUNS = 20
MAX_ROWS = 2000
_MAX_ITEMS = 200

#: Containers in an attribute whose scalars have rows of their own.
_MAX_DEPTH = 2

#: Values whose pickle is larger are not compared.
_MAX_READ = 64 * 1024

_SCALARS = (type(None), bool, int, float, str)


class _Cell(NamedTuple):
    """A value of one run: its kind, its text, which may be cut, and a key that equal values share."""

    kind: str
    text: str
    identity: tuple[str, Any]


def compare(histories: Sequence[RunHistory | None]) -> dict[str, Any]:
    """Return the scalars of runs side by side, ready for JSON.

    A `parameter` is an attribute that no run has changed since its component was attached; a `result` is one
    that a run has changed, with its value now; an `argument` is one of the first call of a work. Scalars in
    dicts have rows of their own.

    Args:
        histories: The histories of the runs; `None` for one that can't be read.

    Returns:
        `rows`, in the order of the tree: `attribute`, `kind`, `values` (a text for each run, or `None`), and
        `differs`, whether these are not all equal; and `truncated`, whether there are more than 2,000 rows.

    Raises:
        ValueError: There are too many runs.

    Example:
        >>> compare([])
        {'rows': [], 'truncated': False}
    """
    if len(histories) > MAX_RUNS:
        raise ValueError(f"{len(histories)} runs are too many to compare; choose at most {MAX_RUNS}")
    columns = [{} if history is None else dict(_cells(history)) for history in histories]
    names = sorted({name for column in columns for name in column}, key=_order)
    rows = []
    for name in names[:MAX_ROWS]:
        cells = [column.get(name) for column in columns]
        kinds = {cell.kind for cell in cells if cell is not None}
        values = [None if cell is None else cell.text for cell in cells]
        rows.append(
            {
                "attribute": name[1],
                "kind": "result" if "result" in kinds else min(kinds),
                "values": values,
                "differs": len({None if cell is None else cell.identity for cell in cells}) > 1,
            }
        )
    return {"rows": rows, "truncated": len(names) > MAX_ROWS}


#: Name of the component, and full name of the value.
_Name = tuple[str, str]


def _order(name: _Name) -> tuple[list[list[tuple[str, int]]], list[list[tuple[str, int]]]]:
    return tree_order(name[0]), tree_order(name[1])


def _cells(history: RunHistory) -> Iterator[tuple[_Name, _Cell]]:
    """Yield the scalars of a run with their names; arguments follow the attributes of their work."""
    for component, state in history.states.items():
        written: Mapping[str, bytes] = history.written.get(component, {})
        for attribute, encoded in state.items():
            if attribute.startswith("_") or len(encoded) > _MAX_READ:
                continue
            with suppress(Exception):  # odd data are not compared
                kind = "result" if attribute in written else "parameter"
                for name, value in _scalars(f"{component}.{attribute}", read_value(encoded, _MAX_READ)):
                    yield (component, name), _cell(kind, value)
    for work in history.works.values():
        packed = work.calls[0].packed_arguments if work.calls and work.calls[0].number == 1 else None
        if packed is None:
            continue
        with suppress(Exception):
            args, kwargs = read_value(packed, _MAX_READ)
            named = [*((str(number), value) for number, value in enumerate(args)), *kwargs.items()]
            for argument, given in named:
                for name, value in _scalars(f"{work.name}.run({argument})", given):
                    yield (work.name, name), _cell("argument", value)


def _cell(kind: str, value: Any) -> _Cell:
    # Not the number itself: `nan` is not equal to itself.
    same = repr(value) if type(value) is float else value
    return _Cell(kind, write(value, SHORT)[0], (type(value).__name__, same))


def _scalars(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if type(value) in _SCALARS:
        yield name, value
    elif type(value) is dict and depth < _MAX_DEPTH:
        for key, item in list(value.items())[:_MAX_ITEMS]:
            yield from _scalars(f"{name}[{write(key, 60)[0]}]", item, depth + 1)
