"""The special cases of works in the flow's own process."""

import io
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from main_thread import ctrl_c_within
from real_works import Root, Worker

from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.main_messages import DumpStack, KillWork, StartWork, WorkExited
from lightning_lite.messages import RunCall, RunEnded, StartFailed, StateChanged, StopWork, WorkStarted
from lightning_lite.runners.base import RunnerOptions
from lightning_lite.runners.inline.runner import InlineRunner
from lightning_lite.testing import poll_until
from lightning_lite.values.codec import decode
from lightning_lite.values.pickling import pack, unpack

#: Seconds after which a test says that something hangs; not a measure of speed.
DEADLINE = 60.0

PROJECT = str(Path(__file__).parents[2])


class Talker(Worker):
    """Prints in all the ways there are, sleeps, and is hit by a signal."""

    def __init__(self, **options):
        super().__init__(**options)
        self._bed = ""

    def talk(self):
        print("print")  # noqa: T201 - the test is about this and the next line
        sys.stderr.write("stderr\n")
        sys.stdout.writelines(["write", "lines\n"])
        sys.stdout.buffer.write(b"bytes \xff\n")
        print("no newline", end="", flush=True)  # noqa: T201
        return sys.stdout.isatty()

    def be_interrupted(self):
        self.number = 1
        os.kill(os.getpid(), signal.SIGINT)

    def sleep_on_exit(self, path):
        self._bed = path

    def on_exit(self):
        if self._bed:
            self.sleep(self._bed)

    def sleep(self, path):
        with open(path) as fifo:
            fifo.read()


class Lines:
    """A display that keeps its lines."""

    broken = False

    def __init__(self):
        self.lines = []

    def show(self, work, text):
        self.lines += [f"{work} | {line}" for line in text.removesuffix("\n").split("\n")]

    def hold(self):
        self.lines.append("held")

    def release(self):
        self.lines.append("released")

    def close(self):
        pass


@pytest.fixture
def make_runner(tmp_path):
    """Makes a runner; called in the test itself, because pytest changes `sys.stdout` before that."""
    runners = []
    (tmp_path / "logs").mkdir()

    def make(display=None):
        runners.append(InlineRunner(RunnerOptions(str(tmp_path), str(tmp_path / "logs")), display))
        return runners[0]

    yield make
    for runner in runners:
        runner.close(DEADLINE)


def start(runner, *, parallel=False, **options):
    work = Talker(parallel=parallel)
    Root(a=work)
    runner.send(StartWork("root.a", pack(WorkMachine(work)), parallel, **options))


def call(runner, *arguments):
    runner.send(RunCall("root.a", "key", 1, pack((arguments, {})), {}, 0))


def until(runner, kind):
    messages = []
    while not any(isinstance(message, kind) for message in messages):
        messages += runner.wait(DEADLINE)
    return next(message for message in messages if isinstance(message, kind))


@pytest.mark.parametrize("parallel", [False, True], ids=["in turn", "parallel"])
def test_what_a_work_prints_has_its_name_and_what_the_flow_prints_has_none(
    make_runner, tmp_path, capsys, parallel
):
    display = Lines()
    runner = make_runner(display)
    print("flow before")  # noqa: T201
    start(runner, parallel=parallel)
    call(runner, "talk")
    is_terminal = unpack(until(runner, RunEnded).value)
    print("flow after")  # noqa: T201

    lines = ["print", "stderr", "writelines", "bytes \\xff", "no newline"]
    assert display.lines == [f"root.a | {line}" for line in lines]
    assert (tmp_path / "logs" / "root.a.log").read_text() == "\n".join(lines)
    assert capsys.readouterr().out == "flow before\nflow after\n"
    assert is_terminal is False


def test_the_standard_streams_are_put_back(make_runner):
    before = sys.stdout, sys.stderr
    runner = make_runner()
    assert sys.stdout is not before[0]

    runner.close(DEADLINE)

    assert (sys.stdout, sys.stderr) == before


def test_streams_that_were_replaced_since_stay(make_runner, monkeypatch):
    runner = make_runner()
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)

    runner.close(DEADLINE)

    assert sys.stdout is mine
    monkeypatch.undo()


@pytest.mark.parametrize("options", [{"env": {"A": "1"}}, {"cwd": "/"}], ids=str)
def test_what_needs_a_process_is_refused(make_runner, options):
    runner = make_runner()
    start(runner, **options)

    failed, exited = runner.wait(DEADLINE)

    assert isinstance(failed, StartFailed)
    assert 'use runner="processes"' in failed.failure.message
    assert exited == WorkExited("root.a", None)


def test_a_work_that_is_not_parallel_runs_in_the_thread_that_waits(make_runner):
    runner = make_runner()
    start(runner)
    threads = threading.active_count()
    call(runner, "echo", 1)
    until(runner, RunEnded)

    assert threading.active_count() == threads


def test_a_kill_is_a_stop_without_on_exit(make_runner):
    runner = make_runner()
    start(runner, parallel=True)
    call(runner, "change_for_ever")
    until(runner, WorkStarted)

    runner.send(KillWork("root.a"))

    assert until(runner, WorkExited) == WorkExited("root.a", 0)


def test_ctrl_c_cuts_a_call_which_has_not_failed_then(make_runner):
    runner = make_runner()
    handler = signal.signal(signal.SIGINT, lambda *_: runner.interrupt(KeyboardInterrupt()))
    try:
        start(runner)
        call(runner, "be_interrupted")
        with pytest.raises(KeyboardInterrupt):
            until(runner, RunEnded)
    finally:
        signal.signal(signal.SIGINT, handler)
    last = runner.close(DEADLINE)

    assert [type(message) for message in last] == [StateChanged, WorkExited]
    assert decode(last[0].changes["number"]) == 1


def test_a_second_ctrl_c_cuts_an_on_exit_that_hangs(make_runner, tmp_path):
    os.mkfifo(tmp_path / "bed")
    runner = make_runner()
    start(runner)
    call(runner, "sleep_on_exit", str(tmp_path / "bed"))
    until(runner, RunEnded)
    handler = signal.signal(signal.SIGINT, lambda *_: runner.kill_all())
    try:
        with ctrl_c_within(Talker.sleep):
            messages = runner.close(DEADLINE)
    finally:
        signal.signal(signal.SIGINT, handler)

    assert messages[-1] == WorkExited("root.a", 1)
    assert "KeyboardInterrupt" in (tmp_path / "logs" / "root.a.log").read_text()


def test_ctrl_c_ends_a_wait(make_runner):
    runner = make_runner()
    handler = signal.signal(signal.SIGINT, lambda *_: runner.interrupt(KeyboardInterrupt()))
    try:
        with pytest.raises(KeyboardInterrupt), ctrl_c_within(InlineRunner._take):
            runner.wait(None)
    finally:
        signal.signal(signal.SIGINT, handler)


@contextmanager
def asleep(bed):
    """Let a work sleep for the block: it has opened the FIFO for reading, and reads until the end."""

    def open_for_writing():
        with suppress(OSError):  # no work has opened it
            return os.open(bed, os.O_WRONLY | os.O_NONBLOCK)
        return None

    end = poll_until(open_for_writing, DEADLINE)
    try:
        yield
    finally:
        os.close(end)


def test_a_thread_that_can_not_be_stopped_is_reported_and_left(make_runner, tmp_path, caplog):
    os.mkfifo(tmp_path / "bed")
    runner = make_runner()
    start(runner, parallel=True)
    call(runner, "sleep", str(tmp_path / "bed"))

    with asleep(tmp_path / "bed"):
        messages = runner.close(0.05)

    assert messages[-1] == WorkExited("root.a", None, "its thread still runs")
    assert "root.a still runs in its thread" in caplog.text


def test_killing_all_ends_the_wait_for_threads(make_runner, tmp_path):
    os.mkfifo(tmp_path / "bed")
    runner = make_runner()
    start(runner, parallel=True)
    call(runner, "sleep", str(tmp_path / "bed"))

    with asleep(tmp_path / "bed"):
        threading.Timer(0.05, runner.kill_all).start()
        messages = runner.close(DEADLINE)

    assert messages[-1].detail == "its thread still runs"


def test_the_stacks_of_all_threads_are_written_into_the_log(make_runner, tmp_path):
    runner = make_runner()
    start(runner)
    until(runner, WorkStarted)

    runner.send(DumpStack("root.a"))
    runner.send(StopWork("root.a", DEADLINE))
    until(runner, WorkExited)

    log = (tmp_path / "logs" / "root.a.log").read_text()
    assert "in test_the_stacks_of_all_threads_are_written_into_the_log" in log


def test_breakpoint_asks_on_the_terminal_of_the_flow(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(
        "from lightning_lite import LightningApp, LightningFlow, LightningWork\n"
        "class Work(LightningWork):\n"
        "    def run(self, x):\n"
        "        print('before')\n"
        "        y = x + 1\n"
        "        breakpoint()\n"
        "        print('after', y)\n"
        "class Flow(LightningFlow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.work = Work()\n"
        "    def run(self):\n"
        "        self.work.run(41)\n"
        "        self.stop('end')\n"
        "LightningApp(Flow()).run(runner='inline')\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        input="p y\ny = 7\ncontinue\n",
        env={**os.environ, "PYTHONPATH": PROJECT},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    assert done.returncode == 0, done.stderr
    before, _, rest = done.stdout.partition("> ")
    assert before == "root.work | before\n"
    assert "(Pdb) 42\n" in rest
    assert rest.endswith("root.work | after 7\nend\n")
