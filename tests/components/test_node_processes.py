"""Nodes with several processes: a launcher of this test prepares each one; see tests/ml for that of torch."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from lightning_lite import LightningWork
from lightning_lite.components import (
    FabricMultiNode,
    LightningTrainerMultiNode,
    LightningTrainerScript,
    PyTorchSpawnMultiNode,
)
from lightning_lite.components.lightning_nodes import FabricLauncher, TrainerLauncher
from lightning_lite.components.torch_nodes import check_package
from lightning_lite.errors import ComponentError, RankFailed
from lightning_lite.testing import poll_until

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import DEADLINE, run_script, starting, wait_until_gone

APP = """
import os, pickle, sys
from pathlib import Path
from lightning_lite import LightningApp, LightningWork
from lightning_lite.components import MultiNode
from lightning_lite.components.node_processes import launched
from lightning_lite.testing import poll_until

print("script", flush=True)

class Three:
    @staticmethod
    def default_processes():
        return 3

    @staticmethod
    def run(local_rank, work_run, main_address, main_port, num_nodes, node_rank, nprocs):
        return work_run(local_rank + node_rank * nprocs, num_nodes * nprocs)

class Thing:
    pass

class Node(LightningWork):
    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        self.told = ""
        self._thing = Thing()

    def run(self, rank, size):
        assert type(pickle.loads(pickle.dumps(self._thing))) is Thing
        assert sys.argv[1] == self.how
        self.told = f"rank {rank}"
        Path(f"new {rank}").write_text(str(os.getpid()))
        os.rename(f"new {rank}", f"rank {rank}")
        if self.how != "ends":
            poll_until(lambda: all(os.path.exists(f"rank {each}") for each in range(size)), timeout=100)
        if self.how == "raises" and rank == 1:
            raise ValueError("bad rank")
        if self.how == "loses":
            if rank == 1:
                os._exit(7)
            elif rank == 0:
                raise ConnectionError("the peer is gone")
        if self.how not in ("ends", "raises") or (self.how == "raises" and rank == 2):
            poll_until(lambda: False, timeout=100)
        return rank, size

class Nodes(MultiNode):
    def node_class(self, work_cls):
        return launched(work_cls, Three, None)

nodes = Nodes(Node, 2, None, sys.argv[1])
try:
    LightningApp(nodes).run()
finally:
    print(nodes.values(), [work.told for work in nodes.ws], type(nodes.ws[0]).__name__)
"""


def pids(size: int = 6) -> list[int]:
    return [int(Path(f"rank {rank}").read_text()) for rank in range(size)]


@pytest.fixture(autouse=True)
def app() -> None:
    Path("an app.py").write_text(APP)


def test_each_process_of_each_node_runs_and_the_script_is_executed_once(forked_scripts: ForkedScripts):
    printed = forked_scripts.run(Path("an app.py").absolute(), "ends").splitlines()

    assert printed == ["script", "[(0, 6), (3, 6)] ['rank 0', 'rank 3'] Node"]
    assert len(set(pids())) == 6
    wait_until_gone(*pids())


def test_a_process_that_fails_is_the_error_of_its_node_and_the_others_end(forked_scripts: ForkedScripts):
    done = forked_scripts.run_to_end(Path("an app.py").absolute(), "raises")

    assert done.returncode == 1
    assert "RankFailed: The process with the local rank 1 has ended with exit code 1" in done.stderr
    assert "ValueError: bad rank" in done.stdout + done.stderr
    wait_until_gone(*pids())


def test_the_process_that_has_failed_first_is_the_reason_of_a_lost_connection(forked_scripts: ForkedScripts):
    done = forked_scripts.run_to_end(Path("an app.py").absolute(), "loses")

    assert "RankFailed: The process with the local rank 1 has ended with exit code 7" in done.stderr
    wait_until_gone(*pids())


@pytest.mark.parametrize("victim", ["node", "app", "interrupted app", "rank"])
def test_all_processes_end_with_their_node_and_with_the_app(victim):
    with starting() as start:
        app = start("an app.py", "waits")
        poll_until(lambda: all(Path(f"rank {rank}").exists() for rank in range(6)), timeout=DEADLINE)
        if victim in ("node", "rank"):
            os.kill(pids()[0 if victim == "node" else 1], signal.SIGKILL)
        if victim == "rank":  # its node sees that at its end
            app.send_signal(signal.SIGINT)
        if "app" in victim:
            app.send_signal(signal.SIGKILL if victim == "app" else signal.SIGINT)
        app.communicate(timeout=DEADLINE)
        wait_until_gone(*pids())

    assert app.returncode != 0


NODES = [PyTorchSpawnMultiNode, FabricMultiNode, LightningTrainerMultiNode]


@pytest.mark.parametrize("kind", NODES)
def test_a_class_of_a_module_is_that_of_its_nodes(kind):
    Path("their_nodes.py").write_text(
        "from lightning_lite import LightningWork\n"
        "class Train(LightningWork):\n"
        "    def run(self, *args): pass\n"
    )
    printed = run_script(
        "-c",
        "import sys; sys.path.insert(0, '.')\n"
        "import their_nodes\n"
        "from lightning_lite.components import *\n"
        f"nodes = {kind.__name__}(their_nodes.Train, None, 2)\n"
        "print(len(nodes.ws), {isinstance(work, their_nodes.Train) for work in nodes.ws})\n"
        "print(their_nodes.Train.__mro__[0] is their_nodes.Train, 'torch' in sys.modules)\n",
    )

    assert printed == "2 {True}\nTrue False\n"


@pytest.mark.parametrize("kind", NODES)
@pytest.mark.parametrize("number", [0, "2", 1.5])
def test_a_number_of_processes_that_is_none_is_refused(kind, number):
    class Train(LightningWork):
        def run(self) -> None:
            pass

    with pytest.raises(ComponentError, match=r"processes_per_node=.*it must be a whole number, 1 or more"):
        kind(Train, None, 2, processes_per_node=number)


def test_a_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(ModuleNotFoundError) as caught:
        check_package("PyTorchSpawnMultiNode", "not_there")

    message = "PyTorchSpawnMultiNode needs not_there, which is not installed: pip install not_there"
    assert str(caught.value) == message


@pytest.mark.parametrize(("launcher", "package"), [(FabricLauncher, "fabric"), (TrainerLauncher, "pytorch")])
def test_without_lightning_a_launcher_says_what_to_install(launcher, package, monkeypatch):
    for name in launcher.packages:
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ModuleNotFoundError, match=rf"needs lightning\.{package}.*: pip install lightning$"):
        launcher.run(0, print, "127.0.0.1", 1, 1, 0, 1)


def test_an_error_of_a_rank_says_which_one():
    error = RankFailed("text", local_rank=2, exit_code=-9)

    assert (error.local_rank, error.exit_code) == (2, -9)


def test_a_trainer_script_has_one_work_for_each_node():
    script = LightningTrainerScript("train.py", ["--fast"], num_nodes=3, env={"A": "1"})

    assert [(work.node_rank, work.num_nodes, work.script_args) for work in script.ws] == [
        (0, 3, ["--fast"]),
        (1, 3, ["--fast"]),
        (2, 3, ["--fast"]),
    ]
    assert (script.best_model_score, script.best_model_paths) == (None, [None, None, None])
