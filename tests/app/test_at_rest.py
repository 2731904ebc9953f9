"""Apps in which nothing can change any more: when they end as failed, and the text of the error."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import textwrap
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import AppIdle, SettingError
from lightning_lite.run_options import RunOptions
from lightning_lite.testing import LightningTestApp, poll_until

from tests.support.processes import Start, finish, run_verb, starting

pytestmark = pytest.mark.dependencies

IDLE = """\
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    class Work(LightningWork):
        def run(self, number):
            return 1 / number

    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.trials = [Work(parallel=True, raise_exception=False) for _ in range(2)]
            self.after = Work()
        def run(self):
            values = [work.run(number) for number, work in enumerate(self.trials)]
            if None not in values:
                self.after.run(2)
                self.stop("all done")
"""


REST = """\
    from lightning_lite import LightningApp, LightningFlow

    class Flow(LightningFlow):
        def run(self):
            pass
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script with an app that comes to rest, as cron or a CI does: without a terminal.

    The flow is that of `REST`, or of another text.
    """
    script = tmp_path / "app.py"

    with starting() as start_python:

        def start(end: str, *command: str, flow: str = REST, **options: Any) -> subprocess.Popen[str]:
            script.write_text(textwrap.dedent(flow) + end)
            environ = os.environ | {"LIGHTNING_LITE_ROOT": str(tmp_path / "root")}
            return start_python(*command, script, env=environ, cwd=tmp_path, **options)

        yield start


def test_an_app_at_rest_without_a_terminal_fails_and_says_what_failed(start: Start):
    code, _, err = finish(start("LightningApp(Flow()).run()", flow=IDLE))

    assert code == 1
    notice, (last, note) = err.find("Nothing can change any more"), err.splitlines()[-2:]
    assert -1 < notice < err.find("Traceback (most recent call last):\n  File")
    assert "because no terminal is attached; on_idle='wait' keeps it" in err
    assert last.startswith("lightning_lite.errors.AppIdle: The flow waits for a change that can't come")
    assert "Failed calls: root.trials.0: ZeroDivisionError: division by zero in root.trials.0.run(0)." in last
    assert "Never called: root.after." in last
    assert "app.run(on_idle='wait')" in last
    assert re.fullmatch(r"To resume this run: lightning-lite resume \S+ --retry-failed --root \S+", note)


def test_an_app_at_rest_without_a_failed_call_has_no_option_for_failed_calls_in_its_note(start: Start):
    code, _, err = finish(start("LightningApp(Flow()).run()"))

    assert code == 1
    assert "To resume this run: lightning-lite resume " in err
    assert "--retry-failed" not in err


def test_an_app_at_rest_on_the_command_line_fails_in_one_line(start: Start, tmp_path: Path):
    code, _, err = finish(start("app = LightningApp(Flow())", "-m", "lightning_lite", "run"))

    assert code == 1
    assert err.splitlines()[-2].startswith("Error: The flow waits for a change that can't come")

    listed = run_verb("ps", "--root", tmp_path / "root")
    assert "failed" in listed.stdout


@pytest.mark.parametrize(
    ("end", "command"),
    [
        ("LightningApp(Flow()).run(on_idle='wait')", ()),
        ("app = LightningApp(Flow())", ("-m", "lightning_lite", "run", "--on-idle", "wait")),
    ],
    ids=["argument", "option"],
)
def test_on_idle_wait_keeps_an_app_at_rest(start: Start, end: str, command: tuple[str, ...]):
    process = start(end, *command)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("Nothing can change any more"):
            assert "let the flow call self.stop()" in line
            break
    process.send_signal(signal.SIGTERM)
    assert "Nothing can change" not in process.stderr.read()  # it is said once
    assert finish(process)[0] == 143


def test_on_idle_is_also_a_setting_of_the_environment():
    assert RunOptions.resolve(environ={"LIGHTNING_LITE_ON_IDLE": "wait"}).on_idle == "wait"


def test_a_terminal_keeps_an_app_at_rest(start: Start):
    ours, theirs = pty.openpty()
    try:
        process = start("LightningApp(Flow()).run(view=False)", stdin=theirs)
        assert process.stderr is not None
        assert any("Press Ctrl-C to end the app" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert finish(process)[0] in (130, -signal.SIGINT)
    finally:
        os.close(ours)
        os.close(theirs)


def test_on_idle_fail_ends_an_app_on_a_terminal(start: Start):
    ours, theirs = pty.openpty()
    try:
        code, _, err = finish(start("LightningApp(Flow()).run(view=False, on_idle='fail')", stdin=theirs))
        assert code == 1
        assert "because it is run with on_idle='fail'" in err
    finally:
        os.close(ours)
        os.close(theirs)


class Rest(LightningFlow):
    def run(self) -> None:
        pass


def test_an_unknown_on_idle_is_refused():
    with pytest.raises(SettingError, match=r"on_idle must be 'auto' or 'wait' or 'fail'. Found 'stop'"):
        LightningApp(Rest()).run(on_idle="stop")


def test_the_failed_calls_are_an_attribute_of_the_error_and_the_run_can_be_resumed():
    class Fails(LightningWork):
        def run(self, number: int) -> None:
            raise ValueError(number)

    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.fails = Fails(raise_exception=False)

        def run(self) -> None:
            for number in range(5):
                self.fails.run(number)

    app = LightningApp(Flow())
    with pytest.raises(
        AppIdle, match=r"root.fails: ValueError: 2 in root.fails.run\(2\); 2 more\."
    ) as caught:
        app.run(on_idle="fail")
    assert len(caught.value.failed) == 5
    with pytest.raises(AppIdle):
        LightningApp(Flow()).run(on_idle="fail", resume=True)


def test_a_hook_of_a_test_may_end_an_app_at_rest_first():
    class App(LightningTestApp):
        def on_after_run_once(self) -> bool | None:
            return self.counter == 1 or None

    App(Rest()).run(on_idle="fail")


def test_a_background_app_at_rest_is_kept_because_its_handle_can_end_it(capfd: pytest.CaptureFixture[str]):
    told = ""

    def is_told() -> bool:
        nonlocal told
        told += capfd.readouterr().err
        return "Nothing can change" in told

    with LightningApp(Rest()).start() as running:
        poll_until(is_told)
        assert running.running
        running.stop()
    assert running.state == "interrupted"


def test_an_app_with_a_work_that_serves_is_not_at_rest(capfd: pytest.CaptureFixture[str]):
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    class Serve(LightningWork):
        def run(self) -> None:
            server = HTTPServer((self.host, self.port), Page)
            threading.Thread(target=server.serve_forever, daemon=True).start()

    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.serve = Serve()
            self.is_called = False

        def run(self) -> None:
            self.serve.run()

    app = LightningApp(Flow())
    with app.start(on_idle="fail") as running:
        poll_until(lambda: app.root.serve.has_succeeded)
        with urllib.request.urlopen(f"http://127.0.0.1:{app.root.serve.port}", timeout=60) as answer:
            assert answer.read() == b"hello"
        assert running.running
        running.stop()
    assert "Nothing can change" not in capfd.readouterr().err
