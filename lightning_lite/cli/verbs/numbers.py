"""`lightning-lite numbers`: the numbers in the state of a run over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import isfinite

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import BadInput, examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say_json, say_table
from lightning_lite.cli.targets import find_target
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.numbers_log import Point, read_numbers
from lightning_lite.values.json_form import json_number

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40


@click.command(
    "numbers",
    cls=Command,
    epilog=examples("numbers", "numbers 9f3ac2 train.loss", "numbers loss --json > loss.json"),
)
@click.argument("target", nargs=-1, shell_complete=complete_runs, metavar="[RUN] [ATTRIBUTE]...")
@root_option
@json_option
@plain_option
def command(root: str, target: tuple[str, ...], as_json: bool) -> None:
    """Show how the numbers in the state of a run have changed.

    An ATTRIBUTE is the full name of one, as root.train.loss, or the end of it. Of each, at most 2,000 points
    are kept. With --json, each point is a list of the time in seconds since 1970 and the value; values that
    are not finite are the texts nan, inf and -inf.
    """
    run, words = find_target(root, target, read_names=_read_names, kind="an attribute")
    try:
        numbers = read_numbers(run.path)
    except OSError as error:
        raise click.ClickException(
            f"the numbers of run {run.id} can't be read: {error.strerror} ({error.filename})."
        ) from error
    for word in words:
        if not any(_is_meant(name, word) for name in numbers):
            has = ", ".join(sorted(numbers)) or "none"
            raise BadInput(f"run {run.id} has no numbers of an attribute {word!r}; it has numbers of: {has}.")
    chosen = {
        name: points
        for name, points in sorted(numbers.items())
        if not words or any(_is_meant(name, word) for word in words)
    }
    if as_json:
        say_json(
            {
                name: [[moment, json_number(value)] for moment, value in points]
                for name, points in chosen.items()
            }
        )
    else:
        say_table(["ATTRIBUTE", "POINTS", "LAST", "LOWEST", "HIGHEST", "OVER TIME"], _rows(chosen))


def _read_names(run: RunSummary) -> Iterable[str]:
    """Return the attributes with numbers, or none if they can't be read: the verb itself reports that."""
    with suppress(OSError):
        return read_numbers(run.path)
    return ()


def _is_meant(name: str, word: str) -> bool:
    return f".{name}".endswith(f".{word}")


def _rows(numbers: dict[str, list[Point]]) -> Iterator[tuple[object, ...]]:
    for name, points in numbers.items():
        finite = [value for _, value in points if isfinite(value)]
        low, high = (f"{min(finite):.6g}", f"{max(finite):.6g}") if finite else (None, None)
        yield name, len(points), f"{points[-1][1]:.6g}", low, high, draw(points)


def draw(points: list[Point]) -> str:
    """Return bars for the highest value in each of up to 40 spans of time; a span without one stays empty.

    Example:
        >>> draw([(0.0, 0.0), (1.0, 7.0), (2.0, 3.5)])
        '▁                   █                  ▄'
    """
    finite = [point for point in points if isfinite(point[1])]
    if not finite:
        return ""
    first, seconds = finite[0][0], finite[-1][0] - finite[0][0]
    low, high = min(value for _, value in finite), max(value for _, value in finite)
    columns: dict[int, float] = {}
    for moment, value in finite:
        column = round((moment - first) / seconds * (_WIDTH - 1)) if seconds > 0 else 0
        column = min(max(column, 0), _WIDTH - 1)  # the clock may have been set back
        columns[column] = max(value, columns.get(column, value))
    # Halves, because the difference of two floats may be infinite.
    height = high / 2 - low / 2
    bars = {
        column: _BARS[int((value / 2 - low / 2) / height * (len(_BARS) - 1)) if height else 0]
        for column, value in columns.items()
    }
    return "".join(bars.get(column, " ") for column in range(max(bars) + 1))
