"""CPU and memory of processes over time, with their descendants."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from lightning_lite import places
from lightning_lite.monitor import usage
from lightning_lite.monitor.usage import RunUsage, UsageMeter
from lightning_lite.places import Place
from lightning_lite.testing import poll_until

BUSY = "while True: pass"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits for a busy child; both end with their group."""
    with subprocess.Popen([sys.executable, "-c", PARENT], start_new_session=True) as process:
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


def test_a_process_counts_with_its_descendants(parent: subprocess.Popen[bytes]):
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


def test_samples_are_taken_once_a_second_and_those_of_ten_minutes_kept(monkeypatch: pytest.MonkeyPatch):
    run, here = RunUsage(), Place.of(os.getpid())
    monkeypatch.setattr(usage, "INTERVAL", 1000.0)
    for _ in range(3):
        run.look({"root.w": here, "": here, "root.idle": None})
    found = run.since(0.0)
    assert {name: len(samples) for name, samples in found.items()} == {"root.w": 1, "": 1}
    assert found["root.w"][0].memory > 2**20
    assert run.newest("root.w") == found["root.w"][0]
    assert run.newest("root.idle") is None
    assert run.since(found["root.w"][0].time) == {}

    monkeypatch.setattr(usage, "INTERVAL", 0.0)
    monkeypatch.setattr(usage, "_KEPT_SAMPLES", 5)
    for _ in range(20):
        run.look({"root.w": here})
    assert len(run.since(0.0)["root.w"]) == 5
    times = [sample.time for sample in run.since(0.0)["root.w"]]
    assert times == sorted(times)
    monkeypatch.setattr(usage, "_KEPT_SECONDS", 0.0)
    run.look({})
    assert run.since(0.0) == {}


def test_a_process_on_another_host_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    run, here = RunUsage(), Place.of(os.getpid())
    monkeypatch.setattr(places, "this_host", lambda: "another-host")

    run.look({"root.w": here})

    assert run.since(0.0) == {}
