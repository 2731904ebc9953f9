"""Takes the measures and prints one table: `python -m benchmarks [names]`."""

from __future__ import annotations

import importlib
import pkgutil
import platform
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.measure import Measure, spread, take


def measures() -> list[Measure]:
    """Return all measures of this folder, in the order of their names."""
    modules = (
        importlib.import_module(f"benchmarks.{m.name}") for m in pkgutil.iter_modules(benchmarks.__path__)
    )
    return sorted((m for module in modules for m in getattr(module, "MEASURES", ())), key=lambda m: m.name)


def row_of(measure: Measure) -> list[str]:
    """Take the measure and return ours, the limit, the score, the goal, and whether it is reached."""
    outcome = take(measure)
    sign, unit = ("+ ", f" {measure.unit}") if measure.difference else ("", "")
    return [
        f"{spread(outcome.ours)} {measure.unit}",
        f"{spread(outcome.limits)} {measure.unit}\n{measure.limit_name}",
        f"{sign}{spread(outcome.scores, 2)}{unit}",
        f"≤ {sign}{measure.goal:g}{unit}",
        "reached" if statistics.median(outcome.scores) <= measure.goal else "missed",
    ]


def main(names: list[str]) -> None:
    """Take the measures with these names, or all, and print what came out.

    Args:
        names: Such as `P4`.
    """
    console = Console(width=None if sys.stdout.isatty() else 120)
    table = Table(title=f"Python {platform.python_version()}, {platform.system()} {platform.release()}")
    for heading in ("", "measure", "ours", "limit", "ratio", "goal", ""):
        table.add_column(heading)

    known = measures()
    if unknown := set(names) - {measure.name for measure in known}:
        sys.exit(f"no measure {', '.join(sorted(unknown))}; there are {', '.join(m.name for m in known)}")
    for measure in known:
        if names and measure.name not in names:
            continue
        with console.status(f"{measure.name}: {measure.what}"):
            try:
                cells = row_of(measure)
            except subprocess.SubprocessError as error:
                cells = ["", "", "", "", f"no figure: {error}"]
        table.add_row(measure.name, measure.what, *cells, end_section=True)
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
