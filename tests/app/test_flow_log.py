"""The log of the flow: its output, its log lines, its warnings and its last error."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.runners.output.flow_log import FlowLog

from tests.support.forked_scripts import ForkedScripts

APP = """
import io, logging, os, sys, warnings
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Say(LightningWork):
    def run(self):
        print("a work")

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.say = Say()
        self._has_begun = False
    def run(self):
        if not self._has_begun:
            self._has_begun = True
            self.once()
        self.say.run()
        self.stop()
    def once(self):
        {lines}

{before}
LightningApp(Root()).run(runner={runner!r})
print("after the app")
"""


def run(
    forked_scripts: ForkedScripts, folder: Path, lines: str, runner: str = "processes", before: str = ""
) -> tuple[str, str, str]:
    """Run an app whose flow does something; return its standard output, its standard error and its log."""
    source = APP.format(lines=lines, runner=runner, before=before)
    script = folder / "app.py"
    script.write_text(source)
    process = forked_scripts.run_to_end(script, cwd=folder)
    logs = list(folder.glob("root/runs/*/logs/root.log"))
    return process.stdout, process.stderr, logs[0].read_text() if logs else ""


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_the_log_has_what_the_flow_prints_and_not_what_works_print(
    forked_scripts: ForkedScripts, tmp_path: Path, runner: str
):
    out, _, log = run(forked_scripts, tmp_path, "print('flow', 1); print('error', file=sys.stderr)", runner)

    assert log == "flow 1\nerror\n"
    assert out == "flow 1\nroot.say | a work\nafter the app\n"


def test_log_lines_and_warnings_are_in_the_log(forked_scripts: ForkedScripts, tmp_path: Path):
    _, err, log = run(
        forked_scripts,
        tmp_path,
        "warnings.warn('careful'); logging.error('a log line')",
        before="logging.basicConfig()",
    )

    assert "UserWarning: careful" in log
    assert "ERROR:root:a log line" in log
    assert all(line in err for line in log.splitlines())


def test_the_error_that_ends_the_app_is_in_the_log(forked_scripts: ForkedScripts, tmp_path: Path):
    _, err, log = run(forked_scripts, tmp_path, "print('begin'); 1 / 0")

    assert log.startswith("begin\nTraceback (most recent call last):\n")
    assert "ZeroDivisionError: division by zero" in log
    assert "lightning_lite" not in log.replace(str(tmp_path), "")
    assert "ZeroDivisionError: division by zero" in err


@pytest.mark.parametrize("runner", ["processes", "inline"])
@pytest.mark.parametrize(
    "stream",
    ["io.StringIO()", "io.TextIOWrapper(sys.stdout.buffer)", "Own()", "Slots()"],
)
def test_a_stream_of_the_user_keeps_working(
    forked_scripts: ForkedScripts, tmp_path: Path, runner: str, stream: str
):
    before = f"""
class Own:
    def write(self, text): return sys.__stdout__.write(text)
    def flush(self): sys.__stdout__.flush()
class Slots:
    __slots__ = ()
    write, flush = Own.write, Own.flush
sys.stdout = {stream}
"""
    out, err, log = run(forked_scripts, tmp_path, "print('flow')", runner, before)

    assert log == ("flow\n" if stream != "Slots()" else "")  # no method of that object can be replaced
    assert err == ""
    if stream != "io.StringIO()":
        assert out == "flow\nroot.say | a work\nafter the app\n"


def test_what_the_flow_redirects_is_not_in_the_log(forked_scripts: ForkedScripts, tmp_path: Path):
    lines = """
        import contextlib
        with contextlib.redirect_stdout(io.StringIO()):
            print('redirected')"""

    out, _, log = run(forked_scripts, tmp_path, lines)

    assert log == ""
    assert "redirected" not in out


def test_a_forked_process_writes_nothing_to_the_log(forked_scripts: ForkedScripts, tmp_path: Path):
    lines = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12 and later, about threads
        pid = os.fork()
        if not pid:
            print("child", file=sys.stderr)
            print("child", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print("parent")"""

    out, _, log = run(forked_scripts, tmp_path, lines)

    assert log == "parent\n"
    assert out.startswith("child\nparent\n")


def test_what_the_script_prints_beside_an_app_in_the_background_is_not_in_the_log(
    forked_scripts: ForkedScripts, tmp_path: Path
):
    source = APP.partition("{before}")[0].format(lines="print('flow')")
    source += "app = LightningApp(Root()).start()\nprint('script')\napp.wait()\nprint(repr(app.logs()))\n"

    script = tmp_path / "app.py"
    script.write_text(source)

    shown = forked_scripts.run(script, cwd=tmp_path)

    logs = shown.splitlines()[-1]
    assert "root | flow" in logs
    assert "script" not in logs


def test_a_secret_is_masked_in_the_log(forked_scripts: ForkedScripts, tmp_path: Path):
    lines = "from lightning_lite import Secret; print('key', Secret('s3cr3t-k3y').reveal())"

    _, _, log = run(forked_scripts, tmp_path, lines)

    assert log == "key **********\n"


def test_lines_of_both_streams_stay_whole(tmp_path: Path):
    log = FlowLog(str(tmp_path))

    def write(name: str) -> None:
        for number in range(1_000):
            for piece in (name, " ", str(number), "\n"):
                log.write(name, piece)

    threads = [threading.Thread(target=write, args=[name]) for name in ("stdout", "stderr")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()

    lines = (tmp_path / "root.log").read_text().splitlines()
    for name in ("stdout", "stderr"):
        assert [line for line in lines if name in line] == [f"{name} {number}" for number in range(1_000)]


def test_a_line_without_an_end_is_written_at_the_end(tmp_path: Path):
    log = FlowLog(str(tmp_path))

    log.write("stdout", "begin")
    log.close()
    log.write("stdout", "later")

    assert (tmp_path / "root.log").read_text() == "begin\n"


def test_more_than_the_disk_takes_makes_a_print_wait_and_loses_nothing(tmp_path: Path):
    log = FlowLog(str(tmp_path))

    for _ in range(60):
        log.write("stdout", "x" * 1_000_000 + "\n")
    log.close()

    assert os.path.getsize(tmp_path / "root.log") == 60 * 1_000_001


def test_a_log_that_can_not_be_written_is_reported_once(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "root.log").mkdir()
    log = FlowLog(str(tmp_path))

    log.write("stdout", "one\n")
    log.write("stdout", "two\n")
    log.close()

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        f"the output of the flow can't be written to {str(tmp_path)!r}"
    ]


def test_an_error_that_the_caller_of_the_app_handles_is_not_in_the_log():
    class Stops(LightningFlow):
        def run(self) -> None:
            self.stop("all is well")

    app = LightningApp(Stops())
    try:
        raise ValueError("of the caller")
    except ValueError:
        app.run("inline")

    (log,) = Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*/logs/root.log")
    assert log.read_text() == "all is well\n"
