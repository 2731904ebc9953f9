"""The limits and the peers of the benchmarks agree with their descriptions, and the works of P1f start.

A limit that took longer than ours, which does the same and more, was disturbed by other programs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import Any

import pytest

from benchmarks import p1f_forkserver
from benchmarks.__main__ import cells_of, measures, take_row
from benchmarks.measure import Measure
from benchmarks.programs import NoFigure, figure_of_script

from tests.support.pages import PROJECT

LIMITS = sorted(file.stem for file in (PROJECT / "benchmarks").glob("*bare.py"))

#: Without their packages, which only `make bench-peers` installs, the peers can be read, not imported.
PEERS = {
    file.stem: ast.parse(file.read_text(encoding="utf-8"))
    for file in sorted((PROJECT / "benchmarks/peers").glob("[a-z]*.py"))
}

#: Modules of this project that peers may import; no module of it imports lightning_lite.
SHARED = {"benchmarks.p12_value", "benchmarks.peers.executor"}


@pytest.mark.parametrize("limit", LIMITS)
def test_the_processes_of_a_limit_import_nothing_of_ours(limit):
    look = (
        f"import sys, benchmarks.{limit}; print([name for name in sys.modules if 'lightning_lite' in name])"
    )

    done = subprocess.run(
        [sys.executable, "-c", look], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_has_each_task_that_a_measure_names(peer):
    tasks = {measure.peer for measure in measures() if measure.peer}

    assert tasks - {node.name for node in PEERS[peer].body if isinstance(node, ast.FunctionDef)} == set()


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_imports_nothing_of_ours(peer):
    nodes = list(ast.walk(PEERS[peer]))
    imported = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}

    ours = {name for name in imported if name.partition(".")[0] in ("benchmarks", "lightning_lite")}

    assert ours <= SHARED


@pytest.mark.parametrize("figure", ["first", "further"])
def test_works_of_a_scripts_class_start_from_a_fork_server(figure):
    assert figure_of_script(p1f_forkserver.__file__, figure) > 0


def row_of(limits: list[float]) -> dict[str, Any]:
    """Return the row of two rounds in which ours is 2 and the limit takes these figures in turn."""
    return take_row(
        Measure("P0", "a test", "limit", "s", 1.5, lambda: 2.0, lambda: limits.pop(0), 2, lowest=0.9), []
    )


def test_a_limit_that_was_disturbed_is_measured_again():
    row = row_of([1.0, 6.0, 4.0, 1.6])

    assert row["limit"] == [1.0, 1.6]
    assert row["scores"] == [2.0, 1.25]
    assert cells_of(row)[6] == "missed"


def test_a_row_says_that_its_limit_is_implausible():
    row = row_of([6.0, 4.0, 5.0, 7.0, 2.0])

    assert row["limit"] == [4.0, 2.0]
    assert cells_of(row)[6] == "reached, limit implausible"


def test_a_script_that_fails_has_no_figure():
    with pytest.raises(NoFigure, match="KeyError: 'middle'"):
        figure_of_script(p1f_forkserver.__file__, "middle")
