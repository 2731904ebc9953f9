"""Commands of apps: `configure_commands`, and `lightning-lite NAME --x=y` in another process."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightning_lite import LightningFlow
from lightning_lite.app.flow_commands import collect_commands
from lightning_lite.app_state import AppState
from lightning_lite.client_command import ClientCommand
from lightning_lite.errors import ComponentDefinitionError, DetachedError
from lightning_lite.runs.catalog import read_runs

from tests.cli.verbs import call, is_refused
from tests.support.processes import DEADLINE, run_verb, starting

pytestmark = pytest.mark.dependencies

APP = Path(__file__).with_name("commands_app.py")


@contextmanager
def running(folder: Path, root: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a copy of the app in a folder; at the end of the block, it has ended without an error."""
    script = folder / APP.name
    script.write_text(APP.read_text())
    with starting() as start:
        process = start(script, cwd=folder, env={**os.environ, "LIGHTNING_LITE_ROOT": str(root)})
        assert process.stdout is not None
        assert process.stdout.readline() == "root.wait | up\n"
        yield process
        (folder / "end").touch()
        out, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, (out, errors)


@pytest.fixture(scope="module")
def shared_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root with one running app, which has commands."""
    folder = tmp_path_factory.mktemp("commands")
    with running(folder, folder / "root"):
        yield folder / "root"


@pytest.fixture
def app(shared_root: Path, own_place: Path, monkeypatch: pytest.MonkeyPatch, capfd) -> None:
    """A running app with commands, which has no names yet; its root is that of the test."""
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(shared_root))
    assert call(capfd, "clear").code == 0


def running_ids() -> list[str]:
    return [run.id for run in read_runs(os.environ["LIGHTNING_LITE_ROOT"]) if run.state == "running"]


def test_a_command_calls_the_method_of_the_flow_and_prints_its_answer(app, capfd):
    assert call(capfd, "add_name", "--name=Ada") == (0, '["Ada"]\n', "")
    assert (
        call(capfd, "add-name", "--name", "Bob Smith", "--times=2").out
        == '["Ada", "Bob Smith", "Bob Smith"]\n'
    )
    assert call(capfd, "clear") == (0, "", "")
    assert AppState().names == []


def test_the_words_of_a_name_may_be_written_apart(app, capfd):
    assert call(capfd, "add", "name", "--name=Ada").out == '["Ada"]\n'
    assert call(capfd, "app", "add", "name", "--name=Bob").out == '["Ada", "Bob"]\n'
    assert call(capfd, "add", "name", "--help").out == "add_name --name=... --times=...\nAdd a name.\n"
    is_refused(call(capfd, "add", "nothing", "--name=Ada"), 2, "there is no verb 'add'")


def test_the_part_of_a_command_in_the_terminal_runs_there(app):
    """It is in the file of the app, which is not run again for it."""
    done = run_verb("add_guest", "--name=Ada", "--age=36")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "process True: [] became ['Ada 36']\n"


def test_connect_lists_the_commands(app, capfd):
    listed = "add_guest  Add a guest with an age.\nadd_name --name=... --times=...  Add a name.\nclear\n"
    listed += "app status  Count the names.\n"

    assert call(capfd, "connect").out == listed
    assert call(capfd, "connect", "app", "localhost").out == listed
    assert call(capfd, "add_name", "--help").out == "add_name --name=... --times=...\nAdd a name.\n"
    assert call(capfd, "disconnect", "app").code == 0


def test_the_verb_app_also_reaches_a_command_with_the_name_of_a_verb(app, own_place, capfd):
    assert call(capfd, "app", "status") == (0, "0\n", "")
    assert call(capfd, "app", "add_name", "--name=Ada", "--times", "2").out == '["Ada", "Ada"]\n'
    assert call(capfd, "app", "--run", running_ids()[0], "status").out == "2\n"
    assert call(capfd, "app", "status", "--help").out == "app status\nCount the names.\n"
    assert "└─ wait" in call(capfd, "status").out  # the verb
    is_refused(call(capfd, "app", "add_nam"), 2, "has no command 'add_nam'", "add_guest, add_name, clear")
    is_refused(call(capfd, "app"), 2, "Missing argument 'NAME'")


def test_among_several_running_apps_the_run_has_to_be_named(app, own_place, capfd, monkeypatch):
    [first] = running_ids()
    monkeypatch.setenv("LIGHTNING_LITE_NAME", "second")
    with starting() as start:
        other = start(APP, stderr=subprocess.PIPE)
        assert other.stdout is not None
        assert other.stdout.readline() == "root.wait | up\n"
        [second] = {*running_ids()} - {first}

        names = (f"{second} (second, Root)", f"{first} (Root)")
        is_refused(call(capfd, "clear"), 2, "no verb 'clear'", "app --run RUN clear. They are", *names)
        is_refused(call(capfd, "app", "clear"), 2, "lightning-lite app --run RUN clear. They are", *names)
        is_refused(call(capfd, "connect"), 2, "2 runs are still running; name one of them", *names)
        assert call(capfd, "connect", "second").code == 0
        assert call(capfd, "app", "--run", "second", "add_name", "--name=Ada").out == '["Ada"]\n'
        assert call(capfd, "app", "--run", first, "status").out == "0\n"

        (own_place / "end").touch()
        _, errors = other.communicate(timeout=DEADLINE)
    assert errors.splitlines()[0] == (
        "This app has a command status, which is a verb of lightning-lite, too: "
        "`lightning-lite app status` gives it to the app."
    )


def test_unknown_commands_and_options_are_refused_with_a_list(app, capfd):
    is_refused(call(capfd, "add_nam"), 2, "there is no verb 'add_nam'", "add_guest, add_name, clear, status")
    is_refused(call(capfd, "add_name", "--nam=x"), 2, "has no option --nam", "--name, --times")
    is_refused(call(capfd, "add_name", "x"), 2, "invalid option 'x': write --name=value")
    is_refused(call(capfd, "add_name", "--name"), 2, "--name has no value")


def test_wrong_values_are_refused_with_the_option(app, capfd):
    is_refused(
        call(capfd, "add_name", "--name=x", "--times=many"), 2, "times: Input should be a valid integer"
    )
    is_refused(call(capfd, "add_name"), 2, "name: Field required")
    is_refused(call(capfd, "add_name", "--name=worse"), 1, "The handler has failed")


@pytest.mark.parametrize(
    ("option", "what"),
    [
        ("--nam=Ada", "missing a required argument: 'name'; it takes --name, --age."),
        ("--name=", "name: String should have at least 1 character"),
    ],
)
def test_wrong_options_of_the_part_of_a_command_in_the_terminal_are_refused(app, capfd, option, what):
    is_refused(call(capfd, "add_guest", option), 2, what)


def test_a_word_that_is_no_verb_is_refused_where_no_app_runs(own_place, capfd):
    output = call(capfd, "nonsense")

    assert output.code == 2
    assert "No such command 'nonsense'" in output.err


def test_a_file_that_others_can_write_is_not_loaded(app, shared_root: Path, capfd):
    script = shared_root.with_name(APP.name)
    mode = script.stat().st_mode
    script.chmod(0o666)
    try:
        is_refused(call(capfd, "add_guest", "--name=Ada"), 2, APP.name, "another user can write")
    finally:
        script.chmod(mode)


class Root(LightningFlow):
    """Returns from `configure_commands` what the test gives it."""

    def __init__(self, make):
        super().__init__()
        self._make = make

    def run(self):
        self.stop()

    def method(self):
        return 1

    def configure_commands(self):
        return self._make(self)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda flow: None, "configure_commands of root must return a list of dicts"),
        (lambda flow: [flow.method], "must return a list of dicts"),
        (lambda flow: [{"a/b": flow.method}], "a command has a name of letters, digits, spaces, - and _"),
        (lambda flow: [{"a": 1}], "'a' must lead to a method or a ClientCommand. Found 1"),
        (lambda flow: [{"a": flow.method}, {"a": flow.run}], "'a' is the name of two commands"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(make, text):
    with pytest.raises(ComponentDefinitionError, match=re.escape(text)):
        collect_commands(Root(make))


def test_a_command_of_a_flow_below_counts_once():
    class Above(LightningFlow):
        def __init__(self):
            super().__init__()
            self.below = Root(lambda flow: [{"go on": flow.method}])

        def run(self):
            pass

        def configure_commands(self):
            return self.below.configure_commands()

    assert [route.route for route in collect_commands(Above())] == ["/command/go_on"]


def test_the_part_in_the_terminal_does_not_work_in_the_app():
    with pytest.raises(DetachedError, match="works only in the terminal"):
        ClientCommand(len).invoke_handler()
    with pytest.raises(ComponentDefinitionError, match="must be one of a flow"):
        ClientCommand(1)
