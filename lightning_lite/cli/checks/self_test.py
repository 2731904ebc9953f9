"""The self-test: runs a small app in another process, so that a crash does not end the doctor."""

from __future__ import annotations

import os
import subprocess
import sys
from time import perf_counter

from lightning_lite import settings
from lightning_lite.cli.checks.result import FAILURE, WARNING, Finding
from lightning_lite.harmless_text import one_line
from lightning_lite.quantity_text import format_seconds

#: Variables that are about other runs, or would send a message about this one.
_OTHER = (
    settings.RUNNER_VARIABLE,
    settings.RESUME_VARIABLE,
    settings.RETRY_FAILED_VARIABLE,
    settings.NAME_VARIABLE,
    settings.TAGS_VARIABLE,
    settings.NOTIFY_VARIABLE,
    settings.DRIVES_VARIABLE,
)

_APP = "lightning_lite.cli.checks.sample_app"
_SLOW = 5.0  # seconds
_TIMEOUT = 60.0


def check(folder: str) -> Finding:
    """Run the app in another process, and return the result.

    Args:
        folder: Empty folder for its root and its files.
    """
    environ = {name: value for name, value in os.environ.items() if name not in _OTHER}
    environ |= {
        settings.ROOT_VARIABLE: os.path.join(folder, "root"),
        settings.VIEW_VARIABLE: "0",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    began = perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, "-m", _APP],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        advice = f"run it yourself: python -m {_APP}"
        return Finding("self-test", f"not finished after {_TIMEOUT:g} s", FAILURE, advice)
    took = perf_counter() - began
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Finding("self-test", one_line(last), FAILURE, f"see its output: python -m {_APP}")
    value = f"two works and a drive in {format_seconds(took)}"
    if took > _SLOW:
        return Finding("self-test", value, WARNING, "about one second is usual: is the machine busy?")
    return Finding("self-test", value)
