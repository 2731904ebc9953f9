"""Works that are forked from a server: their special cases. Other tests run with both start methods."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import psutil
import pytest
import tasks
from harness import DEADLINE, Harness

from lightning_lite.errors import RunnerError
from lightning_lite.main_messages import KillWork, WorkExited
from lightning_lite.messages import StartFailed, StopWork, WorkStarted
from lightning_lite.runners.processes import forkserver
from lightning_lite.runners.processes.forkserver import ForkServer
from lightning_lite.testing import poll_until
from lightning_lite.values.pickling import unpack

from tests.support.processes import wait_until_gone

pytestmark = pytest.mark.dependencies


@pytest.fixture
def start_method(monkeypatch) -> None:
    monkeypatch.setenv("LIGHTNING_LITE_START_METHOD", "forkserver")


def server_of(harness: Harness) -> psutil.Process:
    return psutil.Process(harness.runner.places()["root.a"].pid).parent()


def test_nothing_is_started_before_a_work_is_wanted(tmp_path):
    before = psutil.Process().children()  # a server that tests share may be there
    harness = Harness(str(tmp_path))

    assert psutil.Process().children() == before

    harness.runner.close(1.0)


def test_works_are_children_of_one_server_with_one_thread_and_as_good_as_fresh_processes(harness: Harness):
    pids = harness.up("root.a", "root.b")

    server = server_of(harness)

    assert {child.pid for child in server.children()} == set(pids.values())
    assert server.ppid() == os.getpid()
    assert server.num_threads() == 1
    # Its streams, its socket, and the report of each work; newer versions of libffi keep their own file open.
    libffi = [file for file in server.open_files() if "libffi" in file.path]
    # The server closes its copies of the pipes of a work when that may have begun already.
    poll_until(lambda: server.num_fds() - len(libffi) == 3 + 1 + 2)
    assert not [child for child in (server, *server.children()) if child.net_connections()]

    ones, others = harness.run(tasks.facts, name="root.a"), harness.run(tasks.facts, name="root.b")
    assert ones["random"] != others["random"]
    assert ones["threads"] == 1
    assert ones["collects"]
    assert ones["frozen"] > 0
    assert ones["parent"] == others["parent"] == server.pid

    # Variables that only a fresh process heeds get one.
    harness.start("root.c", env={"PYTHONOPTIMIZE": "1"})
    fresh = harness.run(tasks.facts, name="root.c")
    assert (fresh["optimize"], fresh["parent"]) == (1, os.getpid())


def test_a_work_starts_with_the_current_state_of_the_flow(harness: Harness, monkeypatch, tmp_path):
    later = tmp_path / "later"
    monkeypatch.syspath_prepend(later)
    harness.up("root.a")  # the server has looked for modules there
    (tmp_path / "new_module.py").write_text("answer = 42")
    later.mkdir()
    (later / "made_later.py").write_text("NUMBER = 7")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SET_LATER", "1")
    monkeypatch.setenv("PATH", "/changed/later")
    monkeypatch.delenv("HOME")
    monkeypatch.chdir(tmp_path)

    harness.start("root.b")
    seen = harness.run(tasks.environment, name="root.b")

    assert seen["path"][0] == seen["cwd"] == str(tmp_path)
    assert (seen["environ"]["SET_LATER"], seen["environ"]["PATH"]) == ("1", "/changed/later")
    assert "HOME" not in seen["environ"]
    assert harness.run(tasks.import_answer, "new_module", name="root.b") == 42
    assert harness.run(tasks.attribute_of, "made_later", "NUMBER", name="root.b") == 7


def test_a_killed_server_is_the_end_of_its_works_and_the_next_work_gets_another(harness: Harness):
    pids = harness.up("root.a", "root.b")
    harness.call(tasks.hang_with_grandchildren)
    grandchildren = eval(harness.hangs()["pids"])
    first = server_of(harness)

    first.kill()

    for name in ("root.a", "root.b"):
        exited = harness.exit_of(name)
        assert exited.exitcode is None
        assert exited.detail.startswith("the fork server has died")
    wait_until_gone(*pids.values(), *grandchildren)

    harness.up("root.a")
    assert harness.run(tasks.answer, 1) == 1
    assert server_of(harness) != first
    harness.runner.send(StopWork("root.a", DEADLINE))
    assert harness.exit_of() == WorkExited("root.a", 0)


def test_works_of_a_server_that_has_died_are_reaped_beside_its_successor(harness: Harness):
    harness.up("root.a", "root.b")
    server_of(harness).kill()
    harness.start("root.c")  # before any look at it

    harness.until(WorkStarted, "root.c")

    assert harness.exit_of("root.a").detail == harness.exit_of("root.b").detail != ""
    assert harness.run(tasks.answer, 1, name="root.c") == 1


def test_a_suspended_fork_server_blocks_no_app_for_ever(harness: Harness, monkeypatch):
    harness.up("root.a")
    monkeypatch.setattr(forkserver, "_TIMEOUT", 0.05)
    first = server_of(harness)
    first.suspend()

    harness.start("root.b")

    harness.until(WorkStarted, "root.b")
    assert harness.exit_of("root.a").exitcode is None
    assert not first.is_running()


def test_a_server_that_can_not_begin_is_named(tmp_path, monkeypatch, capfd):
    (tmp_path / "no_good.py").write_text("raise ValueError('no luck')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "no_good", sys)
    harness = Harness(str(tmp_path), preload=["no_good", "not_loaded_here"])

    harness.start()

    assert harness.until(StartFailed).failure.message == (
        "root.a could not start: the fork server has ended with exit code 1"
    )
    assert harness.exit_of() == WorkExited("root.a", None)
    harness.runner.close(1.0)
    assert "ValueError: no luck" in capfd.readouterr().err


def test_a_limit_that_keeps_the_server_from_forking_is_named_and_others_start(harness: Harness, monkeypatch):
    harness.up("root.before")
    for number in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE):
        with monkeypatch.context() as patch:
            patch.setattr(ForkServer, "_ask", lambda *_, number=number: -number)
            harness.start()
            failure = harness.until(StartFailed).failure
            assert harness.exit_of() == WorkExited("root.a", None)

        words = (os.strerror(number), "ulimit", "memory")
        assert any(word in failure.message for word in words), (number, failure)
        assert isinstance(unpack(failure.error), RunnerError), number
    assert harness.run(tasks.answer, 1, name="root.before") == 1
    harness.up("root.after")


def test_a_process_that_the_flow_forks_leaves_server_and_works_alone(harness: Harness):
    harness.up("root.a")
    pid = os.fork()
    if pid == 0:
        harness.runner.close(5)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

    harness.up("root.b")
    assert harness.run(tasks.answer, 1) == harness.run(tasks.answer, 1, name="root.b")


@pytest.mark.parametrize("kills", [8, pytest.param(200, marks=pytest.mark.torture)])
def test_a_kill_while_the_server_forks_is_reported(harness: Harness, kills: int):
    for _ in range(kills):
        harness.start()
        harness.runner.send(KillWork("root.a"))

        assert harness.exit_of().exitcode in (None, -9)


def test_without_pidfds_there_is_no_fork_server(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open")

    with pytest.raises(RunnerError, match=r"start_method='forkserver' needs os\.pidfd_open"):
        ForkServer(None)


APP = """
import os, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def __init__(self):
        super().__init__(retries=1, retry_delay=0.0, parallel=True)
        self.tries = 0

    def run(self, i):
        self.tries += 1
        if i == 3 and self.tries == 1:
            os.kill(os.getppid(), 9)
            signal.pause()
        print("work", i)
        return i, os.getppid(), "cloudpickle" in sys.modules

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.works_ = [Work() for i in range(4)]

    def run(self):
        answers = [work.run(i) for i, work in enumerate(self.works_)]
        if all(answers):
            assert [i for i, _, _ in answers] == [0, 1, 2, 3]
            assert os.getpid() not in [parent for _, parent, _ in answers]
            assert not any(loaded for _, _, loaded in answers)
            self.stop("done")

import signal
if __name__ == "__main__":
    LightningApp(Flow()).run(start_method="forkserver")
"""


def test_an_app_goes_on_when_its_server_is_killed(tmp_path):
    (tmp_path / "app.py").write_text(APP)

    done = subprocess.run([sys.executable, tmp_path / "app.py"], capture_output=True, text=True)

    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["done"]), done.stderr
    assert "root.works_.3 | work 3" in done.stdout
