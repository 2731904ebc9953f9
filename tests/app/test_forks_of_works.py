"""Processes that a work or the flow forks, and their children, keep all their own files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts

START_METHODS = ["spawn", "forkserver"]


@pytest.fixture
def run_app(forked_scripts: ForkedScripts, tmp_path: Path) -> Callable[..., str]:
    """Run the source of an app as a script with these arguments, and return its output."""

    def run(source: str, *arguments: object) -> str:
        script = tmp_path / "app.py"
        script.write_text(source)
        return forked_scripts.run(script, *arguments, cwd=tmp_path)

    return run


APP = """
import multiprocessing, os, subprocess, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

START_METHOD, KIND, DEPTH, NUM_FILES = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def in_child(function, *arguments):
    if KIND == "multiprocessing":
        child = multiprocessing.get_context("fork").Process(target=function, args=arguments)
        child.start()
        child.join()
        assert child.exitcode == 0
        return
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

def descend(work, depth, files):
    assert work.items == [1, 2]  # the first look at a list wakes the helper thread, which is not here
    for file in files:
        file.write(f"{depth} ")
        file.flush()
    if depth < DEPTH:
        files += [open(f"file-{depth}-{i}", "w") for i in range(NUM_FILES)]
        subprocess.run(["true"], preexec_fn=lambda: [os.fstat(file.fileno()) for file in files], check=True)
        in_child(descend, work, depth + 1, files)

class Work(LightningWork):
    def __init__(self):
        super().__init__()
        self.items = [1, 2]

    def run(self):
        in_child(descend, self, 1, [])
        return 3

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        assert self.work.run() == 3
        self.stop()

LightningApp(Flow()).run(start_method=START_METHOD)
"""


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize(
    ("kind", "depth", "num_files"),
    [("fork", 3, 10), ("multiprocessing", 4, 30)],
)
def test_files_of_a_child_are_open_in_its_children(
    run_app: Callable[..., str], start_method: str, kind: str, depth: int, num_files: int, tmp_path: Path
) -> None:
    output = run_app(APP, start_method, kind, depth, num_files)

    assert "Error" not in output
    texts = {file.name: file.read_text() for file in tmp_path.glob("file-*")}
    assert texts == {
        f"file-{i}-{j}": "".join(f"{later} " for later in range(i + 1, depth + 1))
        for i in range(1, depth)
        for j in range(num_files)
    }


#: The flow of the scripts below: it prints the answer of their work.
PRINTING_FLOW = """
class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        print("answer", self.work.run())
        self.stop()

LightningApp(Flow()).run(start_method=sys.argv[1])
"""


HANDLER = """
import os, signal, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def run(self):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, lambda *_: None)
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(signal.getsignal(signal.SIGTERM) == signal.SIG_DFL)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_handler_of_a_child_is_that_of_its_children(run_app: Callable[..., str], start_method: str) -> None:
    assert "answer 0\n" in run_app(HANDLER + PRINTING_FLOW, start_method)


WRITER = """
import os, signal, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import RunnerError

class Work(LightningWork):
    def __init__(self):
        super().__init__()
        self.number = 0
        self.table = [[0] * 1000 for _ in range(300)]

    def run(self):
        statuses = []
        for i in range(10):
            self.table[0][0] += 1  # most of the time, the helper thread looks for changes in all of it
            pid = os.fork()
            if pid == 0:
                signal.alarm(30)  # ends a child that hangs
                try:
                    self.number = i + 1
                except RunnerError:
                    pass  # it is refused, unless another change has not been acknowledged yet
                os._exit(0)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            if statuses[-1]:
                break
        return statuses
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_child_that_writes_to_the_state_does_not_hang(
    run_app: Callable[..., str], start_method: str
) -> None:
    assert f"answer {[0] * 10}\n" in run_app(WRITER + PRINTING_FLOW, start_method)


FRESH = """
import os, signal, sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

def end_fresh_children():
    statuses = set()
    for _ in range(40):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)  # shows a signal that was lost
            while True:  # not signal.pause(), which waits for ever if the handler's signal comes just before
                pass
        os.kill(pid, signal.SIGTERM)  # before the child has run any Python code
        statuses.add(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    return statuses

def end_fresh_children_of_a_thread():
    found = []
    thread = threading.Thread(target=lambda: found.append(end_fresh_children()))
    thread.start()
    thread.join()
    return found[0]

class Work(LightningWork):
    def run(self):
        statuses = end_fresh_children() | end_fresh_children_of_a_thread()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(9))
        return statuses, end_fresh_children()
"""

FRESH_FLOW = """
class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        answer = self.work.run()
        print("flow", end_fresh_children() | end_fresh_children_of_a_thread(), "work", *answer)
        self.stop()

LightningApp(Flow()).run(start_method=sys.argv[1])
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_signal_to_a_child_that_was_just_forked_is_not_lost(
    run_app: Callable[..., str], start_method: str
) -> None:
    # By the default action in the flow and in the work, and by the handler that the work has set.
    assert "flow {-15} work {-15} {9}\n" in run_app(FRESH + FRESH_FLOW, start_method)


FORKING = """
import os, signal, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def __init__(self):
        super().__init__(parallel=True, raise_exception=False)
        self.pid = self.forks = 0

    def run(self):
        ballast = bytearray(50_000_000)  # a fork copies its page table, which takes time
        self.pid = os.getpid()
        while True:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)
            self.forks += 1

    def on_exit(self):
        print("on_exit")

class Flow(LightningFlow):
    def __init__(self, count):
        super().__init__()
        self.told = {}
        for i in range(count):
            setattr(self, f"work_{i}", Work())

    def run(self):
        works = self.works()
        for number, work in enumerate(works):
            work.run()
            if work.forks >= 20 and work.name not in self.told:
                self.told = {**self.told, work.name: True}
                if number % 2:
                    work.stop()
                else:
                    os.kill(work.pid, signal.SIGTERM)
        if all(work.has_stopped or work.has_failed for work in works):
            self.stop()

LightningApp(Flow(4)).run(start_method=sys.argv[1])
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_work_that_forks_all_the_time_stops_in_order(
    run_app: Callable[..., str], start_method: str
) -> None:
    lines = run_app(FORKING, start_method).splitlines()

    assert sorted(line for line in lines if line.endswith("on_exit")) == [
        f"root.work_{i} | on_exit" for i in range(4)
    ]
    assert not any("Exception ignored" in line for line in lines)


#: The beginning of an app with one work, which ends when the work does.
STOPPED = """
import ctypes, functools, os, signal, sys, warnings
from lightning_lite import LightningApp, LightningFlow, LightningWork

class ForkingWork(LightningWork):
    def __init__(self):
        super().__init__(parallel=True, raise_exception=False)
        self.was_cut = False

    def on_exit(self):
        print("on_exit")

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run()
        if self.work.was_cut:
            self.work.stop()
        if self.work.has_stopped or self.work.has_failed:
            print("the work has", self.work.status.stage)
            self.stop()
"""

CUT = f"""{STOPPED}
class Work(ForkingWork):
    def run(self):
        # It is called right before the function of the framework, and is no Python code. So the handler of
        # the signal runs at the first line of that function.
        os.register_at_fork(before=functools.partial(ctypes.CDLL(None)["raise"], signal.SIGTERM))
        child = os.fork()
        if child == 0:
            os._exit(sum(os.path.exists(f"/dev/fd/{{fd}}") for fd in range(3, 100)))
        print("files of the child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        while True:
            signal.pause()

LightningApp(Flow()).run(start_method=sys.argv[1])
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_signal_that_comes_just_before_a_fork_stops_the_work_in_order(
    run_app: Callable[..., str], start_method: str
) -> None:
    lines = run_app(CUT, start_method).splitlines()

    assert "root.work | on_exit" in lines
    assert not any("Exception ignored" in line for line in lines)
    # The signal may end `run` before it has printed this.
    assert {line for line in lines if "| files" in line} <= {"root.work | files of the child: 0"}


LATE = f"""{STOPPED}
class Late(Exception):
    pass

def raise_late(signum, frame):
    raise Late

class Work(ForkingWork):
    def run(self):
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork in a process with threads
        ballast = bytearray(b"x") * 200_000_000  # a fork copies its page table, so the signal comes meanwhile
        show, cut = sys.unraisablehook, []

        def note(unraisable):
            if isinstance(unraisable.exc_value, Late):
                cut.append(unraisable.exc_traceback.tb_frame.f_code.co_name)
            else:
                show(unraisable)

        sys.unraisablehook = note
        signal.signal(signal.SIGALRM, raise_late)
        for number in range(1000):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0002 * (1 + number % 50))
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Late:
                pass
            if "_after_fork_in_parent" in cut:
                break
        sys.unraisablehook = show
        self.was_cut = "_after_fork_in_parent" in cut
        while True:
            signal.pause()

LightningApp(Flow()).run(start_method=sys.argv[1])
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_handler_of_the_user_that_raises_in_a_fork_does_not_keep_a_work_from_its_stop(
    run_app: Callable[..., str], start_method: str
) -> None:
    lines = run_app(LATE, start_method).splitlines()

    assert lines == ["root.work | on_exit", "the work has stopped"]


FLOW_APP = """
import os, signal, sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.testing import poll_until

class Work(LightningWork):
    def run(self):
        poll_until(lambda: os.path.exists("done"))

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run()
        self.stop()

def is_blocked():
    return sys._current_frames()[threading.main_thread().ident].f_code.co_name == "_poll"

def in_child():
    files = [open(f"file-{i}", "w+") for i in range(30)]
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.raise_signal(signal.SIGTERM)
    sizes = [os.fstat(file.fileno()).st_size for file in files]
    os._exit(0 if sizes == [0] * 30 else 1)

def fork():
    poll_until(is_blocked)
    pid = os.fork()
    if pid == 0:
        try:
            in_child()
        finally:
            os._exit(2)
    print("forked", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    open("done", "w").close()

thread = threading.Thread(target=fork)
thread.start()
LightningApp(Flow()).run(start_method=sys.argv[1])
thread.join()
"""


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_signal_writes_into_no_file_of_a_process_that_the_flow_forks(
    run_app: Callable[..., str], start_method: str
) -> None:
    assert "forked 0\n" in run_app(FLOW_APP, start_method)
