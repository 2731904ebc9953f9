"""Deaths of works, nodes and apps on a Ray cluster of two nodes, and works that wait for a place there."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import tasks
from harness import DEADLINE, Harness

from lightning_lite.main_messages import KillWork, WorkExited
from lightning_lite.messages import RunEnded, StartFailed, WorkStarted
from lightning_lite.resources import Resources
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote import remote_work
from lightning_lite.runners.remote.lease import read_clock
from lightning_lite.runners.remote.ray_cluster import RayCluster
from lightning_lite.runners.remote.runner import RemoteRunner
from lightning_lite.testing import poll_until

from tests.support.processes import is_gone, wait_until_gone

FIRST = Resources(custom=(("first", 1.0),))
SECOND = Resources(custom=(("second", 1.0),))

LEASE = 3.0


@pytest.fixture
def remote(tmp_path, cluster):
    options = RemoteOptions(address=cluster.address, lease=LEASE)
    harness = Harness(
        str(tmp_path), lambda options_: RemoteRunner(options_, RayCluster(options)), remote=options
    )
    yield harness
    harness.runner.close(DEADLINE)


def alive(pids: list[int]) -> list[tuple[int, str, list[str]]]:
    """Describe the processes that have not ended."""
    found = []
    for pid in pids:
        if not is_gone(pid):
            process = psutil.Process(pid)
            found.append((pid, process.status(), process.cmdline()[:4]))
    return found


@pytest.mark.parametrize("end", ["kill", "freeze"])
def test_a_dead_node_is_reported_when_its_processes_are_dead_and_other_works_go_on(remote, cluster, end):
    pids = remote.start_hanging(resources=SECOND)
    remote.start("root.b", resources=FIRST)
    remote.until(WorkStarted, "root.b")
    began = read_clock()
    cluster.command(end)
    try:
        exited = remote.exit_of()

        assert alive(pids) == []
        assert read_clock() - began >= LEASE
        assert exited.exitcode is None
        assert exited.lost.endswith("is dead") or exited.lost.startswith("nothing was heard of")
        assert remote.run(tasks.answer, 2, name="root.b") == 2
    finally:
        if end == "freeze":
            cluster.command("thaw")
            cluster.command("kill")
        cluster.command("add")

    remote.start("root.a", resources=SECOND)
    remote.until(WorkStarted)


def test_works_whose_node_dies_while_they_start_are_lost_and_no_failed_start(remote, cluster):
    names = [f"root.w{number}" for number in range(4)]
    for name in names:
        remote.start(name, resources=SECOND)
    until = read_clock() + 0.5  # a start takes 0.7 s at least
    poll_until(lambda: read_clock() > until, timeout=DEADLINE)

    cluster.command("kill")
    cluster.command("add")

    for name in names:
        report = remote.until(lambda each: isinstance(each, StartFailed | WorkExited | WorkStarted), name)
        if isinstance(report, WorkStarted) and report.place.pid and is_gone(report.place.pid):
            report = remote.exit_of(name)  # it was up just before
        if not isinstance(report, WorkStarted):  # nothing else was placed before the node died
            assert isinstance(report, WorkExited), report
            assert report.lost.endswith("is dead"), report


def test_a_node_whose_raylet_pauses_loses_nothing(remote, cluster):
    remote.start("root.a", resources=SECOND)
    remote.until(WorkStarted)
    cluster.command("freeze")
    try:
        assert [remote.run(tasks.answer, number) for number in range(20)] == list(range(20))
    finally:
        cluster.command("thaw")

    assert remote.run(tasks.answer, 1) == 1


def test_a_killed_server_is_lost_with_its_work(remote):
    pids = remote.start_hanging()

    os.kill(psutil.Process(pids[0]).ppid(), signal.SIGKILL)

    assert remote.exit_of().lost.endswith("that carried its messages has ended")
    wait_until_gone(*pids)


def test_a_frozen_server_is_lost_when_its_work_is_dead(remote):
    pids = remote.start_hanging()
    server = psutil.Process(pids[0]).ppid()

    os.kill(server, signal.SIGSTOP)

    assert remote.exit_of().lost.startswith("nothing was heard of")
    assert alive(pids) == []
    wait_until_gone(server)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_the_works_end_with_the_process_that_is_connected_to_ray(remote, signum):
    pids = remote.start_hanging()
    connection = remote.runner._cluster._process

    connection.send_signal(signum)

    assert remote.exit_of().lost
    assert alive(pids) == []
    connection.kill()


def test_a_killed_main_process_leaves_nothing(tmp_path, cluster):
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
import tasks
from harness import Harness
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.ray_cluster import RayCluster
from lightning_lite.runners.remote.runner import RemoteRunner
options = RemoteOptions(address={cluster.address!r})
remote = Harness({str(tmp_path)!r}, lambda given: RemoteRunner(given, RayCluster(options)), remote=options)
pid = remote.up()["root.a"]
remote.call(tasks.hang_with_grandchildren)
print([pid, remote.runner._cluster._process.pid, *eval(remote.hangs()["pids"])], flush=True)
remote.exit_of()
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as main_process:
        pids = eval(main_process.stdout.readline())
        pids.append(psutil.Process(pids[0]).ppid())
        began = read_clock()
        main_process.kill()

        wait_until_gone(*pids)
    assert read_clock() - began < RemoteOptions().lease  # by the end of its connection, not of its lease


def test_more_works_than_cpus_start(remote):
    names = [f"root.w{number}" for number in range(12)]

    assert len(remote.up(*names)) == len(names)


def test_what_no_node_has_fails_at_once_and_what_they_have_is_named(remote):
    remote.start("root.a", resources=Resources(gpus=2))

    message = remote.until(StartFailed).failure.message

    assert message.startswith(
        "root.a could not start: it needs 2 GPUs, and no node of the cluster has that: they have 4 CPUs"
    )
    assert "4 second" in message
    assert remote.exit_of() == WorkExited("root.a", None)


def messages_about_waiting(remote, monkeypatch, caplog, cpus):
    """Start `root.c`, for which there are not enough CPUs; return the warnings when one has come."""
    caplog.clear()  # on a busy machine, the first two works wait, too
    monkeypatch.setattr(remote_work, "_LONG_WAIT", 0.5)
    with caplog.at_level(logging.WARNING):
        remote.start("root.c", resources=Resources(cpus=cpus))
        poll_until(lambda: caplog.messages, timeout=DEADLINE)
    return caplog.messages


def test_it_is_said_why_a_work_waits_and_it_starts_when_there_is_room(remote, monkeypatch, caplog):
    remote.start("root.a", resources=Resources(cpus=4))
    remote.start("root.b", resources=Resources(cpus=4))
    for name in ("root.a", "root.b"):
        remote.until(WorkStarted, name)
    assert messages_about_waiting(remote, monkeypatch, caplog, cpus=4) == [
        "root.c waits for a place: it needs 4 CPUs, and the cluster has 0 of 8 CPUs free"
    ]

    remote.runner.send(KillWork("root.a"))

    remote.until(WorkStarted, "root.c")


def test_free_cpus_of_two_nodes_are_not_added_up_in_the_reason_why_a_work_waits(remote, monkeypatch, caplog):
    for name, custom in (("root.a", FIRST), ("root.b", SECOND)):
        remote.start(name, resources=custom._replace(cpus=2))
        remote.until(WorkStarted, name)
    assert messages_about_waiting(remote, monkeypatch, caplog, cpus=3) == [
        "root.c waits for a place: it needs 3 CPUs, and no node of the cluster has that free: "
        "they have 2 of 4 CPUs"
    ]


def test_the_works_of_a_group_are_on_one_node(remote):
    for name in ("root.a", "root.b", "root.c"):
        remote.start(name, resources=Resources(cpus=1, group="pair"))
    for name in ("root.a", "root.b", "root.c"):
        remote.until(WorkStarted, name)

    assert len({remote.run(tasks.raylet, name=name) for name in ("root.a", "root.b", "root.c")}) == 1


def test_a_work_that_the_node_of_its_group_can_never_have_fails_at_once(remote):
    remote.start("root.a", resources=Resources(custom=(("first", 1.0),), group="pair"))
    # Before the node of the group is known.
    remote.start("root.b", resources=Resources(custom=(("second", 1.0),), group="pair"))
    early = remote.until(StartFailed, "root.b").failure.message
    remote.until(WorkStarted, "root.a")
    remote.start("root.c", resources=Resources(custom=(("second", 1.0),), group="pair"))
    late = remote.until(StartFailed, "root.c").failure.message

    for message in (early, late):
        assert "could not start: it needs 1 second, and the node " in message
        assert ", where its group 'pair' is, has 4 CPUs, " in message


def test_ctrl_c_at_any_moment_ends_the_app_in_time(tmp_path, cluster):
    """An app with a busy work gets SIGINT after ever longer times, while it connects, starts and calls."""
    for tenths in (3, 10, 18, 25, 40):
        folder = tmp_path / str(tenths)
        folder.mkdir()
        with subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "calling_app.py")],
            cwd=folder,
            env={
                **os.environ,
                "LIGHTNING_LITE_RUNNER": "ray",
                "LIGHTNING_LITE_RAY_ADDRESS": cluster.address,
                "LIGHTNING_LITE_ROOT": str(folder / "root"),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as app:
            until = read_clock() + tenths / 10
            poll_until(lambda until=until: read_clock() > until, timeout=DEADLINE)
            app.send_signal(signal.SIGINT)
            app.wait(30)
            assert app.returncode in (-signal.SIGINT, 130), app.stderr.read()


def test_an_app_whose_node_dies_runs_its_call_again_and_its_terminal_shows_nothing_of_ray(tmp_path, cluster):
    attempts = tmp_path / "attempts"
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / "retrying_app.py"), str(attempts)],
        env={
            **os.environ,
            "LIGHTNING_LITE_RUNNER": "ray",
            "LIGHTNING_LITE_RAY_ADDRESS": cluster.address,
            "LIGHTNING_LITE_RAY_LEASE": str(LEASE),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as app:
        poll_until(lambda: attempts.exists() and attempts.read_text(), timeout=DEADLINE)
        first = int(attempts.read_text())
        cluster.command("kill")
        cluster.command("add")
        out, err = app.communicate(timeout=DEADLINE)

    assert (app.returncode, out.splitlines()[-2:]) == (0, ["answer 2", "done"]), out + err
    assert "raylet" not in out + err
    assert is_gone(first)


def test_nothing_of_a_call_is_lost_while_another_work_ends(remote):
    remote.up("root.a", "root.b")
    key = remote.call(tasks.answer, 1)
    remote.runner.send(KillWork("root.b"))

    assert remote.until(RunEnded).key == key
    assert remote.exit_of("root.b") == WorkExited("root.b", -9)
