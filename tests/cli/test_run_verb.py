"""`run FILE` and `resume`, as processes of their own: which app they run, its arguments, and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from lightning_lite.runs.catalog import read_runs

from tests.cli.short_apps import DEADLINE, running
from tests.cli.verbs import call, is_refused
from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import run_verb
from tests.support.users import EVE, needs_users

pytestmark = pytest.mark.dependencies

APP = """
import os, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def run(self, x):
        with open("ran", "a") as file:
            file.write(f"{x}\\n")
        if x == "bad" and not os.path.exists("fixed"):
            raise ValueError("not fixed")
        return os.environ.get("EPOCHS"), sys.argv[1:]

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work, self.other = Work(), Work(start_with_flow=False)
    def run(self):
        print(self.work.run("good"), __name__, flush=True)
        if "--flow-raises" in sys.argv:
            raise EOFError("from the flow")
        if "--flow-fails" in sys.argv:
            self.fail("not good enough")
        if "--work-raises" in sys.argv:
            self.other.run("bad")
        self.stop("done")

app = same = LightningApp(Root())
print("loaded", flush=True)
"""

RUNS_ITSELF = APP + "\nif __name__ == '__main__':\n    app.run()\n"
IN_A_FUNCTION = APP.replace("app = same =", "def main(): return") + "\nmain().run()\n"


def lite(folder: Path, *words: str, runner: str = "inline") -> subprocess.CompletedProcess[str]:
    """Call a verb in a process of its own; its works only get one if the runner is `processes`."""
    environ = {**os.environ, "LIGHTNING_LITE_ROOT": str(folder / "root"), "LIGHTNING_LITE_RUNNER": runner}
    return run_verb(*words, cwd=folder, env=environ)


def run(folder: Path, source: str, *words: str, runner: str = "inline") -> subprocess.CompletedProcess[str]:
    (folder / "app.py").write_text(source)
    return lite(folder, "run", "app.py", *words, runner=runner)


@pytest.mark.parametrize("source", [APP, RUNS_ITSELF, IN_A_FUNCTION], ids=["app", "runs itself", "function"])
def test_an_app_is_run_once_even_if_its_file_runs_it(tmp_path: Path, source: str):
    root = tmp_path / "elsewhere"
    options = ("--root", root, "--log-level", "debug", "--runner", "processes", "--env", "EPOCHS=3")

    done = run(tmp_path, source, *map(str, options), "--app_args", "--rate", "0.1", "--root", "x")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "loaded",
        "('3', ['--rate', '0.1', '--root', 'x']) __main__",
        "done",
    ]
    assert "pass 1 of the flow" in done.stderr
    assert (tmp_path / "ran").read_text() == "good\n"
    assert [seen.state for seen in read_runs(str(root))] == ["stopped"]
    assert not (tmp_path / "root").exists()


def run_in_fork(scripts: ForkedScripts, folder: Path, source: str, *words: str) -> CompletedProcess[str]:
    """Call `run` in a process that has imported the package already."""
    (folder / "app.py").write_text(source)
    verb = folder / "verb.py"
    verb.write_text("from lightning_lite.cli.main import main\nmain()\n")
    environ = {**os.environ, "LIGHTNING_LITE_ROOT": str(folder / "root"), "LIGHTNING_LITE_RUNNER": "inline"}
    return scripts.run_to_end(verb, "run", "app.py", *words, cwd=folder, env=environ)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("x = 1\n", "does not contain a LightningApp. Instantiate your app at the module level"),
        (
            APP + "\napp2 = LightningApp(Root())\n",
            "should not be multiple apps instantiated within a file. Found same, app2",
        ),
    ],
)
def test_a_file_without_an_app_or_with_two_is_refused(
    tmp_path: Path, forked_scripts: ForkedScripts, source: str, complaint: str
):
    done = run_in_fork(forked_scripts, tmp_path, source)

    assert done.returncode == 2
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nowhere.py"], "'nowhere.py' does not exist"),
        (["app.py", "--env", "EPOCHS"], "Invalid format of environment variable entered: 'EPOCHS'"),
        (["app.py", "--env", "A=1", "--env", "A=2"], "Environment variable 'A' is duplicated"),
        (
            ["app.py", "--env", "*FOO#=bar"],
            "'*FOO#' is not a valid name. It is only allowed to contain digits",
        ),
        (["app.py", "--runner", "cloud"], "'cloud' is not one of"),
        (["app.py", "--resume", "abcdef"], "is not the root of an app"),
    ],
)
def test_invalid_arguments_are_refused(capfd: pytest.CaptureFixture[str], words: list[str], complaint: str):
    Path("app.py").write_text(RUNS_ITSELF)

    is_refused(call(capfd, "run", *words), 2, complaint)


def test_the_traceback_of_a_file_has_only_its_own_lines(tmp_path: Path, forked_scripts: ForkedScripts):
    done = run_in_fork(forked_scripts, tmp_path, "def f():\n    return 1 / 0\n\nf()\n")

    assert done.returncode == 1
    assert done.stderr.startswith(f'Traceback (most recent call last):\n  File "{tmp_path}/app.py", line 4')
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    assert "lightning_lite" not in done.stderr


def test_a_syntax_error_shows_its_line(tmp_path: Path, forked_scripts: ForkedScripts):
    done = run_in_fork(forked_scripts, tmp_path, "x = (\n")

    assert done.returncode == 1
    assert f'File "{tmp_path}/app.py", line 1' in done.stderr
    assert "cli/script_runner.py" not in done.stderr


def test_an_app_that_fails_has_the_exit_code_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], forked_scripts: ForkedScripts
):
    failed = run(tmp_path, APP, "--", "--flow-fails")
    status = call(capfd, "status", "--json", "--root", tmp_path / "root").data
    raised = run_in_fork(forked_scripts, tmp_path, RUNS_ITSELF, "--", "--flow-raises")

    assert (failed.returncode, raised.returncode) == (1, 1)
    first, note = failed.stderr.splitlines()
    assert first == "Error: not good enough"
    assert note.startswith("To resume this run: lightning-lite resume ")
    assert (status["state"], status["error"]) == ("failed", "AppFailed: not good enough")
    assert raised.stderr.splitlines()[-2] == "EOFError: from the flow"
    assert "cli/script_runner.py" not in raised.stderr


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_names_the_signal_that_ended_an_app(tmp_path: Path, signum: signal.Signals, code: int):
    with running(tmp_path, program=[sys.executable, "-m", "lightning_lite", "run"]) as app:
        app.wait_for_output("up\n")
        app.process.send_signal(signum)
        assert app.code() == code
        assert "one | on_exit has run" in app.output
        assert "Traceback" not in app.output


def test_resume_and_run_with_resume_repeat_no_ended_call(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    first = run(tmp_path, RUNS_ITSELF, "--env", "EPOCHS=3", "--app_args", "--work-raises")
    assert first.returncode == 1
    assert "ValueError: not fixed" in first.stderr
    (seen,) = read_runs(str(tmp_path / "root"))

    words = ("--resume", seen.id[-6:], "--env", "EPOCHS=3", "--app_args", "--work-raises")
    named = lite(tmp_path, "run", "app.py", *words)

    assert "ValueError: not fixed" in named.stderr
    assert (tmp_path / "ran").read_text() == "good\nbad\nbad\n"
    (tmp_path / "fixed").touch()

    resumed = lite(tmp_path, "resume")

    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout.splitlines()[-1] == "done"
    assert f"In {tmp_path}: " in resumed.stderr
    assert (tmp_path / "ran").read_text() == "good\nbad\nbad\nbad\n"
    assert [seen.state for seen in read_runs(str(tmp_path / "root"))] == ["stopped"]
    is_refused(call(capfd, "resume", "--root", tmp_path / "root"), 2, "there is no run")


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """Give the folder of a run that can be resumed, with a command that makes the file `executed`."""
    assert run(tmp_path, RUNS_ITSELF, "--app_args", "--work-raises").returncode == 1
    (seen,) = read_runs(str(tmp_path / "root"))
    (tmp_path / "planted.py").write_text("open('executed', 'w').close()")
    file = Path(seen.path, "run.json")
    details = json.loads(file.read_text())
    file.write_text(json.dumps({**details, "command": [sys.executable, str(tmp_path / "planted.py")]}))
    return Path(seen.path)


@pytest.mark.parametrize(
    "part",
    [
        pytest.param("owner of run.json", marks=needs_users),
        "mode of run.json",
        pytest.param("owner of the folder", marks=needs_users),
        "mode of the folder",
    ],
)
@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_command_that_another_user_could_have_written_is_not_executed(
    tmp_path: Path, planted: Path, part: str, state: str
):
    details = json.loads((planted / "run.json").read_text())
    (planted / "run.json").write_text(json.dumps({**details, "state": state}))
    path = planted / "run.json" if part.endswith("run.json") else planted
    if part.startswith("owner"):
        os.chown(path, EVE.uid, EVE.uid)
        trouble = f"belongs to user {EVE.uid}"
    else:
        path.chmod(0o666 if path.name == "run.json" else 0o777)
        trouble = "chmod -R go-w"

    for words in (["resume"], ["resume", planted.name]):
        refused = lite(tmp_path, *words)

        assert refused.returncode == 2, refused
        (line,) = (line for line in refused.stderr.splitlines() if line.startswith("Error: "))
        assert str(planted) in line
        assert trouble in line
        assert not (tmp_path / "executed").exists()
    assert planted.name in lite(tmp_path, "ps").stdout
    assert lite(tmp_path, "status", planted.name).returncode == 0


@pytest.mark.parametrize(
    "mode", [pytest.param("trusted", marks=needs_users), pytest.param("private", id="own")]
)
def test_the_recorded_command_is_executed(tmp_path: Path, planted: Path, mode: str, monkeypatch):
    if mode == "trusted":
        os.chown(planted / "run.json", EVE.uid, EVE.uid)
        monkeypatch.setenv("LIGHTNING_LITE_ROOT_MODE", mode)

    assert lite(tmp_path, "resume").returncode == 0

    assert (tmp_path / "executed").exists()


@pytest.mark.parametrize("words", [[], ["RUN"]])
def test_a_run_json_that_says_nothing_is_damaged_for_the_verb_as_for_the_app(
    tmp_path: Path, planted: Path, words: list[str], capfd: pytest.CaptureFixture[str]
):
    (planted / "run.json").write_text("{}")

    output = call(capfd, "resume", *(planted.name for _ in words), "--root", tmp_path / "root")

    trouble = "its run.json does not name its app; restore it from a copy, remove the folder"
    is_refused(output, 2, planted.name, trouble)
    assert trouble in lite(tmp_path, "run", "app.py", "--resume").stderr


def test_a_run_that_no_script_started_is_not_resumed_by_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    (tmp_path / "app.py").write_text(RUNS_ITSELF.replace("'__main__'", "'app'"))
    command = [sys.executable, "-c", "import app"]
    environ = {
        **os.environ,
        "LIGHTNING_LITE_ROOT": str(tmp_path / "root"),
        "LIGHTNING_LITE_RUNNER": "inline",
    }
    command_line = [*command, "--work-raises"]
    subprocess.run(command_line, cwd=tmp_path, env=environ, capture_output=True, timeout=DEADLINE)

    output = call(capfd, "resume", "--root", tmp_path / "root")

    is_refused(output, 2, "does not start a script", "call app.run(resume=")


def test_a_file_that_is_taken_as_the_run_to_resume_is_explained(capfd: pytest.CaptureFixture[str]):
    Path("app.py").write_text(APP)

    is_refused(
        call(capfd, "run", "--resume", "app.py"), 2, "app.py was taken as the RUN", "run app.py --resume"
    )
    is_refused(call(capfd, "run", "--resume", "other.py"), 2, "Error: Missing argument 'FILE'.")
