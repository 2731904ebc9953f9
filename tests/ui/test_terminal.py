"""The output of works on terminals, in pipes, and after the reader has gone."""

import io
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
from contextlib import contextmanager, redirect_stdout, suppress

import pytest

from lightning_lite.testing import poll_until
from lightning_lite.ui.terminal import Terminal

from tests.support.terminals import output_on_terminal, read_all
from tests.ui.screens import DEADLINE, PROJECT

pytestmark = pytest.mark.dependencies


def start(script, **options):
    """Start a Python program with a `Terminal` in the variable `t`."""
    source = f"from lightning_lite.ui.terminal import Terminal\nt = Terminal()\n{script}"
    env = {**os.environ, "PYTHONPATH": PROJECT, "TERM": "xterm-256color", **options.pop("env", {})}
    return subprocess.Popen([sys.executable, "-c", source], env=env, **options)


def run(script, **options):
    """Return the output of such a program in a pipe."""
    with start(script, stdout=subprocess.PIPE, **options) as program:
        text, _ = program.communicate(timeout=DEADLINE)
    assert program.returncode == 0
    return text.decode()


def run_on_terminal(script, **options):
    """Return the output of such a program on a terminal."""
    return output_on_terminal(lambda terminal: start(script, stdout=terminal, **options))


@contextmanager
def full_stdout():
    """Replace `sys.stdout` by a full pipe, and yield its read end."""
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)
    with (
        open(write_end, "w", encoding="utf-8") as stream,
        open(read_end, "rb") as reader,
        redirect_stdout(stream),
    ):
        yield reader


def test_each_line_begins_with_the_name_of_its_work(capsys):
    terminal = Terminal()

    terminal.show("root.a", "one\ntwo\n")
    terminal.show("root.works.b_2", "\nno newline")

    assert capsys.readouterr().out == (
        "root.a | one\nroot.a | two\nroot.works.b_2 | \nroot.works.b_2 | no newline\n"
    )


def test_output_of_flow_and_works_is_in_order():
    shown = run("for i in range(3):\n    print('flow', i)\n    t.show('root.a', f'work {i}')\nprint('end')")

    assert shown == "flow 0\nroot.a | work 0\nflow 1\nroot.a | work 1\nflow 2\nroot.a | work 2\nend\n"


def test_each_work_has_a_colour_on_a_terminal():
    shown = run_on_terminal("for work in 'aba': t.show(work, 'text')")

    assert shown == "\x1b[36ma | \x1b[0mtext\n\x1b[35mb | \x1b[0mtext\n\x1b[36ma | \x1b[0mtext\n"


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_variables_switch_colours_off(env):
    script = r"t.show('a', 'text\n\x1b[0;31mred\x1b[0m')"

    assert run_on_terminal(script, env=env) == "a | text\na | red\n"


def test_the_colours_of_a_work_are_shown_on_a_terminal_only():
    script = r"t.show('a', '\x1b[0;31mred\x1b[0m and\n\x1b[0;1mpart of a line')"

    assert run_on_terminal(script) == (
        "\x1b[36ma | \x1b[0m\x1b[0;31mred\x1b[0m and\n\x1b[36ma | \x1b[0m\x1b[0;1mpart of a line\x1b[0m\n"
    )
    assert run(script) == "a | red and\na | part of a line\n"


def test_the_last_line_of_a_work_has_no_colours(capsys):
    terminal = Terminal()

    terminal.show("root.a", "one\n\x1b[0;31mred\x1b[0m\n")

    assert terminal.last_line("root.a") == "red"


def test_only_a_terminal_loads_rich():
    script = "t.show('a', 'text')\nimport sys\nprint('rich' in sys.modules)"

    assert run(script) == "a | text\nFalse\n"
    assert run_on_terminal(script).endswith("True\n")


def test_markup_is_printed_unchanged():
    texts = ["[red]x", "[/x]", "[link=file:///etc/passwd]x[/link]", ":smile:", "%s {0}"]

    shown = run_on_terminal(f"for text in {texts}: t.show('a[b]', text)")

    assert shown.splitlines() == [f"\x1b[36ma[b] | \x1b[0m{text}" for text in texts]


def test_letters_that_the_encoding_lacks_are_escaped():
    shown = run("t.show('root.é', 'a → b')", env={"PYTHONIOENCODING": "ascii"})

    assert shown == "root.\\xe9 | a \\u2192 b\n"


def test_a_replaced_stdout_gets_the_lines(monkeypatch):
    class Tee:
        def __init__(self):
            self.text = ""

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    monkeypatch.setattr(sys, "stdout", Tee())

    Terminal().show("a", "text")

    assert sys.stdout.text == "a | text\n"


@pytest.mark.parametrize("closed", [True, False])
def test_a_missing_or_closed_stdout_breaks_only_the_terminal(monkeypatch, closed):
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream if closed else None)
    terminal = Terminal()

    terminal.show("a", "text")

    assert terminal.broken


def test_a_full_disk_breaks_only_the_terminal_and_is_said_once():
    script = "t.show('a', 'text')\nt.show('a', 'text')\nassert t.broken and not t.gone"
    env = {"PYTHONUNBUFFERED": "1"}  # else Python, at its end, would try to write again
    with (
        open("/dev/full", "w") as full,
        start(script, stdout=full, stderr=subprocess.PIPE, env=env) as program,
    ):
        errors = program.stderr.read().decode()

    assert program.returncode == 0
    assert errors == (
        "The output of works is not shown any more, only written to their logs: "
        "[Errno 28] No space left on device\n"
    )


def test_the_end_of_the_reader_breaks_the_terminal_without_a_message():
    script = (
        "import sys\n"
        "print('flow')\n"
        "while not t.broken: t.show('a', 'x' * 1000)\n"
        "print('no process reads this')\n"
        "sys.stderr.write('it continues')"
    )
    with start(script, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as program:
        assert program.stdout.readline() == b"flow\n"
        program.stdout.close()
        errors = program.stderr.read()

    assert (errors, program.returncode) == (b"it continues", 0)


def test_the_end_of_the_device_breaks_the_terminal_without_a_message():
    master, slave = pty.openpty()
    script = (
        "import signal, sys\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "while not t.broken: t.show('a', 'text')\n"
        "sys.stderr.write('it continues')"
    )
    with start(script, stdout=slave, stderr=subprocess.PIPE, start_new_session=True) as program:
        os.close(slave)
        os.read(master, 10)
        os.close(master)
        errors = program.stderr.read()

    assert (errors, program.returncode) == (b"it continues", 0)


def test_close_ends_a_show_that_blocks():
    terminal = Terminal()
    with full_stdout():
        thread = threading.Thread(target=terminal.show, args=("a", "text"))
        thread.start()
        thread.join(0.05)
        assert thread.is_alive()

        terminal.close()
        thread.join(DEADLINE)

    assert not thread.is_alive()
    assert terminal.broken


def test_a_show_that_blocks_continues_when_the_pipe_is_read():
    terminal = Terminal()
    with full_stdout() as reader:
        thread = threading.Thread(target=terminal.show, args=("a", "text\n" * 10_000))
        thread.start()
        text = b""
        while text.count(b"a | text\n") < 10_000:
            text += reader.read1()
        thread.join(DEADLINE)

    assert not thread.is_alive()
    assert text.lstrip(b"x") == b"a | text\n" * 10_000


@pytest.mark.parametrize("num_holds", [1, 2])
def test_output_waits_until_each_hold_is_released(capsys, num_holds):
    terminal = Terminal()
    for _ in range(num_holds):
        terminal.hold()
    for _ in range(num_holds - 1):
        terminal.release()
    thread = threading.Thread(target=terminal.show, args=("a", "text"))
    thread.start()
    thread.join(0.05)
    assert capsys.readouterr().out == ""

    terminal.release()
    thread.join(DEADLINE)

    assert capsys.readouterr().out == "a | text\n"


def test_ctrl_s_blocks_neither_work_nor_flow_and_no_output_is_lost(tmp_path):
    script = (
        "import os\n"
        "from lightning_lite.runners.output.pump import OutputPump\n"
        f"pump = OutputPump({str(tmp_path)!r}, t)\n"
        "end = pump.attach('root.a')\n"
        "os.write(2, b'ready')\n"
        "input()\n"
        "for i in range(1000):\n"
        "    os.write(end, b'%d\\n' % i)\n"
        "    pump.flush('root.a')\n"
        "os.close(end)\n"
        "os.write(2, b'flow has ended.')\n"
        "pump.close()\n"
    )
    master, slave = pty.openpty()
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with start(script, stdout=slave, env={"NO_COLOR": "1"}, **pipes) as program:
        os.close(slave)
        assert program.stderr.read(5) == b"ready"
        os.write(master, b"\x13")  # Ctrl-S
        program.stdin.write(b"go\n")
        program.stdin.flush()
        assert program.stderr.read(15) == b"flow has ended."
        assert len((tmp_path / "root.a.log").read_text().splitlines()) == 1000

        os.write(master, b"\x11")  # Ctrl-Q
        text = read_all(master)
    os.close(master)

    assert text.replace("\r", "") == "".join(f"root.a | {i}\n" for i in range(1000))
    assert program.returncode == 0


def test_ctrl_c_ends_a_program_whose_terminal_blocks(tmp_path):
    script = (
        "import os\n"
        "from lightning_lite.runners.output.pump import OutputPump\n"
        f"pump = OutputPump({str(tmp_path)!r}, t)\n"
        "end = pump.attach('root.a')\n"
        "os.write(end, b'x\\n' * 30000)\n"
        "os.close(end)\n"
        "os.write(2, b'waiting')\n"
        "pump.close()\n"
    )
    master, slave = pty.openpty()
    termios.tcflow(slave, termios.TCOOFF)
    with start(script, stdout=slave, stderr=subprocess.PIPE) as program:
        os.close(slave)
        assert program.stderr.read(7) == b"waiting"
        program.send_signal(signal.SIGINT)
        errors = program.stderr.read().decode()
    os.close(master)

    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "Fatal" not in errors
    assert program.returncode == -signal.SIGINT


def test_a_second_ctrl_c_ends_an_app_whose_reader_blocks(tmp_path):
    script = (
        "import pathlib, threading\n"
        "from lightning_lite import LightningApp, LightningFlow, LightningWork\n"
        "from lightning_lite.runners.output import display_queue\n"
        "display_queue.STALL = 0.1\n"
        "class Work(LightningWork):\n"
        "    def run(self):\n"
        "        print('x\\n' * 200_000)\n"
        f"        pathlib.Path({str(tmp_path)!r}, 'printed').touch()\n"
        "        threading.Event().wait(60)\n"
        "    def on_exit(self):\n"
        f"        pathlib.Path({str(tmp_path)!r}, 'exits').touch()\n"
        "class Flow(LightningFlow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.work = Work()\n"
        "    def run(self):\n"
        "        self.work.run()\n"
        "LightningApp(Flow()).run()\n"
    )
    with start(script, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        for file in ("printed", "exits"):
            poll_until((tmp_path / file).exists, timeout=DEADLINE)
            program.send_signal(signal.SIGINT)

        assert program.wait(DEADLINE) == -signal.SIGINT


def test_the_last_line_of_each_work_is_kept():
    terminal = Terminal()
    terminal.show("a", "one\ntwo\n")

    assert (terminal.last_line("a"), terminal.last_line("b")) == ("two", "")
