"""How the process that is connected to Ray reports deaths and waits, and which files it sends."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest

from lightning_lite.resources import Resources
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.ray_cluster import _explain_refusal
from lightning_lite.runners.remote.ray_process import RayConnection, _exclude, _find_unreadable
from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE


class RayActorError(Exception):
    pass


class ActorUnavailableError(RayActorError):
    pass


class ActorUnschedulableError(Exception):
    pass


class RuntimeEnvSetupError(Exception):
    pass


class FakeRay:
    """The part of Ray that the process uses; the test completes the futures of its actors.

    Attributes:
        alive: By the id of a node, whether it is alive.
        total: By the id of a node, its resources.
        free: By the id of a node, its free resources.
        futures: The futures of `ServerActor.node`, in the order of the actors.
    """

    exceptions = SimpleNamespace(
        RayActorError=RayActorError,
        ActorUnavailableError=ActorUnavailableError,
        ActorUnschedulableError=ActorUnschedulableError,
        RuntimeEnvSetupError=RuntimeEnvSetupError,
    )

    def __init__(self) -> None:
        self.alive = {"a1": True, "b2": True}
        self.total: dict[str, dict[str, float]] = {"a1": {"CPU": 2.0}, "b2": {"CPU": 2.0}}
        self.free: dict[str, dict[str, float]] = {}
        self.futures: list[Future[str]] = []

    @property
    def _private(self) -> Any:
        return SimpleNamespace(state=SimpleNamespace(available_resources_per_node=lambda: self.free))

    def nodes(self) -> list[dict[str, Any]]:
        return [
            {
                "NodeID": node,
                "NodeManagerHostname": f"host-{node}",
                "Alive": alive,
                "Resources": self.total[node],
            }
            for node, alive in self.alive.items()
        ]

    def remote(self, actor_class: object) -> Any:
        return SimpleNamespace(options=lambda **options: SimpleNamespace(remote=self._make_actor))

    def _make_actor(self) -> Any:
        future: Future[str] = Future()
        self.futures.append(future)
        return SimpleNamespace(node=SimpleNamespace(remote=lambda: SimpleNamespace(future=lambda: future)))

    def kill(self, actor: object) -> None:
        pass


class FakeChannel:
    """The connection to the app: its requests, and the messages to it."""

    def __init__(self) -> None:
        self.requests: SimpleQueue[tuple[Any, ...] | None] = SimpleQueue()
        self.sent: list[tuple[Any, ...]] = []

    def receive(self) -> tuple[Any, ...] | None:
        return self.requests.get()

    def send(self, message: tuple[Any, ...]) -> None:
        self.sent.append(message)


@pytest.fixture
def ray() -> FakeRay:
    return FakeRay()


@pytest.fixture
def channel(ray: FakeRay) -> Iterator[FakeChannel]:
    channel = FakeChannel()
    thread = threading.Thread(target=RayConnection(ray, channel).serve)  # type: ignore[arg-type]
    thread.start()
    yield channel
    channel.requests.put(None)
    thread.join()


def answer_of(channel: FakeChannel) -> tuple[Any, ...]:
    poll_until(lambda: channel.sent, timeout=DEADLINE)
    return channel.sent.pop(0)


def start_of_server(ray: FakeRay, channel: FakeChannel) -> Future[str]:
    channel.requests.put(("place", 1, None))
    poll_until(lambda: ray.futures, timeout=DEADLINE)
    return ray.futures[0]


def test_a_node_that_dies_while_a_server_starts_there_is_lost(ray, channel):
    future = start_of_server(ray, channel)

    ray.alive["b2"] = False
    future.set_exception(
        RayActorError(
            "The actor died unexpectedly.\nThe actor died because its node has died. Node Id: b2\n"
            "The actor never ran - it was cancelled before it started running."
        )
    )

    assert answer_of(channel) == ("death", 1, "the node host-b2 is dead", True)


def test_a_server_that_can_not_start_for_its_own_reason_is_not_lost_although_another_node_is_dead(
    ray, channel
):
    future = start_of_server(ray, channel)

    ray.alive["b2"] = False
    future.set_exception(RayActorError("The actor died because of an error.\nImportError: no module x"))

    assert answer_of(channel) == (
        "death",
        1,
        "Ray could not start its server: ImportError: no module x",
        False,
    )


@pytest.mark.parametrize(
    ("free", "needs", "why"),
    [
        (
            {"a1": {"CPU": 1.0}, "b2": {"CPU": 1.0}},
            Resources(cpus=2),
            "it needs 2 CPUs, and no node of the cluster has that free: they have 1 of 2 CPUs",
        ),
        (
            {"a1": {"CPU": 2.0}, "b2": {"licence": 1.0}},
            Resources(cpus=2, custom=(("licence", 1.0),)),
            "it needs 2 CPUs, 1 licence, and no node of the cluster has that free: "
            "they have 2 of 2 CPUs, no licence; 0 of 2 CPUs, 1 of 1 licence",
        ),
        ({"a1": {"CPU": 1.0}}, Resources(cpus=2), "it needs 2 CPUs, and the cluster has 1 of 4 CPUs free"),
        (
            {"a1": {"memory": 1.24649e10}},
            Resources(memory=20 * 2**30),
            "it needs 20 GiB of memory, and the cluster has 12 GiB of 46 GiB of memory free",
        ),
        ({}, Resources(gpus=1), "it needs 1 GPU, and the cluster has 0 of 1 GPU free"),
        ({"a1": {"CPU": 2.0}}, Resources(cpus=2), "Ray has not started a process for it yet, see ray.log"),
        ({}, Resources(), "Ray has not started a process for it yet, see ray.log"),
    ],
)
def test_the_reason_why_a_work_waits_is_what_no_single_node_has_free(ray, channel, free, needs, why):
    ray.total = {
        "a1": {"CPU": 2.0, "GPU": 1.0, "memory": 4.89721e10},
        "b2": {"CPU": 2.0, "licence": 1.0},
    }
    ray.free = free

    channel.requests.put(("explain", 7, needs))

    assert answer_of(channel) == ("explained", 7, why)


def test_what_ray_can_not_read_to_the_end_is_not_sent(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plain.txt").touch()
    os.mkfifo(tmp_path / "data" / "a [pipe]")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "ring").symlink_to("ring")
    (tmp_path / "data" / "up").symlink_to("..")
    (tmp_path / "beside").symlink_to("data")
    for name, other in ("one", "two"), ("two", "one"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "other").symlink_to(f"../{other}")
    for name in (".git", "left-out"):
        (tmp_path / name).mkdir()
        os.mkfifo(tmp_path / name / "pipe")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(tmp_path):
        server.bind("server")

    patterns = {
        _exclude(path, str(tmp_path)) for path in _find_unreadable(str(tmp_path), [".git", "left-out/"])
    }

    pipe = r"a\ \[pipe\]"
    # Through the second name of the folder, too, by which Ray reaches them.
    expected = {f"/data/{pipe}", "/data/up", f"/beside/{pipe}", "/beside/up", "/server", "/zero"}
    expected |= {"/one/other/other", "/two/other/other"}
    assert patterns == expected


@pytest.mark.parametrize(
    ("address", "printed", "words"),
    [
        ("10.0.0.1:6379", "", "Something listens at '10.0.0.1:6379', but it did not answer as the head"),
        (
            "10.0.0.1:6379",
            "INFO -- Connected to Ray cluster.\n",
            "The files in '/app' were not sent to the Ray cluster at '10.0.0.1:6379' within 60 s: leave some",
        ),
        ("auto", "", "could not be made: nothing answers"),
        (None, "", "Ray has not started on this machine within 60 s"),
    ],
)
def test_a_connection_that_takes_too_long_is_explained_by_how_far_it_came(tmp_path, address, printed, words):
    log = tmp_path / "ray.log"
    earlier = "INFO -- Connected to Ray cluster.\n"  # of the run that is resumed
    log.write_text(earlier + printed)

    why = _explain_refusal(
        ("refused", "TimeoutError", ""), RemoteOptions(address, working_dir="/app"), str(log), len(earlier)
    )

    assert words in why
