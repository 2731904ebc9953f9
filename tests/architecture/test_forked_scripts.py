"""`ForkedScripts` reports the error of a script, and runs the next one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts, forking_scripts
from tests.support.processes import wait_until_gone

#: Seconds that a process which a script has left may take to end.
SOON = 0.5

HANGS = """
import os, sys, threading
print("it began", file=sys.stderr, flush=True)
if not os.fork():
    os.setsid()
open("pids", "a").write(f"{os.getpid()} ")
threading.Event().wait()
"""

LEAVES_A_FORK = """
import os, threading
if not os.fork():
    if not os.fork():
        os.setsid()
        open("pids.new", "a").write(f"{os.getpid()} ")
        os.rename("pids.new", "pids")
        threading.Event().wait()
    os._exit(0)
os.wait()
while not os.path.exists("pids"):
    pass
"""

LEAVES_WHAT_ENDS = """
import os
script = os.getpid()
if not os.fork():
    while os.getppid() == script:
        pass
    os._exit(0)
print("the end")
"""


@pytest.fixture
def scripts(own_place: Path) -> Iterator[ForkedScripts]:
    """A process that the test may end."""
    with forking_scripts(own_place, patience=SOON) as scripts:
        yield scripts


def script(source: str) -> Path:
    path = Path("script.py").absolute()
    path.write_text(source)
    return path


def pids() -> list[int]:
    return list(map(int, Path("pids").read_text().split()))


def test_a_script_that_fails_shows_its_error_and_the_next_one_runs(forked_scripts: ForkedScripts):
    with pytest.raises(AssertionError, match="ValueError: no reason"):
        forked_scripts.run(script("raise ValueError('no reason')"))
    assert forked_scripts.run(script("print('next')")) == "next\n"


def test_an_exit_code_and_both_streams_are_returned(forked_scripts: ForkedScripts):
    done = forked_scripts.run_to_end(script("import sys\nprint(sys.argv[1:])\nsys.exit('no reason')"), "a", 1)
    assert (done.returncode, done.stdout, done.stderr) == (1, "['a', '1']\n", "no reason\n")


def test_a_script_that_hangs_ends_with_what_it_started_and_the_next_ones_run(scripts: ForkedScripts):
    assert scripts.run(script("print('first')")) == "first\n"  # from now on, a fork begins at once
    with pytest.raises(AssertionError, match=r"script.py did not end in 5 seconds; it wrote:\nit began"):
        scripts.run(script(HANGS), deadline=5.0)
    wait_until_gone(*pids())
    for _ in range(2):
        assert scripts.run(script("print('next')")) == "next\n"


def test_a_script_that_kills_what_forks_it_is_named_and_the_next_one_runs(scripts: ForkedScripts):
    with pytest.raises(AssertionError, match=r"script.py ended the process that forks, with -9"):
        scripts.run(script("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"))
    assert scripts.run(script("print('next')")) == "next\n"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans another parent")
def test_a_script_that_leaves_a_fork_without_exec_is_named_and_the_next_one_runs(scripts: ForkedScripts):
    with pytest.raises(AssertionError, match=r"script.py left\n.*pid"):
        scripts.run(script(LEAVES_A_FORK))
    wait_until_gone(*pids())
    assert scripts.run(script("print('next')")) == "next\n"


def test_a_script_may_leave_what_ends_soon(forked_scripts: ForkedScripts):
    assert forked_scripts.run(script(LEAVES_WHAT_ENDS)) == "the end\n"
