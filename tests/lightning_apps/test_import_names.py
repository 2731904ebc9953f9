"""`lightning.app`, `lightning_app` and `from lightning import ...` lead to lightning_lite, in works, too."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import lightning_lite
from lightning_lite.cli.checks import machine
from lightning_lite.lightning_app.names import NAMES, place_of
from lightning_lite.lightning_app.refused import REFUSED

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import run_python, run_script, run_verb

pytestmark = pytest.mark.dependencies

#: The modules of Lightning App with their public names.
UPSTREAM_NAMES = Path(__file__).with_name("upstream_names.toml")

PROJECT = Path(lightning_lite.__file__).parents[1]

INSTALL = "import lightning_lite.lightning\n"


def run_text(text: str, *, folder: Path | None = None, arguments: tuple[str, ...] = ()) -> str:
    """Run a script of this text in the working directory, and return its output."""
    Path("script.py").write_text(text)
    path = {} if folder is None else {"env": with_path(folder)}
    return run_script("script.py", *arguments, **path)


def run_forked(scripts: ForkedScripts, text: str, *arguments: object) -> str:
    """Do the same in a process that is forked from one that has imported the package: it starts faster."""
    Path("script.py").write_text(text)
    return scripts.run(Path("script.py").absolute(), *arguments)


def with_path(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder)}


# The table.


def test_each_name_of_the_table_exists():
    names = [f"{module}:{name}" for module in NAMES for name in NAMES[module]]
    places = {name: place_of(name) for name in names}

    assert len(names) > 200
    assert [
        f"{name}: {home}.{attribute}"
        for name, (home, attribute) in places.items()
        if getattr(import_module(home), attribute, None) is None
    ] == []


def test_the_table_has_the_module_above_each_module():
    assert {module.rpartition(".")[0] for module in NAMES} <= NAMES.keys()


def test_a_name_that_is_refused_is_not_in_the_table():
    assert [name for name in REFUSED if name in NAMES] == []
    above = [name.rpartition(".") for name in REFUSED]
    assert [name for module, _, name in above if name in NAMES.get(module, {})] == []


def test_all_modules_and_names_can_be_imported_or_their_error_says_why(forked_scripts: ForkedScripts):
    """Import what Lightning App had, then all of the table under both names of the package."""
    printed = run_forked(
        forked_scripts,
        f"{INSTALL}import sys, tomllib\n"
        "from importlib import import_module\n"
        "from lightning_lite.lightning_app.names import NAMES\n"
        "for key, names in tomllib.load(open(sys.argv[1], 'rb')).items():\n"
        "    module = f'lightning.app.{key}'.rstrip('.')\n"
        "    for statement in (f'import {module}', *(f'from {module} import {name}' for name in names)):\n"
        "        try:\n"
        "            exec(statement)\n"
        "        except ImportError as error:\n"
        "            text = str(error)\n"
        "            if not text.startswith('lightning_lite has no lightning.app.') or ': ' not in text:\n"
        "                print(statement, text)\n"
        "for key in NAMES:\n"
        "    for package in ('lightning.app', 'lightning_app'):\n"
        "        name = f'{package}.{key}'.rstrip('.')\n"
        "        module = import_module(name)\n"
        "        assert module.__name__ == name and set(module.__all__) <= set(dir(module)), name\n"
        "        for attribute in NAMES[key]:\n"
        "            assert getattr(module, attribute) is not None\n"
        "print('all')",
        UPSTREAM_NAMES,
    )

    assert printed == "all\n"


def test_the_page_has_all_names():
    tables = run_script(PROJECT / "tools" / "lightning_names_table.py")

    assert (PROJECT / "docs" / "lightning-names.md").read_text().endswith(f"\n\n{tables}"), (
        "replace the tables of docs/lightning-names.md by the output of tools/lightning_names_table.py"
    )


def test_all_that_is_refused_was_in_lightning_app():
    listed = tomllib.loads(UPSTREAM_NAMES.read_text())
    names = {*listed, *(f"{module}.{name}".lstrip(".") for module in listed for name in listed[module])}

    assert [name for name in REFUSED if name not in names] == []


# Imports in the process of the script.


#: Executes each statement of a file in a fork of a process that has the finder, and has imported no name.
IN_FORKS = f"""
{INSTALL}import os, sys, traceback
for statement in open(sys.argv[1]):
    if os.fork():
        assert os.wait()[1] == 0
        continue
    try:
        exec(statement)
    except BaseException as error:
        print(*traceback.format_exception_only(error)[-1].splitlines(), flush=True)
    os._exit(0)
"""


def run_each(scripts: ForkedScripts, statements: list[str]) -> list[str]:
    """Execute each statement where no other one was executed, and return what each prints: one line."""
    Path("statements.txt").write_text("".join(f"{statement}\n" for statement in statements))
    return run_forked(scripts, IN_FORKS, "statements.txt").splitlines()


WAYS_TO_IMPORT = [
    "import lightning.app; A = lightning.app.LightningFlow",
    "import lightning as L; A = L.LightningFlow",
    "import lightning as L; A = L.app.LightningFlow",
    "import lightning as L; A = L.app.core.flow.LightningFlow",
    "from lightning import LightningFlow as A",
    "from lightning.app import LightningFlow as A",
    "from lightning.app.core import LightningFlow as A",
    "from lightning.app.core.flow import LightningFlow as A",
    "import lightning_app; A = lightning_app.LightningFlow",
    "from lightning_app.core.flow import LightningFlow as A",
    "from lightning_app import *; A = LightningFlow",
    "from lightning.app import *; A = LightningFlow",
]


def test_each_way_to_import_a_class_gives_the_same_class(forked_scripts: ForkedScripts):
    compare = "import lightning_lite; print(A is lightning_lite.LightningFlow, flush=True)"
    printed = run_each(forked_scripts, [f"{way}; {compare}" for way in WAYS_TO_IMPORT])

    assert dict(zip(WAYS_TO_IMPORT, printed, strict=True)) == dict.fromkeys(WAYS_TO_IMPORT, "True")


#: The beginning of the error of a statement.
ERRORS = {
    "import lightning.app.nothing": "lightning_lite has no lightning.app.nothing; see its page",
    "from lightning.app import Nothing": "lightning_lite has no lightning.app.Nothing; see its page",
    "from lightning.app.runners import CloudRuntime": (
        "lightning_lite has no lightning.app.runners.CloudRuntime: there is no cloud here"
    ),
    "from lightning.app.utilities.network import HTTPClient": (
        "lightning_lite has no lightning.app.utilities.network.HTTPClient: it talks to the cloud"
    ),
    "import lightning.app.launcher.launcher": (
        "lightning_lite has no lightning.app.launcher: there is no cloud here"
    ),
    "from lightning.app.core.flow import Unknown": (
        "lightning_lite has no lightning.app.core.flow.Unknown; see its page"
    ),
    "from lightning.app.frontend import JustPyFrontend": (
        "lightning_lite has no lightning.app.frontend.JustPyFrontend: justpy works with no"
    ),
    "import lightning.pytorch": "No module or name 'lightning.pytorch'. It belongs to the package lightning",
    "from lightning import Trainer": "No module or name 'lightning.Trainer'.",
}


def test_a_name_that_is_not_there_is_an_import_error_that_says_why(forked_scripts: ForkedScripts):
    printed = run_each(
        forked_scripts, [f"{statement}; print('no error', flush=True)" for statement in ERRORS]
    )

    found = {
        statement: line.removeprefix("ModuleNotFoundError: ")[: len(text)]
        for (statement, text), line in zip(ERRORS.items(), printed, strict=True)
        if line.startswith("ModuleNotFoundError: ")
    }
    assert found == ERRORS


MODULES_OF_TOP = (
    "import lightning as L\n"
    "from lightning import pdb, storage\n"
    "import lightning.app.storage, lightning.app.pdb\n"
    "print(L.storage is storage is lightning.app.storage, L.pdb is pdb is lightning.app.pdb)\n"
    "print(L.storage.Drive.__module__, L.pdb.set_trace.__name__)\n"
)


def test_the_modules_that_lightning_has_as_attributes_are_there(forked_scripts: ForkedScripts):
    assert run_forked(forked_scripts, f"{INSTALL}{MODULES_OF_TOP}") == (
        "True True\nlightning_lite.storage.drive breakpoint\n"
    )


def test_a_file_with_tests_of_the_cloud_can_be_imported(forked_scripts: ForkedScripts):
    printed = run_forked(
        forked_scripts,
        f"{INSTALL}from lightning.app.testing import run_app_in_cloud\n"
        "from lightning.app.testing.testing import delete_cloud_lightning_apps, wait_for\n"
        "from lightning.app.utilities.exceptions import LightningPlatformException\n"
        "for function in (run_app_in_cloud, wait_for, delete_cloud_lightning_apps):\n"
        "    try: function('app', debug=True)\n"
        "    except LightningPlatformException as error: print(error)\n",
    )

    assert [line.partition(":")[0] for line in printed.splitlines()] == [
        "run_app_in_cloud",
        "wait_for",
        "delete_cloud_lightning_apps",
    ]
    assert printed.count(": there is no cloud here, use ") == 3


def test_attributes_that_are_not_there_are_attribute_errors(forked_scripts: ForkedScripts):
    printed = run_forked(
        forked_scripts,
        f"{INSTALL}import lightning.app as A\n"
        "print(hasattr(A, 'nothing'), getattr(A.storage, 'nothing', None))\n"
        "try: A.storage.nothing\n"
        "except AttributeError as error: print(error)\n",
    )

    assert printed == "False None\nmodule 'lightning.app.storage' has no attribute 'nothing'\n"


def test_pickles_by_these_names_and_of_these_modules_work(forked_scripts: ForkedScripts):
    printed = run_forked(
        forked_scripts,
        f"{INSTALL}import pickle, lightning.app.storage as S\n"
        "print(pickle.loads(b'clightning.app.storage.path\\nPath\\n.') is S.Path)\n"
        "print(pickle.loads(b'clightning_app.core.work\\nLightningWork\\n.').__module__)\n"
        "print(pickle.loads(pickle.dumps(S)) is S, pickle.loads(pickle.dumps(S.Path('a'))))\n",
    )

    assert printed == "True\nlightning_lite.tree.work\nTrue a\n"


def test_without_the_names_nothing_leads_here():
    done = run_python("-c", "import lightning_lite, lightning.app")

    assert "No module named 'lightning'" in done.stderr


# Works.

WORK = """
import sys
import lightning as L

class Work(L.LightningWork):
    def run(self, text):
        from lightning.app.storage.path import Path
        import lightning_app
        print(text, Path("a").name, lightning_app.LightningWork is L.LightningWork, flush=True)

class Root(L.LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run("in the work")
        self.stop()

if __name__ == "__main__":
    for method in sys.argv[1:]:
        L.LightningApp(Root()).run(start_method=method)
"""


IN_THE_WORK = "root.work | in the work a True\n"


def test_works_of_a_script_have_the_names(forked_scripts: ForkedScripts):
    assert run_forked(forked_scripts, INSTALL + WORK, "spawn", "forkserver") == 2 * IN_THE_WORK


def test_works_of_an_importable_module_have_the_names(forked_scripts: ForkedScripts):
    Path("their_app.py").write_text(WORK)
    text = (
        f"{INSTALL}import sys, their_app\n"
        "for method in sys.argv[1:]:\n"
        "    their_app.L.LightningApp(their_app.Root()).run(start_method=method)\n"
    )

    assert run_forked(forked_scripts, text, "spawn", "forkserver") == 2 * IN_THE_WORK


CHILD = """
import multiprocessing
from lightning.app import LightningApp, LightningFlow, LightningWork

def double(numbers, queue):
    queue.put(2 * numbers)

def in_child(number):
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=double, args=(number, queue))
    process.start()
    value = queue.get() if not process.join() and process.exitcode == 0 else process.exitcode
    queue.close()
    process.close()
    return value

class Static(LightningWork):
    @staticmethod
    def run(number):
        print(in_child(number), flush=True)

class Nothing(LightningFlow):
    pass

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work, self.nothing = Static(), Nothing()

    def run(self):
        self.work.run(21)
        self.nothing.run()
        self.stop()

if __name__ == "__main__":
    LightningApp(Root()).run()
"""


def test_children_that_execute_the_script_again_have_the_names(forked_scripts: ForkedScripts, verb):
    assert run_forked(forked_scripts, INSTALL + CHILD) == "root.work | 42\n"

    Path("app.py").write_text(CHILD)
    done = verb("run", "app", "app.py", "--without-server")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "root.work | 42\n")


def test_the_traceback_of_a_work_has_the_lines_of_the_script(forked_scripts: ForkedScripts):
    Path("script.py").write_text(
        f"{INSTALL}from lightning.app import *\n"
        "class Bad(LightningWork):\n"
        "    def run(self):\n"
        "        raise ValueError('bad')\n"
        "LightningApp(Bad()).run()\n"
    )

    done = forked_scripts.run_to_end(Path("script.py").absolute())

    assert done.returncode == 1
    assert "raise ValueError('bad')" in done.stderr
    assert "finder" not in done.stderr
    assert done.stderr.count("script.py") >= 1


OWN_MODULES = """
import sys
class Work(LightningWork):
    def run(self):
        print([name for name in sorted(sys.modules) if name == "lightning" or "lightning_app" in name])

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run()
        self.stop()

app = LightningApp(Root())
"""


def test_an_app_that_uses_none_of_the_names_imports_none_of_it():
    text = "from lightning_lite import LightningApp, LightningFlow, LightningWork\n" + OWN_MODULES
    Path("own.py").write_text(text)

    assert run_text(text + "app.run()") == "root.work | []\n"
    assert run_verb("run", "own.py").stdout == "root.work | []\n"


def test_an_app_that_uses_a_name_has_only_the_finder_in_its_works():
    Path("old.py").write_text(
        "from lightning.app import LightningApp, LightningFlow, LightningWork\n" + OWN_MODULES
    )

    package = "lightning_lite.lightning_app"
    loaded = [package, f"{package}.finder", f"{package}.names", f"{package}.spawned_children"]
    assert run_verb("run", "old.py").stdout == f"root.work | {loaded}\n"


def test_the_finder_alone_loads_nothing_that_a_work_does_not_have():
    program = (
        "import sys, lightning_lite.runners.worker.main, lightning_lite.engine.work_machine\n"
        "before = set(sys.modules)\nimport lightning_lite.lightning\nprint(*set(sys.modules) - before)"
    )
    folder = str(Path(lightning_lite.__file__).parents[1])
    code = f"import sys; sys.path.append({folder!r})\n{program}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )

    assert set(done.stdout.split()) == {
        "lightning_lite.lightning",
        "lightning_lite.lightning_app",
        "lightning_lite.lightning_app.finder",
        "lightning_lite.lightning_app.names",
        "lightning_lite.lightning_app.spawned_children",
    }


# With an installed package.


def install_package(files: dict[str, str]) -> Path:
    """Write a package into a folder, as an installation does, and return the folder."""
    folder = Path("site").absolute()
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


NO_APP = {
    "lightning/__init__.py": "Trainer = 'theirs'\n__version__ = '2.6.0'\n",
    "lightning/pytorch/__init__.py": "Module = 'theirs, too'\n",
}


@pytest.mark.parametrize("order", [f"{INSTALL}import lightning\n", f"import lightning\n{INSTALL}"])
def test_an_installed_package_without_app_keeps_its_names_and_gets_ours(order):
    printed = run_text(
        order + "import lightning as L, importlib, inspect\n"
        "from lightning import LightningFlow, Trainer\n"
        "from lightning.pytorch import Module\n"
        "from lightning.app.storage import Drive\n"
        "print(L.Trainer, L.__version__, Module, L.app.LightningFlow is LightningFlow)\n"
        "print(Drive.__module__, L.CloudCompute.__module__)\n"
        "print(type(L.__spec__.loader).__name__, 'Trainer' in inspect.getsource(L), hasattr(L, 'nothing'))\n"
        "try: import lightning.nothing\n"
        "except ModuleNotFoundError as error: print(error)\n",
        folder=install_package(NO_APP),
    )

    assert printed.splitlines() == [
        "theirs 2.6.0 theirs, too True",
        "lightning_lite.storage.drive lightning_lite.tree.cloud",
        "SourceFileLoader True False",
        "No module named 'lightning.nothing'",
    ]


def test_an_installed_package_without_app_gets_our_modules():
    assert run_text(f"{INSTALL}{MODULES_OF_TOP}", folder=install_package(NO_APP)).startswith("True True\n")


def test_an_installed_package_without_app_is_the_same_in_a_work():
    text = INSTALL + WORK.replace(
        "lightning_app.LightningWork is", "L.Trainer, lightning_app.LightningWork is"
    )

    printed = run_text(text, folder=install_package(NO_APP), arguments=("spawn",))

    assert printed == "root.work | in the work a theirs True\n"


def test_a_getattr_of_an_installed_package_is_kept():
    package = {
        "lightning/__init__.py": "def __getattr__(name):\n"
        "    if name == 'lazy': return 'loaded'\n"
        "    raise AttributeError(name)\n"
    }

    printed = run_text(
        f"{INSTALL}import lightning as L\nprint(L.lazy, L.LightningWork.__name__, hasattr(L, 'other'))",
        folder=install_package(package),
    )

    assert printed == "loaded LightningWork False\n"


WITH_APP = {
    "lightning/__init__.py": "",
    "lightning/app/__init__.py": "LightningFlow = 'theirs'\n",
    "lightning_app/__init__.py": "LightningFlow = 'the old one'\n",
}


def test_an_installed_package_with_app_is_used_and_doctor_says_so():
    printed = run_text(
        f"{INSTALL}from lightning.app import LightningFlow as A\n"
        "from lightning_app import LightningFlow as B\n"
        "import lightning\nprint(A, B, hasattr(lightning, 'LightningWork'))\n"
        "from lightning_lite.cli.checks import machine\n"
        "print(dict(machine.checks())['lightning apps']().value)\n",
        folder=install_package(WITH_APP),
    )

    assert printed.splitlines() == [
        "theirs the old one False",
        "lightning.app and lightning_app of an installed package, not of lightning_lite",
    ]


def test_doctor_says_where_the_names_lead():
    found = dict(machine.checks())["lightning apps"]()

    assert found.value == "import lightning.app leads to lightning_lite"
