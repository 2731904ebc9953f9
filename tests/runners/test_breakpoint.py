"""`breakpoint()` in works that have processes of their own, on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import pytest
from harness import DEADLINE

from lightning_lite.testing import poll_until

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import wait_until_gone

pytestmark = pytest.mark.dependencies

PROJECT = str(Path(__file__).parents[2])

#: The beginning of each app; `END` runs its `Flow`.
BEGIN = """
import os, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def __init__(self, **options):
        super().__init__(raise_exception=False, **options)
        self.y = 0

    def run(self, x):
        print('before')
        y = x + 1
        breakpoint()
        print('after', y)
        self.y = y

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run(41)
        self.stop(f'{self.work.y} {self.work.status.message}')
"""
END = """
if __name__ == '__main__':
    LightningApp(Flow()).run(runner='processes')
"""

#: Three works that come to their breakpoints at the same time.
THREE = """
class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (Work(parallel=True) for _ in range(3))

    def run(self):
        for work in self.works():
            work.run(41)
        if all(work.has_succeeded or work.has_failed for work in self.works()):
            self.stop('\\n'.join(f'{work.name}: {work.y} {work.status.message}' for work in self.works()))
"""

PROMPT = r"\(Pdb root\.(\w+)\) "


class Session:
    """An app on a terminal of its own, and the actions of its user.

    Args:
        folder: Where the app is written to.
        code: Its code, between `BEGIN` and `END`.
        shell: A command that starts `$0`, the app, if it is not started directly.
        env: Variables to add.
    """

    def __init__(
        self, folder: Path, code: str = "", *, shell: str = "", env: dict[str, str] | None = None
    ) -> None:
        command = write_app(folder, code)
        self.seen = ""
        self.master, self.slave = pty.openpty()
        self.modes = termios.tcgetattr(self.slave)
        self.app = subprocess.Popen(
            ["sh", "-c", shell, *command] if shell else command,
            stdin=self.slave, stdout=self.slave, stderr=self.slave, cwd=folder,
            env={**os.environ, "PYTHONPATH": PROJECT, "NO_COLOR": "1", **(env or {})},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows something that fits, behind all that was expected before."""
        deadline = monotonic() + DEADLINE
        while (found := re.search(pattern, self.seen)) is None:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - monotonic()))
            assert ready, f"{pattern!r} did not come, but {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode().replace("\r\n", "\n")
        self.seen = self.seen[found.end() :]
        return found

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def interrupt(self, pattern: str) -> None:
        """Press Ctrl-C until the terminal shows something that fits.

        Python does not see a signal that comes after a prompt was written and before the line is read, until
        the next key is pressed.
        """
        self.type("\x03")
        while re.search(pattern, self.seen) is None:
            ready, _, _ = select.select([self.master], [], [], 3.0)
            if ready:
                self.seen += os.read(self.master, 65536).decode().replace("\r\n", "\n")
            else:
                self.type("\x03")
        self.expect(pattern)

    def answer(self, text: str) -> str:
        """Wait for a prompt, type a line, see its echo, and return the work that has asked."""
        work = self.expect(PROMPT)[1]
        self.type(f"{text}\n")
        self.expect(re.escape(f"{text}\n"))
        return work

    def end(self) -> int:
        """Wait for the end; return the exit code, when the terminal is set as it was."""
        exitcode = self.app.wait(DEADLINE)
        assert termios.tcgetattr(self.slave) == self.modes
        return exitcode

    def close(self) -> None:
        if self.app.poll() is None:
            self.app.kill()
            self.app.wait()
        os.close(self.master)
        os.close(self.slave)


def write_app(folder: Path, code: str) -> list[str]:
    """Write an app and return its command."""
    script = folder / "app.py"
    script.write_text(BEGIN + code + END)
    return [sys.executable, str(script)]


@pytest.fixture
def run_without_terminal(tmp_path: Path, forked_scripts: ForkedScripts) -> Callable[..., str]:
    """Return a function that returns the output of an app without a terminal."""

    def run(**env: str) -> str:
        _, script = write_app(tmp_path, "")
        return forked_scripts.run(Path(script), env={**os.environ, "PYTHONPATH": PROJECT, **env})

    return run


def logs_that_say(text: str, folder: Path) -> list[Path]:
    """Return the logs of the works that have printed `text`."""
    return [log for log in folder.glob("root/runs/*/logs/*.log") if text in log.read_text()]


@pytest.fixture
def sit_down(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def sit_down(code: str = "", **options: object) -> Session:
        sessions.append(Session(tmp_path, code, **options))
        return sessions[-1]

    yield sit_down
    for session in sessions:
        session.close()


def test_a_work_asks_steps_in_the_users_code_and_goes_on_and_no_key_ends_or_suspends_it(sit_down):
    app = sit_down()
    app.expect(r"^root\.work \| before\n> \S+app\.py\(\d+\)run\(\)\n")
    app.answer("p y")
    app.expect("^42\n")

    app.expect(PROMPT)
    app.type("\x1a\x15p y\n")  # Ctrl-Z, and Ctrl-U, which takes it out of the line
    app.expect("\n42\n")

    app.expect(PROMPT)
    app.interrupt("--KeyboardInterrupt--\n")
    app.answer("print('waiting'), __import__('threading').Event().wait()")
    app.expect("^waiting\n")
    app.type("\x03")
    app.expect(r"\*\*\* KeyboardInterrupt\n")

    app.answer("y = 7")
    # Steps show what they print, and do not lead out of the user's code.
    app.answer(f"until {BEGIN.splitlines().index('        self.y = y') + 1}")
    app.expect(r"^root\.work \| after 7\n> .*\n-> self\.y = y\n")
    app.answer("s")
    app.expect(r"^--Return--\n> .*run\(\)->None\n")
    app.answer("s")

    app.expect("^7 \n")
    assert app.end() == 0


def test_ctrl_c_is_the_flows_again_when_the_work_goes_on(sit_down):
    app = sit_down(
        "class Work(Work):\n"
        "    def run(self, x):\n"
        "        super().run(x)\n"
        "        print('going on')\n"
        "        threading.Event().wait()\n"
    )
    app.answer("c")
    app.expect("going on\n")
    app.type("\x03")

    assert app.end() == -signal.SIGINT


def test_output_of_others_waits_for_the_prompt_and_none_is_lost(sit_down, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    app = sit_down(
        "class Talker(LightningWork):\n"
        "    def run(self):\n"
        "        open('fifo').read()\n"
        "        print('spoken')\n"
        "class Flow(Flow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.talker = Talker(parallel=True)\n"
        "    def run(self):\n"
        "        self.talker.run()\n"
        "        super().run()\n"
    )
    app.expect(PROMPT)
    (tmp_path / "fifo").write_text("speak")
    poll_until(lambda: logs_that_say("spoken", tmp_path))
    app.type("p y\n")
    app.expect("^p y\n42\n")
    app.answer("c")

    app.expect(r"root\.talker \| spoken\n")
    assert app.end() == 0


def test_a_flow_asks_after_it_has_waited_and_steps_over_a_waiting_call(sit_down):
    app = sit_down(
        "class Work(LightningWork):\n"
        "    def run(self, x):\n"
        "        return x + 1\n"
        "class Flow(LightningFlow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.work = Work()\n"
        "    def run(self):\n"
        "        one = self.work.run(41)\n"
        "        breakpoint()\n"
        "        two = self.work.run(1)\n"
        "        self.stop(f'{one} {two}')\n"
    )
    if sys.version_info >= (3, 13):  # from there on, the debugger stops in the line of `breakpoint()`
        app.expect(r"\n-> breakpoint\(\)\n\(Pdb\) ")
        app.type("n\n")
    app.expect(r"> \S+app\.py\(\d+\)run\(\)\n-> two = self\.work\.run\(1\)\n\(Pdb\) ")
    app.type("p one\n")
    app.expect(r"\n42\n\(Pdb\) ")
    app.type("n\n")
    app.expect(r"> \S+app\.py\(\d+\)run\(\)\n-> self\.stop\(.*\n\(Pdb\) ")
    app.type("p two\n")
    app.expect(r"\n2\n\(Pdb\) ")
    app.type("c\n")

    app.expect(r"42 2\n")
    assert app.end() == 0


def test_works_ask_one_after_the_other_and_keep_their_turn_until_they_go_on_die_or_quit(sit_down):
    app = sit_down(THREE)
    first = app.answer("n")
    assert app.answer("n") == app.answer("c") == first
    second = app.answer("n")
    assert app.answer("__import__('os').kill(__import__('os').getpid(), 9)") == second
    third = app.answer("n")
    assert app.answer("q") == third
    assert {first, second, third} == {"a", "b", "c"}

    ends = {
        first: "42 ",
        second: "0 .*SIGKILL.*",
        third: r"0 BdbQuit: quit at the prompt of the debugger in root\.\w\.run\(41\)",
    }
    app.expect("\n".join(rf"root\.{name}: {end}" for name, end in sorted(ends.items())) + "\n")
    assert app.end() == 0


def test_a_stop_cuts_those_who_ask_and_those_who_wait_for_their_turn(sit_down, tmp_path):
    app = sit_down(
        "class Work(Work):\n"
        "    def on_exit(self):\n"
        "        print('exit')\n" + THREE
    )  # fmt: skip
    app.expect(PROMPT)
    # Whole lines: without buffers, `print` writes the end of a line separately, and a stop may come before.
    poll_until(lambda: len(logs_that_say("before\n", tmp_path)) == 3)
    app.app.send_signal(signal.SIGTERM)

    for _ in range(3):
        app.expect(r"\| exit\n")
    assert app.end() == 143


def test_a_work_at_the_prompt_does_not_outlive_the_app(sit_down):
    app = sit_down()
    app.answer("__import__('os').getpid()")
    work = int(app.expect(r"^(\d+)\n")[1])
    app.app.kill()

    wait_until_gone(work)


def test_a_thread_of_a_work_may_ask_and_a_process_that_it_has_forked_may_not(sit_down):
    app = sit_down(
        "class Work(Work):\n"
        "    def run(self, x):\n"
        "        if (forked := os.fork()) == 0:\n"
        "            try:\n"
        "                breakpoint()\n"
        "            except Exception as error:\n"
        "                print(error)\n"
        "            os._exit(0)\n"
        "        os.waitpid(forked, 0)\n"
        "        thread = threading.Thread(target=super().run, args=[x])\n"
        "        thread.start()\n"
        "        thread.join()\n"
    )
    app.expect(r"breakpoint\(\) in a process that root\.work has forked can't ask")
    app.answer("y = 5")
    app.answer("c")

    app.expect("5 \n")
    assert app.end() == 0


def test_an_app_in_the_background_does_not_ask(sit_down):
    app = sit_down(shell='set -m; "$0" "$@" & wait')

    app.expect("has no terminal to ask on: the app runs in the background")
    assert app.end() == 0


def test_without_a_terminal_the_call_fails(run_without_terminal):
    shown = run_without_terminal()

    reason = "standard input of the app is not a terminal"
    assert f"RunnerError: breakpoint() in root.work has no terminal to ask on: {reason}" in shown


def test_a_breakpoint_may_be_passed_over(run_without_terminal):
    assert run_without_terminal(PYTHONBREAKPOINT="0").endswith("after 42\n42 \n")


def test_another_debugger_is_taken_as_it_is(run_without_terminal, tmp_path):
    (tmp_path / "other.py").write_text("def debugger(): print('another one')")

    shown = run_without_terminal(PYTHONBREAKPOINT="other.debugger")

    assert shown == "root.work | before\nroot.work | another one\nroot.work | after 42\n42 \n"
