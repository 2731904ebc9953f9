"""`RESULTS.md`: the table of a release, with the machine and the versions with which it was taken."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")

#: From here on the file is written by hand: where the time goes, and what was tried.
_BY_HAND = "\n## What the figures say\n"

_PACKAGES = ("lightning_lite", "multiprocess", "cloudpickle", "filelock", "rich")


def describe_machine() -> str:
    """Return the machine in one line."""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.release()}, {os.cpu_count()} CPUs"
    )


def write_results(headings: list[str], rows: list[list[str]], peers: list[str]) -> None:
    """Write the table anew, and keep what stands below it."""
    kept = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    _, mark, by_hand = kept.partition(_BY_HAND)
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES)
    head = [
        "# Results",
        "",
        f"Taken on {datetime.date.today().isoformat()} by `make bench RELEASE=1`: {describe_machine()}.",
        f"{versions}. Peers: {', '.join(peers) or 'none installed'}.",
        "",
        "Ours and the limit are taken in turns; each figure is the median with minimum and maximum, each",
        "ratio the median of the ratios of the rounds.",
        "",
        _line(headings),
        _line(["---"] * len(headings)),
        *map(_line, rows),
    ]
    RESULTS.write_text("\n".join(head) + "\n" + (mark or _BY_HAND) + by_hand, encoding="utf-8")


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("\n", "<br>").replace("|", "\\|") for cell in cells) + " |"
