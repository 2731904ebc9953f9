"""The layers of the package: no import goes up, none is inside a function, none closes a cycle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import pytest

import lightning_lite
from lightning_lite.lightning_app.names import NAMES, place_of

PACKAGE = "lightning_lite"
FOLDER = Path(lightning_lite.__file__).parent
PAGES = FOLDER.parent / "docs"

# Lowest first. An entry stands for the module or folder of that name; the longest one that fits counts.
LAYERS = [
    {
        "errors",
        "events",
        "masking",
        "main_messages",
        "messages",
        "process_places",
        "process_usage",
        "sockets",
        "resources",
        "status",
        "api",
        "client_command",
        "clock",
        "polling",
        "settings",
        "setting_kinds",
        "run_options",
        "working_directory",
        "store_url",
        "timeouts",
        "project_file",
        "context",
        "distribution",
        "extras",
        "verbs",
        "late_import",
        "light_typing",
        "harmless_text",
        "quantity_text",
        "work_lookup",
        "work_row",
        "colour_codes",
        "secret_forms",
        "html_tables",
        "tracebacks",
        "regular_files",
        "access_lists",
        "file_system_types",
        "trusted_roots",
        "root_access",
    },
    {"values"},
    {"storage", "runners", "runs", "ui"},
    {"tree"},
    {"engine"},
    {
        "frontends.base",
        "frontends.child_process",
        "frontends.port_owner",
    },  # the attributes of a frontend that an app needs
    {"app"},
    {"monitor"},
    {"core", "structures", "app_state"},  # old import paths; the state of a running app
    {"web", "frontends"},
    {"components"},
    {"cli", "testing", "lightning", "lightning_app", "__main__"},
]

# Packages of which none imports another: those in one layer, and the two stores of drives.
NEIGHBOURS = [sorted(LAYERS[2]), ["storage.local", "storage.object_store"]]


class Import(NamedTuple):
    """An import of a module of ours: the importer, the line, the module, and whether it is in a function."""

    source: str
    line: int
    target: str
    late: bool

    def __str__(self) -> str:
        return f"{self.source or 'the façade'}:{self.line} imports {self.target or 'the façade'}"


def module_name(file: Path) -> str:
    """Return the name of a module below the package, `""` for the façade."""
    parts = file.relative_to(FOLDER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FOLDER.rglob("*.py")}


def belongs(module: str, entry: str) -> bool:
    """Return whether `module` is `entry` or lies in it."""
    return f"{module}.".startswith(f"{entry}.")


def layer_of(module: str) -> int | None:
    """Return the layer of the longest entry that contains `module`, or `None`."""
    owners = [(len(entry), i) for i, layer in enumerate(LAYERS) for entry in layer if belongs(module, entry)]
    return max(owners)[1] if owners else None


def module_in(text: str) -> str | None:
    """Return the longest name of a module of ours with which a text begins, or `None`.

    The text may go on with the name of a class, or with the rest of an f-string.
    """
    found = re.match(rf"{PACKAGE}((?:\.\w+)+)", text) if text.startswith(PACKAGE) else None
    parts = found[1].split(".")[1:] if found else []
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((name for name in names if name in MODULES), None)


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
    waiting = [(tree, late)]
    while waiting:
        parent, late = waiting.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for name in names_in(node):
                    if name.split(".")[0] == PACKAGE:
                        yield Import(source, node.lineno, name.removeprefix(PACKAGE).lstrip("."), late)
            elif isinstance(node, ast.Constant):
                # The name of a module in a string: it is imported by that name, or started as a program.
                if isinstance(node.value, str) and (name := module_in(node.value)):
                    yield Import(source, node.lineno, name, late=False)
            else:
                waiting.append((node, late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)))


@cache
def imports() -> list[Import]:
    """Return the imports of all modules; only the tests need them, but each worker imports this file.

    The façade belongs to no layer: it has names of all of them, and loads them on first use.
    """
    return [
        found
        for module, file in MODULES.items()
        if module
        for found in imports_in(module, ast.parse(file.read_text("utf-8"), str(file)))
    ]


def test_every_module_belongs_to_a_layer():
    assert [module for module in MODULES if module and layer_of(module) is None] == []


def test_no_import_goes_up():
    up = [
        str(found) for found in imports() if found.target and layer_of(found.target) > layer_of(found.source)
    ]

    assert up == []


def test_no_module_inside_imports_the_facade():
    assert [str(found) for found in imports() if not found.target] == []


def test_none_of_our_modules_is_imported_inside_a_function():
    assert [str(found) for found in imports() if found.late] == []


@pytest.mark.parametrize(("one", "other"), [pair for each in NEIGHBOURS for pair in permutations(each, 2)])
def test_neighbours_do_not_import_each_other(one: str, other: str):
    across = [found for found in imports() if belongs(found.source, one) and belongs(found.target, other)]

    assert [str(found) for found in across] == []


def test_no_imports_form_a_cycle():
    graph = {module: {found.target for found in imports() if found.source == module} for module in MODULES}

    TopologicalSorter(graph).prepare()  # raises CycleError, with the cycle


@pytest.mark.parametrize(("lower", "higher"), [("tree", "engine"), ("engine", "app"), ("runners", "engine")])
def test_a_lower_package_does_not_import_a_higher_one(lower: str, higher: str):
    found = [
        str(found) for found in imports() if belongs(found.source, lower) and belongs(found.target, higher)
    ]

    assert found == []


def test_imports_are_found_in_functions():
    tree = ast.parse("def f():\n    from lightning_lite import errors\nimport lightning_lite, os")

    found = set(imports_in("state", tree))

    assert found == {Import("state", 2, "errors", late=True), Import("state", 3, "", late=False)}


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("'lightning_lite.app.notebook'", "app.notebook"),
        ("'lightning_lite.tree.component.Component'", "tree.component"),
        ("'lightning_lite.components.load_balancer:LoadBalancer'", "components.load_balancer"),
        ("f'lightning_lite.cli.verbs.{verb}'", "cli.verbs"),
        ("{'name': ('lightning_lite.errors',)}", "errors"),
        ("'lightning_lite.nothing'", None),
        ("'lightning_lite'", None),
        ("'errors'", None),
        ("'lightning_lite.errorsome'", None),
    ],
)
def test_imports_are_found_in_strings(text: str, module: str | None):
    found = list(imports_in("tree.x", ast.parse(f"def f():\n    return {text}")))

    assert found == ([Import("tree.x", 2, module, late=False)] if module else [])


def test_the_names_of_lightning_app_are_full_names():
    places = [place_of(f"{module}:{name}")[0] for module, names in NAMES.items() for name in names]

    assert [place for place in places if place.startswith(PACKAGE) and module_in(place) is None] == []
    assert {place for place in places if not place.startswith(PACKAGE)} == {"builtins", "logging", "pdb"}


def test_the_picture_of_the_layers_shows_them():
    picture = (PAGES / "architecture.md").read_text("utf-8").split("## The layers")[1].split("```")[1]
    *rows, ground = picture.splitlines()[1:]
    # Names are separated by three spaces; the text after a wider gap describes them.
    shown = [set(re.split(" {3}", re.split(" {4,}", row.strip())[0])) for row in rows]

    assert shown == LAYERS[:0:-1]
    assert ground.strip().startswith("the ground layer")


def test_the_table_of_the_ground_layer_has_its_modules():
    table = (PAGES / "modules.md").read_text("utf-8").split("## The ground layer")[1].split("##")[0]

    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == LAYERS[0]
