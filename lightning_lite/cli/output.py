"""What verbs print: tables that are never cut, JSON, and lines."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import click

from lightning_lite.text import harmless, one_line

#: Characters of a cell: a table is for people, and none of ours has longer ones by nature.
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
    """Print lines to the standard output.

    Args:
        text: Anything; what could drive a terminal is made visible.
        colour: A colour for terminals.
    """
    text = harmless(text)
    click.echo(click.style(text, fg=colour) if colour else text)


def complain(text: str, colour: str | None = None) -> None:
    """Print lines to the standard error; see `say`."""
    text = harmless(text)
    click.echo(click.style(text, fg=colour) if colour else text, err=True)


def say_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as JSON.

    Args:
        value: Plain data.
        indent: As for `json.dumps`; `None` for one line.
    """
    click.echo(json.dumps(value, indent=indent, ensure_ascii=False, default=str))


def say_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: columns as wide as their longest cell, even if the terminal is narrower.

    Args:
        headings: One for each column.
        rows: Cells: text, numbers, or `None` for nothing. The names of states get their colours.
    """
    cells = [[_cell(value) for value in row] for row in (headings, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(_pad(cell, width, number == 0) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def show_moment(moment: float | None) -> str:
    """Return a moment in local time for people; the day stands there if it is not today."""
    if moment is None:
        return ""
    then = datetime.fromtimestamp(moment)
    return then.strftime("%H:%M:%S" if then.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")


def _cell(value: object) -> str:
    return "" if value is None else one_line(str(value), _CELL_LIMIT)


def _pad(cell: str, width: int, is_heading: bool) -> str:
    padding = " " * (width - _width(cell))
    if is_heading:
        return click.style(cell, bold=True) + padding
    colour = _COLOURS.get(cell)
    return (click.style(cell, fg=colour) if colour else cell) + padding


def _width(cell: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in cell
    )
