"""Runs the measures and prints one table: `python -m benchmarks [names] [--json] [--release]`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import re
import statistics
import sys
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.g1_plot import take_points
from benchmarks.measure import Measure, spread, take
from benchmarks.programs import installed_peers, peer_figure
from benchmarks.results import describe_run, write_results

HEADINGS = ["", "measure", "ours", "limit", "ratio", "goal", "", "peers, to the limit"]


def measures() -> list[Measure]:
    """Return all measures of this folder, in the order of their names: D, G, P, W, each by number."""
    modules = (
        importlib.import_module(f"benchmarks.{m.name}")
        for m in pkgutil.iter_modules(benchmarks.__path__)
        if m.name != "__main__"
    )
    found = (measure for module in modules for measure in getattr(module, "MEASURES", ()))
    return sorted(found, key=lambda measure: _place(measure.name))


def _place(name: str) -> tuple[str, int, str]:
    message, number, rest = re.fullmatch(r"([A-Z])(\d+)(.*)", name).groups()  # type: ignore[union-attr]
    return message, int(number), rest


def take_row(measure: Measure, peers: list[str]) -> dict[str, Any]:
    """Run a measure and the peers on it; return everything that the table shows, as plain data."""
    others = {peer: partial(peer_figure, peer, measure.peer) for peer in peers if measure.peer}
    try:
        outcome = take(measure, others)
    finally:
        measure.end()
    return {
        "name": measure.name,
        "what": measure.what,
        "limit_name": measure.limit_name,
        "unit": measure.unit,
        "ours": outcome.ours,
        "limit": outcome.limits,
        "scores": outcome.scores,
        "is_difference": measure.difference,
        "goal": measure.goal,
        "is_reached": statistics.median(outcome.scores) <= measure.goal,
        "is_plausible": measure.difference or min(outcome.scores) >= measure.lowest,
        "peers": outcome.peers,
    }


def cells_of(row: dict[str, Any]) -> list[str]:
    """Return a row of the table."""
    if "error" in row:
        reason, *_ = row["error"].splitlines() or ["no reason given"]
        return [row["name"], row["what"], f"no figure: {reason}", "", "", "", "missed", ""]
    sign, unit = ("+ ", f" {row['unit']}") if row["is_difference"] else ("", "")
    return [
        row["name"],
        row["what"],
        f"{spread(row['ours'])} {row['unit']}",
        f"{spread(row['limit'])} {row['unit']}\n{row['limit_name']}",
        f"{sign}{spread(row['scores'], 2)}{unit}",
        f"≤ {sign}{row['goal']:g}{unit}",
        ("reached" if row["is_reached"] else "missed")
        + ("" if row["is_plausible"] else ", limit implausible"),
        "\n".join(f"{peer} {_ratios(found, row['limit'])}" for peer, found in row["peers"].items()),
    ]


def _ratios(figures: list[float], limits: list[float]) -> str:
    if not figures:
        return "no figure"
    return spread([figure / limit for figure, limit in zip(figures, limits, strict=True)])


def main(arguments: list[str]) -> None:
    """Run the named measures, or all, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="names of measures, such as P4; the default is all")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    parser.add_argument("--release", action="store_true", help="also replace benchmarks/RESULTS.md")
    wanted = parser.parse_args(arguments)

    known = measures()
    if unknown := set(wanted.names) - {measure.name for measure in known}:
        names = ", ".join(dict.fromkeys(measure.name for measure in known))
        sys.exit(f"no measure {', '.join(sorted(unknown))}; there are {names}")
    if wanted.release and wanted.names:
        sys.exit("--release runs all measures: remove the names")

    peers = installed_peers()
    run, rows, points = describe_run(peers), [], {}
    progress = Console(stderr=True)
    for measure in known:
        if wanted.names and measure.name not in wanted.names:
            continue
        with progress.status(f"{measure.name}: {measure.what}"):
            try:
                rows.append(take_row(measure, list(peers)))
            except Exception as error:  # noqa: BLE001 - the other measures must still run
                progress.print(f"{measure.name}: no figure: {error}", markup=False)
                rows.append({"name": measure.name, "what": measure.what, "error": str(error)})
    if wanted.release:
        with progress.status("G1: the points of the plot"):
            points = take_points()
        write_results(run, HEADINGS, list(map(cells_of, rows)), points)
    if wanted.json:
        sys.stdout.write(json.dumps({**run, "measures": rows, "G1": points}, indent=2) + "\n")
    else:
        table = Table(*HEADINGS, title=run["machine"])
        for row in rows:
            table.add_row(*cells_of(row), end_section=True)
        Console(width=None if sys.stdout.isatty() else 150).print(table)
    if any("error" in row for row in rows):
        sys.exit("some measures have no figure")


if __name__ == "__main__":
    main(sys.argv[1:])
