"""`MultiNode`: several nodes on one machine that talk to each other, fail, die and resume."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path

import pytest

from lightning_lite import CloudCompute, LightningApp, LightningFlow
from lightning_lite.components import MultiNode
from lightning_lite.components.multi_node import find_main_port
from lightning_lite.errors import AppFailed, ComponentError, WorkCrashed
from lightning_lite.testing import poll_until

from tests.components.node_works import Failing, Gathering
from tests.support.processes import DEADLINE, run_script, run_verb, starting, wait_until_gone


def test_the_nodes_run_at_the_same_time_and_meet_at_node_0():
    nodes = MultiNode(Gathering, 3, CloudCompute("gpu"), word="rank")
    LightningApp(nodes).run()

    assert nodes.values() == [["rank 0", "rank 1", "rank 2"], [], []]
    assert len({work.pid for work in nodes.ws}) == 3
    assert all(work.has_succeeded for work in nodes.ws)


def test_a_node_is_stopped_when_it_has_succeeded_and_the_flow_goes_on():
    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.train = MultiNode(Gathering, num_nodes=2, cloud_compute=CloudCompute())
            self.gathered: list[str] = []

        def run(self) -> None:
            self.train.run()
            if all(work.has_stopped for work in self.train.ws):
                self.gathered = self.train.values()[0]
                self.stop()

    app = LightningApp(Flow())
    app.run()

    assert app.root.gathered == ["node 0", "node 1"]
    wait_until_gone(*(work.pid for work in app.root.train.ws))


def test_node_0_listens_at_the_port_of_the_arguments():
    port = find_main_port("127.0.0.1")
    nodes = MultiNode(Gathering, 2, port=port)
    LightningApp(nodes).run()

    assert nodes.main_port == port
    assert nodes.values()[0] == ["node 0", "node 1"]


def test_the_port_is_not_one_that_programs_get_by_chance():
    ports = {find_main_port("127.0.0.1") for _ in range(20)}

    assert all(20_000 <= port < 32_000 for port in ports)
    assert len(ports) > 1
    with socket.create_server(("127.0.0.1", ports.pop())) as server:
        taken = server.getsockname()[1]
        assert taken not in {find_main_port("127.0.0.1") for _ in range(20)}


def test_apps_with_the_same_seed_choose_other_ports():
    ports = set()
    for _ in range(10):
        random.seed(1)
        ports.add(find_main_port("127.0.0.1"))

    assert len(ports) > 1


def test_an_address_of_another_machine_is_an_error():
    with pytest.raises(OSError, match="assign requested address"):
        find_main_port("192.0.2.1")


def pids() -> list[int]:
    return [int(Path(f"node {rank}").read_text()) for rank in range(3)]


@pytest.mark.parametrize(
    ("how", "error", "text"),
    [("raises", ValueError, "no data"), ("is killed", WorkCrashed, r"SIGKILL \(signal 9\).*root\.ws\.1")],
)
def test_one_node_that_fails_ends_the_others_with_its_error(how, error, text):
    with pytest.raises(error, match=text):
        LightningApp(MultiNode(Failing, 3, None, how, max_restarts=0)).run()

    wait_until_gone(*pids())


def test_the_error_of_a_node_ends_the_app_also_if_works_raise_none():
    nodes = MultiNode(Failing, 3, None, "raises", raise_exception=False)

    with pytest.raises(AppFailed, match=r"Node 1 of 3 has failed: ValueError: no data in root\.ws\.1\.run\("):
        LightningApp(nodes).run()

    wait_until_gone(*pids())


def test_a_flow_sees_which_node_has_failed_and_the_others_are_stopped():
    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.nodes = MultiNode(Failing, 3, None, "raises", raise_exception=False)

        def run(self) -> None:
            self.nodes.run()
            stages = [work.status.stage for work in self.nodes.ws]
            if "running" not in stages and "pending" not in stages:
                self.stop()

    app = LightningApp(Flow())
    app.run()

    assert [work.status.stage for work in app.root.nodes.ws] == ["stopped", "failed", "stopped"]
    wait_until_gone(*pids())


APP = """
import os
from pathlib import Path
from lightning_lite import LightningApp, LightningWork
from lightning_lite.components import MultiNode
from lightning_lite.testing import poll_until

class Node(LightningWork):
    def run(self, main_address, main_port, num_nodes, node_rank):
        print("run", node_rank, file=open("runs", "a"))
        Path(f"new {node_rank}").write_text(f"{os.getpid()} {main_port}")
        os.rename(f"new {node_rank}", f"node {node_rank}")  # the last one: the test waits for it
        if node_rank == 1:
            poll_until(lambda: os.path.exists("go on"), timeout=100)

LightningApp(MultiNode(Node, 2)).run(resume=True)
"""


def test_nodes_die_with_an_app_that_is_killed_and_a_resumed_app_runs_only_those_that_had_not_ended():
    Path("app.py").write_text(APP)
    with starting() as start:
        app = start("app.py")
        poll_until(lambda: Path("node 0").exists() and Path("node 1").exists(), timeout=DEADLINE)
        ports = [Path(f"node {rank}").read_text().split()[1] for rank in (0, 1)]
        poll_until(node_0_has_stopped, timeout=DEADLINE)
        app.kill()
        app.wait()
        wait_until_gone(*(int(Path(f"node {rank}").read_text().split()[0]) for rank in (0, 1)))

    Path("go on").touch()
    run_script("app.py")

    assert Path("runs").read_text().splitlines() in (
        ["run 0", "run 1", "run 1"],
        ["run 1", "run 0", "run 1"],
    )
    assert [Path(f"node {rank}").read_text().split()[1] for rank in (0, 1)] == ports


def node_0_has_stopped() -> bool:
    works = json.loads(run_verb("status", "--json").stdout)["works"]
    return any((work["name"], work["state"]) == ("root.ws.0", "stopped") for work in works)


@pytest.mark.parametrize("num_nodes", [0, -1, "2", 1.0, None])
def test_a_number_of_nodes_that_is_none_is_refused(num_nodes):
    with pytest.raises(ComponentError, match="num_nodes must be a whole number, 1 or more"):
        MultiNode(Gathering, num_nodes)


def test_a_class_that_is_no_work_is_refused():
    with pytest.raises(ComponentError, match="it must be a class derived from LightningWork"):
        MultiNode(LightningFlow, 2)  # type: ignore[arg-type]


def test_each_node_has_a_cloud_compute_of_its_own():
    compute = CloudCompute("gpu")
    nodes = MultiNode(Gathering, 2, compute)

    assert len({id(work.cloud_compute) for work in nodes.ws} | {id(compute)}) == 3
    assert [work.cloud_compute.name for work in nodes.ws] == ["gpu", "gpu"]
