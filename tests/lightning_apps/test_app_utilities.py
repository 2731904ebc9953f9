"""The names that apps and their tests import from `utilities`, `runners` and `testing` of Lightning App."""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path as LocalPath
from unittest import mock

import pytest
from upstream_works import Counting, Fails

from lightning_lite import LightningApp, LightningFlow, LightningWork, Path
from lightning_lite.engine.history import read_history
from lightning_lite.lightning_app import safe_pickle
from lightning_lite.lightning_app.comment_commands import CommandLines, execute_commands, extract_commands
from lightning_lite.lightning_app.helpers import (
    LightningJSONEncoder,
    affiliation,
    find_free_network_port,
    is_overridden,
    is_running_in_cloud,
    is_static_method,
    pretty_state,
    requires,
)
from lightning_lite.lightning_app.runtime import (
    MultiProcessRuntime,
    RuntimeType,
    dispatch,
    extract_metadata_from_app,
)
from lightning_lite.lightning_app.state_store import InMemoryStateStore
from lightning_lite.lightning_app.stubs import (
    AppStage,
    CacheCallsKeys,
    MisconfigurationException,
    WorkFailureReasons,
)
from lightning_lite.lightning_app.walks import breadth_first
from lightning_lite.runs.catalog import read_runs
from lightning_lite.settings import resolve_root
from lightning_lite.structures import Dict, List
from lightning_lite.testing import EmptyFlow, EmptyWork, LightningTestApp, application_testing
from lightning_lite.tree.cloud import load_requirements

from tests.support.flows import OneWork
from tests.support.forked_scripts import ForkedScripts

pytestmark = pytest.mark.dependencies


# Helpers.


class Tree(LightningFlow):
    def __init__(self):
        super().__init__()
        self.title = "x"
        self.work = Counting()
        self.inner = EmptyFlow()
        self.listed = List(Counting())

    def run(self):
        self.work.run()
        self.stop()


def test_pretty_state_has_only_public_attributes():
    assert pretty_state(Tree().state) == {
        "vars": {"title": "x"},
        "flows": {"inner": {}},
        "works": {"work": {"vars": {"count": 0}}},
        "structures": {"listed": {"works": {"0": {"vars": {"count": 0}}}}},
    }


def test_affiliation_is_the_place_below_the_root():
    tree = Tree()

    assert (affiliation(tree), affiliation(tree.work), affiliation(tree.listed[0])) == (
        (),
        ("work",),
        ("listed", "0"),
    )


@pytest.mark.parametrize("name", ["configure_api", "configure_commands"])
def test_a_flow_overrides_the_methods_for_its_api_and_commands_if_it_has_them(name):
    class Configures(EmptyFlow):
        def configure_api(self):
            return []

        def configure_commands(self):
            return []

    assert is_overridden(name, Configures())
    assert not is_overridden(name, EmptyFlow())


def test_is_overridden_compares_with_the_class_of_the_framework_or_a_given_one():
    flow, work = Tree(), Counting()

    assert is_overridden("run", flow)
    assert is_overridden("run", work)
    assert not is_overridden("on_exit", work)
    assert not is_overridden("run", work, parent=Counting)
    assert not is_overridden("anything", None)
    assert not is_overridden("anything", flow)
    assert is_overridden("run", mock.Mock(spec=Tree, wraps=flow))
    with pytest.raises(ValueError, match="Expected a parent"):
        is_overridden("anything", object())
    with pytest.raises(ValueError, match="The parent should define the method"):
        is_overridden("own", type("Own", (EmptyFlow,), {"own": lambda self: 1})())


def test_static_methods_are_found_without_a_call():
    class Has:
        @staticmethod
        def static(): ...

        def plain(self): ...

    assert [is_static_method(Has, name) for name in ("static", "plain", "missing")] == [True, False, False]


def test_the_encoder_takes_objects_with_a_method_for_json():
    assert json.loads(json.dumps([Path("a")], cls=LightningJSONEncoder))[0]["path"] == "a"
    with pytest.raises(TypeError):
        json.dumps(object(), cls=LightningJSONEncoder)


def test_ports_and_the_cloud():
    assert 0 < find_free_network_port() < 65536
    assert not is_running_in_cloud()


def test_constants_that_apps_compare_with_exist():
    assert AppStage.RESTARTING == "restarting"
    assert WorkFailureReasons.INVALID_RETURN_VALUE != WorkFailureReasons.USER_EXCEPTION
    assert CacheCallsKeys.LATEST_CALL_HASH in EmptyWork().state["calls"]


def test_breadth_first_visits_level_by_level_also_below_other_classes():
    class Wide(EmptyFlow):
        def __init__(self):
            super().__init__()
            self.second, self.first = Tree(), EmptyWork()
            self.group = Dict(a=EmptyFlow())

    names = [component.name for component in breadth_first(Wide(), types=(LightningFlow, LightningWork))]

    assert names == [
        "root",
        "root.first",
        "root.second",
        "root.group.a",
        "root.second.inner",
        "root.second.work",
        "root.second.listed.0",
    ]
    assert [work.name for work in breadth_first(Tree(), types=LightningWork)] == [
        "root.work",
        "root.listed.0",
    ]
    assert list(breadth_first(EmptyWork(), types=(LightningFlow,))) == []


# Pickled works.

PICKLES_ITSELF = """
import lightning_lite.lightning
import os, subprocess, sys
from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.utilities import safe_pickle

class Pickles(LightningWork):
    def __init__(self):
        super().__init__()
        self.learned = []

    def run(self):
        self.learned.append("word")
        with open("work.pkl", "wb") as file:
            safe_pickle.dump(self, file)

    def greet(self):
        return f"{type(self).__name__} knows {self.learned}"

class Loads(LightningWork):
    def run(self):
        with open("work.pkl", "rb") as file:
            print(safe_pickle.load(file).greet())

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.pickles, self.loads = Pickles(), Loads()

    def run(self):
        self.pickles.run()
        self.loads.run()
        self.stop()

LightningApp(Root()).run()
program = "import pickle; print(pickle.load(open('work.pkl', 'rb')).greet())"
subprocess.run([sys.executable, "-c", program], check=True)
"""


def test_a_work_pickles_itself_for_another_work_and_for_a_script(forked_scripts: ForkedScripts):
    LocalPath("script.py").write_text(PICKLES_ITSELF)

    assert forked_scripts.run(LocalPath("script.py").absolute()).splitlines() == [
        "root.loads | Pickles knows ['word']",
        "Pickles knows ['word']",
    ]


def test_a_pickled_work_has_its_attributes_and_no_place_in_the_tree():
    tree, file = Tree(), io.BytesIO()
    tree.work.count = 7
    safe_pickle.dump(tree.work, file)
    file.seek(0)

    loaded = safe_pickle.load(file)

    assert (loaded.count, loaded._node.parent) == (7, None)
    assert pickle.loads(pickle.dumps(safe_pickle.get_picklable_work(tree.work))).count == 7


# The runtime.


@pytest.mark.parametrize("work", [Counting(), Fails(raise_exception=False)], ids=["succeeds", "fails"])
def test_after_dispatch_each_work_is_stopped_and_keeps_what_it_did(work):
    flow = OneWork(work)

    MultiProcessRuntime(LightningApp(flow), start_server=False).dispatch(open_ui=False)

    assert flow.work.status.stage == "stopped"
    assert flow.work.has_stopped
    assert flow.work.has_succeeded == isinstance(work, Counting)
    assert flow.work.call().ended
    (run,) = read_runs(resolve_root(None))
    recorded = read_history(run.path).works["root.work"].calls[-1].stage
    assert recorded == ("succeeded" if isinstance(work, Counting) else "failed")  # as with `app.run()`


def test_after_run_a_work_has_its_own_status():
    flow = OneWork(Counting())

    LightningApp(flow).run("inline")

    assert flow.work.status.stage == "succeeded"


def test_a_failed_app_ends_dispatch_with_exit_code_1(capfd):
    class GivesUp(LightningFlow):
        def run(self):
            self.fail("no data")

    apps = (
        (OneWork(Fails(raise_exception=True)), "from the work"),
        (GivesUp(), "no data"),
        (EmptyFlow(), "waits for a change that can't come"),
    )
    for flow, text in apps:
        with pytest.raises(SystemExit, match="1") as end:
            MultiProcessRuntime(LightningApp(flow)).dispatch()
        assert text in str(end.value.__cause__)
        printed = capfd.readouterr().err
        assert text in printed
        assert "runtime.py" not in printed


def test_an_exception_of_the_flow_leaves_dispatch_as_it_is():
    class Raises(LightningFlow):
        def run(self):
            raise KeyError("from the flow")

    with pytest.raises(KeyError, match="from the flow"):
        MultiProcessRuntime(LightningApp(Raises())).dispatch()


APP = """
import os, sys
from lightning.app import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    '''A work.'''
    def run(self):
        print("argument", sys.argv[1:], flush=True)

class Root(LightningFlow):
    '''The root.'''
    def __init__(self):
        super().__init__()
        self.work = Work()
        self.counter = 0

    def run(self):
        self.counter += 1
        self.work.run()
        self.stop("App end")

app = LightningApp(Root())
"""


@pytest.fixture
def app_file(own_place: LocalPath) -> str:
    (own_place / "app.py").write_text(APP)
    return "app.py"


def in_a_process(scripts: ForkedScripts, text: str) -> subprocess.CompletedProcess[str]:
    """Execute a program in a process of its own, because loading an app replaces its `__main__`."""
    LocalPath("program.py").write_text(f"import lightning_lite.lightning\n{text}")
    return scripts.run_to_end(LocalPath("program.py").absolute())


def test_load_app_from_file_gives_the_app_without_running_it(app_file, forked_scripts: ForkedScripts):
    done = in_a_process(
        forked_scripts,
        "from lightning.app.utilities.load_app import load_app_from_file, extract_metadata_from_app\n"
        "import lightning_lite\n"
        "app = load_app_from_file('app.py')\n"
        "print(type(app) is lightning_lite.LightningApp, app.root.counter)\n"
        "for part in extract_metadata_from_app(app):\n"
        "    print(part['affiliation'], part['cls_name'], part['docstring'])\n"
        "from lightning.app.runners import MultiProcessRuntime\n"
        "MultiProcessRuntime(app).dispatch()\n",
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "True 0",
        "['root'] Root The root.",
        "['root', 'work'] Work A work.",
        "root.work | argument []",
        "App end",
    ]


def test_dispatch_of_a_file_runs_its_app(app_file, forked_scripts: ForkedScripts):
    done = in_a_process(
        forked_scripts,
        "from lightning.app.runners import dispatch\ndispatch('app.py', env_vars={'A': '1'})",
    )

    assert done.stdout.splitlines() == ["root.work | argument []", "App end"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x = 1", "MisconfigurationException: The provided file"),
        (
            APP + "other = LightningApp(Root())",
            "MisconfigurationException: There should not be multiple apps",
        ),
        ("raise ValueError('broken')", "ValueError: broken"),
    ],
)
def test_a_file_without_one_app_is_refused(text, error, forked_scripts: ForkedScripts):
    LocalPath("app.py").write_text(text)

    done = in_a_process(
        forked_scripts, "from lightning.app.runners import load_app_from_file\nload_app_from_file('app.py')"
    )

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].rpartition("stubs.")[2].startswith(error)


def test_a_file_that_is_not_there_is_an_error_of_its_own():
    with pytest.raises(FileNotFoundError, match=r"absent\.py"):
        dispatch("absent.py", RuntimeType.MULTIPROCESS, start_server=False)


def test_dispatch_of_a_file_may_be_without_a_server(forked_scripts: ForkedScripts):
    LocalPath("app.py").write_text(
        "from lightning.app import LightningApp, LightningFlow\n"
        "class Root(LightningFlow):\n"
        "    def run(self):\n"
        "        self.stop()\n"
        "    def configure_layout(self):\n"
        "        return {'name': 'Home', 'content': 'https://home.example'}\n"
        "app = LightningApp(Root())\n"
    )

    lines = (
        "dispatch('app.py')",
        "dispatch('app.py', start_server=False)",
        "dispatch('app.py', RuntimeType.MULTIPROCESS, False)",
        "MultiProcessRuntime(load_app_from_file('app.py'), 'app.py', False).dispatch()",
    )
    done = in_a_process(
        forked_scripts,
        "import sys\n"
        "from lightning.app.runners import MultiProcessRuntime, dispatch\n"
        "from lightning_lite.lightning_app.runtime import RuntimeType, load_app_from_file\n"
        + "".join(f"print({line!r}, file=sys.stderr)\n{line}\n" for line in lines),
    )

    first, served, *others = done.stderr.splitlines()
    assert done.returncode == 0
    assert first == lines[0]
    assert served.startswith("The page of this run: http://")
    assert tuple(others) == lines[1:]


def test_the_cloud_is_refused():
    with pytest.raises(ValueError, match="There is no cloud here"):
        dispatch("app.py", RuntimeType.CLOUD)
    assert RuntimeType("multiprocess").get_runtime() is MultiProcessRuntime


def test_metadata_of_a_work_has_the_plain_data_of_its_machine():
    found = extract_metadata_from_app(LightningApp(Tree()))

    assert [part["affiliation"] for part in found] == [
        ["root"],
        ["root", "inner"],
        ["root", "listed", "0"],
        ["root", "work"],
    ]
    assert found[-1]["cloud_compute"]["type"] == "__cloud_compute__"
    assert found[-1]["cloud_compute"]["name"] == "cpu-small"
    assert found[-1]["local_build_config"] == {
        "__build_config__": {"requirements": [], "dockerfile": None, "image": None}
    }


def test_metadata_has_the_text_of_init_before_that_of_the_class():
    class Described(EmptyFlow):
        """What the class is."""

        def __init__(self):
            """What it is made of."""
            super().__init__()

    class Inherits(Described):
        """Another class."""

    assert extract_metadata_from_app(LightningApp(Described()))[0]["docstring"] == "What it is made of."
    assert extract_metadata_from_app(LightningApp(Inherits()))[0]["docstring"] == "Another class."


def test_a_function_that_requires_packages_names_all_that_are_missing():
    @requires(["json", "absent", "absent.module"])
    def load():
        raise AssertionError("it was called")

    with pytest.raises(ModuleNotFoundError, match=r"Please run: pip install 'absent' 'absent\.module'"):
        load()
    assert requires("lightning_lite.harmless_text")(lambda: 1)() == 1


# Commands at the top of a file.


@pytest.mark.parametrize(
    ("text", "commands", "numbers"),
    [
        ('# !echo "a"', ['echo "a"'], [1]),
        ("# !a\n# !b\n", ["a", "b"], [1, 2]),
        ("# !a\n# other\n\n#!b\n", ["a", "b"], [1, 4]),
        ("# other\n#    !   a\nimport os\n# !b\n", ["a"], [2]),
        ("import os\n# !a\n", [], []),
        ("# text !a\n", [], []),
        ("", [], []),
    ],
)
def test_commands_are_comments_before_the_first_line_of_code(text, commands, numbers):
    LocalPath("app.py").write_text(text)

    assert extract_commands("app.py") == CommandLines("app.py", commands, numbers)


def test_commands_have_the_environment_and_stop_at_the_first_that_fails(capfd, monkeypatch):
    monkeypatch.setenv("COLOUR", "red")
    lines = CommandLines("app.py", ["echo $COLOUR", "NoSuchCommand x", "echo never"], [1, 3, 4])

    with pytest.raises(
        MisconfigurationException,
        match=r"There was a problem on line 3 of app\.py while executing the command: NoSuchCommand x",
    ):
        execute_commands(lines)

    assert capfd.readouterr().out == "red\n"


# Tests of the command line.


class TwoTurns(LightningTestApp):
    def on_after_run_once(self):
        assert self.root.counter >= 1
        return super().on_after_run_once()


def test_application_testing_runs_a_file_with_another_class_of_app(app_file):
    before = sys.argv, list(sys.path), sys.modules["__main__"], dict(os.environ)

    result = application_testing(TwoTurns, ["app.py", "--open-ui", "False", "--app_args", "--a"])

    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["root.work | argument ['--a']", "App end"]
    assert (sys.argv, list(sys.path), sys.modules["__main__"], dict(os.environ)) == before
    assert sys.modules["lightning_lite"].LightningApp is LightningApp


class Asserts(LightningTestApp):
    def on_after_run_once(self):
        assert self.root.counter < 0, "the hook has failed"


def test_a_failed_hook_of_application_testing_raises(app_file):
    with pytest.raises(AssertionError, match="the hook has failed"):
        application_testing(Asserts, [app_file])


def test_a_failed_app_gives_the_exit_code_1():
    LocalPath("app.py").write_text(APP.replace("self.work.run()", "self.fail('no')"))

    for form in (["app.py"], ["app", "app.py"]):
        assert application_testing(command_line=form).exit_code == 1, form


def test_application_testing_leaves_the_help_of_the_command_line_as_it_was(
    app_file, forked_scripts: ForkedScripts
):
    # In a process of its own, because click keeps the options of a command that was called once.
    done = in_a_process(
        forked_scripts,
        "from lightning_lite.cli.main import main\n"
        "from lightning_lite.testing import application_testing\n"
        "application_testing(command_line=['app.py'])\n"
        "main(['run', '-h'])\n",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "-h, --help" in done.stdout


def test_a_wrong_option_gives_the_exit_code_2(app_file):
    result = application_testing(command_line=[app_file, "--cloud"])

    assert (result.exit_code, "there is no cloud" in result.output) == (2, True)


def test_requirements_are_read_without_comments_addresses_and_upper_bounds():
    LocalPath("base.txt").write_text(
        "# first\nnumpy >=1.17, <2.0\ntorch<=2.1  # strict\n\nhttps://a.example/b.whl\nc @ https://d.example\nrich\n"
    )

    assert load_requirements(".") == ["numpy >=1.17", "torch<=2.1", "rich"]
    assert load_requirements(".", unfreeze=False) == ["numpy >=1.17, <2.0", "torch<=2.1", "rich"]
    assert load_requirements(".", "none.txt") == []


def test_a_state_store_keeps_copies():
    store, state = InMemoryStateStore(), {"vars": {"a": [1]}}
    store.add("app")
    store.set_app_state("app", state)
    store.set_served_state("app", state)
    store.set_served_session_id("app", "session")
    state["vars"]["a"].append(2)

    assert store.get_app_state("app") == store.get_served_state("app") == {"vars": {"a": [1]}}
    assert store.get_served_session_id("app") == "session"
    store.remove("app")
    with pytest.raises(KeyError):
        store.get_app_state("app")
