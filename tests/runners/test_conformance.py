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
        return self._make_runner(RunnerOptions(self._folder, self._logs, durable=True, drives=place))

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

    def test_a_work_that_is_up_says_so_first(self, client, parallel):
        client.start(parallel=parallel)
        client.call("echo", 1)
        client.until(RunEnded)

        client.call("pid")
        assert unpack(client.until(RunEnded).value) > 0

    def test_the_first_report_of_a_work_is_that_it_has_started_or_what_on_start_changed(
        self, client, parallel
    ):
        client.start(parallel=parallel)
        started = client.until(WorkStarted)

        assert started.place == Place.of(client.run("pid")) == client.runner.places()["root.a"]
        assert client.state["root.a"]["started"] is True

    def test_an_on_start_that_fails_is_reported_before_the_exit(self, client, parallel):
        client.start(parallel=parallel, on_start="no data")

        failed = client.until(StartFailed | WorkStarted | WorkExited)
        exited = client.until(WorkExited)

        assert failed.failure.reason == "start_failed"
        assert "ValueError: no data" in failed.failure.message
        assert "in on_start" in failed.failure.traceback
        assert isinstance(unpack(failed.failure.error), ValueError)
        assert exited.exitcode == 1

    def test_a_host_that_can_not_be_loaded_is_the_same(self, client, parallel):
        client.runner.send(StartWork("root.a", b"this is no pickle", parallel))

        assert client.until(StartFailed | WorkExited).failure.reason == "start_failed"
        client.until(WorkExited)

    def test_a_work_is_started_again_after_its_exit(self, client, parallel):
        for i in range(3):
            client.start(parallel=parallel)
            assert client.run("echo", i) == i
            client.runner.send(StopWork("root.a", DEADLINE))
            client.until(WorkExited)

    def test_many_works_live_side_by_side(self, client):
        names = [client.start(f"w{i}", parallel=i % 2 == 0) for i in range(6)]
        for i, name in enumerate(names):
            client.call("echo", i, work=name)

        answers = [unpack(client.until(RunEnded, name).value) for name in names]

        assert answers == list(range(6))

    def test_an_unknown_kind_of_request_is_refused(self, client):
        client.start()

        with pytest.raises(AssertionError, match="UnknownRequest"):
            client.runner.send(UnknownRequest("root.a"))
        assert client.run("echo", 1) == 1

    # Calls.

    def test_calls_run_in_order_and_their_values_come_back(self, client, parallel):
        client.start(parallel=parallel)

        assert [client.run("echo", value) for value in (1, "two", [3.0], None)] == [1, "two", [3.0], None]

    def test_arguments_and_values_are_copies(self, client, parallel):
        client.start(parallel=parallel)
        numbers = [1]

        answer = client.run("extend", numbers)

        assert (numbers, answer) == ([1], [1, 0])

    def test_a_value_is_an_instance_of_the_users_class(self, client):
        client.start()

        answer = client.run("answer", 42)

        assert type(answer) is Answer
        assert answer.value == 42

    def test_a_work_knows_who_it_is(self, client, parallel, tmp_path):
        client.start(parallel=parallel)

        assert client.run("caller") == (
            "work",
            "root.a",
            str(tmp_path),
            True,
            None,
            None,
            "s3://bucket/prefix",
        )

    def test_an_exception_is_the_failure_of_its_call_alone(self, client, parallel):
        client.start(parallel=parallel)
        client.call("fail", "no luck")

        failure = client.until(RunEnded).failure

        assert failure.reason == "user_exception"
        assert failure.message.startswith("ValueError: no luck")
        assert "in fail" in failure.traceback
        assert "lightning_lite" not in failure.traceback.split("real_works.py")[0].removeprefix("Traceback")
        assert str(unpack(failure.error)) == "no luck"
        assert client.run("echo", "still here") == "still here"

    def test_a_value_that_can_not_travel_is_a_failure(self, client, parallel):
        client.start(parallel=parallel)
        client.call("lock")

        failure = client.until(RunEnded).failure

        assert failure.reason == "invalid_value"
        assert "lock" in failure.message
        assert client.run("echo", "still here") == "still here"

    def test_sixteen_megabytes_go_down_and_come_up(self, client, parallel):
        client.start(parallel=parallel)

        assert client.run("nbytes", bytes(16_000_000)) == 16_000_000
        assert len(client.run("zeros", 16_000_000)) == 16_000_000

    def test_what_a_call_printed_is_logged_before_its_end_is_reported(self, client, parallel):
        client.start(parallel=parallel)

        for text in ("one", "two \x1b[2J"):
            client.run("say", text)
            assert client.log().endswith(text.replace("\x1b", r"\x1b") + "\n")

    # State.

    def test_all_changes_have_arrived_at_the_end_of_their_call(self, client, parallel):
        client.start(parallel=parallel)

        client.run("count", 500)

        assert client.state["root.a"]["number"] == 500
        assert client.state["root.a"]["numbers"] == list(range(1, 501))

    def test_an_assignment_arrives_while_the_call_runs(self, client, tmp_path):
        client.start(parallel=True)  # its `on_start` has changed something, too
        os.mkfifo(tmp_path / "go")
        client.call("change_and_wait", str(tmp_path / "go"))

        client.until_state("number", lambda number: number == 1)

        (tmp_path / "go").write_text("")
        assert client.until(RunEnded).failure is None

    def test_a_change_inside_a_list_arrives_while_the_call_runs(self, client, tmp_path):
        client.start(parallel=True)
        os.mkfifo(tmp_path / "go")
        client.call("append_and_wait", str(tmp_path / "go"))

        client.until_state("numbers", lambda numbers: numbers == [1])

        (tmp_path / "go").write_text("")
        assert client.until(RunEnded).failure is None

    def test_a_write_of_the_flow_reaches_a_running_call_and_is_confirmed(self, client):
        client.start(parallel=True)
        client.call("wait_for_write")
        client.until_state("started", lambda started: started is False)

        client.runner.send(WriteState("root.a", {"number": (1, encode(7, "number"))}, 1))

        confirmed = client.until(StateChanged | RunEnded)
        ended = confirmed if isinstance(confirmed, RunEnded) else client.until(RunEnded)
        assert (confirmed.applied, ended.applied) == (1, 1)
        assert unpack(ended.value) == 7

    def test_a_call_brings_what_the_flow_wrote_before(self, client, parallel):
        client.start(parallel=parallel)
        arguments = pack((("wait_for_write",), {}))

        client.runner.send(RunCall("root.a", "key", 1, arguments, {"number": (3, encode(5, "number"))}, 3))

        ended = client.until(RunEnded)
        assert (unpack(ended.value), ended.applied) == (5, 3)

    # Stop.

    def test_a_stop_of_an_idle_work_runs_on_exit_and_reports_the_last_changes_then_the_exit(
        self, client, parallel
    ):
        client.start(parallel=parallel)
        client.run("echo", 1)

        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(WorkExited) == WorkExited("root.a", 0)
        assert client.state["root.a"]["exited"] is True
        assert not client.messages["root.a"]

    def test_a_stop_right_after_the_start_ends_the_work(self, client, parallel):
        client.start(parallel=parallel)
        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(WorkExited).exitcode in (0, None)  # `None`: it never got as far as a process

    @pytest.mark.parametrize("task", ["change_for_ever", "change_for_ever_whatever_is_raised"])
    def test_a_stop_cuts_a_call_and_runs_on_exit(self, client, task):
        client.start(parallel=True)
        client.call(task)
        client.until_state("number", is_moving)

        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(RunEnded | WorkExited) == WorkExited("root.a", 0)
        assert client.state["root.a"]["exited"] is True
        assert "swallowed" not in client.state["root.a"].get("numbers", [])

    def test_an_on_exit_that_fails_keeps_no_work_from_ending(self, client, parallel):
        client.start(parallel=parallel, on_exit="can't let go")
        client.until(WorkStarted)

        client.runner.send(StopWork("root.a", DEADLINE))

        assert client.until(WorkExited).exitcode == 1
        assert client.state["root.a"]["exited"] is True
        assert "ValueError: can't let go" in client.log()

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

    def test_a_close_ends_all_works_and_returns_their_last_changes(self, client):
        client.start("a")
        client.start("b", parallel=True)
        client.start("c", parallel=True)
        for name in "abc":
            client.until(WorkStarted, f"root.{name}")
        client.call("change_for_ever", work="root.c")
        client.until_state("number", is_moving, "root.c")

        client.take(client.runner.close(DEADLINE))

        for name in ("root.a", "root.b", "root.c"):
            assert client.messages[name].pop() == WorkExited(name, 0)
            assert not any(isinstance(message, WorkExited) for message in client.messages[name])
            assert client.state[name]["exited"] is True

    @pytest.mark.parametrize(
        ("create", "use", "close"),
        [(in_thread, here, here), (here, here, in_thread), (in_thread, in_thread, in_thread)],
        ids=["created in a thread", "closed in a thread", "three threads"],
    )
    def test_a_runner_may_be_created_used_and_closed_in_different_threads(self, client, create, use, close):
        def work():
            names = [client.start("a"), client.start("b", parallel=True)]
            return [client.run("echo", name, work=name) for name in names]

        runner = create(lambda: client.runner)

        assert use(work) == ["root.a", "root.b"]

        client.take(close(runner.close, DEADLINE))
        for name in ("root.a", "root.b"):
            assert client.messages[name].pop() == WorkExited(name, 0)
            assert client.state[name]["exited"] is True
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

    def test_a_second_close_does_nothing(self, client):
        client.start()
        client.runner.close(DEADLINE)

        assert list(client.runner.close(DEADLINE)) == []


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
