"""`RESULTS.md`: the table of a release, with the machine and the versions with which it was measured.

`python -m benchmarks.results` replaces the notes below the table by the present `NOTES.md`.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import g1_plot
from benchmarks.programs import PROJECT

RESULTS = Path(__file__).with_name("RESULTS.md")
PLOT = Path(__file__).with_name("g1.svg")

#: Written by hand: where the time goes, and what was tried.
NOTES = Path(__file__).with_name("NOTES.md")

_PACKAGES = ("lightning-lite-apps", "multiprocess", "cloudpickle", "filelock", "rich")


def describe_run(peers: dict[str, str]) -> dict[str, Any]:
    """Return time, machine and versions of a run of the benchmarks."""
    return {
        "date": datetime.date.today().isoformat(),
        "machine": f"Python {platform.python_version()}, {platform.system()} {platform.release()}, "
        f"{os.cpu_count()} CPUs ({_cpu_model()}), load {os.getloadavg()[0]:.2g} before",
        "commit": _commit(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "peers": peers,
    }


def write_results(
    run: dict[str, Any], headings: list[str], rows: list[list[str]], points: g1_plot.Points
) -> None:
    """Write the file from one run: the table, the scale of G1 with its plot, and the notes."""
    g1_plot.draw(points, str(PLOT))
    lines = [
        "# Results",
        "",
        f"Taken on {run['date']} by `make bench RELEASE=1`, commit {run['commit']}: {run['machine']}.",
        f"{', '.join(f'{name} {version}' for name, version in run['versions'].items())}.",
        f"Peers: {', '.join(run['peers'].values()) or 'none installed'}.",
        "",
        "Ours, the limit and the peers are taken in turns, at least five times; each figure is the median",
        "with minimum and maximum, each ratio the median of the ratios of the rounds.",
        "",
        *_table(headings, rows),
        "",
        "## G1: a call in a growing app",
        "",
        f"![Microseconds per call, by scale]({PLOT.name})",
        "",
        *_table(g1_plot.HEADINGS, g1_plot.rows_of(points)),
    ]
    _write("\n".join(lines) + "\n")


def renew_notes() -> None:
    """Replace the notes below the table by the present ones."""
    table, _, _ = RESULTS.read_text(encoding="utf-8").partition(f"\n{_first_line_of_notes()}")
    _write(table)


def _write(table: str) -> None:
    RESULTS.write_text(f"{table}\n{NOTES.read_text(encoding='utf-8')}", encoding="utf-8")


def _first_line_of_notes() -> str:
    return NOTES.read_text(encoding="utf-8").partition("\n")[0]


def _table(headings: list[str], rows: list[list[str]]) -> list[str]:
    return [_line(headings), _line(["---"] * len(headings)), *map(_line, rows)]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("\n", "<br>").replace("|", "\\|") for cell in cells) + " |"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # not a checkout


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    renew_notes()
