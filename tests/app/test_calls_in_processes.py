"""Calls, values and states, with works in real processes."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from unittest import mock

import pytest
from call_works import Counter, Dies, Echo, Pid, Waits

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import AppFailed, InvalidValue, WorkCrashed, WorkStartFailed
from lightning_lite.testing import LightningTestApp, poll_until, run_work_isolated
from lightning_lite.tree.structures import Dict, List

from tests.support.flows import run_steps


class Leap(LightningFlow):
    """Has an event next leap year, and a work that takes a moment to start."""

    def __init__(self):
        super().__init__()
        self.echo = Echo(parallel=True)

    def run(self):
        self.schedule("0 0 29 2 *")
        if self.echo.run() is not None:
            self.stop()


class Once(LightningFlow):
    """Runs one call of one work and keeps the answer."""

    def __init__(self, work, *args, **kwargs):
        super().__init__()
        self.work = work
        self._arguments = args, kwargs
        self._answer = None

    def run(self):
        args, kwargs = self._arguments
        self._answer = self.work.run(*args, **kwargs)
        self.stop()


def test_a_value_comes_back_as_it_was():
    answer = run_work_isolated(Echo(), 1, [2.5, None], text="é", nested={"a": (1, {2})})

    assert answer == ((1, [2.5, None]), {"text": "é", "nested": {"a": (1, {2})}})


class Trains(LightningWork):
    def run(self):
        return "trained"


def test_a_run_that_is_assigned_to_the_class_runs_in_the_process_of_the_work(
    monkeypatch: pytest.MonkeyPatch,
):
    class Local(LightningWork):  # sent by value, so its process has the patched class
        def run(self):
            return "as defined"

    class Inherits(Local):
        pass

    def pid_of_the_work(self):
        return os.getpid()

    existing = Local()
    with monkeypatch.context() as patch:  # `undo` would take back the root and the working directory, too
        patch.setattr(Local, "run", pid_of_the_work)
        works = {"existing": existing, "new": Local(), "inherits": Inherits()}
        pids = run_steps(lambda flow: [work.run() for work in flow.works()], **works)._answer

    assert len({os.getpid(), *pids}) == 4
    assert run_work_isolated(Inherits()) == "as defined"


def test_a_function_that_wraps_the_run_of_a_class_is_called_by_an_inline_work_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
):
    original = Trains.run

    @functools.wraps(original)
    def spy(self):
        return f"seen: {original(self)}"

    flow = Once(Trains())
    monkeypatch.setattr(Trains, "run", spy)
    LightningApp(flow).run(runner="inline")

    assert flow._answer == "seen: trained"
    assert flow.work.num_successes == 1


@pytest.mark.parametrize("options", [{}, {"autospec": True}])
def test_a_mock_in_place_of_run_stays_a_mock_with_the_calls_of_the_flow(options: dict[str, bool]):
    flow = Once(Trains())
    with mock.patch.object(Trains, "run", return_value="mocked", **options) as run:
        LightningApp(flow).run(runner="inline")

        assert Trains.run is run
        run.assert_called_once()
        flow.work.run.assert_called_once()
    assert flow._answer == "mocked"


def test_works_that_are_parallel_run_at_the_same_time(tmp_path):
    class Meet(LightningWork):
        def run(self, own, other):
            open(own, "w").close()
            poll_until(lambda: os.path.exists(other))

    class Both(LightningFlow):
        def __init__(self, a, b):
            super().__init__()
            self.left, self.right = Meet(parallel=True), Meet(parallel=True)
            self._paths = a, b

        def run(self):
            a, b = self._paths
            self.left.run(a, b)
            self.right.run(b, a)
            if self.left.has_succeeded and self.right.has_succeeded:
                self.stop()

    flow = Both(str(tmp_path / "a"), str(tmp_path / "b"))
    LightningApp(flow).run()

    assert flow.left.num_successes == flow.right.num_successes == 1


def test_a_loop_of_calls_goes_on_from_the_remembered_ones():
    class Loop(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Counter()
            self.totals = []

        def run(self):
            self.totals = [self.work.run(step) for step in range(1, 30)]
            self.stop()

    flow = Loop()
    LightningApp(flow).run()

    assert flow.totals == [sum(range(1, n + 1)) for n in range(1, 30)]
    assert flow.work.history == list(range(1, 30))
    assert flow.work.num_successes == 29


def test_a_call_without_cache_is_run_each_time_its_line_is_reached():
    class Again(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Counter(cache_calls=False)
            self.totals = []

        def run(self):
            total = self.work.run(2)
            self.totals.append(total)
            if len(self.totals) == 3:
                self.stop()

    flow = Again()
    LightningApp(flow).run()

    assert flow.totals == [2, 4, 6]


def test_changes_of_state_arrive_while_the_call_runs(tmp_path):
    class Trains(LightningWork):
        def __init__(self):
            super().__init__(parallel=True)
            self.epoch = 0
            self.losses = []

        def run(self, seen):
            for epoch in range(1, 4):
                self.losses.append(1 / epoch)
                self.epoch = epoch
                poll_until(lambda epoch=epoch: os.path.exists(f"{seen}.{epoch}"))

    class Watches(LightningFlow):
        def __init__(self, seen):
            super().__init__()
            self.work = Trains()
            self.seen = seen
            self.epochs = []

        def run(self):
            self.work.run(self.seen)
            if (
                self.work.epoch
                and self.work.epoch not in self.epochs
                and len(self.work.losses) == self.work.epoch
            ):
                self.epochs.append(self.work.epoch)
                open(f"{self.seen}.{self.work.epoch}", "w").close()
            if self.work.has_succeeded:
                self.stop()

    flow = Watches(str(tmp_path / "seen"))
    LightningApp(flow).run()

    assert flow.epochs == [1, 2, 3]
    assert flow.work.losses == [1.0, 0.5, 1 / 3]


def test_a_running_work_sees_what_the_flow_writes():
    class Obeys(LightningWork):
        def __init__(self):
            super().__init__(parallel=True)
            self.order = None
            self.ready = False

        def run(self):
            self.ready = True
            poll_until(lambda: self.order is not None)
            return self.order

    class Orders(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Obeys()
            self.answer = None

        def run(self):
            self.answer = self.work.run()
            if self.work.ready:
                self.work.order = {"go": ["north", 1.5, None]}
            if self.work.has_succeeded:
                self.stop()

    flow = Orders()
    LightningApp(flow).run()

    assert flow.answer == {"go": ["north", 1.5, None]}


def test_works_that_come_and_go_while_the_app_runs():
    class Dynamic(LightningFlow):
        def __init__(self):
            super().__init__()
            self.works_by_name = Dict()
            self.pool = List()
            self.answers = {}

        def run(self):
            for name in ("a", "b"):
                if name not in self.answers:
                    self.works_by_name.setdefault(name, Counter())
                    self.answers[name] = self.works_by_name[name].run(len(self.answers) + 1)
                    del self.works_by_name[name]
            if not self.pool:
                self.pool.extend([Counter(), Counter()])
            self.answers["pool"] = [work.run(5) for work in self.pool]
            self.stop()

    flow = Dynamic()
    LightningApp(flow).run()

    assert flow.answers == {"a": 1, "b": 2, "pool": [5, 5]}
    assert [work.name for work in flow.works()] == ["root.pool.0", "root.pool.1"]


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            "exit",
            WorkCrashed,
            r"root\.work \(pid \d+\) ended with exit code 3 after .* in root\.work\.run\('exit'\)",
        ),
        ("error", ArithmeticError, "no such number"),
    ],
)
def test_a_failed_work_ends_the_app_at_once_with_its_own_error(how, error, message):
    flow = Once(Dies(), how)

    with pytest.raises(error, match=message) as raised:
        LightningApp(flow).run()

    assert flow.work.has_failed
    assert how != "error" or 'raise ArithmeticError("no such number")' in str(raised.value.__cause__)


def test_a_failed_call_is_an_ended_call_if_the_flow_wants_to_go_on_and_a_dead_process_is_replaced():
    reasons = {"exit": "crashed", "signal": "crashed", "error": "user_exception"}
    found = {}

    def steps(flow):
        work = flow.work
        for how in reasons:
            answer = work.run(how)
            # Later passes come here, too, while the next call runs.
            found.setdefault(how, (answer, work.has_failed, work.status.reason, work.call(how).ended))

    root = run_steps(steps, work=Dies(raise_exception=False))

    assert found == {how: (None, True, reason, True) for how, reason in reasons.items()}
    assert root.work.num_failures == 3


def test_an_attempt_that_is_repeated_is_said_on_standard_error(forked_scripts, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        "import os\n"
        "from lightning_lite import LightningApp, LightningWork\n"
        "class Work(LightningWork):\n"
        "    def run(self):\n"
        "        if not os.path.exists('first'):\n"
        "            open('first', 'w').close()\n"
        "            os._exit(7)\n"
        "        print('second')\n"
        "LightningApp(Work(retries=2, retry_delay=0)).run()\n"
    )
    done = forked_scripts.run_to_end(app, cwd=tmp_path)

    assert done.returncode == 0
    assert done.stdout == "root.work | second\n"
    line, end = done.stderr.split("; ")
    assert line.startswith("The process of root.work (pid ")
    assert " ended with exit code 7 after " in line
    assert line.endswith(" in root.work.run(), attempt 1 of 3")
    assert end == "the next one follows in 0 ms\n"


def test_an_answer_that_cannot_travel_fails_the_call_and_the_work_stays_usable():
    class Gives(LightningWork):
        def run(self, what):
            if what == "file":
                return open(os.devnull, encoding="utf-8")
            return threading.Lock() if what == "lock" else what

    def steps(flow):
        answers = [flow.work.run(what) for what in ("lock", "file", "text")]
        return answers, [flow.work.call(what).statuses[-1].reason for what in ("lock", "file")]

    root = run_steps(steps, work=Gives(raise_exception=False))

    assert root._answer == ([None, None, "text"], ["invalid_value"] * 2)
    for what, kind in (("lock", r"_thread\.lock"), ("file", r"_io\.TextIOWrapper")):
        error = root.work.call(what).error
        assert type(error) is InvalidValue
        assert re.search(rf"run\(\) returned <{kind}>, which can't be sent .* '{kind}'", str(error)), what
        assert error.__cause__ is None  # it would repeat the message


def test_an_answer_that_refuses_to_travel_has_the_users_exception_as_the_reason():
    class Refuses:
        def __reduce__(self):
            raise LookupError("not today")

    class Gives(LightningWork):
        def run(self):
            return Refuses()

    with pytest.raises(
        InvalidValue, match="which can't be sent to the flow: LookupError: not today"
    ) as raised:
        run_work_isolated(Gives())

    text = str(raised.value.__cause__)
    assert text.endswith("LookupError: not today")
    assert text.count(" File ") == text.count("Error: ") == 1


def test_an_attribute_that_is_not_declared_is_an_invalid_value_with_the_line_of_the_work():
    class Sets(LightningWork):
        def run(self):
            self.late = 1

    with pytest.raises(InvalidValue, match="not defined in __init__: late") as raised:
        run_work_isolated(Sets())

    assert raised.value.reason == "invalid_value"
    assert "self.late = 1" in str(raised.value.__cause__)


def test_a_container_with_an_invalid_value_at_the_end_of_a_call_is_reported_once():
    class Keeps(LightningWork):
        def __init__(self):
            super().__init__()
            self.kept = []

        def run(self):
            self.kept.append({1})

    with pytest.raises(InvalidValue, match=r"Found root\.work\.kept\[0\] with \{1\}") as raised:
        run_work_isolated(Keeps())

    assert raised.value.__cause__ is None


def test_a_work_as_root_runs_once_and_ends_the_app():
    work = Pid()

    LightningApp(work).run()

    assert work.has_succeeded
    assert work.name == "root.work"


def test_an_app_can_be_run_again():
    flow = Once(Counter(), 3)
    app = LightningApp(flow)

    app.run()
    app.run()

    assert flow.work.total == 6  # the state stays, the calls are new
    assert flow.work.num_successes == 1


def test_environment_and_working_directory_of_a_work_are_its_own(tmp_path):
    class Looks(LightningWork):
        def run(self):
            return os.environ["COLOUR"], os.getcwd()

    answer = run_work_isolated(Looks(env={"COLOUR": "blue"}, cwd=tmp_path))

    assert answer == ("blue", str(tmp_path))
    assert "COLOUR" not in os.environ


def test_a_work_has_the_surroundings_of_the_parent_but_no_input(monkeypatch):
    class Looks(LightningWork):
        def run(self):
            return sys.path, sys.argv, os.getcwd(), os.environ["COLOUR"], sys.stdin.read()

    monkeypatch.setenv("COLOUR", "green")
    path, argv, folder, colour, stdin = run_work_isolated(Looks())

    assert [entry for entry in sys.path if entry and entry not in path] == []
    assert argv == sys.argv
    assert (folder, colour, stdin) == (os.getcwd(), "green", "")


def test_a_work_may_start_processes_of_its_own():
    class Starts(LightningWork):
        def run(self):
            child = subprocess.run(
                [sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True
            )
            pid = os.fork()
            if pid == 0:
                os._exit(5)
            return child.stdout.strip(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert run_work_isolated(Starts()) == ("42", 5)


def test_hooks_run_in_the_process_of_the_work(tmp_path):
    class Hooked(LightningWork):
        def __init__(self, notes):
            super().__init__()
            self.notes = notes

        def on_start(self):
            self._note("start")

        def run(self):
            self._note("run")
            return os.getpid()

        def on_exit(self):
            self._note("exit")

        def _note(self, what):
            with open(self.notes, "a") as notes:
                notes.write(f"{what} {os.getpid()}\n")

    pid = run_work_isolated(Hooked(str(tmp_path / "notes")))

    assert (tmp_path / "notes").read_text() == f"start {pid}\nrun {pid}\nexit {pid}\n"


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_an_exception_of_on_exit_is_printed_with_the_lines_of_the_user_and_changes_nothing(runner, capfd):
    class Breaks(LightningWork):
        def run(self):
            return 7

        def on_exit(self):
            raise RuntimeError("no such file")

    root = Once(Breaks())
    LightningApp(root).run(runner=runner)

    assert root._answer == 7
    lines = capfd.readouterr().out.splitlines()
    headline = "on_exit of root.work raised an exception, which does not change how its calls have ended:"
    assert lines[:2] == [f"root.work | {headline}", "root.work | Traceback (most recent call last):"]
    assert "in on_exit" in lines[2]
    assert lines[-1] == "root.work | RuntimeError: no such file"
    assert sum(" File " in line for line in lines) == 1


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_on_exit_may_end_with_sys_exit(runner, capfd):
    class Leaves(LightningWork):
        def __init__(self, code):
            super().__init__()
            self._code = code

        def run(self):
            return 7

        def on_exit(self):
            sys.exit(self._code)

    run_steps(lambda flow: [work.run() for work in flow.works()], runner, zero=Leaves(0), none=Leaves(None))

    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_an_exception_of_on_start_has_the_lines_of_the_user(runner):
    class Breaks(LightningWork):
        def on_start(self):
            raise RuntimeError("no such device")

        def run(self):
            pass

    with pytest.raises(WorkStartFailed, match="no such device") as raised:
        LightningApp(Once(Breaks())).run(runner=runner)

    text = str(raised.value.__cause__)
    assert text.count(" File ") == 1
    assert "in on_start" in text


def test_a_work_that_serves_gets_a_url_when_it_answers():
    class Serves(LightningWork):
        def run(self):
            HTTPServer((self.host, self.port), BaseHTTPRequestHandler).serve_forever()

    class Front(LightningFlow):
        def __init__(self):
            super().__init__()
            self.server = Serves(parallel=True)
            self.url = ""

        def run(self):
            self.server.run()
            if self.server.url:
                self.url = self.server.url
                assert self.server.internal_ip == "127.0.0.1"
                self.stop()

    flow = Front()
    LightningApp(flow).run()

    assert flow.url == f"http://127.0.0.1:{flow.server.port}"


def test_a_stopped_call_has_ended_and_other_arguments_start_a_new_process(tmp_path):
    never, now = str(tmp_path / "never"), str(tmp_path / "now")
    open(now, "w").close()

    class Stops(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Waits(parallel=True)
            self.asked = False

        def run(self):
            self.work.run(never)
            if self.work.is_running and not self.asked:
                self.asked = True
                self.work.stop()
            if self.work.call(never).ended:
                self.work.run(now)
            if self.work.num_successes:
                self.stop()

    flow = Stops()
    LightningApp(flow).run()

    assert not flow.work.call(never).succeeded
    assert [status.stage for status in flow.work.call(never).statuses] == ["pending", "running", "stopped"]
    assert flow.work.call(now).succeeded


def test_a_kill_from_outside_is_noticed():
    class Forever(LightningWork):
        def run(self):
            threading.Event().wait()

    class Waiting(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Forever(parallel=True)

        def run(self):
            self.work.run()

    class Killing(LightningTestApp):
        killed = False

        def on_after_run_once(self):
            if self.root.work.is_running and not self.killed:
                self.killed = True
                self.kill_work("root.work")

    with pytest.raises(WorkCrashed, match=r"ended with SIGKILL \(signal 9\)"):
        Killing(Waiting()).run()


def test_a_work_class_that_fails_to_unpickle_in_its_process_is_reported_with_its_traceback():
    class Unloadable:
        def __reduce__(self):
            return refuse_to_load, ()

    def refuse_to_load():
        raise RuntimeError("I can't be loaded")

    class Strange(LightningWork):
        def __init__(self):
            super().__init__()
            self._broken = Unloadable()

        def run(self):
            pass

    with pytest.raises(WorkStartFailed, match="I can't be loaded") as raised:
        run_work_isolated(Strange())

    assert "in refuse_to_load" in str(raised.value.__cause__)


def test_a_hanging_work_shows_what_it_is_doing(tmp_path):
    class Hangs(LightningWork):
        def __init__(self):
            super().__init__(parallel=True)
            self.hangs = False

        def run(self):
            self.hang_here()

        def hang_here(self):
            self.hangs = True
            threading.Event().wait()

    class Looks(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Hangs()

        def run(self):
            self.work.run()
            if self.work.hangs:
                self.work.dump_stack()

    class Reads(LightningTestApp):
        def on_after_run_once(self):
            if not self.root.work.hangs:
                return None
            logs = "runs/*/logs/root.work.log"
            return poll_until(lambda: any("in hang_here" in log.read_text() for log in tmp_path.glob(logs)))

    Reads(Looks(), root_dir=tmp_path).run()


def test_an_app_may_wait_longer_than_the_longest_sleep_of_the_system():
    LightningApp(Leap()).run()


def test_a_root_work_whose_call_has_failed_fails_the_app():
    class Root(LightningWork):
        def run(self):
            raise ArithmeticError("no such number")

    with pytest.raises(AppFailed, match=r"ArithmeticError: no such number in root\.work\.run\(\)"):
        LightningApp(Root(raise_exception=False)).run()
