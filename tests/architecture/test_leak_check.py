"""The check for leaks of a test finds each kind of leak: a check that can't fail proves nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"

SUITE = """
import os, subprocess, sys, tempfile, threading

SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]
kept = []

def test_leaves_a_child():
    kept.append(subprocess.Popen(SLEEPER))

def test_leaves_a_zombie():
    os.posix_spawn(sys.executable, [sys.executable, "-c", ""], os.environ)

def test_leaves_an_orphan():
    subprocess.run([sys.executable, "-c", f"import subprocess; subprocess.Popen({SLEEPER})"])

def test_leaves_a_thread():
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def test_leaves_an_open_file():
    kept.append(open("x", "w"))

def test_leaves_a_temporary_file():
    tempfile.mkdtemp()

def test_is_tidy():
    subprocess.run(["true"])
    threading.Thread(target=print).start()
    with tempfile.TemporaryFile():
        open("x", "w").close()
"""

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 60


@pytest.mark.parametrize("last_pid", ["changes", "unknown"])
def test_every_test_that_leaves_something_is_blamed_and_no_other(last_pid: str, own_place: Path):
    quick = CONFTEST.read_text("utf-8").replace("PATIENCE = 20.0", "PATIENCE = 0.5")
    if last_pid == "unknown":  # and so is always the same
        quick = quick.replace("/proc/loadavg", str(own_place / "loadavg"))
    (own_place / "conftest.py").write_text(quick, "utf-8")
    (own_place / "test_suite.py").write_text(SUITE, "utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={own_place / 'base'}",
    ]

    # The plugins of this machine have no part in it, and take longer to import than its tests.
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=DEADLINE, check=False)

    tests, blamed = (
        re.findall(r"def (\w+)", SUITE),
        re.findall(r"^ERROR \S+::(\w+)", done.stdout, re.MULTILINE),
    )
    assert set(blamed) == {name for name in tests if name.startswith("test_leaves")}
    assert "7 passed, 6 errors" in done.stdout
