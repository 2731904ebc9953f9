"""`TracerPythonScript` and `PopenPythonScript` in apps: real scripts, real processes."""

from __future__ import annotations

import io
import os
import signal
import sys
import tarfile
from pathlib import Path
from typing import Any

import psutil
import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.components import Code, PopenPythonScript, TracerPythonScript
from lightning_lite.errors import ComponentError, ScriptFailed
from lightning_lite.storage import Drive
from lightning_lite.testing import poll_until, run_work_isolated

from tests.support.files import write
from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import DEADLINE, run_python, starting, wait_until_gone

KINDS = [TracerPythonScript, PopenPythonScript]


def lines(name: str) -> list[str]:
    return Path(name).read_text("utf-8").splitlines()


# Both kinds.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("script_args", ["--a=hello 'two words' 0.5", ["--a=hello", "two words", 0.5]])
def test_a_script_gets_its_arguments_and_its_environment(kind, script_args):
    script = write(
        "a folder/my script.py",
        "import os, sys\nopen('seen', 'w').write(repr([sys.argv, os.environ['X'], __name__]))",
    )

    work = kind(script, script_args=script_args, env={"X": "1"})
    run_work_isolated(work)

    assert work.has_succeeded
    assert lines("seen") == [repr([[str(script), "--a=hello", "two words", "0.5"], "1", "__main__"])]
    assert "X" not in os.environ


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ending", "code"), [("sys.exit(3)", 3), ("sys.exit('no data')", 1), ("raise SystemExit(True)", 1)]
)
def test_a_script_that_exits_with_a_code_has_failed(kind, ending, code):
    work = kind(write("ends.py", f"import sys; {ending}"), raise_exception=False)

    run_work_isolated(work)

    assert work.has_failed
    assert f"ScriptFailed: The script 'ends.py' has ended with exit code {code}" in work.status.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ["sys.exit()", "sys.exit(0)", "exit()"])
def test_a_script_that_exits_with_0_has_succeeded(kind, ending):
    work = kind(write("ends.py", f"import sys; value = 7; {ending}; value = 8"))

    run_work_isolated(work)

    assert work.has_succeeded


@pytest.mark.parametrize("kind", KINDS)
def test_the_failure_of_a_script_ends_the_app(kind):
    work = kind(write("ends.py", "import sys; sys.exit(3)"))

    with pytest.raises(ScriptFailed, match=r"'ends\.py' has ended with exit code 3") as caught:
        run_work_isolated(work)

    assert (caught.value.script, caught.value.exit_code) == ("ends.py", 3)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_of_another_type_and_open_quotes_are_refused(kind):
    script = write("a.py", "")

    with pytest.raises(ComponentError, match=r"script_args=7\): it must be a text or a list"):
        kind(script, script_args=7)
    with pytest.raises(ComponentError, match="No closing quotation; pass a list"):
        kind(script, script_args="--name='a b")


@pytest.mark.parametrize("kind", KINDS)
def test_a_script_prints_much_into_the_log_of_its_work(kind, capfd):
    script = write("prints.py", "for i in range(20_000):\n    print('line', i)\n")

    run_work_isolated(kind(script))

    printed = capfd.readouterr().out.splitlines()
    assert [line for line in printed if "line 19999" in line] == ["root.work | line 19999"]
    log = next(Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("root.work.log")).read_text("utf-8")
    assert log.count("line ") == 20_000


APP = """
import sys
from lightning_lite import LightningApp
from lightning_lite.components import PopenPythonScript, TracerPythonScript
LightningApp(globals()[sys.argv[1]]("endless.py")).run()
"""

ENDLESS = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
with open("pids.new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
child.wait()
"""


@pytest.mark.parametrize("kind", ["TracerPythonScript", "PopenPythonScript"])
@pytest.mark.parametrize("victim", ["work", "app", "interrupted app"])
def test_a_script_and_its_children_end_with_the_work_however_that_ends(kind, victim):
    write("endless.py", ENDLESS)
    with starting() as start:
        app = start(write("app.py", APP), kind)
        poll_until(lambda: Path("pids").exists(), timeout=DEADLINE)
        script, child = map(int, Path("pids").read_text("utf-8").split())
        work = script if kind == "TracerPythonScript" else psutil.Process(script).ppid()
        if victim == "work":
            os.kill(work, signal.SIGKILL)
        else:
            app.send_signal(signal.SIGKILL if victim == "app" else signal.SIGINT)
        out, err = app.communicate(timeout=DEADLINE)
        wait_until_gone(script, child)

    if victim == "work":
        assert "SIGKILL (signal 9)" in err, out


# TracerPythonScript.


def test_a_script_runs_in_the_process_of_the_work_and_leaves_it_as_it_was(capfd):
    write("folder/helper.py", "NAME = 'helper'")
    script = write(
        "folder/changes.py",
        "import helper, os, sys\n"
        "print(os.getpid(), helper.NAME, sys.modules['__main__'].__file__)\n"
        "os.environ['LEFT'] = '1'; del os.environ['GIVEN']\n"
        "sys.path.append('left'); sys.argv.append('left')\n"
        "os.chdir('/')\n"
        "if len(sys.argv) > 2: raise ValueError('at the end')",
    )

    class Work(TracerPythonScript):
        def run(self, *args: Any, **kwargs: Any) -> Any:
            before = self.settings()
            try:
                return super().run(*args, **kwargs)
            finally:
                print(os.getpid(), before == self.settings())  # noqa: T201 - the test reads it

        def settings(self) -> list[Any]:
            return [dict(os.environ), sys.argv, list(sys.path), sys.modules["__main__"], os.getcwd()]

    run_work_isolated(Work(script, env={"GIVEN": "1"}))
    ended = capfd.readouterr().out.splitlines()
    run_work_isolated(Work(script, ["fails"], raise_exception=False))
    failed = capfd.readouterr().out.splitlines()

    for printed in (ended, failed):
        first, second = (line.removeprefix("root.work | ").split(" ") for line in printed[:2])
        assert first == [second[0], "helper", str(script)]
        assert second[1] == "True"


def test_the_exception_of_a_script_is_that_of_the_call_with_the_line_of_the_script():
    script = "raises.py"
    write(script, "def fail():\n    raise ValueError('bad rate')\n\nfail()\n")
    app = write(
        "app.py",
        "from lightning_lite import LightningApp\n"
        "from lightning_lite.components import TracerPythonScript\n"
        f"LightningApp(TracerPythonScript({script!r})).run()\n",
    )

    done = run_python(app)

    assert done.returncode == 1
    assert "ValueError: bad rate" in done.stderr
    assert 'raises.py", line 2, in fail' in done.stderr
    assert "runpy" not in done.stderr


def test_a_missing_script_is_an_error_of_the_call_that_names_the_place():
    work = TracerPythonScript("nowhere/train.py", raise_exception=False)

    run_work_isolated(work)

    assert work.has_failed
    place = os.path.abspath("nowhere/train.py")
    assert (
        f"`script_path` 'nowhere/train.py' wasn't found: there is no file at {place}." in work.status.message
    )


def test_a_folder_is_no_script():
    with pytest.raises(FileNotFoundError, match="there is a folder at"):
        TracerPythonScript(".").run()


def test_each_global_of_a_call_is_a_global_of_the_script_and_outputs_come_back():
    write("make.py", "class Model:\n    rate = 0.5\nmodel = Model(); model.x = 1; made = [1, 2]")
    write("use.py", "result = [type(model).__name__, model.x, model.rate, made, factor]")

    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.make = TracerPythonScript("make.py", outputs=["model", "made"])
            self.use = TracerPythonScript("use.py", outputs=["result"])

        def run(self) -> None:
            self.make.run()
            self.use.run(model=self.make.model, made=self.make.made, factor=2)
            self.stop()

    app = LightningApp(Flow())
    app.run()

    assert app.root.use.result.value == ["Model", 1, 0.5, [1, 2], 2]


def test_outputs_are_kept_also_if_the_script_ends_with_sys_exit():
    work = TracerPythonScript(
        write("ends.py", "import sys\ndef main():\n    global a\n    a = 7\n    sys.exit()\nmain()"),
        outputs=["a"],
    )

    run_work_isolated(work)

    assert work.a.value == 7


def test_an_output_that_the_script_has_not_is_named():
    work = TracerPythonScript(write("a.py", "model = 1"), outputs=["model", "loss"], raise_exception=False)

    run_work_isolated(work)

    assert "'a.py' has ended without the outputs ['loss']" in work.status.message


def test_outputs_must_be_names():
    with pytest.raises(ComponentError, match=r"outputs='model'\): outputs must be a list of names"):
        TracerPythonScript("a.py", outputs="model")


def test_a_call_with_other_parameters_runs_the_script_again_with_them():
    script = write("args.py", "import sys\nprint(sys.argv[1:], file=open('seen', 'a'))")

    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.work = TracerPythonScript(script, script_args="--b=1")

        def run(self) -> None:
            self.work.run(params={"a": 1})
            self.work.run(params={"a": 2, "c": "x y"})
            self.work.run(params={"a": 1})
            self.work.run(params={"a": 1}, restart_count=1)
            self.stop()

    app = LightningApp(Flow())
    app.run()

    assert lines("seen") == ["['--b=1', 'a=1']", "['--b=1', 'a=2', 'c=x y']", "['--b=1', 'a=1']"]
    assert app.root.work.script_args == ["--b=1", "a=1"]
    assert app.root.work.restart_count == 1


def test_a_run_that_adds_arguments_first_runs_the_script_with_them():
    class Work(TracerPythonScript):
        def run(self, path: str) -> None:
            self.script_args += [f"--path={path}", "--port=1111"]
            super().run()

    work = Work(
        write("args.py", "import sys\nprint(sys.argv[1:], file=open('seen', 'a'))"), script_args="--b=1"
    )

    run_work_isolated(work, "x.txt")

    assert lines("seen") == ["['--b=1', '--path=x.txt', '--port=1111']"]


def test_the_hooks_see_the_work_before_and_after_the_script():
    class Work(TracerPythonScript):
        def __init__(self) -> None:
            super().__init__(write("double.py", "result = 2 * int(open('input').read())"))

        def on_before_run(self) -> None:
            Path("input").write_text("21")

        def on_after_run(self, res: dict[str, Any]) -> Any:
            return res["result"], res["tracer_res"]

    assert run_work_isolated(Work()) == (42, {})


def test_processes_that_a_script_forks_end_at_the_end_of_the_script():
    script = write(
        "forks.py",
        "import os, sys\n"
        "pid = os.fork()\n"
        "if pid == 0 and len(sys.argv) > 1: sys.exit(5)\n"
        "if pid == 0: open('child', 'w').write('1')\n"
        "else: codes = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n",
    )
    for arguments, code in (([], 0), (["exits"], 5)):
        work = TracerPythonScript(script, arguments, outputs=["codes"])
        run_work_isolated(work)
        assert work.codes.value == code
    assert Path("child").exists()


def test_a_script_may_use_a_pool_of_processes():
    script = write(
        "pool.py",
        "import multiprocessing\n"
        "def square(x):\n    return x * x\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
        "        squares = pool.map(square, range(4))\n",
    )
    work = TracerPythonScript(script, outputs=["squares"])

    run_work_isolated(work)

    assert work.squares.value == [0, 1, 4, 9]


def test_a_resumed_app_does_not_run_a_script_that_has_ended_again(forked_scripts: ForkedScripts):
    script = "once.py"
    write(script, "print('run', file=open('seen', 'a')); made = 6")
    app = write(
        "app.py",
        "import os\n"
        "from lightning_lite import LightningApp, LightningFlow\n"
        "from lightning_lite.components import TracerPythonScript\n"
        "class Flow(LightningFlow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        f"        self.first = TracerPythonScript({script!r}, outputs=['made'])\n"
        "        self.second = TracerPythonScript('dies.py', outputs=['result'])\n"
        "    def run(self):\n"
        "        self.first.run()\n"
        "        self.second.run(made=self.first.made)\n"
        "        self.stop(f'result {self.second.result.name}')\n"
        "LightningApp(Flow()).run(resume=True)\n",
    )
    write(
        "dies.py",
        "import os\n"
        "if not os.path.exists('died'):\n"
        "    open('died', 'w').close(); os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)\n"
        "result = 7 * made\n"
        "open('result', 'w').write(str(result))",
    )

    first = forked_scripts.run_to_end(Path(app).absolute())
    second = forked_scripts.run(Path(app).absolute())

    assert first.returncode == -signal.SIGKILL
    assert "result result" in second
    assert (lines("seen"), lines("result")) == (["run"], ["42"])


# Code of a drive.


def put_code(drive: Drive, name: str, files: dict[str, str]) -> None:
    with tarfile.open(name, "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    drive.put(name)
    os.remove(name)


def test_the_newest_code_of_the_drive_is_run():
    drive = Drive("lit://code")

    class Put(LightningWork):
        def run(self, drive: Drive, version: int) -> None:
            helper = f"VERSION = {version}"
            seen = "open('../seen', 'a').write(f'{helper.VERSION}\\n')"
            put_code(drive, "code.tar.gz", {"a/train.py": f"import helper; {seen}", "a/helper.py": helper})

    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.drive = drive
            self.put = Put()
            self.train = TracerPythonScript("a/train.py", code=Code(drive=drive, name="code.tar.gz"))

        def run(self) -> None:
            for version in (1, 2):
                self.put.run(self.drive, version)
                self.train.run(restart_count=version, code_dir="work here")
            self.stop()

    LightningApp(Flow()).run()

    assert lines("seen") == ["1", "2"]
    assert sorted(os.listdir("work here/a"))[-1] == "train.py"
    assert not Path("a").exists()


def test_an_archive_with_a_path_outside_its_folder_is_refused_as_a_whole():
    drive = Drive("lit://code")
    put_code(drive, "bad.tar.gz", {"a.py": "", "../outside.py": "print('bad')"})
    Path("inner").mkdir()

    with pytest.raises(ScriptFailed, match="none of which leads out of the folder"):
        TracerPythonScript("a.py", code=Code(drive=drive, name="bad.tar.gz")).run(code_dir="inner")

    assert os.listdir("inner") == []
    assert not Path("outside.py").exists()


def test_an_absolute_path_in_an_archive_is_one_in_the_folder():
    drive = Drive("lit://code")
    place = os.path.abspath("outside.py")
    put_code(drive, "code.tar.gz", {place: "open('run', 'w').close()"})

    TracerPythonScript(place[1:], code=Code(drive=drive, name="code.tar.gz")).run(code_dir="inner")

    assert Path("inner/run").exists()
    assert not Path("outside.py").exists()


@pytest.mark.parametrize("content", [b"no archive", b"", b"\x1f\x8b\x08\x00broken"])
def test_a_file_that_is_no_archive_is_named(content):
    drive = Drive("lit://code")
    Path("code.tar.gz").write_bytes(content)
    drive.put("code.tar.gz")

    with pytest.raises(ScriptFailed, match=r"The archive 'code\.tar\.gz' of the drive lit://code can't be"):
        TracerPythonScript("a.py", code=Code(drive=drive, name="code.tar.gz")).run()


def test_without_an_archive_in_the_drive_the_script_of_the_folder_is_run():
    code = Code(drive=Drive("lit://code"), name="code.tar.gz")
    work = TracerPythonScript(write("a.py", "value = 5"), outputs=["value"], code=code)

    run_work_isolated(work)

    assert work.value.value == 5
    with pytest.raises(FileNotFoundError) as caught:
        TracerPythonScript("b.py", code=code).run()
    assert "has no archive 'code.tar.gz' either" in caught.value.__notes__[0]


# PopenPythonScript.


def test_a_missing_script_of_popen_is_an_error_where_the_work_is_created():
    with pytest.raises(FileNotFoundError, match=r"'nowhere\.py' wasn't found: there is no file at "):
        PopenPythonScript("nowhere.py")


def test_a_script_of_popen_starts_at_the_working_directory_of_its_work():
    write("other/job.py", "open('here', 'w').close()")

    run_work_isolated(PopenPythonScript("job.py", cwd="other"))

    assert Path("other/here").exists()


def test_a_work_of_popen_has_the_pid_and_the_exit_code_of_the_script():
    script = write(
        "job.py", "import os, sys\nopen('pid', 'w').write(str(os.getpid()))\nsys.exit(int(sys.argv[1]))"
    )
    for code in (0, 4):
        work = PopenPythonScript(script, [code], raise_exception=False)
        run_work_isolated(work)
        assert (work.exit_code, str(work.pid)) == (code, Path("pid").read_text())
        assert work.has_succeeded == (code == 0)


def test_a_script_of_popen_that_a_signal_ends_has_failed():
    work = PopenPythonScript(write("dies.py", "import os; os.kill(os.getpid(), 9)"), raise_exception=False)

    run_work_isolated(work)

    assert "'dies.py' has ended with SIGKILL (signal 9); see its output" in work.status.message
    assert work.exit_code == -9


def test_a_script_of_popen_that_ignores_sigterm_is_killed():
    script = write(
        "stubborn.py",
        "import os, signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "open('ready', 'w').write(str(os.getpid()))\n"
        "while True: signal.pause()\n",
    )

    class Flow(LightningFlow):
        def __init__(self) -> None:
            super().__init__()
            self.work = PopenPythonScript(script, parallel=True)

        def run(self) -> None:
            self.work.run()
            if self.work.pid and Path("ready").exists():
                self.work.stop()
            if self.work.has_stopped:
                self.stop()
            self.schedule("* * * * * *")

    app = LightningApp(Flow())
    app.run()

    wait_until_gone(int(Path("ready").read_text()))
    assert app.root.work.exit_code == -9
