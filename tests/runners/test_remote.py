"""A remote runner with deaths, freezes, lost calls and other machines."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from itertools import islice

import psutil
import pytest
import tasks
from harness import DEADLINE, Harness
from work_sides import TaskSide

from lightning_lite.main_messages import (
    DumpStack,
    KillWork,
    PrepareWork,
    RestartWanted,
    StartWork,
    StopWanted,
    WorkExited,
)
from lightning_lite.messages import RunEnded, StartFailed, StopWork, WorkStarted
from lightning_lite.resources import Resources
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote import remote_work
from lightning_lite.runners.remote.direct_channel import (
    MAIN,
    SERVER,
    DirectClient,
    DirectError,
    DirectServer,
    Opener,
    Sealer,
)
from lightning_lite.runners.remote.lease import LOSS, read_clock
from lightning_lite.runners.remote.message_queue import ReceiveQueue, SendQueue
from lightning_lite.runners.remote.runner import RemoteRunner
from lightning_lite.runners.remote.work_folder import WorkFolder
from lightning_lite.testing import poll_until
from lightning_lite.values.pickling import pack, unpack

from tests.support.processes import is_gone, wait_until_gone
from tests.support.subprocess_cluster import Faults, SubprocessCluster

#: Seconds of the lease where a test waits for its end.
LEASE = 1.5


@pytest.fixture
def cluster():
    return SubprocessCluster()


@pytest.fixture(params=[RemoteOptions().lease])
def remote(request, tmp_path, cluster):
    harness = Harness(
        str(tmp_path),
        lambda options: RemoteRunner(options, cluster),
        remote=RemoteOptions(lease=request.param),
    )
    yield harness
    harness.runner.close(DEADLINE)


short_lease = pytest.mark.parametrize("remote", [LEASE], indirect=True)


def server_of(cluster: SubprocessCluster, name: str = "root.a") -> int:
    return cluster.placements[name].process.pid


def guardian_of(server: int) -> int:
    (found,) = [
        child.pid for child in psutil.Process(server).children() if "guardian" in str(child.cmdline())
    ]
    return found


# Deaths.


def test_a_killed_work_has_its_exit_code_and_leaves_none_of_its_children(remote, cluster):
    pids = remote.start_hanging()

    os.kill(pids[0], signal.SIGKILL)

    assert remote.exit_of() == WorkExited("root.a", -9)
    assert is_gone(pids[0])
    wait_until_gone(*pids[1:])  # they are killed, too, and a killed process needs a processor to end


def test_a_killed_server_is_reported_when_its_work_is_dead_which_is_started_again_then(remote, cluster):
    pids = remote.start_hanging()

    os.kill(server_of(cluster), signal.SIGKILL)

    exited = remote.exit_of()
    assert exited.exitcode is None
    assert exited.lost == "its server has ended: SIGKILL (signal 9)"
    assert is_gone(pids[0])
    wait_until_gone(*pids[1:])

    remote.up()
    assert remote.run(tasks.answer, 1) == 1


def test_a_server_that_dies_while_its_work_starts_is_lost_and_no_failed_start(tmp_path):
    def kill_server(method, value):
        if method == "describe":
            cluster.placements["root.a"].process.kill()
        return value

    cluster = SubprocessCluster(change=kill_server)
    remote = Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster))
    remote.start()

    assert remote.exit_of().lost == "its server has ended: SIGKILL (signal 9)"
    assert remote.messages == []
    remote.runner.close(DEADLINE)


@pytest.mark.parametrize("failing", ["describe", "open", "exchange"])
def test_an_error_of_the_server_itself_is_named_and_not_the_signal_that_ended_it_then(tmp_path, failing):
    def fail(method, value):
        if method == failing:
            raise OSError(28, "No space left on device")
        return value

    cluster = SubprocessCluster(change=fail)
    remote = Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster))
    remote.start()

    at_start = failing == "describe"
    what = remote.until(StartFailed).failure.message if at_start else remote.exit_of().lost
    assert what.endswith("its server has failed: OSError: [Errno 28] No space left on device")
    remote.runner.close(DEADLINE)


@short_lease
def test_a_frozen_server_is_lost_and_its_work_is_dead_before_that_is_reported(remote, cluster):
    pids = remote.start_hanging()
    began = read_clock()
    os.kill(server_of(cluster), signal.SIGSTOP)
    cluster.placements["root.a"].is_cut = True
    os.kill(pids[0], signal.SIGSTOP)  # so it can't notice anything, and is killed all the same

    exited = remote.exit_of()

    # The work itself is a zombie until its parent, the frozen server, is killed.
    assert is_gone(pids[0])
    wait_until_gone(*pids[1:])
    assert exited.exitcode is None
    assert exited.lost.startswith("nothing was heard of ")
    assert read_clock() - began >= LEASE


@pytest.fixture
def by_calls(tmp_path, cluster):
    """Return a function that makes a runner without direct connections, of which a cluster knows nothing."""
    made = []

    def make(lease: float) -> Harness:
        options = RemoteOptions(lease=lease, direct=False)
        made.append(Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster), remote=options))
        return made[-1]

    yield make
    for harness in made:
        harness.runner.close(DEADLINE)


@pytest.mark.parametrize("wanted", [KillWork("root.a"), StopWork("root.a", 0.1)])
def test_a_work_that_is_cut_off_is_dead_when_its_end_on_request_is_reported(
    by_calls, cluster, wanted, monkeypatch
):
    for patience in ("_GRACE", "_KILL_GRACE", "_DEATH_PATIENCE"):
        monkeypatch.setattr(remote_work, patience, 0.1)  # much less than the lease, as usual
    remote = by_calls(LEASE)
    pids = remote.start_hanging()
    cluster.placements["root.a"].cut()

    remote.runner.send(wanted)

    assert remote.exit_of() == WorkExited("root.a", -9)
    assert is_gone(pids[0])
    wait_until_gone(*pids[1:])  # they are killed, too, and a killed process needs a processor to end


def test_close_does_not_wait_for_the_lease_of_a_work_that_is_cut_off(by_calls, cluster):
    remote = by_calls(DEADLINE)
    remote.start_hanging()
    cluster.placements["root.a"].cut()
    began = read_clock()

    exits = remote.runner.close(0.1)

    assert WorkExited("root.a", -9) in exits
    assert read_clock() - began < DEADLINE


@short_lease
def test_a_frozen_guardian_that_goes_on_kills_no_work_whose_lease_was_renewed(remote, cluster):
    remote.up()
    guardian = guardian_of(server_of(cluster))
    os.kill(guardian, signal.SIGSTOP)
    until = read_clock() + 1.5 * LEASE
    poll_until(lambda: read_clock() > until, timeout=DEADLINE)

    os.kill(guardian, signal.SIGCONT)

    until = read_clock() + 0.5 * LEASE
    poll_until(lambda: read_clock() > until, timeout=DEADLINE)
    assert remote.run(tasks.answer, 1) == 1


@short_lease
def test_a_flow_that_asks_for_no_reports_keeps_its_works(remote):
    remote.up()
    until = read_clock() + 1.2 * LOSS * LEASE
    poll_until(lambda: read_clock() > until, timeout=DEADLINE)

    assert remote.run(tasks.answer, 1) == 1


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSTOP])
def test_the_works_of_a_killed_or_frozen_main_process_end(tmp_path, signum):
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
import tasks
from harness import Harness
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.runner import RemoteRunner
from tests.support.subprocess_cluster import SubprocessCluster
remote = Harness({str(tmp_path)!r}, lambda options: RemoteRunner(options, SubprocessCluster()),
                 remote=RemoteOptions(lease={LEASE}))
pid = remote.up()["root.a"]
remote.call(tasks.hang_with_grandchildren)
print([pid, *eval(remote.hangs()["pids"])], flush=True)
print(remote.exit_of(), flush=True)
remote.runner.close(5)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as main_process:
        pids = eval(main_process.stdout.readline())
        main_process.send_signal(signum)
        until = read_clock() + 1.5 * LEASE

        wait_until_gone(*pids)

        if signum == signal.SIGSTOP:
            poll_until(lambda: read_clock() > until, timeout=DEADLINE)
        main_process.send_signal(signal.SIGCONT)
        exits = main_process.stdout.read()
    why = re.search(r"lost='the app itself did not answer for \d+ s, so the lease of its works was", exits)
    assert (why is not None) == (signum == signal.SIGSTOP), exits


# Messages.


def test_a_request_that_comes_while_others_are_packed_is_in_the_next_batch():
    class Second:
        def __reduce__(self):
            queue.put("third")
            return str, ("second",)

    queue, received = SendQueue(), ReceiveQueue()
    queue.put("first", Second())

    batch, last = queue.batch()
    rest, end = queue.batch(last)

    assert received.accept(batch) + received.accept(rest) == ["first", "second", "third"]
    assert (last, end) == (2, 3)


@pytest.mark.parametrize("direct", [True, False])
def test_nothing_is_lost_or_repeated_when_calls_are(tmp_path, direct):
    cluster = SubprocessCluster(Faults(0.2, seed=1))
    options = RemoteOptions(direct=direct)
    remote = Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster), remote=options)
    remote.start()
    keys = [remote.call(tasks.answer, number) for number in range(200)]
    for number, key in enumerate(keys):
        ended = remote.until(lambda message: hasattr(message, "key"))
        assert (ended.key, unpack(ended.value)) == (key, number)
    remote.runner.close(DEADLINE)


class AllLost(Faults):
    """Lets all calls be lost, and counts them."""

    count = 0

    def draw(self) -> str:
        self.count += 1
        return "call lost"


def test_without_a_direct_connection_messages_take_few_calls_of_the_server(by_calls, cluster):
    calls = Counter[str]()
    cluster.change = lambda method, value: calls.update([method]) or value
    remote = by_calls(DEADLINE)
    remote.up()
    remote.run(tasks.answer, 0)
    calls.clear()

    # A call of the work is one of its server.
    for number in range(100):
        assert remote.run(tasks.answer, number) == number
    # A few more, if the machine is slow: then arrived messages are acknowledged by calls of their own.
    assert calls["exchange"] < 150

    # Many requests at once all arrive.
    keys = [remote.call(tasks.answer, number) for number in range(600)]
    ended = [remote.until(RunEnded) for _ in keys]
    assert [(one.key, unpack(one.value)) for one in ended] == list(zip(keys, range(600), strict=True))

    # A server that can't be reached is called a few times in a second.
    lost = cluster.faults = AllLost()
    remote.call(tasks.answer, 7)
    until = read_clock() + 1.5
    poll_until(lambda: read_clock() > until and lost.count >= 5, timeout=DEADLINE)

    cluster.faults = Faults()

    assert unpack(remote.until(RunEnded).value) == 7
    assert lost.count < 50


def test_output_arrives_in_order_and_a_work_that_prints_faster_than_the_network_waits(remote, cluster):
    remote.start()
    text = "".join(f"{number:0999}\n" for number in range(40_000))  # 40 MB: more than `_ROOM`
    remote.run(tasks.say, text[:10])
    remote.run(tasks.say_much, 40_000)

    lines = remote.log().splitlines()

    assert lines[1:] == text.splitlines()


# The end on request.


def test_a_kill_right_after_the_start_ends_the_work(remote):
    remote.start()
    remote.runner.send(KillWork("root.a"))

    assert remote.exit_of().exitcode in (None, -9)


def test_a_work_that_waits_for_a_place_is_stopped_and_killed_at_once(remote, cluster):
    cluster.full = "all machines are busy"
    for name, request in (("root.a", StopWork("root.a", DEADLINE)), ("root.b", KillWork("root.b"))):
        remote.start(name)
        remote.runner.send(request)

        assert remote.exit_of(name).exitcode is None


def test_it_is_said_once_that_a_work_waits_for_a_place(remote, cluster, monkeypatch, caplog):
    monkeypatch.setattr(remote_work, "_LONG_WAIT", 0.01)
    cluster.full = "all machines are busy"
    with caplog.at_level(logging.WARNING):
        remote.start()
        poll_until(lambda: caplog.messages, timeout=DEADLINE)
        cluster.placements["root.a"].start()
        remote.until(WorkStarted)

    assert caplog.messages == ["root.a waits for a place: all machines are busy"]


def test_what_no_machine_has_fails_at_once(remote):
    remote.runner.send(StartWork("root.a", pack(TaskSide("root.a")), resources=Resources(gpus=1)))

    failed = remote.until(StartFailed)

    assert failed.failure.message == ("root.a could not start: it needs 1 GPU, and this machine has no GPU")
    assert remote.exit_of() == WorkExited("root.a", None)


@pytest.mark.parametrize("wanted", [StopWanted("root.a", 1.0), RestartWanted("root.a", 0)])
def test_a_request_from_another_terminal_ends_a_work_and_comes_first(remote, wanted):
    remote.up()
    remote.call(tasks.hang)
    remote.hangs()

    remote.runner.take_external(wanted)

    assert remote.until(lambda message: isinstance(message, WorkExited | type(wanted))) == wanted
    assert remote.exit_of().exitcode in (0, -9)


def test_a_work_that_does_not_listen_is_killed_when_its_time_is_over(remote):
    remote.up()
    remote.call(tasks.hang_ignoring_everything)
    remote.hangs()

    remote.runner.send(StopWork("root.a", 0.1))

    assert remote.exit_of() == WorkExited("root.a", -9)


def test_close_keeps_its_time_although_a_server_is_frozen(tmp_path, cluster):
    remote = Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster))
    remote.up("root.a", "root.b")
    os.kill(server_of(cluster), signal.SIGSTOP)

    exits = remote.runner.close(0.5)

    assert {report.work: report.exitcode for report in exits if isinstance(report, WorkExited)} == {
        "root.a": -9,
        "root.b": 0,
    }


def test_a_prepared_work_takes_its_host_later_names_its_machine_and_shows_its_stacks(remote, cluster):
    remote.runner.send(PrepareWork("root.a"))
    server = poll_until(lambda: cluster.placements.get("root.a"), timeout=DEADLINE)

    pid = remote.up()["root.a"]

    assert cluster.placements["root.a"] is server
    assert remote.run(tasks.answer, 1) == 1

    (place,) = remote.runner.places().values()
    assert (place.pid, place.is_here()) == (pid, True)
    assert psutil.Process(pid).ppid() == server_of(cluster)

    remote.call(tasks.hang)
    remote.hangs()
    remote.runner.send(DumpStack("root.a"))
    poll_until(lambda: "in hang" in remote.log(), timeout=DEADLINE)


# Other machines.


def test_another_version_is_refused_and_both_are_named(tmp_path):
    compared = set()

    def change(method, value):
        if method != "describe":
            return value
        compared.update(value["versions"])
        return value | {"versions": value["versions"] | {"cloudpickle": "0.7"}}

    cluster = SubprocessCluster(change=change)
    remote = Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster))
    remote.start()

    message = remote.until(StartFailed).failure.message

    assert "has cloudpickle 0.7, but " in message
    assert message.endswith(" here; install the same versions on all machines")
    assert compared >= {"Python", "lightning_lite", "cloudpickle"}
    remote.exit_of()
    remote.runner.close(DEADLINE)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return a runner whose works do not see the root, its cluster, and the folder of their files."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))  # of the servers
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def hide_root(method, value):
        for probe in (tmp_path / "logs").glob(".seen-*"):
            probe.unlink(missing_ok=True)  # each server has a thread here, and another one may be quicker
        return value

    cluster = SubprocessCluster(change=hide_root)
    harness = Harness(str(tmp_path), lambda options: RemoteRunner(options, cluster))
    yield harness, cluster, tmp_path / "tmp"
    harness.runner.close(DEADLINE)


def test_works_without_the_root_have_one_folder_which_the_last_one_removes(elsewhere):
    remote, _, temporary = elsewhere
    remote.up("root.a", "root.b")
    (folder,) = {remote.run(tasks.write_into_root, f"{name}.txt", name=name) for name in ("root.a", "root.b")}
    assert os.path.dirname(folder) == str(temporary)

    requests = (StopWork("root.a", DEADLINE), KillWork("root.b"))
    for request, is_last in zip(requests, (False, True), strict=True):
        remote.runner.send(request)
        remote.exit_of(request.work)
        assert (list(temporary.iterdir()) == []) == is_last

    remote.up()
    remote.run(tasks.write_into_root, "a.txt")
    remote.runner.send(StopWork("root.a", DEADLINE))
    remote.exit_of()
    assert list(temporary.iterdir()) == []


def test_files_that_a_killed_server_has_left_are_removed_by_one_of_another_run(elsewhere):
    remote, cluster, _ = elsewhere
    remote.up()
    left = remote.run(tasks.write_into_root, "a.txt")
    os.kill(server_of(cluster), signal.SIGKILL)
    remote.exit_of()
    assert os.path.exists(left)

    other = WorkFolder.open("another run")

    assert not os.path.exists(left)
    other.remove()
    assert not os.path.exists(other.path)


@pytest.mark.parametrize("hidden", ["drives", "logs"])
def test_drives_in_a_folder_besides_the_root_need_that_folder_and_not_the_root(tmp_path, hidden):
    def hide(method, value):
        for probe in (tmp_path / hidden).glob(".seen-*"):
            probe.unlink()
        return value

    remote = Harness(
        str(tmp_path),
        lambda options: RemoteRunner(options, SubprocessCluster(change=hide)),
        drives=str(tmp_path / "drives"),
        remote=RemoteOptions(keeps_files=True),
    )
    remote.start()

    if hidden == "drives":
        message = remote.until(StartFailed).failure.message
        assert f"does not see {str(tmp_path / 'drives')!r}, in which this app keeps its drives" in message
    else:
        root, drives = remote.run(tasks.places_of_files)
        assert root != str(tmp_path)
        assert drives == str(tmp_path / "drives")
    remote.runner.close(DEADLINE)
    assert list((tmp_path / "drives").iterdir()) == []


# The direct connection.


@pytest.fixture
def cut_link(monkeypatch):
    """Return a function that cuts the direct connections in the middle of a frame, and how often it did."""
    clients = []
    connect = DirectClient.connect

    async def note_and_connect(client, *place):
        await connect(client, *place)
        clients.append(client)

    monkeypatch.setattr(DirectClient, "connect", note_and_connect)
    monkeypatch.setattr(remote_work, "_RECONNECT_PAUSE", 0.01)

    def cut() -> None:
        poll_until(lambda: clients, timeout=DEADLINE)
        connection = clients.pop()._socket
        if connection is not None:
            connection.send(b"\0" * 20)  # half of a frame, the rest never comes
            connection.shutdown(socket.SHUT_RDWR)

    return cut


def test_nothing_is_lost_or_repeated_when_the_direct_connection_is_cut(remote, cut_link):
    remote.up()
    numbers = iter(range(400))
    for _ in range(20):
        cut_link()
        keys = {remote.call(tasks.answer, number): number for number in islice(numbers, 20)}
        for key, number in keys.items():
            ended = remote.until(RunEnded)
            assert (ended.key, unpack(ended.value)) == (key, number)


def test_a_stranger_that_connects_first_gets_nothing_and_the_main_process_connects():
    changed = threading.Event()
    server = DirectServer("127.0.0.1", b"key", lambda: None, changed.set)
    for nonsense in (b"", b"GET / HTTP/1.1\r\n" * 5, Sealer(b"guess", MAIN).seal(b"")):
        with socket.create_connection(("127.0.0.1", server.port)) as stranger:
            stranger.sendall(nonsense)
            with suppress(OSError):  # it is cut off already
                stranger.shutdown(socket.SHUT_WR)
            assert _read_all(stranger) == b""
    sealer = Sealer(b"key", MAIN)
    with socket.create_connection(("127.0.0.1", server.port)) as main_process:
        main_process.sendall(sealer.seal(b"") + sealer.seal(b"first"))
        assert changed.wait(DEADLINE)
        assert poll_until(server.read, timeout=DEADLINE) == [b"first"]
        main_process.sendall(Sealer(b"key", SERVER).seal(b"sent back"))
        poll_until(lambda: server.read() is None, timeout=DEADLINE)
    server.close()


def _read_all(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


def test_a_frame_that_is_repeated_or_left_out_is_refused():
    sealer = Sealer(b"key", MAIN)
    first, second, third = (sealer.seal(body) for body in (b"1", b"2", b"3"))

    for frames in (first + first, first + third, second):
        with pytest.raises(DirectError, match="has a wrong code"):
            Opener(b"key", MAIN).feed(frames)
