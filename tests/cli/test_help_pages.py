"""Help, version, completion and colours of the command line."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest

import lightning_lite
from lightning_lite.cli.main import group
from lightning_lite.verbs import VERBS

from tests.cli.verbs import call
from tests.support.processes import run_verb

pytestmark = pytest.mark.dependencies

PROGRAM = [sys.executable, "-m", "lightning_lite"]


def output_of(*words: str, **environ: str) -> str:
    done = run_verb(*words, env={**os.environ, **environ})
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_a_terminal(*words: str, **environ: str) -> str:
    """Return the output of a program on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", **environ}
    environment.pop("NO_COLOR", None) if "NO_COLOR" not in environ else None
    process = subprocess.Popen(
        [*PROGRAM, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    printed = b""
    try:
        while piece := os.read(ours, 65536):
            printed += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait() == 0
    return printed.decode()


def test_help_names_all_verbs_in_their_order(capfd: pytest.CaptureFixture[str]):
    text = call(capfd, "-h").out

    assert re.findall(r"^  (\w+)  ", text, re.MULTILINE) == list(VERBS)
    assert "lightning-lite run app.py" in text


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_a_help_page_with_examples(verb: str, capfd: pytest.CaptureFixture[str]):
    output = call(capfd, verb, "--help")

    assert output.code == 0
    assert "Examples:" in output.out
    assert f"lightning-lite {verb}" in output.out
    assert call(capfd, verb, "-h").out == output.out


def test_the_version_is_that_of_the_package(capfd: pytest.CaptureFixture[str]):
    assert call(capfd, "--version").out == f"lightning-lite {lightning_lite.__version__}\n"


def test_an_unknown_verb_is_refused(capfd: pytest.CaptureFixture[str]):
    output = call(capfd, "stauts")

    assert output.code == 2
    assert "No such command 'stauts'" in output.err  # newer releases of click also name similar verbs


def test_help_and_completion_import_no_verb_and_no_slow_module():
    for words, environ in (
        (["--help"], {}),
        (
            [],
            {
                "_LIGHTNING_LITE_COMPLETE": "bash_complete",
                "COMP_WORDS": "lightning-lite st",
                "COMP_CWORD": "1",
            },
        ),
    ):
        code = (
            f"import sys; sys.argv = ['lightning-lite', *{words!r}]\n"
            "from lightning_lite.cli.main import main\n"
            "try: main()\n"
            "except SystemExit: pass\n"
            "slow = {'rich', 'rich_click', 'psutil', 'sqlite3', 'multiprocess', 'lightning_lite.app'}\n"
            "ours = {name for name in sys.modules if name.startswith('lightning_lite.cli.')}\n"
            "print('loaded', sorted(ours | slow & set(sys.modules)))"
        )
        output = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        loaded = "loaded ['lightning_lite.cli.click_classes', 'lightning_lite.cli.main']"
        assert output.splitlines()[-1] == loaded
        assert "status" in output


def test_verbs_and_options_are_completed():
    def complete(words: str) -> list[str]:
        output = output_of(
            _LIGHTNING_LITE_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(words.count(" "))
        )
        return [line.partition(",")[2] for line in output.splitlines()]

    assert complete("lightning-lite st") == ["status", "stop", "stack"]
    assert "--follow" in complete("lightning-lite logs --f")


def test_a_terminal_gets_a_rich_help_unless_an_option_or_a_variable_switches_it_off():
    assert "╭─" not in on_a_terminal("ps", "--help", "--plain")
    assert "╭─" not in on_a_terminal("--help", TERM="dumb")

    coloured = on_a_terminal("--help")
    plain = on_a_terminal("--help", NO_COLOR="1")
    assert "╭─" in coloured
    assert "╭─" in plain
    assert re.search(r"\x1b\[[0-9;]*3[0-7]m", coloured)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain)


def test_each_verb_has_one_line_of_help():
    assert all(group.commands[name].get_short_help_str() == line for name, line in VERBS.items())
