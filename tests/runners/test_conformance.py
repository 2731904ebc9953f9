"""The promises of every runner to the machine, shown with the work sides of real works.

A runner joins with three lines, at the end of this file. It declares all that it can't do.
"""

import os
import signal
import threading
from collections import defaultdict, deque
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import count
from time import monotonic
from typing import ClassVar, NamedTuple

import pytest
from real_works import Answer, Root, Worker

from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.main_messages import KillWork, StartWork, WorkExited
from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StartFailed,
    StateChanged,
    StopWork,
    WorkStarted,
    WriteState,
)
from lightning_lite.process_places import Place
from lightning_lite.runners.base import RemoteOptions, RunnerOptions
from lightning_lite.runners.inline.runner import InlineRunner
from lightning_lite.runners.processes.runner import ProcessRunner
from lightning_lite.runners.remote.runner import RemoteRunner
from lightning_lite.values.codec import decode, encode
from lightning_lite.values.pickling import pack, unpack

from tests.support.subprocess_cluster import Faults, SubprocessCluster

#: Seconds after which a test says that something hangs; not a measure of speed.
DEADLINE = 60.0


class UnknownRequest(NamedTuple):
    """A kind of request that no runner knows."""

    work: str


def is_moving(number):
    return number is not None and number >= 3


class RunnerClient:
    """Takes the place of the machine: sends requests, keeps the reports, and acknowledges changes."""

    def __init__(self, make_runner, folder):
        self._make_runner = make_runner
        self._folder = str(folder)
        self._logs = str(folder / "logs")
        os.mkdir(self._logs)
        self.messages = defaultdict(deque)  # by work
        self.state = {}
        self._keys = count()

    @cached_property
    def runner(self):
        """The runner; made in the test itself, because pytest changes `sys.stdout` before that."""
        place = "s3://bucket/prefix"
        return self._make_runner(
            RunnerOptions(self._folder, self._logs, durable=True, drives=place, session="session")
        )

    def start(self, name="a", parallel=False, **options):
        work = Worker(parallel=parallel, **options)
        Root(**{name: work})
        self.runner.send(StartWork(work.name, pack(WorkMachine(work)), parallel))
        return work.name

    def call(self, *arguments, work="root.a"):
        key = f"key {next(self._keys)}"
        self.runner.send(RunCall(work, key, 1, pack((arguments, {})), {}, 0))
        return key

    def until(self, kind, work="root.a"):
        """Return the next report of this kind from a work; skip its reports before that."""
        deadline = monotonic() + DEADLINE
        while True:
            messages = self.messages[work]
            while messages:
                message = messages.popleft()
                if isinstance(message, kind):
                    return message
                assert not isinstance(message, WorkExited), f"{message}:\n{self.log(work)}"
            assert monotonic() < deadline, f"{kind} of {work} did not come"
            self.take(self.runner.wait(DEADLINE))

    def until_state(self, name, is_so, work="root.a"):
        """Wait until an attribute of a work has a value of which `is_so` is true."""
        while not is_so(self.state.get(work, {}).get(name)):
            self.until(StateChanged, work)

    def take(self, messages):
        for message in messages:
            if isinstance(message, StateChanged | RunEnded):
                changes = {name: decode(encoded) for name, encoded in message.changes.items()}
                self.state.setdefault(message.work, {}).update(changes)
            if isinstance(message, StateChanged):
                self.runner.send(AcknowledgeState(message.work))
            self.messages[message.work].append(message)

    def run(self, *arguments, work="root.a"):
        """Return the answer of a call."""
        key = self.call(*arguments, work=work)
        ended = self.until(RunEnded | WorkExited, work)
        assert isinstance(ended, RunEnded), ended
        assert (ended.key, ended.failure) == (key, None)
        return unpack(ended.value)

    def log(self, work="root.a"):
        with open(os.path.join(self._logs, f"{work}.log"), encoding="utf-8") as log:
            return log.read()


def in_thread(function, *arguments):
    """Call a function in a thread of its own; return its result, or raise its error."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(function, *arguments).result(2 * DEADLINE)


def here(function, *arguments):
    return function(*arguments)


class Conformance:
    """The suite; subclasses say which runner."""

    runner_class = None

    #: Values of `parallel`; to a process it makes no difference.
    kinds: ClassVar[dict[str, bool]] = {"parallel": True}

    def pytest_generate_tests(self, metafunc):
        if "parallel" in metafunc.fixturenames:
            kinds = metafunc.cls.kinds
            metafunc.parametrize("parallel", list(kinds.values()), ids=list(kinds))

    @pytest.fixture
    def client(self, tmp_path):
        client = RunnerClient(self.runner_class, tmp_path)
        yield client
        client.runner.close(DEADLINE)

    # Start.

    def test_the_first_report_of_a_work_is_that_it_has_started_and_its_calls_are_answered(
        self, client, parallel, tmp_path
    ):
        client.start(parallel=parallel)
        started = client.until(WorkStarted)

        assert started.place == Place.of(client.run("pid")) == client.runner.places()["root.a"]
        assert client.state["root.a"]["started"] is True

        # Calls run in order, and arguments and values are copies, of the user's classes, too.
        assert [client.run("echo", value) for value in (1, "two", [3.0], None)] == [1, "two", [3.0], None]
        numbers = [1]
        assert (client.run("extend", numbers), numbers) == ([1, 0], [1])
        answer = client.run("answer", 42)
        assert (type(answer), answer.value) == (Answer, 42)

        # The work knows who it is.
        who = ("work", "root.a", str(tmp_path), True, None, None, "s3://bucket/prefix", "session")
        assert client.run("caller") == who

        # What a call printed is logged before its end is reported.
        for text in ("one", "two \x1b[2J"):
            client.run("say", text)
            assert client.log().endswith(text.replace("\x1b", r"\x1b") + "\n")

        # Four megabytes go down and come up: more than any pipe takes at once.
        assert client.run("nbytes", bytes(4_000_000)) == 4_000_000
        assert len(client.run("zeros", 4_000_000)) == 4_000_000

    def test_a_failure_is_that_of_its_call_or_request_alone(self, client, parallel):
        client.start(parallel=parallel)

        client.call("fail", "no luck")
        failure = client.until(RunEnded).failure
        assert failure.reason == "user_exception"
        assert failure.message.startswith("ValueError: no luck")
        assert "in fail" in failure.traceback
        assert "lightning_lite" not in failure.traceback.split("real_works.py")[0].removeprefix("Traceback")
        assert str(unpack(failure.error)) == "no luck"
        assert client.run("echo", "still here") == "still here"

        client.call("lock")  # a value that can't travel
        failure = client.until(RunEnded).failure
        assert failure.reason == "invalid_value"
        assert "lock" in failure.message
        assert client.run("echo", "still here") == "still here"

        with pytest.raises(AssertionError, match="UnknownRequest"):
            client.runner.send(UnknownRequest("root.a"))
        assert client.run("echo", "still here") == "still here"

    def test_a_work_is_started_again_after_a_failed_start_and_after_its_exit(self, client, parallel):
        client.start(parallel=parallel, on_start="no data")
        failed = client.until(StartFailed | WorkStarted | WorkExited)
        exited = client.until(WorkExited)

        assert failed.failure.reason == "start_failed"
        assert "ValueError: no data" in failed.failure.message
        assert "in on_start" in failed.failure.traceback
        assert isinstance(unpack(failed.failure.error), ValueError)
        assert exited.exitcode == 1

        client.start(parallel=parallel)
        assert client.run("echo", 1) == 1
        client.runner.send(StopWork("root.a", DEADLINE))
        assert client.until(WorkExited).exitcode == 0

        # An `on_exit` that fails keeps no work from ending.
        client.state.clear()
        client.start(parallel=parallel, on_exit="can't let go")
        client.until(WorkStarted)
        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(WorkExited).exitcode == 1
        assert client.state["root.a"]["exited"] is True
        assert "ValueError: can't let go" in client.log()

    def test_a_host_that_can_not_be_loaded_fails_to_start(self, client, parallel):
        client.runner.send(StartWork("root.a", b"this is no pickle", parallel))

        assert client.until(StartFailed | WorkExited).failure.reason == "start_failed"
        client.until(WorkExited)

    # State.

    def test_all_changes_have_arrived_at_the_end_of_their_call_and_of_the_work(self, client, parallel):
        client.start(parallel=parallel)

        # A call brings what the flow wrote before.
        arguments = pack((("wait_for_write",), {}))
        client.runner.send(RunCall("root.a", "key", 1, arguments, {"number": (3, encode(5, "number"))}, 3))
        ended = client.until(RunEnded)
        assert (unpack(ended.value), ended.applied) == (5, 3)

        client.run("count", 500)
        assert client.state["root.a"]["number"] == 500
        assert client.state["root.a"]["numbers"] == list(range(1, 501))

        # A stop runs `on_exit`, and the exit is the last report.
        client.runner.send(StopWork("root.a", DEADLINE))
        assert client.until(WorkExited) == WorkExited("root.a", 0)
        assert client.state["root.a"]["exited"] is True
        assert not client.messages["root.a"]

    def test_changes_travel_both_ways_while_a_call_runs(self, client, tmp_path):
        client.start(parallel=True)  # its `on_start` has changed something, too

        # A write of the flow, which is confirmed.
        client.call("wait_for_write")
        client.until_state("started", lambda started: started is False)
        client.runner.send(WriteState("root.a", {"number": (1, encode(7, "number"))}, 1))
        confirmed = client.until(StateChanged | RunEnded)
        ended = confirmed if isinstance(confirmed, RunEnded) else client.until(RunEnded)
        assert (confirmed.applied, ended.applied) == (1, 1)
        assert unpack(ended.value) == 7

        # An assignment, and a change inside a list.
        os.mkfifo(tmp_path / "go")
        for task, name, value in (("change_and_wait", "number", 1), ("append_and_wait", "numbers", [1])):
            client.call(task, str(tmp_path / "go"))
            client.until_state(name, lambda changed, value=value: changed == value)
            (tmp_path / "go").write_text("")
            assert client.until(RunEnded).failure is None

    # Stop.

    def test_a_stop_right_after_the_start_ends_the_work(self, client, parallel):
        client.start(parallel=parallel)
        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(WorkExited).exitcode in (0, None)  # `None`: it never got as far as a process

    def test_a_stop_cuts_a_call_whatever_it_catches_and_runs_on_exit(self, client):
        client.start(parallel=True)
        client.call("change_for_ever_whatever_is_raised")
        client.until_state("number", is_moving)

        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(RunEnded | WorkExited) == WorkExited("root.a", 0)
        assert client.state["root.a"]["exited"] is True
        assert "swallowed" not in client.state["root.a"].get("numbers", [])

    def test_a_stop_twice_is_one(self, client):
        client.start(parallel=True)
        for _ in range(2):
            client.runner.send(StopWork("root.a", DEADLINE))

        client.until(WorkExited)

        assert client.runner.wait(0) == []

    def test_requests_to_an_unknown_work_are_no_error(self, client):
        for message in (StopWork("root.x", 1.0), KillWork("root.x"), AcknowledgeState("root.x")):
            client.runner.send(message)
        client.call("echo", 1, work="root.x")

        assert list(client.runner.wait(0)) == []

    def test_a_kill_ends_a_work_whatever_it_does(self, client):
        if not client.runner.can_kill:
            pytest.skip("this runner can't, and says so")
        client.start()
        client.call("change_for_ever_whatever_is_raised")
        client.until_state("number", is_moving)

        client.runner.send(KillWork("root.a"))

        assert client.until(RunEnded | WorkExited) == WorkExited("root.a", -9)
        assert "exited" not in client.state["root.a"]

    # Wait and close.

    def test_a_wait_without_reports_ends_in_time(self, client):
        assert list(client.runner.wait(0)) == []
        assert list(client.runner.wait(0.01)) == []

    def test_a_wake_from_a_thread_ends_a_wait(self, client):
        threading.Timer(0.05, client.runner.wake).start()

        assert list(client.runner.wait(None)) == []

    def test_a_wake_before_a_wait_is_not_lost(self, client):
        client.runner.wake()

        assert list(client.runner.wait(None)) == []

    def test_works_live_side_by_side_and_a_close_ends_all_and_returns_their_last_changes(self, client):
        names = [client.start(name, parallel=name != "a") for name in "abc"]
        for name in names:
            client.call("echo", name, work=name)
        assert [unpack(client.until(RunEnded, name).value) for name in names] == names
        client.call("change_for_ever", work="root.c")
        client.until_state("number", is_moving, "root.c")

        client.take(client.runner.close(DEADLINE))

        for name in names:
            assert client.messages[name].pop() == WorkExited(name, 0)
            assert not any(isinstance(message, WorkExited) for message in client.messages[name])
            assert client.state[name]["exited"] is True
        assert list(client.runner.close(DEADLINE)) == []  # a second close does nothing

    @pytest.mark.parametrize(
        ("create", "use", "close"),
        [(in_thread, here, here), (here, in_thread, in_thread)],
        ids=["created in a thread", "used and closed in threads"],
    )
    def test_a_runner_may_be_created_used_and_closed_in_different_threads(
        self, client, parallel, create, use, close
    ):
        def work():
            client.start(parallel=parallel)
            return client.run("echo", 1)

        runner = create(lambda: client.runner)

        assert use(work) == 1

        client.take(close(runner.close, DEADLINE))
        assert client.messages["root.a"].pop() == WorkExited("root.a", 0)
        assert client.state["root.a"]["exited"] is True
        assert signal.set_wakeup_fd(-1) == -1  # nothing is left that a later signal would write to

    def test_a_signal_ends_a_wait_of_a_runner_that_was_created_in_another_thread(self, client):
        seen = []
        previous = signal.signal(signal.SIGUSR1, lambda *_: (seen.append(1), client.runner.wake()))
        try:
            in_thread(lambda: client.runner)
            main = threading.main_thread().ident
            threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGUSR1)).start()

            assert list(client.runner.wait(None)) == []
        finally:
            signal.signal(signal.SIGUSR1, previous)
        assert seen == [1]


class TestProcesses(Conformance):
    runner_class = ProcessRunner


class TestForkServer(Conformance):
    runner_class = staticmethod(lambda options: ProcessRunner(options._replace(start_method="forkserver")))


class TestInline(Conformance):
    runner_class = InlineRunner
    kinds: ClassVar[dict[str, bool]] = {"in turn": False, "parallel": True}


class TestRemote(Conformance):
    runner_class = staticmethod(lambda options: RemoteRunner(options, SubprocessCluster()))


class TestRemoteByCalls(Conformance):
    """Without the direct connection, as where a wall is between the machines."""

    runner_class = staticmethod(
        lambda options: RemoteRunner(
            options._replace(remote=RemoteOptions(direct=False)), SubprocessCluster()
        )
    )


@pytest.mark.torture
class TestRemoteWithLostCalls(Conformance):
    """A tenth of all calls is lost, of a tenth the answers are, and a tenth is carried out twice."""

    runner_class = staticmethod(lambda options: RemoteRunner(options, SubprocessCluster(Faults(0.1))))
