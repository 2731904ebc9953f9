"""CPU and memory of processes, with their descendants."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lightning_lite import process_usage
from lightning_lite.process_usage import UsageMeter
from lightning_lite.testing import poll_until

pytestmark = pytest.mark.dependencies

BUSY = "while True: pass"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for a busy child; both end with their group."""
    with subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True) as process:
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


@pytest.mark.parametrize("file", [process_usage._CHILDREN, "/proc/no-such-file"])
def test_a_process_counts_with_its_descendants(
    parent: subprocess.Popen[bytes], file: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process_usage, "_CHILDREN", file)
    meter = UsageMeter()

    poll_until(lambda: meter.measure([parent.pid])[parent.pid].cpu > 0.05, 30)

    assert meter.measure([parent.pid])[parent.pid].memory > 2**20


def test_a_process_that_has_ended_is_not_measured(parent: subprocess.Popen[bytes]):
    meter = UsageMeter()
    assert meter.measure([parent.pid, os.getpid()]).keys() == {parent.pid, os.getpid()}
    os.killpg(parent.pid, 9)
    parent.wait()

    assert meter.measure([parent.pid, os.getpid()]).keys() == {os.getpid()}
    assert meter.measure([]) == {}


def test_a_process_in_place_of_one_that_has_ended_begins_at_zero():
    """The system gives the number of a process that has ended to another one."""
    meter, pid = UsageMeter(), os.getpid()
    meter.measure([pid])
    meter._seconds = {(pid, 1.0): 0.0}  # as if an earlier process with this id had been measured

    assert meter.measure([pid])[pid].cpu == 0.0
