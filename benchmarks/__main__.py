"""Takes the measures and prints one table: `python -m benchmarks [names] [--json] [--release]`."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import statistics
import subprocess
import sys
from typing import Any

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.measure import Measure, spread, take
from benchmarks.programs import installed_peers, peer_figure
from benchmarks.results import describe_machine, write_results

_PEER_ROUNDS = 3


def measures() -> list[Measure]:
    """Return all measures of this folder, in the order of their names."""
    modules = (
        importlib.import_module(f"benchmarks.{m.name}")
        for m in pkgutil.iter_modules(benchmarks.__path__)
        if m.name != "__main__"
    )
    found = (measure for module in modules for measure in getattr(module, "MEASURES", ()))
    return sorted(
        found, key=lambda measure: (measure.name[0], len(measure.name.rstrip("abcm+")), measure.name)
    )


def take_row(measure: Measure, peers: list[str]) -> dict[str, Any]:
    """Take a measure, and what the peers reach on it; return all that the table shows, as plain data."""
    outcome = take(measure)
    score = statistics.median(outcome.scores)
    limit = statistics.median(outcome.limits)
    others = {}
    for peer in peers if measure.peer else ():
        figures = [peer_figure(peer, measure.peer) for _ in range(_PEER_ROUNDS)]
        others[peer] = statistics.median(figures) / limit
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
        "is_reached": score <= measure.goal,
        "peers": others,
    }


def cells_of(row: dict[str, Any]) -> list[str]:
    """Return a row as the table shows it."""
    sign, unit = ("+ ", f" {row['unit']}") if row["is_difference"] else ("", "")
    return [
        row["name"],
        row["what"],
        f"{spread(row['ours'])} {row['unit']}",
        f"{spread(row['limit'])} {row['unit']}\n{row['limit_name']}",
        f"{sign}{spread(row['scores'], 2)}{unit}",
        f"≤ {sign}{row['goal']:g}{unit}",
        "reached" if row["is_reached"] else "missed",
        "\n".join(f"{peer} {ratio:.3g}" for peer, ratio in row["peers"].items()),
    ]


def main(arguments: list[str]) -> None:
    """Take the measures that are named, or all, and print what came out."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help="such as P4; without any, all")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON instead of a table")
    parser.add_argument("--release", action="store_true", help="also write benchmarks/RESULTS.md anew")
    wanted = parser.parse_args(arguments)

    known = measures()
    if unknown := set(wanted.names) - {measure.name for measure in known}:
        names = ", ".join(dict.fromkeys(measure.name for measure in known))
        sys.exit(f"no measure {', '.join(sorted(unknown))}; there are {names}")

    headings = ["", "measure", "ours", "limit", "ratio", "goal", "", "peers, to the limit"]
    table = Table(*headings, title=describe_machine())
    progress = Console(stderr=True)
    peers, rows = installed_peers(), []
    for measure in known:
        if wanted.names and measure.name not in wanted.names:
            continue
        with progress.status(f"{measure.name}: {measure.what}"):
            try:
                row = take_row(measure, peers)
            except subprocess.SubprocessError as error:
                progress.print(f"{measure.name}: no figure: {error}")
                continue
        rows.append(row)
        table.add_row(*cells_of(row), end_section=True)
    if wanted.json:
        sys.stdout.write(json.dumps({"machine": describe_machine(), "measures": rows}, indent=2) + "\n")
    else:
        Console(width=None if sys.stdout.isatty() else 150).print(table)
    if wanted.release:
        write_results(headings, [cells_of(row) for row in rows], peers)


if __name__ == "__main__":
    main(sys.argv[1:])
