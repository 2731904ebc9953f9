"""Modules of this package are imported at the top, except those that a table names, each with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lightning_lite

FOLDER = Path(lightning_lite.__file__).parent

#: The modules that `late_import` imports where they are first used.
LATE = {
    "app.app_api": "most apps have no API, and asyncio takes 40 ms",
    "cli.script_runner": "the help and the completion of `run` need nothing of the framework",
    "cli.verbs.": "each command executes one verb",
    "components.balancer_api": "only the process of the work serves; needs an extra",
    "components.database_api": "only the process of the work serves; needs an extra",
    "components.database_tables": "needs the packages of the models",
    "components.http_server": "only the process of the work serves; needs an extra",
    "components.image_base64": "only works that serve pictures need Pillow",
    "components.server_rotation": "only the process of the work needs asyncio",
    "lightning_app.refused": "only an error needs the reasons, and works have the finder",
    "resources": "only the flow makes a `CloudCompute`; works receive one",
    "runners.remote.ray_cluster": "an app on one machine needs nothing of it",
    "runners.remote.runner": "an app on one machine needs nothing of it",
    "runners.wire.interpreter_settings": "only works with other settings than the defaults need it",
    "runners.wire.log_file_handler": "only works of a script that logs to a file need it, and `logging`",
    "runners.worker.descriptor_channel": "only works that share file descriptors with the app need it",
    "secret_forms": "only processes with a secret need it",
    "storage.mount": "few apps have a mount, and each work loads `tree.cloud`",
    "storage.object_store.store": "drives in plain files need none of its modules; needs an extra",
    "tree.calls": "only the flow keeps records of calls",
    "values.array_views": "only processes that pickle an object of NumPy need it",
    "values.by_value": "takes 30 to 50 ms, and most works pickle nothing by value",
    "values.call_key": "only the flow computes keys of calls",
    "values.multiprocessing_objects": "only works that share file descriptors with the app need it",
    "values.unpicklable": "only an error needs it",
    "values.value_files": "only processes that handle a big value need it",
    "web.server": "needs an extra",
    "web.server_context": "needs an extra",
}

#: The modules that call `late_import` with a name that they look up.
TABLES = {
    "components": "one component needs no packages of the others",
    "frontends": "each app imports the base class, and few need a frontend",
    "runners.worker.terminal_access": "few works debug, and `pdb` takes longer than the start of a work",
    "storage": "it loads a name on first use",
    "testing": "a work that waits with `poll_until` needs nothing of the app",
}

#: The modules that import by name without `late_import`.
OTHERS = {
    "": "the façade alone loads no other module of this package",
    "components.lightning_nodes": "imports the packages of Lightning that are installed",
    "components.rank_program": "gets the path to this package at its start",
    "frontends.programs.user_code": "imports modules of the user",
    "late_import": "defines it",
    "lightning_app.finder": "imports modules by their names in Lightning App",
    "runners.worker.boot": "gets the path to this package at its start",
    "runners.worker.forkserver_main": "gets the path to this package at its start",
    "values.definitions": "imports modules of the user",
    "values.multiprocessing_objects": "imports `multiprocessing` or `multiprocess`, as its values need",
    "values.namespaces": "imports modules of the user",
}


def trees(*words: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield the name below the package, and the syntax tree, of each module with one of these words."""
    for file in FOLDER.rglob("*.py"):
        text = file.read_text("utf-8")
        if any(word in text for word in words):
            parts = file.relative_to(FOLDER).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), ast.parse(text)


def names_given_to_late_import(tree: ast.Module) -> Iterator[str | None]:
    """Yield the module below the package for each use of `late_import`; `None` if it is looked up.

    The name may be a text, the beginning of an f-string, or a global of the module that is a text.
    """
    texts = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "late_import":
            name = node.args[0]
            if isinstance(name, ast.Name):
                name = texts.get(name.id, name)
            if isinstance(name, ast.JoinedStr):
                name = name.values[0]
            yield name.value.removeprefix("lightning_lite.") if isinstance(name, ast.Constant) else None


def imports_by_name(tree: ast.Module) -> bool:
    """Return whether a module uses `__import__`, or a function `import_module`."""
    return any(
        isinstance(node, ast.Name) and node.id in ("__import__", "import_module") for node in ast.walk(tree)
    )


def test_only_the_named_modules_are_imported_late():
    found = {source: set(names_given_to_late_import(tree)) for source, tree in trees("late_import")}

    assert set().union(*found.values()) - {None} == set(LATE)
    assert {source for source, names in found.items() if None in names} == set(TABLES)


def test_only_the_named_modules_import_by_name_in_another_way():
    found = trees("__import__", "import_module")

    assert {source for source, tree in found if imports_by_name(tree)} == set(OTHERS)


def test_late_imports_are_found_in_all_forms():
    tree = ast.parse(
        "_HOME = 'lightning_lite.app.app'\n"
        "def f(name):\n"
        "    late_import(_HOME), late_import('lightning_lite.errors')\n"
        "    late_import(f'lightning_lite.web.{name}'), late_import(name)"
    )

    assert {*names_given_to_late_import(tree)} == {"app.app", "errors", "web.", None}
    assert not imports_by_name(tree)
    assert imports_by_name(ast.parse("map(import_module, names)"))
