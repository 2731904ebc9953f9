"""Works that are forked from a server: what is special about them. The rest is shown with both ways."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import psutil
import pytest
import tasks
from runner_bench import DEADLINE, Bench, wait_until_gone

from lightning_lite.errors import RunnerError
from lightning_lite.messages import KillWork, StartFailed, StopWork, WorkExited, WorkStarted
from lightning_lite.runners.processes import forkserver
from lightning_lite.runners.processes.forkserver import ForkServer
from lightning_lite.values.pickling import unpack

pytestmark = pytest.mark.dependencies


@pytest.fixture
def start_method(monkeypatch) -> None:
    monkeypatch.setenv("LIGHTNING_LITE_START_METHOD", "forkserver")


def server_of(bench: Bench) -> psutil.Process:
    return psutil.Process(bench.runner.places()["root.a"].pid).parent()


def test_nothing_is_started_before_a_work_is_wanted(tmp_path):
    bench = Bench(str(tmp_path))

    assert psutil.Process().children() == []

    bench.runner.close(1.0)


def test_works_are_children_of_one_server_with_one_thread(bench: Bench):
    pids = bench.up("root.a", "root.b")

    server = server_of(bench)

    assert {child.pid for child in server.children()} == set(pids.values())
    assert server.ppid() == os.getpid()
    assert server.num_threads() == 1
    # Its streams, its socket, and the report of each work.
    assert server.num_fds() == 3 + 1 + 2
    assert not [child for child in (server, *server.children()) if child.net_connections()]


def test_a_forked_process_is_as_good_as_a_fresh_one(bench: Bench):
    bench.up("root.a", "root.b")

    ones, others = bench.run(tasks.facts, name="root.a"), bench.run(tasks.facts, name="root.b")

    assert ones["random"] != others["random"]
    assert ones["threads"] == 1
    assert ones["collects"]
    assert ones["frozen"] > 0
    assert ones["parent"] == others["parent"] == server_of(bench).pid


def test_variables_that_only_a_fresh_process_heeds_get_one(bench: Bench):
    bench.up("root.a")
    bench.start("root.b", env={"PYTHONOPTIMIZE": "1"})

    assert bench.run(tasks.facts, name="root.b")["optimize"] == 1
    assert bench.run(tasks.facts, name="root.b")["parent"] == os.getpid()
    assert bench.run(tasks.facts, name="root.a")["parent"] == server_of(bench).pid


def test_what_the_flow_has_become_meanwhile_is_what_a_work_is(bench: Bench, monkeypatch, tmp_path):
    bench.up("root.a")
    (tmp_path / "new_module.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SET_LATER", "1")
    monkeypatch.chdir(tmp_path)

    bench.start("root.b")
    seen = bench.run(tasks.environment, name="root.b")

    assert seen["path"][0] == seen["cwd"] == str(tmp_path)
    assert seen["environ"]["SET_LATER"] == "1"
    assert bench.run(tasks.import_answer, "new_module", name="root.b") == 42


def test_a_killed_server_is_the_end_of_its_works_and_the_next_work_gets_another(bench: Bench):
    pids = bench.up("root.a", "root.b")
    bench.call(tasks.hang_with_grandchildren)
    grandchildren = eval(bench.hangs()["pids"])
    first = server_of(bench)

    first.kill()

    for name in ("root.a", "root.b"):
        exited = bench.exit_of(name)
        assert exited.exitcode is None
        assert exited.detail.startswith("the fork server has died")
    wait_until_gone(*pids.values(), *grandchildren)

    bench.up("root.a")
    assert bench.run(tasks.answer, 1) == 1
    assert server_of(bench) != first
    bench.runner.send(StopWork("root.a", DEADLINE))
    assert bench.exit_of() == WorkExited("root.a", 0)


def test_works_of_a_server_that_has_died_are_reaped_beside_its_successor(bench: Bench):
    bench.up("root.a", "root.b")
    server_of(bench).kill()
    bench.start("root.c")  # before anybody has looked

    bench.until(WorkStarted, "root.c")

    assert bench.exit_of("root.a").detail == bench.exit_of("root.b").detail != ""
    assert bench.run(tasks.answer, 1, name="root.c") == 1


def test_a_server_that_is_stopped_keeps_nobody_for_ever(bench: Bench, monkeypatch):
    bench.up("root.a")
    monkeypatch.setattr(forkserver, "_PATIENCE", 0.05)
    first = server_of(bench)
    first.suspend()

    bench.start("root.b")

    bench.until(WorkStarted, "root.b")
    assert bench.exit_of("root.a").exitcode is None
    assert not first.is_running()


def test_a_server_that_can_not_begin_is_named(tmp_path, monkeypatch, capfd):
    (tmp_path / "no_good.py").write_text("raise ValueError('no luck')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "no_good", sys)
    bench = Bench(str(tmp_path), preload=["no_good", "not_loaded_here"])

    bench.start()

    assert bench.until(StartFailed).failure.message == (
        "root.a could not start: the fork server has ended with exit code 1"
    )
    assert bench.exit_of() == WorkExited("root.a", None)
    bench.runner.close(1.0)
    assert "ValueError: no luck" in capfd.readouterr().err


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_limit_that_keeps_the_server_from_forking_is_named_and_others_start(
    bench: Bench, monkeypatch, number: int
):
    bench.up("root.before")
    with monkeypatch.context() as patch:
        patch.setattr(ForkServer, "_ask", lambda *_: -number)
        bench.start()
        failure = bench.until(StartFailed).failure
        assert bench.exit_of() == WorkExited("root.a", None)

    assert (
        os.strerror(number) in failure.message or "ulimit" in failure.message or "memory" in failure.message
    )
    assert isinstance(unpack(failure.error), RunnerError)
    assert bench.run(tasks.answer, 1, name="root.before") == 1
    bench.up("root.after")


def test_a_process_that_the_flow_forks_leaves_server_and_works_alone(bench: Bench):
    bench.up("root.a")
    pid = os.fork()
    if pid == 0:
        bench.runner.close(5)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

    bench.up("root.b")
    assert bench.run(tasks.answer, 1) == bench.run(tasks.answer, 1, name="root.b")


def test_a_kill_while_the_server_forks_is_told(bench: Bench):
    for _ in range(20):
        bench.start()
        bench.runner.send(KillWork("root.a"))

        assert bench.exit_of().exitcode in (None, -9)


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
            assert all(loaded for _, _, loaded in answers)
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
