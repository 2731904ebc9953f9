"""In a work, `__main__` has the definitions of the script, so that names in that module refer to them."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from pathlib import Path

import pytest

from tests.support.processes import run_python, run_script

pytestmark = pytest.mark.dependencies

SCRIPT = Path(__file__).with_name("the_script.py")

EXPECTED = {
    "pickles": [True] * 9,
    "shelves": True,
    "loads_a_class_that_no_code_names": ["Unmentioned", True, True],
    "knows_its_main": [True, "__main__", "the_script.py"],
    "forks_a_pool": [[0, 1, 4], [True, True]],
    "spawns_an_executor": [0, 1, 4],
    "evaluates_hints": [True, True, True, ["x", "point"], True, True],
    "reads_source": [
        ["the_script.py"],
        "def square(x):\n    return x * x\n",
        "Partner(Net):",
        "the_script.py",
    ],
    "shares_globals": [2, 3, 3, True, [3]],
    "keeps_what_is_single": [[True] * 4, True],
    "calls_what_pickles_by_name": [
        [832040, True, "fib"],
        ["int", "any", 3, "UserId", "P", "T"],
        [[8], 9, 7],
        [{"Registered": 0}, 3, True, True],
    ],
    "uses_submodules_inside": [["a%20b"], ["a"]],
    "returns": [[True, [1, 2], True, True], [True] * 3, [True] * 8],
    "raises demanding": ["Demanding", True, "code 3", 3, "there", "kept"],
    "raises reduced": ["Reduced", True, "r", None, None, "kept"],
    "raises frozen": ["Frozen", True, "4", 4, None, "kept"],
    "raises file": ["FileGone", True, "[Errno 2] gone: 'pat", None, None, "kept"],
    "raises lock": ["KeyError", False, "('k', '<unlocked _th", None, None, "kept"],
    "raises group": [
        *("ExceptionGroup", False, "many (2 sub-exceptio", None, None, None),
        ["Demanding", True, "code 1", 1, "a", None],
        ["ValueError", False, "(2, '<unlocked _thre", None, None, None],
    ],
}


@pytest.mark.parametrize(
    ("program", "start_method"),
    [
        (["the_script.py"], "spawn"),
        (["-m", "package.the_script"], "forkserver"),
        (["-m", "cProfile", "-o", "profile", "the_script.py"], "spawn"),
        (["-m", "lightning_lite", "run", "the_script.py"], "spawn"),
    ],
    ids=["script", "module", "profiler", "command-line"],
)
def test_a_work_finds_the_script_in_its_main(program, start_method, tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").touch()
    for folder in (tmp_path, tmp_path / "package"):
        shutil.copy(SCRIPT, folder)
    executed = tmp_path / "executed"
    environment = {"LIGHTNING_LITE_START_METHOD": start_method, "EXECUTED": str(executed)}

    done = run_python(*program, cwd=tmp_path, env=os.environ | environment)

    assert done.returncode == 0, done.stderr
    answers = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert answers == EXPECTED
    # Once; and once more by the process that the work itself has spawned, as the script would do.
    assert executed.read_text().split() == ["__main__", "__mp_main__"]


TESTS = """
    import importlib.util, inspect, pickle, sys
    from dataclasses import dataclass
    from pathlib import Path
    import pytest
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    def load(name):
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("plugin.py"))
        module = importlib.util.module_from_spec(spec)
        if name == "registered":
            sys.modules[name] = module
        spec.loader.exec_module(module)
        return module

    registered, unregistered = load("registered"), load("not.registered")

    @dataclass
    class Point:
        x: int

    def square(x): return x * x

    class W(LightningWork):
        def run(self):
            things = pickle.loads(pickle.dumps([Point(3), square, registered.Thing()]))
            assert type(things[0]) is Point and things[1] is square and type(things[2]) is registered.Thing
            assert "return x * x" in inspect.getsource(square)
            assert inspect.getfile(registered.Thing) == registered.__file__ == unregistered.__file__
            assert [registered.bump(), registered.bump(), registered.count] == [1, 2, 2]
            assert sys.modules["registered"] is registered
            assert registered.Unmentioned().ok() and unregistered.Unmentioned().ok()
            return things[0], things[2], unregistered.Thing()

    @pytest.mark.parametrize("method", ["spawn", "forkserver"])
    def test_app(method, monkeypatch):
        monkeypatch.setenv("LIGHTNING_LITE_START_METHOD", method)
        got = []
        class F(LightningFlow):
            def __init__(self):
                super().__init__()
                self.w = W()
            def run(self):
                got.append(self.w.run())
                self.stop()
        LightningApp(F()).run()
        assert [type(value) for value in got[0]] == [Point, registered.Thing, unregistered.Thing]
"""

PLUGIN = """
    table = {"a": 1}
    count = 0
    class Thing: x = 5
    class Unmentioned:
        def ok(self): return Thing.x == 5 and table is globals()["table"]
    def bump():
        global count
        count += 1
        return count
"""


def test_modules_loaded_by_their_path_travel_as_under_importlib_mode_of_pytest(tmp_path):
    folder = tmp_path / "tests" / "inner"
    folder.mkdir(parents=True)
    (folder / "test_inner.py").write_text(textwrap.dedent(TESTS))
    (folder / "plugin.py").write_text(textwrap.dedent(PLUGIN))
    options = ["-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--import-mode=importlib"]

    # Without the plugins that are installed: to import them takes longer than the test.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = run_python("-m", "pytest", *options, "tests/inner", cwd=tmp_path, env=environment)

    assert done.returncode == 0, done.stdout


POOL = """
import multiprocessing
from lightning_lite import LightningApp, LightningFlow, LightningWork

def double(number):
    return 2 * number

class Work(LightningWork):
    def run(self):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.map(double, [1, 2])

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        print("ANSWER", self.work.run())
        self.stop()

LightningApp(Flow()).run()
print("the end of the script", flush=True)  # the pool may end its process before that flushes its output
"""


def test_a_pool_of_a_work_imports_the_script_and_does_not_start_the_app_again(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(POOL)

    lines = run_script(script, cwd=tmp_path).splitlines()

    # The process of the pool has imported the script, too, and has not run the app.
    assert lines == ["root.work | the end of the script", "ANSWER [2, 4]", "the end of the script"]
