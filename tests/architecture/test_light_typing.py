"""`light_typing` is as good as `typing` for modules that works load, and loads nothing else."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import lightning_lite
from lightning_lite import light_typing


class Light(light_typing.NamedTuple):
    work: str
    number: int = 1
    rest: tuple[int, ...] = ()

    def told(self) -> str:
        return f"{self.work} {self.number}"


class Real(typing.NamedTuple):
    work: str
    number: int = 1
    rest: tuple[int, ...] = ()


#: Modules that take milliseconds, and that no work's process needs before the user's own code.
HEAVY = {
    "enum",
    "importlib",
    "logging",
    "pickle",
    "re",
    "signal",
    "threading",
    "typing",
    "warnings",
    # Modules of ours that a work needs only for a secret, or that only the main process needs.
    "lightning_lite.events",
    "lightning_lite.main_messages",
    "lightning_lite.project_file",
    "lightning_lite.resources",
    "lightning_lite.secret_forms",
    "lightning_lite.tree.calls",
    "lightning_lite.tree.outbox",
    "lightning_lite.values.call_key",
    "lightning_lite.values.secret",
}

FOLDER = Path(lightning_lite.__file__).parent
PAGE = FOLDER.parent / "docs" / "decisions" / "start-of-works.md"

#: Modules that use `light_typing`, because works of scripts or of Lightning Apps load them.
FURTHER = {"values.definitions", "lightning_app.finder", "lightning_app.spawned_children"}

WORK = """
import sys
from lightning_lite import LightningWork

class Listing(LightningWork):
    def run(self):
        return [name for name in sys.modules if name.startswith("lightning_lite.")]
"""

APP = """
from lightning_lite import LightningApp, LightningFlow
from listing import Listing

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.listing = Listing()

    def run(self):
        print(*self.listing.run())
        self.stop()

LightningApp(Root()).run()
"""


@pytest.mark.parametrize(
    ("values", "named"),
    [(("a",), {}), (("a", 2), {}), (("a", 2, (3,)), {}), ((), {"work": "a"}), (("a",), {"rest": (1,)})],
)
def test_a_light_tuple_takes_what_the_real_one_takes(values, named):
    light, real = Light(*values, **named), Real(*values, **named)

    assert light == real
    assert repr(light) == repr(real).replace("Real", "Light")
    assert light._asdict() == real._asdict()
    assert (light.work, light.number, light.rest) == tuple(real)


@pytest.mark.parametrize(
    ("values", "named"),
    [((), {}), (("a", 1, (), 4), {}), (("a",), {"work": "b"}), (("a",), {"unknown": 1}), ((), {"number": 2})],
)
def test_a_light_tuple_refuses_what_the_real_one_refuses(values, named):
    with pytest.raises(TypeError):
        Real(*values, **named)
    with pytest.raises(TypeError):
        Light(*values, **named)


def test_a_light_tuple_is_replaced_copied_pickled_and_matched_like_the_real_one():
    light = Light("a", 2)

    assert light._replace(number=3) == Light("a", 3)
    with pytest.raises((TypeError, ValueError)):  # from Python 3.13 on a TypeError
        light._replace(unknown=3)
    assert Light._make(["a", 2, ()]) == light
    assert (Light._fields, Light._field_defaults) == (Real._fields, Real._field_defaults)
    for twin in (copy.copy(light), copy.deepcopy(light), pickle.loads(pickle.dumps(light))):
        assert (twin, type(twin), twin.told()) == (light, Light, "a 2")
    match light:
        case Light(work, number):
            assert (work, number) == ("a", 2)
    with pytest.raises(AttributeError):
        light.work = "b"
    assert not hasattr(light, "__dict__")


def test_what_each_work_loads_needs_nothing_heavy():
    program = (
        f"import sys; sys.path.append({str(FOLDER.parent)!r})\n"
        "import lightning_lite.runners.worker.main, lightning_lite.engine.work_machine; print(*sys.modules)"
    )

    # Without site, because environments have hooks that load any module.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )

    assert HEAVY & {*done.stdout.split()} == set()


def test_its_users_are_the_modules_that_a_work_loads(tmp_path: Path):
    (tmp_path / "listing.py").write_text(WORK)
    (tmp_path / "app.py").write_text(APP)
    users = {
        file.relative_to(FOLDER).with_suffix("").as_posix().removesuffix("/__init__").replace("/", ".")
        for file in FOLDER.rglob("*.py")
        if "from lightning_lite.light_typing import" in file.read_text("utf-8")
    }

    done = subprocess.run(
        [sys.executable, "app.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = {name.removeprefix("lightning_lite.") for name in done.stdout.split()}

    assert users - loaded == FURTHER
    page = PAGE.read_text("utf-8")
    assert [name for name in FURTHER if f"`{name}`" not in page] == []
    assert modules_on(page) == {name for name in loaded if not (FOLDER / name.replace(".", "/")).is_dir()}


def modules_on(page: str) -> set[str]:
    """Return the modules in the table of the page, by their names below the package."""
    rows = page.split("| package | modules |")[1].split("\n\n")[0].splitlines()[2:]
    cells = [row.strip("| ").split(" | ") for row in rows]
    return {
        name if package == "ground layer" else f"{package.strip('`')}.{name}"
        for package, modules in cells
        for name in re.findall(r"`(\w+)`", modules)
    }
