"""The names that users import: complete, sorted, and cheap, because the process of every work pays for it."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import lightning_lite
import lightning_lite.storage
import lightning_lite.testing
import lightning_lite.tree.structures

FACADES = [lightning_lite, lightning_lite.storage, lightning_lite.testing]

# Each costs a process tens of milliseconds; they are loaded on use.
HEAVY = {
    "asyncio",
    "cloudpickle",
    "concurrent.futures",
    "ctypes",
    "dataclasses",
    "dill",
    "email",
    "filelock",
    "http.client",
    "inspect",
    "logging",
    "multiprocess",
    "multiprocessing",
    "numpy",
    "rich",
    "socket",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
}

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 60


def modules_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter has after `statement` and had not before."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_all_is_sorted_and_every_name_in_it_is_there(facade: types.ModuleType):
    assert list(facade.__all__) == sorted(facade.__all__)
    assert [name for name in facade.__all__ if getattr(facade, name, None) is None] == []
    assert set(facade.__all__) <= set(dir(facade))


@pytest.mark.parametrize("facade", FACADES, ids=lambda facade: facade.__name__)
def test_a_name_that_is_not_there_is_an_attribute_error_that_names_it(facade: types.ModuleType):
    with pytest.raises(AttributeError, match="no_such_name"):
        facade.no_such_name  # noqa: B018 - reading it is the test


def test_a_star_import_gives_what_all_names():
    names: dict[str, object] = {}
    exec("from lightning_lite import *", names)

    assert set(lightning_lite.__all__) <= names.keys()


def test_a_work_that_waits_with_poll_until_loads_nothing_of_the_app():
    loaded = modules_after("from lightning_lite.testing import poll_until")

    assert {
        name for name in loaded if name.startswith(("lightning_lite.app", "lightning_lite.engine"))
    } == set()
    assert loaded & {"asyncio", "click", "logging", "psutil", "unittest"} == set()


def test_the_facade_alone_loads_none_of_our_other_modules():
    assert {
        name for name in modules_after("import lightning_lite") if name.startswith("lightning_lite.")
    } == set()


@pytest.mark.parametrize(
    "statement",
    [
        "import lightning_lite",
        "from lightning_lite import LightningWork",
        "from lightning_lite import LightningFlow",
        "from lightning_lite.storage import Drive",
        "from lightning_lite.tree.structures import Dict, List",
    ],
)
def test_what_a_work_imports_loads_nothing_heavy(statement: str):
    assert modules_after(statement) & HEAVY == set()
