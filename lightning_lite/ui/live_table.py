"""Formats the table of works for the terminal.

    title         Train · 2:05 · 2 of 40 works are busy
    head          work         state      call  progress          since   cpu   memory  last output
    busy works    root.train   running       3  ━━━━━━━───  75%    0:12   98%  120 MiB  epoch 12
    others        root.eval    succeeded     1                 14:02:11    0%   80 MiB  accuracy 0.9
    hidden works  ... and 37 more: 30 succeeded, 7 pending

The live view of `app.run()` and `lightning-lite top` both show this table.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lightning_lite.quantity_text import format_bytes, format_clock
from lightning_lite.work_row import WorkRow

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

#: Styles of states; others are plain.
STYLES = {
    "running": "green",
    "pending": "yellow",
    "failed": "bold red",
    "stopped": "dim",
    "not started": "dim",
}

#: States of works whose duration is shown.
BUSY = frozenset({"running", "pending"})

#: States that are shown first if there is no room for all works; others follow.
_ORDER = ("running", "failed", "pending")

_GAP = "  "
_BAR = 10  # characters


def live_table(rows: Sequence[WorkRow], *, title: str, now: float, width: int, height: int) -> RenderableType:
    """Return the table as a renderable of rich, with at most `width` columns and `height` lines.

    If there is no room for all works, busy works are shown first and the others are counted.

    Args:
        rows: The works in the order of the tree.
        title: The line above the table.
        now: Present time in seconds since 1970.
        width: Columns of the terminal; in a narrow one, some columns of the table are left out.
        height: Maximum number of lines, with the title.
    """
    from rich.console import Group  # noqa: PLC0415 - takes 70 ms, and only terminals need it
    from rich.text import Text  # noqa: PLC0415 - as above

    shown, hidden = _choose(rows, max(1, height - 2))  # below the title and the head
    lines = [Text(title, style="bold")]
    if shown:
        lines += _lines(shown, now, width)
    if hidden:
        lines.append(Text(describe_rest(hidden), style="dim"))
    for line in lines:
        line.no_wrap = True
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


def describe_rest(rows: Sequence[WorkRow]) -> str:
    """Return one line that counts the works that are not shown, by state.

    Example:
        >>> describe_rest([WorkRow("root.a", "failed"), WorkRow("root.b", "pending")])
        '... and 2 more: 1 failed, 1 pending'
    """
    states = Counter(row.state for row in rows).most_common()
    return f"... and {len(rows)} more: {', '.join(f'{count} {state}' for state, count in states)}"


def _choose(rows: Sequence[WorkRow], room: int) -> tuple[list[WorkRow], list[WorkRow]]:
    """Return the rows to show and the rows to hide, both in their order."""
    if len(rows) <= room:
        return list(rows), []
    ranks = {state: rank for rank, state in enumerate(_ORDER)}
    by_rank = sorted(range(len(rows)), key=lambda index: ranks.get(rows[index].state, len(ranks)))
    chosen = set(by_rank[: room - 1])  # the last line counts the others
    return (
        [row for index, row in enumerate(rows) if index in chosen],
        [row for index, row in enumerate(rows) if index not in chosen],
    )


def _lines(rows: Sequence[WorkRow], now: float, width: int) -> Iterator[Text]:
    """Yield the head, and a line for each row.

    A `Table` of rich takes ten times as long, and the view is drawn several times per second.
    """
    from rich.cells import cell_len  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    cells = {column: [column.cell(row, now) for row in rows] for column in _COLUMNS}
    cells = {column: found for column, found in cells.items() if any(found)}
    sizes = {
        column: max(column.min_size, len(column.name), *(_size(cell, cell_len) for cell in found))
        for column, found in cells.items()
    }
    for column in sorted(sizes, key=lambda column: column.rank)[:0:-1]:
        taken = sum(min(size, column.max_size) + len(_GAP) for column, size in sizes.items()) - len(_GAP)
        if taken > width:
            del sizes[column]
    for index in range(-1, len(rows)):
        line = Text()
        for column, size in sizes.items():
            cell = cells[column][index] if index >= 0 else [(column.name, "dim")]
            gap = " " * (size - _size(cell, cell_len))
            line.append_tokens([(gap, ""), *cell] if column.is_number else [*cell, (gap, "")])
            line.append(_GAP)
        line.rstrip()
        yield line


#: Parts of the text of a cell, each with its style.
_Cell = list[tuple[str, str]]


class _Column(NamedTuple):
    """One column of the table; it is left out if all its cells are empty.

    Attributes:
        name: The text in the head.
        cell: Returns the cell for a row and the present time.
        rank: If there is no room for all columns, those with the highest rank are left out.
        min_size: Minimum width in characters, so that the next columns do not move.
        max_size: Width in characters that is needed if there is little room.
        is_number: Whether it is aligned to the right.
    """

    name: str
    cell: Callable[[WorkRow, float], _Cell]
    rank: int
    min_size: int = 0
    max_size: int = 1000
    is_number: bool = False


def _size(cell: _Cell, cell_len: Callable[[str], int]) -> int:
    return sum(cell_len(text) for text, _ in cell)


def _name(row: WorkRow, now: float) -> _Cell:
    return [(row.name, "")]


def _state(row: WorkRow, now: float) -> _Cell:
    return [(row.state, STYLES.get(row.state, ""))]


def _call(row: WorkRow, now: float) -> _Cell:
    attempt = f" ({row.attempt})" if row.attempt > 1 else ""
    return [(f"{row.call}{attempt}", "")] if row.call else []


def _progress(row: WorkRow, now: float) -> _Cell:
    if row.progress is None or row.state == "not started":
        return []
    done = int(row.progress * _BAR)
    return [("━" * done, "green"), ("─" * (_BAR - done), "dim"), (f"{int(row.progress * 100):>4}%", "")]


def _since(row: WorkRow, now: float) -> _Cell:
    """Return the duration for a busy work, and the time of the last status change for others."""
    if row.since is None or row.state == "not started":
        return []
    if row.state in BUSY:
        return [(format_clock(now - row.since), "")]
    return [(time.strftime("%H:%M:%S", time.localtime(row.since)), "")]


def _cpu(row: WorkRow, now: float) -> _Cell:
    return [] if row.cpu is None else [(f"{row.cpu:.0%}", "")]


def _memory(row: WorkRow, now: float) -> _Cell:
    return [] if row.memory is None else [(format_bytes(row.memory), "")]


def _last_line(row: WorkRow, now: float) -> _Cell:
    return [(row.last_line, "dim")] if row.last_line else []


_COLUMNS = [
    _Column("work", _name, rank=0),
    _Column("state", _state, rank=1, min_size=len("not started")),
    _Column("call", _call, rank=4, is_number=True, min_size=len("3 (2)")),
    _Column("progress", _progress, rank=3, min_size=_BAR + len(" 100%")),
    _Column("since", _since, rank=2, is_number=True, min_size=len("14:02:11")),
    _Column("cpu", _cpu, rank=6, is_number=True, min_size=len("100%")),
    _Column("memory", _memory, rank=7, is_number=True, min_size=len("999 MiB")),
    _Column("last output", _last_line, rank=5, max_size=15),
]
