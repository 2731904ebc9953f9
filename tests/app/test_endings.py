"""How an app ends, seen from the shell: output, exit code, and that nothing is left."""

from __future__ import annotations

import os
import signal
import textwrap

import pytest

from tests.support.processes import DEADLINE, finish, starting, wait_until_gone

pytestmark = pytest.mark.dependencies

BEGINNING = """\
    import os, signal, subprocess, sys, threading
    from lightning_lite import LightningApp, LightningFlow, LightningWork

    class Forever(LightningWork):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.pids = []
        def run(self):
            child = subprocess.Popen(["sleep", "600"])
            self.pids = [os.getpid(), child.pid]
            print("running", os.getpid(), child.pid, flush=True)
            threading.Event().wait()
        def on_exit(self):
            print("tidied up", flush=True)
"""


@pytest.fixture
def script(tmp_path):
    """Write a script and start it as a user does; its output comes line by line."""
    path = tmp_path / "app with a space.py"
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "LIGHTNING_LITE_ROOT": str(tmp_path / "root")}

    with starting() as start_python:

        def start(text, *arguments, **options):
            path.write_text(textwrap.dedent(BEGINNING) + textwrap.dedent(text))
            return start_python(path, *arguments, env=environment, cwd=tmp_path, **options)

        yield start


@pytest.fixture
def ended(forked_scripts, tmp_path):
    """Run a script to its end; return its exit code, its output and its error output."""
    path = tmp_path / "app with a space.py"
    environment = {**os.environ, "LIGHTNING_LITE_ROOT": str(tmp_path / "root")}

    def run(text):
        path.write_text(textwrap.dedent(BEGINNING) + textwrap.dedent(text))
        done = forked_scripts.run_to_end(path, cwd=tmp_path, env=environment)
        return done.returncode, done.stdout, done.stderr

    return run


def pids_of(line):
    return [int(word) for word in line.split() if word.isdigit()]


RUN_FOREVER = """
    class Flow(LightningFlow):
        def __init__(self):
            super().__init__()
            self.work = Forever()
        def run(self):
            self.work.run()
    LightningApp(Flow()).run()
    print("never printed")
"""


def test_stop_ends_the_app_well_and_the_script_goes_on(ended):
    code, out, err = ended(
        """
        class Flow(LightningFlow):
            def run(self):
                self.stop("Application End!")
        print(LightningApp(Flow()).run())
        """
    )

    assert (code, out, err) == (0, "Application End!\nNone\n", "")


def test_a_message_of_stop_that_can_not_be_printed_becomes_a_warning(script):
    with open("/dev/full", "w") as full:
        code, _, err = finish(
            script(
                """
                class Flow(LightningFlow):
                    def run(self):
                        self.stop("Application End!")
                for runner in "processes", "inline":
                    print(runner, LightningApp(Flow()).run(runner=runner), file=sys.stderr)
                """,
                stdout=full,
            )
        )

    warning = "The message of stop can't be printed ([Errno 28] No space left on device): Application End!"
    assert (code, err) == (0, f"{warning}\nprocesses None\n{warning}\ninline None\n")


@pytest.mark.parametrize("closing", ["sys.stdout.close()", "sys.stdout = None"])
def test_stop_ends_the_app_well_without_a_standard_output(ended, closing):
    code, out, err = ended(
        f"""
        class Flow(LightningFlow):
            def run(self):
                {closing}
                self.stop("Application End!")
        LightningApp(Flow()).run()
        sys.stderr.write("the script goes on")
        """
    )

    assert (code, out) == (0, "")
    assert err.splitlines()[-1] == "the script goes on"
    assert "Traceback" not in err


def test_a_print_of_the_flow_to_a_full_disk_raises_as_in_any_program(script):
    with open("/dev/full", "w") as full:
        code, _, err = finish(
            script(
                """
                class Flow(LightningFlow):
                    def run(self):
                        print("text")
                LightningApp(Flow()).run()
                """,
                stdout=full,
            )
        )

    assert code == 1
    assert "OSError: [Errno 28] No space left on device\n" in err


def test_an_app_goes_on_after_a_failure_that_can_not_be_shown(script):
    with open("/dev/full", "w") as full:
        code, out, _ = finish(
            script(
                """
                class Broken(LightningWork):
                    def run(self):
                        raise KeyError
                class Flow(LightningFlow):
                    def __init__(self):
                        super().__init__()
                        self.work = Broken(raise_exception=False)
                    def run(self):
                        self.work.run()
                        self.stop(self.work.status.stage)
                LightningApp(Flow()).run()
                """,
                stderr=full,
            )
        )

    assert (code, out) == (0, "failed\n")


def test_fail_raises_app_failed(script):
    code, out, err = finish(
        script(
            """
            class Flow(LightningFlow):
                def run(self):
                    self.fail("no data")
            LightningApp(Flow()).run()
            """
        )
    )

    assert (code, out) == (1, "")
    error, note = err.splitlines()[-2:]
    assert error == "lightning_lite.errors.AppFailed: no data"
    assert note.startswith("To resume this run: lightning-lite resume ")


def test_an_error_of_a_work_is_shown_once_with_its_own_line(ended):
    code, _, err = ended(
        """
        class Broken(LightningWork):
            def run(self, x):
                return 1 / x
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Broken()
            def run(self):
                self.work.run(0)
        LightningApp(Flow()).run()
        """
    )

    assert code == 1
    assert err.count("return 1 / x") == 1
    assert err.splitlines()[-3:-1] == ["ZeroDivisionError: division by zero", "in root.work.run(0)"]


def test_an_error_of_a_work_that_is_a_frozen_dataclass_ends_the_app_with_its_notes(ended):
    code, _, err = ended(
        """
        from dataclasses import dataclass
        @dataclass(frozen=True)
        class Broken(Exception):
            cell: int
        class Check(LightningWork):
            def run(self):
                print("checking")
                raise Broken(4)
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Check()
            def run(self):
                self.work.run()
        LightningApp(Flow()).run()
        """
    )

    assert code == 1
    assert "FrozenInstanceError" not in err
    error, *notes = err.splitlines()[-5:]
    assert error == "Broken: 4"
    assert notes[:3] == ["in root.work.run()", "root.work printed last:", "    checking"]


def test_a_failure_with_which_the_app_goes_on_is_shown_once_too(ended):
    code, out, err = ended(
        """
        class Broken(LightningWork):
            def run(self, x):
                return 1 / x
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Broken(raise_exception=False)
            def run(self):
                self.work.run(0)
                self.stop("done")
        LightningApp(Flow()).run()
        """
    )

    assert (code, out) == (0, "done\n")
    assert err.splitlines()[0] == "root.work failed: ZeroDivisionError: division by zero in root.work.run(0)"
    assert err.count("return 1 / x") == 1


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("how", ["os._exit(3)", "int('a')"])
def test_a_failure_shows_only_what_its_call_has_printed(how, goes_on, ended):
    _, _, err = ended(
        f"""
        class Talks(LightningWork):
            def run(self, number):
                print("call", number)
                if number == 2:
                    {how}
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Talks(raise_exception={not goes_on}, retries=1, retry_delay=0)
            def run(self):
                for number in range(3):
                    self.work.run(number)
                self.stop()
        LightningApp(Flow()).run()
        """
    )

    printed = err.partition("root.work printed last:\n")[2]
    assert [line.strip() for line in printed.splitlines() if "call" in line] == ["call 2"]


def test_a_failure_of_a_call_that_has_printed_nothing_shows_no_output(ended):
    _, out, err = ended(
        """
        class Talks(LightningWork):
            def run(self, number):
                return print("call", number) if number else 1 / number
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Talks(raise_exception=False)
            def run(self):
                self.work.run(1)
                self.work.run(0)
                self.stop()
        for runner in "processes", "inline":
            print(runner, file=sys.stderr)
            LightningApp(Flow()).run(runner=runner)
        """
    )

    assert out == "root.work | call 1\n" * 2
    for shown in err.removeprefix("processes\n").split("inline\n"):
        assert "ZeroDivisionError" in shown
    assert "printed last" not in err


def test_a_crash_in_c_code_is_shown_with_the_line_of_the_user(ended, tmp_path):
    code, _, err = ended(
        """
        class Fragile(LightningWork):
            def run(self):
                os.kill(os.getpid(), signal.SIGSEGV)

        class Root(LightningFlow):
            def __init__(self):
                super().__init__()
                self.fragile = Fragile(raise_exception=False)
            def run(self):
                self.fragile.run()
                self.stop()

        LightningApp(Root()).run()
        """
    )

    printed = err.partition("root.fragile printed last:\n")[2]
    assert code == 0
    assert printed.rstrip().endswith(" in run")
    assert "app with a space.py" in printed.splitlines()[-1]
    assert "lightning_lite" not in printed
    log = next((tmp_path / "root/runs").glob("*/logs/root.fragile.log")).read_text()
    assert "worker/main.py" in log  # the log has all that was printed


def test_an_error_that_is_a_sentence_is_shown_as_part_of_one_line(ended):
    code, _, err = ended(
        """
        class Late(LightningWork):
            def run(self):
                self.late = 1

        class Root(LightningFlow):
            def __init__(self):
                super().__init__()
                self.late = Late()
            def run(self):
                self.late.run()

        LightningApp(Root()).run()
        """
    )

    assert code == 1
    assert "self._late, which is not shared; in root.late.run()\n" in err


def test_ctrl_c_ends_works_in_order_with_exit_code_130(script):
    process = script(RUN_FOREVER)
    line = process.stdout.readline()

    process.send_signal(signal.SIGINT)
    code, out, err = finish(process)

    assert code in (130, -signal.SIGINT)  # Python ends itself by the signal, which a shell calls 130
    assert out == "root.work | tidied up\n"
    assert err.startswith("KeyboardInterrupt\nTo resume this run: ")
    wait_until_gone(*pids_of(line))


def test_sigterm_ends_works_in_order_with_exit_code_143(script):
    process = script(RUN_FOREVER)
    line = process.stdout.readline()

    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)

    assert (code, out, err) == (143, "root.work | tidied up\n", "")
    wait_until_gone(*pids_of(line))


def test_a_flow_cannot_swallow_a_signal(script):
    process = script(
        """
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Forever(parallel=True)
            def run(self):
                self.work.run()
                if self.work.pids:
                    try:
                        print("deaf", flush=True)
                        threading.Event().wait(60)
                    except:
                        print("swallowed", flush=True)
        LightningApp(Flow()).run()
        """
    )
    lines = [process.stdout.readline() for _ in range(2)]

    process.send_signal(signal.SIGTERM)
    code, out, _ = finish(process)

    assert code == 143
    assert out.startswith("swallowed\n")
    wait_until_gone(*pids_of("".join(lines)))


def test_a_signal_that_comes_while_a_work_is_packed_ends_the_app_as_at_any_time(ended):
    found = ended(
        """
        class Untimely:
            def __reduce__(self):
                os.kill(os.getpid(), signal.SIGTERM)
                return Untimely, ()
        class Work(LightningWork):
            def __init__(self):
                super().__init__()
                self._value = Untimely()
            def run(self):
                pass
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Work()
            def run(self):
                self.work.run()
        LightningApp(Flow()).run()
        """
    )

    assert found == (143, "", "")


def test_nothing_outlives_a_killed_flow(script):
    process = script(RUN_FOREVER)
    line = process.stdout.readline()

    process.kill()

    wait_until_gone(*pids_of(line))
    assert finish(process)[0] == -signal.SIGKILL


@pytest.mark.parametrize(
    ("call_key", "value"),
    [
        ("None", "[float(number) for number in range(500_000)]"),
        ("len", "[eval('lambda: 1') for _ in range(5_000)]"),
    ],
    ids=["keyed", "pickled"],
)
def test_a_signal_that_comes_while_an_argument_is_keyed_or_pickled_ends_the_app(ended, call_key, value):
    found = ended(
        f"""
        class Work(LightningWork):
            def __init__(self):
                super().__init__(call_key={call_key})
            def run(self, value):
                pass
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Work()
            def run(self):
                value = {value}
                threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGTERM)).start()
                self.work.run(value)
        LightningApp(Flow()).run()
        """
    )

    assert found == (143, "", "")


def test_a_reader_that_has_seen_enough_ends_the_app_in_order(script, tmp_path):
    process = script(
        """
        class Talks(LightningWork):
            def run(self):
                number = 0
                while True:
                    print("line", number, "of process", os.getpid())
                    number += 1
            def on_exit(self):
                print("tidied up")
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.work = Talks()
            def run(self):
                self.work.run()
        LightningApp(Flow()).run()
        """
    )
    line = process.stdout.readline()
    process.stdout.close()

    process.wait(timeout=DEADLINE)

    assert process.returncode == 128 + signal.SIGPIPE
    wait_until_gone(int(line.split()[-1]))
    (log,) = (tmp_path / "root" / "runs").glob("*/logs/root.work.log")
    assert log.read_text().endswith("tidied up\n")


def test_the_script_is_not_executed_again_in_the_works(ended, tmp_path):
    found = ended(
        """
        with open("imports", "a") as file:
            file.write("once\\n")
        class Point:
            def __init__(self, x):
                self.x = x
        class Doubles(LightningWork):
            def run(self, point):
                return Point(point.x * 2)
        class Flow(LightningFlow):
            def __init__(self):
                super().__init__()
                self.one, self.two = Doubles(), Doubles()
            def run(self):
                answer = self.two.run(self.one.run(Point(10)))
                print(type(answer) is Point, answer.x)
                self.stop()
        LightningApp(Flow()).run()
        """
    )

    assert found == (0, "True 40\n", "")
    assert (tmp_path / "imports").read_text() == "once\n"


def test_an_app_inside_a_work_is_an_error(ended):
    code, _, err = ended(
        """
        class Inner(LightningFlow):
            def run(self):
                self.stop()
        class Outer(LightningWork):
            def run(self):
                LightningApp(Inner()).run()
        LightningApp(Outer()).run()
        """
    )

    assert code == 1
    assert "NestedAppError: app.run() was called inside 'root.work'" in err


def test_a_run_leaves_its_folder_for_its_user_alone(ended, tmp_path):
    assert ended("LightningApp(Forever()) and None\n")[0] == 0
    assert not (tmp_path / "root").exists()  # an app that never ran writes nothing

    code, _, _ = ended(
        """
        class Flow(LightningFlow):
            def run(self):
                self.stop()
        LightningApp(Flow()).run()
        """
    )
    assert code == 0

    (run,) = (tmp_path / "root" / "runs").iterdir()
    assert '"state": "stopped"' in (run / "run.json").read_text()
    assert [path.stat().st_mode & 0o777 for path in (tmp_path / "root", run)] == [0o700, 0o700]
