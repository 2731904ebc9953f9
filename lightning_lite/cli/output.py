"""Prints the output of verbs: lines, JSON, and tables that are never cut."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from lightning_lite.harmless_text import harmless, one_line
from lightning_lite.quantity_text import format_bytes, format_time

if TYPE_CHECKING:
    from lightning_lite.monitor.control import Outcome

#: Maximum number of characters in a cell; only a damaged file has longer ones.
_CELL_LIMIT = 10_000

_COLOURS = {
    "running": "green",
    "succeeded": "green",
    "failed": "red",
    "died": "red",
    "pending": "yellow",
    "interrupted": "yellow",
}


def say(text: str = "", colour: str | None = None) -> None:
    """Print lines on the standard output.

    Args:
        text: Any text; control characters are replaced by visible escapes.
        colour: Name of a colour for terminals.
    """
    text = harmless(text)
    click.echo(click.style(text, fg=colour) if colour else text)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON.

    Args:
        value: Plain data.
        indent: Number of spaces per level, or `None` for one line.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, default=str)
    # A lone surrogate has no encoding; its escape means the same in JSON.
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def say_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; a column is as wide as its longest cell, even if the terminal is narrower.

    Args:
        headings: One for each column.
        rows: Rows of cells: text, numbers, or `None` for an empty cell. Names of states are coloured.
    """
    cells = [[_cell(value) for value in row] for row in (headings, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(_pad(cell, width, number == 0) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def show_share(share: float | None) -> str | None:
    """Return a part of 1 in percent, or `None` for `None`.

    Example:
        >>> show_share(0.753)
        '75%'
    """
    return None if share is None else f"{share:.0%}"


def show_bytes(nbytes: int | None) -> str | None:
    """Return a size for people, or `None` for `None`."""
    return None if nbytes is None else format_bytes(nbytes)


def show_moment(moment: float | None) -> str:
    """Return a time in local time for people, with the date if it is not today."""
    if moment is None:
        return ""
    then = datetime.fromtimestamp(moment)
    return then.strftime("%H:%M:%S") if then.date() == datetime.now().date() else format_time(moment)


def _cell(value: object) -> str:
    return "" if value is None else one_line(str(value), _CELL_LIMIT)


def _pad(cell: str, width: int, is_heading: bool) -> str:
    padding = " " * (width - _width(cell))
    if is_heading:
        return click.style(cell, bold=True) + padding
    colour = _COLOURS.get(cell)
    return (click.style(cell, fg=colour) if colour else cell) + padding


def _width(cell: str) -> int:
    """Return the width of a text in columns of a terminal."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in cell
    )


def say_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Print the outcome for each work, as soon as it is known."""
    for outcome in outcomes:
        say(outcome.text, "" if outcome.is_expected else "yellow")
