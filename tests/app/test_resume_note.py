"""The line that says how to resume a run, and Ctrl-C without a traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import AppFailed

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import Start, finish, run_verb, starting

pytestmark = pytest.mark.dependencies

APP = """\
    import os, signal, threading
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    class Work(LightningWork):
        def run(self, path):
            if not os.path.exists(path):
                print("waits", flush=True)
                threading.Event().wait()
            return path

    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Work()
        def run(self):
            self.stop("has " + self.work.run("there"))
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a script with an app whose work waits for a file."""
    script = tmp_path / "app.py"
    environment = {name: value for name, value in os.environ.items() if name != "LIGHTNING_LITE_ROOT"}

    with starting() as start_python:

        def start(end: str, *command: str, **variables: str) -> subprocess.Popen[str]:
            script.write_text(textwrap.dedent(APP) + textwrap.dedent(end))
            return start_python(*command, script, env=environment | variables, cwd=tmp_path)

        yield start


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Press Ctrl-C when the work waits; return exit code and standard error."""
    assert process.stdout is not None
    assert any("waits" in line for line in process.stdout)
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    return code, err


def test_ctrl_c_ends_with_one_line_and_the_command_that_goes_on(start: Start, tmp_path: Path):
    code, err = interrupted(start("LightningApp(Flow()).run()"))

    assert code == -signal.SIGINT
    first, note = err.splitlines()
    assert first == "KeyboardInterrupt"
    resume = re.fullmatch(r"To resume this run: lightning-lite (resume \S+)", note)
    assert resume is not None

    (tmp_path / "there").touch()
    environ = {name: value for name, value in os.environ.items() if name != "LIGHTNING_LITE_ROOT"}
    done = run_verb(*resume[1].split(), cwd=tmp_path, env=environ)
    assert done.stdout.endswith("has there\n")


def test_ctrl_c_on_the_command_line_ends_with_the_command_that_goes_on(start: Start, tmp_path: Path):
    root = str(tmp_path / "a root")
    code, err = interrupted(
        start("app = LightningApp(Flow())", "-m", "lightning_lite", "run", LIGHTNING_LITE_ROOT=root)
    )

    assert code == 130
    (note,) = err.split("\n")[1:-1]
    assert re.fullmatch(rf"To resume this run: lightning-lite resume \S+ --root '{root}'", note)


#: A flow that sends itself Ctrl-C, and waits until that ends it.
INTERRUPTED = """\
import os, signal, sys, threading
from lightning_lite import LightningApp, LightningFlow

class Flow(LightningFlow):
    def run(self):
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            threading.Event().wait(0.1)
"""


def test_only_the_interrupt_of_the_app_has_no_traceback(forked_scripts: ForkedScripts, tmp_path: Path):
    script = tmp_path / "app.py"
    end = """
    try:
        LightningApp(Flow()).run()
    except KeyboardInterrupt as error:
        raise ValueError("later")
    """
    script.write_text(INTERRUPTED + textwrap.dedent(end))

    err = forked_scripts.run_to_end(script).stderr

    assert "Traceback (most recent call last):" in err
    assert err.splitlines()[-1] == "ValueError: later"


def test_a_hook_of_the_program_is_kept(forked_scripts: ForkedScripts, tmp_path: Path):
    script = tmp_path / "app.py"
    end = """
    sys.excepthook = lambda kind, error, trace: print("the hook got", kind.__name__, file=sys.stderr)
    LightningApp(Flow()).run()
    """
    script.write_text(INTERRUPTED + textwrap.dedent(end))

    assert forked_scripts.run_to_end(script).stderr == "the hook got KeyboardInterrupt\n"


class Fails(LightningWork):
    def run(self) -> None:
        raise ValueError("no good")


class Root(LightningFlow):
    def __init__(self, ending: str) -> None:
        super().__init__()
        self.ending = ending
        self.fails = Fails()

    def run(self) -> None:
        getattr(self, self.ending)()

    def fail_in_a_work(self) -> None:
        self.fails.run()

    def fail_in_the_flow(self) -> None:
        raise ValueError("no good")


@pytest.mark.parametrize("ending", ["fail", "fail_in_a_work", "fail_in_the_flow"])
def test_a_failure_where_no_command_can_go_on_says_what_to_call(ending: str):
    app = LightningApp(Root(ending))
    with pytest.raises((AppFailed, ValueError)) as caught:
        app.run(runner="inline")
    (note,) = [note for note in caught.value.__notes__ if "resume this run" in note]
    call = re.fullmatch(r"To resume this run: app\.run\(resume='(\S+)'\)", note)
    assert call is not None
    with pytest.raises((AppFailed, ValueError)):
        LightningApp(Root(ending)).run(runner="inline", resume=call[1])


def test_the_command_names_the_root_if_it_would_not_find_it(start: Start, tmp_path: Path):
    cases = [
        ("", None, ""),
        ("", "there", f" --root {tmp_path}/there"),
        ("there", None, ""),
        ("there", ".lightning_lite", f" --root {tmp_path}/.lightning_lite"),
    ]
    code, out, err = finish(
        start(
            f"""
            from lightning_lite.errors import AppFailed
            class Fails(LightningFlow):
                def run(self):
                    self.fail("no good")
            for file, argument, _ in {cases!r}:
                if file:
                    with open("pyproject.toml", "w") as project:
                        project.write(f"[tool.lightning_lite]\\nroot_dir = {{file!r}}\\n")
                try:
                    LightningApp(Fails(), root_dir=argument).run()
                except AppFailed as error:
                    print(error.__notes__[-1])
            """
        )
    )

    assert code == 0, err
    found = re.findall(r"To resume this run: lightning-lite resume \S+(.*)\n", out)
    assert list(zip(cases, found, strict=True)) == [(case, case[2]) for case in cases]


class Echo(LightningWork):
    def run(self, value: Any) -> Any:
        return value


class Reads(LightningFlow):
    def __init__(self, **options: bool) -> None:
        super().__init__()
        self.trials = [Echo(**options) for _ in range(3)]

    def run(self) -> None:
        self.stop(str(sum(trial.run(None) for trial in self.trials)))


def test_none_of_a_parallel_call_that_has_not_ended_points_to_wait_for():
    with pytest.raises(TypeError, match="NoneType") as caught:
        LightningApp(Reads(parallel=True)).run(runner="inline")
    assert "root.trials.0.run(...) returned None, because a parallel work" in caught.value.__notes__[0]
    assert "self.wait_for(work, ...)" in caught.value.__notes__[0]


def test_none_that_a_call_has_returned_does_not_point_to_wait_for():
    with pytest.raises(TypeError, match="NoneType") as caught:
        LightningApp(Reads()).run(runner="inline")
    assert not [note for note in caught.value.__notes__ if "wait_for" in note]
