"""Apps in threads: `app.start()` and its handle."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from talking_work import DEADLINE, Talker

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.app.session import Session
from lightning_lite.errors import (
    AppFailed,
    ComponentError,
    NestedAppError,
    NothingToResume,
    SettingError,
    WorkCrashed,
)
from lightning_lite.testing import EmptyWork, poll_until
from lightning_lite.tracebacks import RemoteTraceback


class Talk(LightningFlow):
    def __init__(self, *lines):
        super().__init__()
        self.a, self.b = Talker(), Talker()
        self.lines = lines

    def run(self):
        self.a.run("one")
        self.b.run("two", *self.lines)
        self.a.run("three")
        self.stop()


class Idle(LightningFlow):
    def __init__(self):
        super().__init__()
        self.passes = 0

    def run(self):
        self.passes = 1


def test_an_app_runs_while_its_starter_goes_on():
    running = LightningApp(Talk("wait")).start()
    poll_until(lambda: "two" in running.logs(), timeout=DEADLINE)

    assert (running.running, running.done, running.state) == (True, False, "running")
    with pytest.raises(TimeoutError, match=r"^Talk has not ended within 0\.01 s\.$"):
        running.wait(0.01)

    running.stop()
    assert (running.running, running.done, running.state) == (False, True, "interrupted")
    assert running.wait() is None  # a requested stop is no error
    running.stop()  # once more is fine


def test_the_end_of_the_flow_is_the_end():
    running = LightningApp(Talk()).start(runner="inline")
    running.wait(DEADLINE)

    assert running.state == "stopped"
    # Lines that come in the same millisecond have no order.
    assert sorted(running.logs().splitlines()) == ["root.a | one", "root.a | three", "root.b | two"]
    assert running.logs("root.a") == "one\nthree\n"
    assert running.logs("root.a", n=1) == "three\n"
    assert running.logs("a") == running.logs("root.a")
    assert running.logs(n=0) == running.logs("root") == ""
    assert running.run_id in repr(running)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        ("no.such.work", r"there is no work 'no\.such\.work' in run .*: there are root, root\.a, root\.b\.$"),
        ("root.aa", r"no work 'root\.aa' .* did you mean root\.a"),
        ("", "there is no work ''"),
        (3, "work must be the name of a work, or None. Found 3"),
    ],
)
def test_logs_of_an_unknown_work_name_the_works(work, message):
    running = LightningApp(Talk()).start(runner="inline")
    running.wait(DEADLINE)

    with pytest.raises(ComponentError, match=message):
        running.logs(work)


@pytest.mark.parametrize("n", [-1, 1.0, "1", True])
def test_logs_say_what_a_number_of_lines_is(n):
    with (
        LightningApp(Idle()).start(runner="inline") as running,
        pytest.raises(ComponentError, match="whole number"),
    ):
        running.logs(n=n)


def test_waiting_raises_the_works_own_exception_each_time_it_is_asked():
    running = LightningApp(Talk("fail")).start(runner="inline")
    for _ in range(2):
        with pytest.raises(ValueError, match="no more") as raised:
            running.wait(DEADLINE)
        assert isinstance(raised.value.__cause__, RemoteTraceback)
        assert raised.value.__notes__ == [
            "in root.b.run('two', 'fail')",
            "root.b printed last:\n    two\n    fail",
            f"To resume this run: app.run(resume={running.run_id!r})",
        ]
        assert [entry.name for entry in raised.traceback] == [
            "test_waiting_raises_the_works_own_exception_each_time_it_is_asked",
            "wait",
        ]

    assert running.state == "failed"


def test_a_crash_is_raised_too():
    running = LightningApp(Talk("crash")).start(runner="processes")

    with pytest.raises(WorkCrashed, match="SIGKILL"):
        running.wait(DEADLINE)


def test_a_failure_is_reported_without_a_waiting_flow(capsys):
    running = LightningApp(Talk("fail")).start(runner="inline")
    poll_until(lambda: running.done, timeout=DEADLINE)

    assert capsys.readouterr().err == "Talk failed: ValueError: no more; its handle's wait() raises it.\n"


def test_an_argument_that_is_wrong_is_refused_at_once():
    with pytest.raises(
        SettingError, match=r"runner must be 'processes' or 'inline' or 'ray'. Found 'unknown'"
    ):
        LightningApp(Idle()).start(runner="unknown")


def test_an_error_at_the_beginning_is_raised_by_wait(capsys):
    running = LightningApp(Idle()).start(runner="inline", resume="20200101-no-such-run")

    with pytest.raises(NothingToResume, match=r"no-such-run"):
        running.wait(DEADLINE)
    assert running.logs() == running.run_id == ""
    running.stop()


def test_a_block_ends_the_app_behind_it():
    with LightningApp(Idle()).start(runner="inline") as running:
        assert running.running

    assert running.state == "interrupted"


def test_a_block_raises_what_made_the_app_fail():
    with (
        pytest.raises(ValueError, match="no more"),
        LightningApp(Talk("fail")).start(runner="inline") as running,
    ):
        poll_until(lambda: running.done, timeout=DEADLINE)


def test_the_error_of_a_block_counts_more():
    running = LightningApp(Talk("fail")).start(runner="inline")
    poll_until(lambda: running.done, timeout=DEADLINE)

    with pytest.raises(LookupError), running:
        raise LookupError


def test_an_app_that_runs_can_be_run_or_started_neither_here_nor_in_its_flow():
    class Nested(LightningFlow):
        def run(self):
            LightningApp(Idle()).start()

    app = LightningApp(Idle())
    with app.start(runner="inline"):
        with pytest.raises(NestedAppError, match=r"^app\.start\(\) was called while this app is running"):
            app.start()
        with pytest.raises(NestedAppError, match=r"^app\.run\(\) was called while this app is running"):
            app.run()
    with pytest.raises(NestedAppError, match=r"^app\.start\(\) was called inside 'root'"):
        LightningApp(Nested()).run(runner="inline")

    app.start(runner="inline").stop()  # and once more, when it has ended


def test_an_app_may_stop_itself():
    class Suicidal(LightningFlow):
        def run(self):
            handle.get().stop()

    class Later:
        def __init__(self):
            self.has = threading.Event()

        def get(self):
            assert self.has.wait(DEADLINE)
            return self.running

    handle = Later()
    handle.running = LightningApp(Suicidal()).start(runner="inline")
    handle.has.set()
    handle.running.wait(DEADLINE)

    assert handle.running.state == "interrupted"


def test_an_end_from_outside_is_raised_by_wait():
    app = LightningApp(Idle())
    running = app.start(runner="inline")
    poll_until(lambda: running.run_id, timeout=DEADLINE)
    app._session.end_from_outside()  # as `lightning-lite stop` does

    with pytest.raises(SystemExit, match="143"):
        running.wait(DEADLINE)


SCRIPT = """
import sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork, timeouts

timeouts.STOP_TIMEOUT = 60.0  # a busy machine shall not look like a work that does not end

class Work(LightningWork):
    def run(self):
        print("begins", flush=True)
        threading.Event().wait(60)
    def on_exit(self):
        print("tidied up")

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()
    def run(self):
        self.work.run()

running = LightningApp(Flow()).start()
"""


def run_script(rest):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT + textwrap.dedent(rest)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def test_an_app_that_still_runs_when_python_exits_is_ended_in_order():
    program = run_script("sys.stdin.readline()")
    assert program.stdout.readline() == "root.work | begins\n"
    out, err = program.communicate("\n", timeout=DEADLINE)

    assert (program.returncode, out, err) == (0, "root.work | tidied up\n", "")


def test_ctrl_c_ends_the_waiting_and_then_the_app_with_its_program():
    program = run_script(
        """
        try:
            running.wait()
        except KeyboardInterrupt:
            print("interrupted", running.state, flush=True)
        """
    )
    assert program.stdout.readline() == "root.work | begins\n"
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=DEADLINE)

    assert (program.returncode, out, err) == (0, "interrupted running\nroot.work | tidied up\n", "")


class Two(LightningFlow):
    """One work is called, the other one has only a process."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.idle = EmptyWork(), EmptyWork()
        self.does_fail = False

    def run(self) -> None:
        self.called.run()
        if self.idle.has_started:
            self.fail("as asked") if self.does_fail else self.stop()


def test_an_app_its_components_and_its_handle_show_what_they_are_at_the_end():
    app = LightningApp(Two())
    assert repr(app) == "<LightningApp Two: blocking>"
    assert repr(app.root.called) == "<root.called (EmptyWork)>"

    running = app.start()
    running.wait()

    assert repr(app) == "<LightningApp Two: stopped>"
    assert repr(app.root) == "<root (Two)>"
    assert repr(app.root.called) == "<root.called (EmptyWork): succeeded>"
    for shown in (app._repr_html_(), running._repr_html_()):
        assert shown.startswith("<b>Two: stopped")
        assert "<td>root.idle</td>" in shown
        assert "<td>succeeded</td>" in shown
        assert "<td>stopped</td>" in shown
        assert "started" not in shown
    assert running.run_id in running._repr_html_()


def test_an_app_that_has_failed_shows_that():
    app = LightningApp(Two())
    app.root.does_fail = True
    with pytest.raises(AppFailed):
        app.run()
    assert (app.stage, app.state["app_state"]) == ("failed", {"stage": "failed"})


def test_a_component_whose_constructor_has_not_run_has_a_text():
    assert "Two object" in repr(Two.__new__(Two))
    assert repr(EmptyWork()) == "<not attached (EmptyWork)>"


def test_an_exit_of_the_flow_after_stop_ends_the_block_of_the_handle_in_order(
    monkeypatch: pytest.MonkeyPatch,
):
    has_begun, is_asked, end_from_outside = threading.Event(), threading.Event(), Session.end_from_outside

    def ask(session: Session) -> None:
        end_from_outside(session)
        is_asked.set()

    class Exits(LightningFlow):
        def run(self):
            has_begun.set()
            is_asked.wait(DEADLINE)
            sys.exit(0)

    monkeypatch.setattr(Session, "end_from_outside", ask)
    with LightningApp(Exits()).start(runner="inline") as running:
        has_begun.wait(DEADLINE)

    assert (running.done, running.state) == (True, "stopped")
