"""`on_failure`, `on_end` and messages: the moments of the calls, the arguments, and the effect of errors."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork, RunEnd, Secret
from lightning_lite.errors import AppFailed, ComponentError, JournalError, NothingToResume, SettingError
from lightning_lite.masking import MASK
from lightning_lite.run_options import RunOptions
from lightning_lite.settings import SETTINGS, show_value
from lightning_lite.storage import Drive

from tests.cli.verbs import call
from tests.support.flows import Steps
from tests.support.forked_scripts import ForkedScripts
from tests.support.ports import closed_port
from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies


class Fails(LightningWork):
    def run(self) -> None:
        raise ValueError("no data")


class Flow(LightningFlow):
    """Ends the app as its argument says."""

    def __init__(self, how: str = "stops") -> None:
        super().__init__()
        self._how = how
        self.work = Fails()

    def run(self) -> None:
        match self._how:
            case "stops":
                self.stop()
            case "fails":
                self.fail("not good enough")
            case "raises":
                raise EOFError("from the flow")
            case "work":
                self.work.run()
            case "interrupted":
                raise KeyboardInterrupt
            case "exits":
                raise SystemExit(3)
            case "exits with a text":
                sys.exit("no data")
            case "exits with an odd object":
                sys.exit(NotComparable())
            case "exits well":
                sys.exit()
            case "exits as after a signal":
                sys.exit(128 + signal.SIGTERM)


class NotComparable:
    """An exit code that can't be compared with a number."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        raise TypeError("it can't be compared")


class Seen:
    """Hooks that keep their arguments."""

    def __init__(self) -> None:
        self.failures: list[RunEnd] = []
        self.ends: list[RunEnd] = []

    def app(self, how: str, **arguments: Any) -> LightningApp:
        """Return an app with these hooks."""
        return LightningApp(Flow(how), on_failure=self.failures.append, on_end=self.ends.append, **arguments)


@pytest.mark.parametrize(
    ("how", "error", "state"),
    [
        ("fails", AppFailed, "failed"),
        ("raises", EOFError, "failed"),
        ("work", ValueError, "failed"),
        ("interrupted", KeyboardInterrupt, "interrupted"),
        ("exits", SystemExit, "failed"),
        ("exits with a text", SystemExit, "failed"),
        ("exits with an odd object", SystemExit, "failed"),
        ("exits well", SystemExit, "stopped"),
        ("exits as after a signal", SystemExit, "interrupted"),
    ],
)
def test_hooks_get_the_error_that_the_app_raises(how: str, error: type[BaseException], state: str):
    seen = Seen()

    with pytest.raises(error) as raised:
        seen.app(how).run("inline", name="trial", tags=["a"])

    (end,) = seen.ends
    assert end.error is raised.value
    assert (end.app, end.state, end.name, end.tags) == ("Flow", state, "trial", ("a",))
    assert end.duration > 0
    assert seen.failures == ([end] if state == "failed" else [])
    run_json = json.loads(Path(end.folder, "run.json").read_text())
    assert (run_json["id"], run_json["state"]) == (end.run_id, state)


def test_a_run_that_its_flow_stops_has_ended_without_error():
    seen = Seen()

    seen.app("stops").run()

    assert [(end.state, end.error) for end in seen.ends] == [("stopped", None)]
    assert seen.failures == []


def test_hooks_run_in_the_main_process_and_may_use_drives():
    def keep(end: RunEnd) -> None:
        Path("end.txt").write_text(f"{end.state} {os.getpid()}")
        Drive("lit://ends").put("end.txt")

    LightningApp(Flow(), on_end=keep).run()

    Drive("lit://ends").get("end.txt", to="got.txt")
    assert Path("got.txt").read_text() == f"stopped {os.getpid()}"


def test_hooks_are_called_again_after_a_resume():
    seen = Seen()
    with pytest.raises(AppFailed):
        seen.app("fails").run("inline", name="trial")

    seen.app("stops").run("inline", resume=True)

    first, second = seen.ends
    assert (first.state, second.state) == ("failed", "stopped")
    assert (second.run_id, second.name) == (first.run_id, "trial")


@pytest.mark.parametrize("resume", ["20261122-071407564-5aee04", "no-such-run"])
def test_a_run_that_can_not_begin_is_a_failure_without_id(resume: str):
    seen = Seen()

    with pytest.raises(NothingToResume) as raised:
        seen.app("stops").run("inline", resume=resume, name="trial")

    assert [(end.run_id, end.folder, end.name, end.error) for end in seen.failures] == [
        ("", "", "trial", raised.value)
    ]
    assert isinstance(raised.value, JournalError | NothingToResume)


@pytest.mark.parametrize(("how", "state", "code"), [("exits", "failed", 3), ("exits well", "stopped", None)])
def test_an_app_in_the_background_has_the_state_of_its_run_after_an_exit(how: str, state: str, code: object):
    seen = Seen()

    running_app = seen.app(how).start("inline")
    with pytest.raises(SystemExit) as raised:
        running_app.wait()

    assert (running_app.state, raised.value.code) == (state, code)
    assert [end.state for end in seen.ends] == [state]


def test_hooks_are_called_for_an_app_in_the_background():
    seen = Seen()

    running_app = seen.app("fails").start("inline")
    with pytest.raises(AppFailed):
        running_app.wait()

    assert [end.run_id for end in seen.failures] == [running_app.run_id]


SCRIPT = """
import os, signal, sys, threading
from lightning_lite import LightningApp, LightningFlow

def send_itself_a_signal():
    print("up", flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
    # Not at once: Python would handle a signal that comes just before the wait only after it.
    while True:
        threading.Event().wait(0.1)

class Root(LightningFlow):
    def run(self):
        match sys.argv[1]:
            case "waits":
                send_itself_a_signal()
            case "cleans up":
                try:
                    send_itself_a_signal()
                except BaseException:
                    sys.exit(3)
            case "fails":
                self.fail("not good enough")
            case "stops":
                self.stop()

def on_failure(end):
    print("on_failure", end.state, flush=True)
    if "raise" in sys.argv:
        raise RuntimeError("in the hook")

def on_end(end):
    print("on_end", end.state, repr(end.error), flush=True)
    if "raise" in sys.argv:
        raise RuntimeError("in the hook, too")
    if "exit" in sys.argv:
        sys.exit(7)

LightningApp(Root(), on_failure=on_failure, on_end=on_end).run()
"""


def run_source(forked_scripts: ForkedScripts, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `SCRIPT` to its end."""
    script = Path("app.py").absolute()
    script.write_text(SCRIPT)
    return forked_scripts.run_to_end(script, *arguments)


@pytest.mark.parametrize(
    ("signum", "code", "error"),
    [
        (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt()"),
        (signal.SIGTERM, 143, "SystemExit(143)"),
        (signal.SIGHUP, 129, "SystemExit(129)"),
    ],
)
def test_on_end_is_called_after_a_signal(
    forked_scripts: ForkedScripts, signum: signal.Signals, code: int, error: str
):
    ended = run_source(forked_scripts, "waits", int(signum))

    assert ended.returncode == code
    assert ended.stdout.splitlines() == ["up", f"on_end interrupted {error}"]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_flow_that_exits_in_its_own_way_after_a_signal_was_interrupted(
    forked_scripts: ForkedScripts, signum: signal.Signals
):
    ended = run_source(forked_scripts, "cleans up", int(signum))

    assert ended.returncode == 3
    assert ended.stdout.splitlines() == ["up", "on_end interrupted SystemExit(3)"]


def test_no_hook_is_called_if_the_process_is_killed(forked_scripts: ForkedScripts):
    ended = run_source(forked_scripts, "waits", int(signal.SIGKILL))

    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGKILL, "up\n", "")


def test_errors_of_hooks_are_reported_and_do_not_replace_the_error_of_the_app(forked_scripts: ForkedScripts):
    failed = run_source(forked_scripts, "fails", "raise")
    stopped = run_source(forked_scripts, "stops", "raise")

    assert (failed.returncode, stopped.returncode) == (1, 0)
    assert failed.stdout.splitlines()[0] == "on_failure failed"
    assert "lightning_lite.errors.AppFailed: not good enough" in failed.stderr.splitlines()
    report = "of Root raised an error, which does not change how the app ends:\nTraceback"
    assert f"on_failure {report}" in failed.stderr
    assert "RuntimeError: in the hook\n" in failed.stderr
    assert f"on_end {report}" in failed.stderr
    assert f"on_end {report}" in stopped.stderr
    assert "lightning_lite/app" not in failed.stderr.partition("RuntimeError")[0]


def test_a_hook_may_exit_unless_the_app_has_an_error_of_its_own(forked_scripts: ForkedScripts):
    failed = run_source(forked_scripts, "fails", "exit")
    stopped = run_source(forked_scripts, "stops", "exit")

    assert (failed.returncode, stopped.returncode) == (1, 7)
    assert "on_end of Root was ended by SystemExit.\n" in failed.stderr


def test_a_hook_that_raises_the_error_of_the_app_again_changes_nothing(capfd: pytest.CaptureFixture[str]):
    def raise_again(end: RunEnd) -> None:
        assert end.error is not None
        raise end.error

    with pytest.raises(EOFError, match="from the flow") as raised:
        LightningApp(Flow("raises"), on_failure=raise_again, on_end=raise_again).run("inline")

    assert "raise_again" not in [frame.name for frame in raised.traceback]
    assert "raised an error" not in capfd.readouterr().err


def test_the_report_about_a_hook_has_its_cause_and_not_the_error_of_the_app(
    capfd: pytest.CaptureFixture[str],
):
    def fails(end: RunEnd) -> None:
        try:
            int("one")
        except ValueError as error:
            raise LookupError("no hook") from error

    with pytest.raises(EOFError):
        LightningApp(Flow("raises"), on_end=fails).run("inline")

    report = capfd.readouterr().err
    assert "ValueError: invalid literal" in report
    assert "LookupError: no hook" in report
    assert "EOFError" not in report


class Unreadable(Exception):
    """An exception without text."""

    def __str__(self) -> str:
        raise AttributeError("no text")


@pytest.mark.usefixtures("small_apprise")
def test_an_error_whose_text_can_not_be_read_is_still_that_of_the_app():
    class Raises(LightningFlow):
        def run(self) -> None:
            raise Unreadable

    with service() as (address, got), pytest.raises(Unreadable):
        LightningApp(Raises(), notify=address).run("inline", name="odd")

    assert got[0]["message"].startswith("Unreadable: its text can't be read, AttributeError\nrun odd")


async def coroutine(end: RunEnd) -> None:
    """Can't be a hook."""


def generator(end: RunEnd) -> Iterator[None]:
    """Can't be a hook."""
    yield


class Coroutine:
    """Can't be a hook."""

    async def __call__(self, end: RunEnd) -> None:
        pass


@pytest.mark.parametrize(
    "hook",
    ["print", 7, lambda: None, lambda one, two: None, coroutine, generator, Coroutine(), partial(coroutine)],
)
@pytest.mark.parametrize("argument", ["on_failure", "on_end"])
def test_a_hook_that_could_not_be_called_is_refused_at_once(argument: str, hook: Any):
    with pytest.raises(ComponentError, match=f"{argument} must be a function of one argument, the RunEnd"):
        LightningApp(Flow(), **{argument: hook})


# Messages.


@contextmanager
def service(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Serve HTTP on loopback; yield its address for apprise, and the requests that it got."""
    got: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"json://user:s3cret-word@127.0.0.1:{server.server_port}/a-token-of-the-path", got
        finally:
            server.shutdown()
            thread.join()


#: In place of apprise, whose import of all services takes half a second for each message.
SMALL_APPRISE = """
import http.client, json
from urllib.parse import urlsplit

class NotifyFormat:
    TEXT = "text"

class Apprise:
    def add(self, addresses):
        self._addresses = [urlsplit(each) for each in addresses.replace(",", " ").split()]
        return all(address.scheme == "json" for address in self._addresses)

    def notify(self, title, body, notify_type, body_format):
        message = json.dumps({"title": title, "message": body, "type": notify_type})
        return all([self._is_sent(address, message) for address in self._addresses])

    def _is_sent(self, address, message):
        connection = http.client.HTTPConnection(address.hostname, address.port)
        try:
            connection.request("POST", address.path, message)
            return connection.getresponse().status == 200
        except ConnectionError:
            return False
        finally:
            connection.close()
"""


@pytest.fixture
def small_apprise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let messages be sent by a small module: the test is about the moment or the arguments of the call.

    The value is its folder.
    """
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "apprise.py").write_text(SMALL_APPRISE)
    monkeypatch.syspath_prepend(folder)
    return folder


def test_a_message_about_a_failure_says_what_happened_where():
    with service() as (address, got), pytest.raises(ValueError, match="no data"):
        LightningApp(Flow("work"), notify=address).run("inline", name="trial", tags=["a", "b"])

    (message,) = got
    assert (message["title"], message["type"]) == ("Flow has failed", "failure")
    assert "ValueError: no data\n" in message["message"]
    assert "run trial (2" in message["message"]
    assert ", tags a, b on " in message["message"]


@pytest.mark.usefixtures("small_apprise")
@pytest.mark.parametrize(
    ("how", "notify_on", "titles"),
    [
        ("stops", None, []),
        ("interrupted", None, []),
        ("fails", None, ["Flow has failed"]),
        ("stops", "end", ["Flow has ended"]),
        ("interrupted", "end", ["Flow was interrupted"]),
    ],
)
def test_notify_on_says_after_which_ends_a_message_is_sent(how: str, notify_on: Any, titles: list[str]):
    with service() as (address, got):
        try:
            LightningApp(Flow(how), notify=Secret(address), notify_on=notify_on).run("inline")
        except (AppFailed, KeyboardInterrupt):
            pass

    assert [message["title"] for message in got] == titles


@pytest.mark.usefixtures("small_apprise")
def test_a_hook_that_exits_does_not_prevent_the_message():
    with service() as (address, got), pytest.raises(SystemExit):
        LightningApp(Flow(), on_end=sys.exit, notify=address, notify_on="end").run("inline")

    assert [message["title"] for message in got] == ["Flow has ended"]


@pytest.mark.usefixtures("small_apprise")
def test_the_address_is_a_setting_and_can_be_switched_off(monkeypatch: pytest.MonkeyPatch):
    with service() as (address, got):
        Path("pyproject.toml").write_text(f"[tool.lightning_lite]\nnotify = '{address}'\nnotify_on = 'end'\n")
        LightningApp(Flow()).run("inline")
        assert len(got) == 1
        monkeypatch.setenv("LIGHTNING_LITE_NOTIFY", "off")
        LightningApp(Flow()).run("inline")
        LightningApp(Flow(), notify="").run("inline")
        assert len(got) == 1
        monkeypatch.setenv("LIGHTNING_LITE_NOTIFY", address)
        LightningApp(Flow()).run("inline")
        assert len(got) == 2


@pytest.mark.usefixtures("small_apprise")
def test_a_message_has_no_secret():
    token = Secret("s3cr3t-of-the-error")

    class Leaks(LightningFlow):
        def run(self) -> None:
            raise ValueError(f"can't log in with {token.reveal()}")

    with service() as (address, got), pytest.raises(ValueError, match="log in"):
        LightningApp(Leaks(), notify=address).run("inline")

    assert f"can't log in with {MASK}" in got[0]["message"]


@pytest.mark.usefixtures("small_apprise")
def test_each_of_several_addresses_is_a_secret():
    class Leaks(LightningFlow):
        def run(self) -> None:
            raise ValueError("no answer from 127.0.0.1:9/second-token")

    with service() as (address, got), pytest.raises(ValueError, match="no answer"):
        LightningApp(Leaks(), notify=f"{address}, json://127.0.0.1:9/second-token").run("inline")

    assert f"no answer from {MASK}" in got[0]["message"]


@pytest.mark.usefixtures("small_apprise")
def test_modules_of_the_working_directory_do_not_replace_those_of_the_sender(own_place: Path):
    (own_place / "json.py").write_text("raise SystemExit('the wrong module')")

    with service() as (address, got), pytest.raises(AppFailed):
        LightningApp(Flow("fails"), notify=address).run("inline")

    assert len(got) == 1


def test_a_message_that_services_do_not_take_is_reported_without_their_addresses(
    capfd: pytest.CaptureFixture[str],
):
    with service(status=500) as (address, got), closed_port() as port:
        app = LightningApp(Flow("fails"), notify=f"{address}, json://127.0.0.1:{port}/another-token")
        with pytest.raises(AppFailed):
            app.run("inline")

    error = capfd.readouterr().err
    assert len(got) == 1
    (line,) = (line for line in error.splitlines() if "notify of Flow" in line)
    assert line.startswith(
        "notify of Flow raised an error, which does not change how the app ends: "
        "ConnectionError: the message was not sent: "
    )
    assert "Traceback" not in error
    assert "s3cret" not in error
    assert "-token" not in error


@pytest.mark.usefixtures("small_apprise")
@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_works_do_not_get_the_address(start_method: str, monkeypatch: pytest.MonkeyPatch):
    class Prints(LightningWork):
        def run(self, address: str) -> str | None:
            sys.stdout.write(f"{address}\n")
            return os.environ.get("LIGHTNING_LITE_NOTIFY")

    with service() as (address, _):
        Path("pyproject.toml").write_text(f"[tool.lightning_lite]\nnotify = '{address}'\n")
        monkeypatch.setenv("LIGHTNING_LITE_NOTIFY", address)
        flow = Steps(lambda flow: flow.work.run("none"), work=Prints())
        LightningApp(flow).run(start_method=start_method)

    assert flow._answer is None
    file = RunOptions.resolve().file
    assert file is not None
    assert dict(file.table) == {}


def test_an_address_that_apprise_does_not_know_is_refused_before_the_run_begins(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    seen = Seen()

    with pytest.raises(SettingError, match=r"notify must be an address of a service .* Found 'slack://\*+'"):
        seen.app("stops", notify="slack://a-token").run("inline")  # this service needs more than one part

    assert seen.ends == []
    assert not Path(os.environ["LIGHTNING_LITE_ROOT"], "runs").exists()
    assert "a-token" not in capfd.readouterr().err + caplog.text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("xoxb-my-token", f"'{MASK}'"),
        (["slack://xoxb-my-token"], "a value of the type list"),
        (b"slack://xoxb-my-token", "a value of the type bytes"),
    ],
)
def test_a_value_that_is_no_address_is_refused_and_not_shown(address: object, shown: str):
    with pytest.raises(SettingError, match=r"notify must be an address of apprise") as refused:
        RunOptions.resolve(notify=address)  # type: ignore[arg-type]
    with pytest.raises(SettingError) as again:
        RunOptions.resolve(environ={"LIGHTNING_LITE_NOTIFY": "xoxb-my-token"})

    assert str(refused.value).endswith(f"Found {shown}")
    assert "xoxb" not in f"{refused.value} {again.value}"


def test_what_stands_before_the_scheme_of_an_address_is_not_shown():
    assert show_value(SETTINGS["notify"], "xoxb-my-token slack://a/b") == f"'{MASK}'"


def test_config_masks_the_address(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIGHTNING_LITE_NOTIFY", "slack://TokenA/TokenB/TokenC")

    for words in (["config"], ["config", "--origin"], ["config", "--json"]):
        shown = call(capfd, *words).out
        assert f"slack://{MASK}" in shown
        assert "TokenA" not in shown


def test_doctor_masks_the_address_and_its_self_test_sends_no_message(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    with service() as (address, got):
        monkeypatch.setenv("LIGHTNING_LITE_NOTIFY", address)
        monkeypatch.setenv("LIGHTNING_LITE_NOTIFY_ON", "end")

        shown = call(capfd, "doctor").out

    assert "two works and a drive in" in shown
    assert f"json://{MASK}" in shown
    assert "s3cret" not in shown
    assert "a-token" not in shown
    assert got == []


def test_without_apprise_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(SettingError) as refused:
        LightningApp(Flow(), notify="json://localhost").run("inline")

    assert str(refused.value) == (
        "notify needs the package apprise, which is not installed: pip "
        'install "lightning-lite-apps[notify]", or switch messages off with LIGHTNING_LITE_NOTIFY=off'
    )


def test_ctrl_c_ends_a_message_that_hangs(tmp_path: Path, small_apprise: Path):
    """The service accepts the connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        source = SCRIPT.replace("on_end=on_end", f"notify='json://127.0.0.1:{server.getsockname()[1]}'")
        (tmp_path / "app.py").write_text(source)
        process = subprocess.Popen(
            [sys.executable, "app.py", "fails"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(small_apprise)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            connection, _ = server.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                error = process.communicate(timeout=DEADLINE)[1]
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 1
    assert "notify of Root was ended by KeyboardInterrupt.\n" in error
    assert "AppFailed: not good enough" in error
