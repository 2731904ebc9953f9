"""Apps whose works run on other machines: addresses, needs, settings, refusals, resume."""

from __future__ import annotations

import os
import signal
import socket
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import psutil
import pytest
from node_works import Hang, Serve, Square

from lightning_lite import CloudCompute, LightningApp, LightningFlow, storage
from lightning_lite.app import app, ray_runner
from lightning_lite.errors import SettingError, WorkStartFailed, WorkTimeout
from lightning_lite.run_options import RunOptions
from lightning_lite.runs.catalog import read_runs
from lightning_lite.settings import resolve_root
from lightning_lite.sockets import NODE_ADDRESS_VARIABLE
from lightning_lite.testing import poll_until

from tests.support.files import write
from tests.support.other_node import use_other_node
from tests.support.processes import DEADLINE, finish, starting, wait_until_gone

PROJECT = Path(__file__).parents[2]
HERE = Path(__file__).parent

#: An address of this machine that is not the one of local works.
ADDRESS = "127.0.0.2"

AT_ADDRESS = {NODE_ADDRESS_VARIABLE: ADDRESS}


class Once(LightningFlow):
    def __init__(self, work, *args):
        super().__init__()
        self.work = work
        self._args = args
        self._answer = None

    def run(self):
        self._answer = self.work.run(*self._args)
        self.stop()


class Visit(LightningFlow):
    """Waits until a work serves, visits it, and stops it."""

    def __init__(self, work):
        super().__init__()
        self.work = work
        self._seen = []

    def run(self):
        self.work.run()
        # The port may answer, so that there is a url, before the work has said what it sees.
        if self.work.url and self.work.seen and not self._seen:
            address, _, port = self.work.url.removeprefix("http://").rpartition(":")
            with socket.create_connection((address, int(port)), DEADLINE) as connection:
                assert connection.recv(1) == b"!"
            self._seen = [self.work.host, self.work.internal_ip, address, *self.work.seen]
            self.work.stop()
        if self.work.has_stopped:
            self._seen += [self.work.host, self.work.url]
            self.stop()


@pytest.fixture(autouse=True)
def made(monkeypatch):
    """Let works of this process seem to be on another host; return the options that clusters have got."""
    return use_other_node(os.getpid(), monkeypatch)


def run(root, **arguments):
    app = LightningApp(root, **arguments)
    app.run(runner="ray")
    return app.root


@pytest.mark.parametrize(
    ("host", "inside"), [("127.0.0.1", ADDRESS), ("0.0.0.0", "0.0.0.0"), (ADDRESS, ADDRESS)]
)
def test_the_url_of_a_work_has_the_address_of_its_machine(host, inside):
    root = run(Visit(Serve(host=host, env=AT_ADDRESS)))

    # In the flow, in the url, in the work, and in the flow after the process has ended.
    assert root._seen == [inside, ADDRESS, ADDRESS, inside, ADDRESS, host, ""]


def test_a_cloud_compute_asks_for_what_the_table_says(monkeypatch):
    with pytest.raises(
        WorkStartFailed, match=r"root\.work could not start: it needs 1 GPU, and this machine"
    ):
        run(Once(Square(cloud_compute=CloudCompute("gpu")), 2))

    root = run(Once(Square(cloud_compute=CloudCompute("gpu")), 2), compute={"gpu": {"cpus": 1}})
    assert root._answer == 4

    monkeypatch.setenv("LIGHTNING_LITE_COMPUTE", '{"default": {"gpus": 2}}')
    with pytest.raises(WorkStartFailed, match="it needs 2 GPUs"):
        run(Once(Square(), 2))


def test_a_time_limit_ends_a_call_there():
    with pytest.raises(WorkTimeout, match=r"took longer than its timeout of 0\.2 s"):
        run(Once(Hang(timeout=0.2)))


def test_a_machine_that_does_not_see_the_root_runs_no_work_of_an_app_with_files_in_it(monkeypatch):
    use_other_node(os.getpid(), monkeypatch, sees_root=False)
    modules = ("drive", "path", "payload", "file_system")
    for module in modules:
        monkeypatch.delitem(sys.modules, f"lightning_lite.storage.{module}", raising=False)
    assert run(Once(Square(), 3))._answer == 9  # it has none

    root = os.environ["LIGHTNING_LITE_ROOT"]
    message = f"does not see {root!r}, in which this app keeps its drives. They need"
    is_refused = {}
    for module in modules:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, f"lightning_lite.storage.{module}", storage)
            try:
                run(Once(Square(), 3))
                is_refused[module] = False
            except WorkStartFailed as error:
                is_refused[module] = message in str(error)
    assert is_refused == dict.fromkeys(modules, True)


def test_a_machine_that_does_not_see_the_root_runs_works_whose_drives_are_on_an_object_store(monkeypatch):
    pytest.importorskip("obstore", reason="it comes with the extra s3")
    use_other_node(os.getpid(), monkeypatch, sees_root=False)
    monkeypatch.setitem(sys.modules, "lightning_lite.storage.drive", storage)

    assert run(Once(Square(), 3), drives="s3://bucket/prefix")._answer == 9


def test_the_settings_of_the_project_reach_the_cluster(made, monkeypatch):
    write("src/app.py", "")
    lines = (
        "ray_address = '10.0.0.1:6379'\nray_lease = 2.5\nray_working_dir = 'src'\nray_excludes = ['*.bin']"
    )
    write("pyproject.toml", f"[tool.lightning_lite]\n{lines}\nray_direct = false\n")
    monkeypatch.setenv("LIGHTNING_LITE_RAY_EXCLUDES", "*.pt, data/")

    root = run(Once(Square(), 7))

    assert (root._answer, root.work.last) == (49, 7)  # as on this machine, with one word changed
    (options,) = made
    here = os.path.join(os.getcwd(), "src")
    assert options[:5] == ("10.0.0.1:6379", 2.5, here, ("*.pt", "data/"), False)


@pytest.mark.parametrize(
    ("setting", "expected"), [(None, "10.0.0.2:1"), ("auto", "10.0.0.2:1"), ("10.0.0.3:1", "10.0.0.3:1")]
)
def test_the_variable_of_ray_counts_if_no_other_address_is_given(made, monkeypatch, setting, expected):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.2:1")
    if setting is not None:
        monkeypatch.setenv("LIGHTNING_LITE_RAY_ADDRESS", setting)

    assert ray_runner.remote_options(RunOptions.resolve()).address == expected

    monkeypatch.setenv("RAY_ADDRESS", "ray://10.0.0.2:1")
    if expected == "10.0.0.2:1":
        with pytest.raises(SettingError, match="RAY_ADDRESS=ray://"):
            ray_runner.remote_options(RunOptions.resolve())


def test_the_folder_that_is_sent_is_that_of_the_script_unless_another_or_none_is_named(made, monkeypatch):
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert ray_runner.script_folder() is None  # a prompt
    main.__file__ = str(write("project/package/program.py", ""))
    assert ray_runner.script_folder() == os.path.abspath("project/package")
    main.__spec__ = ModuleSpec("package.program", None)  # python -m package.program
    assert ray_runner.script_folder() == os.path.abspath("project")
    main.__file__, main.__spec__ = pytest.__file__, ModuleSpec("pytest.__main__", None)  # python -m pytest
    assert ray_runner.script_folder() is None

    monkeypatch.setenv("LIGHTNING_LITE_RAY_WORKING_DIR", "off")
    assert ray_runner.remote_options(RunOptions.resolve()).working_dir is None
    monkeypatch.setenv("LIGHTNING_LITE_RAY_WORKING_DIR", "nowhere")
    with pytest.raises(SettingError, match=r"ray_working_dir: there is no folder '/.*/nowhere'"):
        ray_runner.remote_options(RunOptions.resolve())


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    # Not undo(), which would take back the root and the working directory of the test, too.
    monkeypatch.setattr(app, "check_ray_is_installed", ray_runner.check_ray_is_installed)
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(SettingError) as refused:
        LightningApp(Once(Square(), 1)).run(runner="ray")

    assert str(refused.value) == (
        "runner='ray' needs ray, which is not installed: pip install 'lightning-lite-apps[ray]'"
    )
    assert read_runs(resolve_root(None)) == []


SCRIPT = f"""
import os, sys
sys.path[:0] = [{str(PROJECT)!r}, {str(HERE)!r}]
from tests.support.other_node import use_other_node
use_other_node({os.getpid()})
from lightning_lite import LightningApp, LightningFlow
from node_works import Square, WaitFor

class Two(LightningFlow):
    def __init__(self):
        super().__init__()
        self.square, self.waiter = Square(), WaitFor()
    def run(self):
        print("square", self.square.run(3), flush=True)
        print("found", self.waiter.run(os.path.abspath("go")), flush=True)
        self.stop()

LightningApp(Two()).run(runner="ray", resume="--resume" in sys.argv, view=False)
"""


def test_a_resume_after_a_killed_app_goes_on_and_its_works_are_gone():
    write("app.py", SCRIPT)
    with starting() as start:
        first = start("app.py")
        poll_until(lambda: Path("up").exists() or first.poll() is not None, DEADLINE)
        pids = [process.pid for process in psutil.Process(first.pid).children(recursive=True)]
        first.kill()
        code, out, error = finish(first)
        assert code == -signal.SIGKILL, error
        assert set(out.splitlines()) == {"square 9", "root.square | squares 3"}
        wait_until_gone(*pids)

        write("go")
        code, out, error = finish(start("app.py", "--resume"))

    assert (code, set(out.splitlines())) == (0, {"square 9", "found True"}), error
    (run,) = read_runs(resolve_root(None))
    log = Path(run.path, "logs", "root.square.log").read_text()
    assert (run.state, log.count("squares 3")) == ("stopped", 1)
