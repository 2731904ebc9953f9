"""The house stands: no import leads up, none hides in a function, none closes a ring."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest

import lightning_lite

PACKAGE = "lightning_lite"
HOUSE = Path(lightning_lite.__file__).parent

# Lowest first. An entry stands for the module or folder of that name; the longest one that fits counts.
FLOORS = [
    {
        "errors",
        "events",
        "messages",
        "status",
        "clock",
        "settings",
        "context",
        "light_typing",
        "text",
        "html_tables",
    },
    {"values"},
    {"storage", "runners", "runs", "ui"},
    {"tree"},
    {"engine", "components"},
    {"app"},
    {"core", "structures"},  # old import paths
    {"cli", "testing", "__main__"},
]

# Side by side on floor 2: none knows the others.
NEIGHBOURS = FLOORS[2]


class Import(NamedTuple):
    """One import of a module of ours: who imports it, where, which one, and whether inside a function."""

    source: str
    line: int
    target: str
    late: bool

    def __str__(self) -> str:
        return f"{self.source or 'the façade'}:{self.line} imports {self.target or 'the façade'}"


def module_name(file: Path) -> str:
    """Return the name of a module below the package, `""` for the façade."""
    parts = file.relative_to(HOUSE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): ast.parse(file.read_text("utf-8"), str(file)) for file in HOUSE.rglob("*.py")}


def belongs(module: str, entry: str) -> bool:
    """Return whether `module` is `entry` or lies in it."""
    return f"{module}.".startswith(f"{entry}.")


def floor_of(module: str) -> int | None:
    """Return the floor of the longest entry that contains `module`, or `None`."""
    owners = [(len(entry), i) for i, floor in enumerate(FLOORS) for entry in floor if belongs(module, entry)]
    return max(owners)[1] if owners else None


def names_in(node: ast.AST) -> Iterator[str]:
    """Yield the full names that an import statement asks for."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            longer = f"{node.module}.{alias.name}"
            yield longer if longer.removeprefix(f"{PACKAGE}.") in MODULES else str(node.module)


def imports_in(source: str, tree: ast.AST, late: bool = False) -> Iterator[Import]:
    """Yield the imports of our own modules in `tree`; those under `TYPE_CHECKING` count like any other."""
    for node in ast.iter_child_nodes(tree):
        for name in names_in(node):
            if name.split(".")[0] == PACKAGE:
                yield Import(source, node.lineno, name.removeprefix(PACKAGE).lstrip("."), late)
        inside = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from imports_in(source, node, inside)


# The façade stands outside the house: it shows names of all floors, and loads them on first use.
IMPORTS = [found for module, tree in MODULES.items() if module for found in imports_in(module, tree)]


def test_every_module_stands_on_a_floor():
    assert [module for module in MODULES if module and floor_of(module) is None] == []


def test_no_import_leads_up():
    up = [str(found) for found in IMPORTS if found.target and floor_of(found.target) > floor_of(found.source)]

    assert up == []


def test_no_module_inside_imports_the_facade():
    assert [str(found) for found in IMPORTS if not found.target] == []


def test_none_of_our_modules_is_imported_inside_a_function():
    assert [str(found) for found in IMPORTS if found.late] == []


@pytest.mark.parametrize(("one", "other"), list(permutations(sorted(NEIGHBOURS), 2)))
def test_neighbours_do_not_know_each_other(one: str, other: str):
    across = [found for found in IMPORTS if belongs(found.source, one) and belongs(found.target, other)]

    assert [str(found) for found in across] == []


def test_no_ring_is_closed():
    graph = {module: {found.target for found in IMPORTS if found.source == module} for module in MODULES}

    TopologicalSorter(graph).prepare()  # raises CycleError, with the ring


def test_the_walk_finds_what_it_looks_for():
    tree = ast.parse("def f():\n    from lightning_lite import errors\nimport lightning_lite, os")

    found = list(imports_in("state", tree))

    assert found == [Import("state", 2, "errors", late=True), Import("state", 3, "", late=False)]
