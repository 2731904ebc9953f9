"""The runner of processes when no process fails."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading

import multiprocess
import pytest
import tasks
from harness import DEADLINE, Harness
from work_sides import TaskSide

from lightning_lite.main_messages import DumpStack, KillWork, StartWork, WorkExited
from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StateChanged,
    StopWork,
    WorkStarted,
    WriteState,
)
from lightning_lite.values.pickling import pack, unpack

pytestmark = pytest.mark.dependencies


def test_messages_travel_in_order_in_both_directions(harness: Harness):
    harness.start()

    # Calls that are sent before the process is up; that it is being started does not end a wait.
    keys = [harness.call(tasks.answer, i) for i in range(100)]
    harness.messages += harness.runner.wait(DEADLINE)
    assert harness.messages != []
    ended = [harness.until(RunEnded) for _ in keys]
    assert [message.key for message in ended] == keys
    assert [unpack(message.value) for message in ended] == list(range(100))
    assert [type(message) for message in harness.messages] == [WorkStarted]  # before anything else
    assert harness.run(tasks.pid) not in (os.getpid(), 0)

    # Changes, which arrive before the end of their call.
    harness.call(tasks.count, 1000)
    messages = []
    while not messages or not isinstance(messages[-1], RunEnded):
        messages += harness.runner.wait(DEADLINE)
    changes = [int(message.changes["i"]) for message in messages if isinstance(message, StateChanged)]
    assert changes == list(range(1000))

    # What the flow writes while a call runs.
    harness.call(tasks.receive_all, 3)
    harness.until(StateChanged)
    written = [
        WriteState("root.a", {"x": b"1"}, 1),
        AcknowledgeState("root.a"),
        WriteState("root.a", {"x": b"2"}, 2),
    ]
    for message in written:
        harness.runner.send(message)
    assert unpack(harness.until(RunEnded).value) == written

    # What a call printed is in the log when its end arrives.
    for i in range(20):
        harness.run(tasks.say, f"line {i}")
        assert harness.log().splitlines()[-1] == f"line {i}"

    # The work looks again as often as its host asks.
    assert harness.run(tasks.look_three_times) == 3


def test_works_start_while_the_flow_is_busy(harness: Harness, tmp_path):
    marks = [tmp_path / f"mark{i}" for i in range(2)]
    for i, mark in enumerate(marks):
        os.mkfifo(mark)
        harness.start(f"root.w{i}")
        harness.call(tasks.write_mark, str(mark), name=f"root.w{i}")

    # The test does not call `wait`, but waits until the works have written.
    assert [mark.read_text() for mark in marks] == ["here"] * 2


def test_a_change_never_blocks_the_work_while_the_flow_is_busy(harness: Harness, tmp_path):
    mark = tmp_path / "mark"
    os.mkfifo(mark)
    harness.start()
    harness.call(tasks.count_and_mark, 50, 100_000, str(mark))

    # The mark is written behind 5 MB of changes that are not read yet.
    assert mark.read_text() == "here"

    harness.until(RunEnded)
    changes = [int(message.changes["i"]) for message in harness.messages if isinstance(message, StateChanged)]
    assert changes == list(range(50))


def test_a_process_takes_over_what_the_parent_is_but_no_open_file(harness: Harness, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["app.py", "--fast"])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path, "/nowhere"])
    monkeypatch.setenv("FROM_PARENT", "1")
    monkeypatch.setattr(logging.root, "handlers", [logging.StreamHandler()])
    monkeypatch.setattr(logging.root, "level", 17)
    (tmp_path / "desk").mkdir()
    with open(tmp_path / "open", "w") as file:
        os.set_inheritable(file.fileno(), True)  # as files of the user's shell are
        harness.start("root.b", cwd=str(tmp_path / "desk"))
        harness.until(WorkStarted, "root.b")
        harness.start(env={"FROM_WORK": "2"})
        seen = harness.run(tasks.environment)

    assert seen["argv"] == ["app.py", "--fast"]
    assert seen["path"] == [str(tmp_path), *sys.path[1:]]
    assert seen["cwd"] == str(tmp_path)
    assert harness.run(tasks.environment, name="root.b")["cwd"] == str(tmp_path / "desk")  # as it asks for
    assert seen["environ"]["FROM_PARENT"] == "1"
    assert seen["environ"]["FROM_WORK"] == "2"
    assert seen["environ"]["LIGHTNING_LITE_ROOT"] == os.path.dirname(harness.logs)
    assert seen["caller"] == ("work", "root.a", os.path.dirname(harness.logs), False, None, None, None, None)
    assert seen["stdin"] == ""
    assert seen["stdout"] == ("utf-8", "backslashreplace", True)
    assert seen["main"] == ("__main__", [])
    assert harness.run(tasks.log_level) == 17

    listing = {fd for fd, target in seen["fds"].items() if target == "gone"}
    files = {fd: target for fd, target in seen["fds"].items() if fd not in listing}
    assert files[0] == os.devnull
    assert files[1] == files[2]
    # The module of the tasks imports ctypes, for which newer versions of libffi keep their own file open.
    files = {fd: target for fd, target in files.items() if "libffi" not in target}
    # Pipes of calls, control and messages, and both ends of those that wake the main and the helper thread.
    assert len([target for fd, target in files.items() if fd > 2]) == 7
    assert all("pipe:" in target for fd, target in files.items() if fd > 0)


def test_a_work_loads_no_more_than_it_needs(harness: Harness, monkeypatch):
    # A work takes over the loggers that were set up here, and other tests import packages that do that.
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root.manager, "loggerDict", {})
    added = {level for level in logging._levelToName if level % 10}  # by apprise and param, for example
    names = {level: name for level, name in logging._levelToName.items() if level not in added}
    monkeypatch.setattr(logging, "_levelToName", names)
    harness.start()

    modules = set(harness.run(tasks.environment)["modules"])

    heavy = {
        "multiprocess",
        "dill",
        "cloudpickle",
        "asyncio",
        "importlib.metadata",
        "rich",
        "logging",
        "dataclasses",
        "inspect",
        "pickle",
    }
    assert modules & heavy == set()


@pytest.mark.parametrize(("line", "digits"), [("", 0), ("sys.set_int_max_str_digits(4300)", 4300)])
def test_a_process_has_the_options_of_its_parent(tmp_path, line, digits):
    script = f"""
import sys
sys.path[:0] = {sys.path!r}
import tasks
from harness import Harness
{line}
harness = Harness({str(tmp_path)!r})
harness.start()
seen = harness.run(tasks.environment)
harness.runner.close(5)
print(seen["optimize"], seen["dev_mode"], seen["digits"], *seen["options"].items(), sep="\\n")
"""
    own = ["dev", "pycache_prefix=cache", "int_max_str_digits=0", "mine"]
    options = ["-O", "-W", "ignore", *(word for option in own for word in ("-X", option))]

    done = subprocess.run(
        [sys.executable, *options, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[:3] == ["1", "True", str(digits)]
    cache = ("pycache_prefix", os.path.abspath("cache"))
    expected = [("dev", True), cache, ("int_max_str_digits", "0"), ("mine", True)]
    assert sorted(done.stdout.splitlines()[3:]) == sorted(map(str, expected))


def test_a_script_without_a_main_guard_is_not_executed_again(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(f"""
import sys
sys.path[:0] = {sys.path!r}
open({str(tmp_path / "lines")!r}, "a").write("imported\\n")
from harness import Harness
from work_sides import TaskSide
class Side(TaskSide):
    pass
def task(work_side):
    return Side.__module__
harness = Harness({str(tmp_path)!r})
harness.start(work_side=Side("root.a"))
print(harness.run(task))
harness.runner.close(5)
""")

    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert done.stdout == "__main__\n"
    assert (tmp_path / "lines").read_text() == "imported\n"


def test_a_forked_child_of_a_work_holds_none_of_its_pipes_and_can_write_no_state(harness: Harness):
    harness.start()

    error, pipes, has_default_sigterm = harness.run(tasks.fork_and_send)

    assert error.startswith("RunnerError: a process that root.a has forked")
    assert pipes == []
    assert has_default_sigterm
    assert harness.run(tasks.answer, "alive") == "alive"


def test_the_stacks_of_a_work_are_shown_whatever_it_does(harness: Harness):
    names = {f"root.{task.__name__}": task for task in (tasks.hang, tasks.spin, tasks.hang_holding_the_gil)}
    for name, task in names.items():
        harness.start(name)
        harness.call(task, name=name)
        harness.hangs(name)

        harness.runner.send(DumpStack(name))

        while f"in {task.__name__}" not in harness.log(name):
            harness.runner.wait(0.01)
        harness.runner.send(KillWork(name))


def test_a_request_for_stacks_while_a_work_starts_has_no_effect(harness: Harness):
    for _ in range(2):
        harness.start()
        while "root.a" not in harness.runner.places():
            harness.runner.wait(0.001)
        harness.runner.send(DumpStack("root.a"))
        assert harness.run(tasks.answer, 1) == 1
        harness.runner.send(StopWork("root.a", DEADLINE))
        harness.exit_of()


def test_wait_returns_nothing_when_its_time_is_over(harness: Harness):
    assert harness.runner.wait(0) == []
    assert harness.runner.wait(0.01) == []


def test_wake_ends_a_wait_from_another_thread(harness: Harness):
    thread = threading.Timer(0.01, harness.runner.wake)
    thread.start()

    assert harness.runner.wait(DEADLINE) == []
    thread.join()


def test_wake_ends_the_next_wait_too_if_none_is_under_way(harness: Harness):
    harness.runner.wake()

    assert harness.runner.wait(DEADLINE) == []
    assert harness.runner.wait(0) == []


def test_wake_ends_a_wait_from_a_signal_handler(harness: Harness):
    previous = signal.signal(signal.SIGALRM, lambda *_: harness.runner.wake())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert harness.runner.wait(DEADLINE) == []
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_a_request_to_an_unknown_work_has_no_effect(harness: Harness):
    requests = [
        RunCall("root.x", "k", 1, b"", {}, 0),
        WriteState("root.x", {}, 1),
        AcknowledgeState("root.x"),
        StopWork("root.x", 1.0),
        KillWork("root.x"),
        DumpStack("root.x"),
    ]
    for message in requests:
        harness.runner.send(message)

    harness.up("root.x")
    os.kill(harness.run(tasks.pid, name="root.x"), signal.SIGKILL)
    harness.exit_of("root.x")

    for message in requests:
        harness.runner.send(message)
        assert harness.runner.wait(0) == [], message


def test_works_are_process_objects_of_multiprocess(harness: Harness):
    pid = harness.up()["root.a"]
    while not (children := multiprocess.active_children()):
        harness.runner.wait(0.01)

    (child,) = children
    assert (child.name, child.pid, child.is_alive(), child.exitcode) == ("root.a", pid, True, None)

    child.kill()
    child.join()

    assert (child.is_alive(), child.exitcode) == (False, -9)
    assert multiprocess.active_children() == []
    assert harness.exit_of() == WorkExited("root.a", -9)


def test_close_may_be_called_again_and_before_anything_was_started(tmp_path):
    harness = Harness(str(tmp_path))

    assert harness.runner.close(1.0) == []
    assert harness.runner.close(1.0) == []
    harness.runner.wake()


def test_close_ends_what_is_just_being_started(tmp_path):
    harness = Harness(str(tmp_path))
    for i in range(3):
        harness.runner.send(StartWork(f"root.w{i}", pack(TaskSide(f"root.w{i}"))))

    messages = harness.runner.close(DEADLINE)

    assert sorted(message.work for message in messages if isinstance(message, WorkExited)) == [
        f"root.w{i}" for i in range(3)
    ]
