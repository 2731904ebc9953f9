"""CPU and memory of the processes of a run over time."""

from __future__ import annotations

import os

import pytest

from lightning_lite import process_places
from lightning_lite.monitor import run_usage
from lightning_lite.monitor.run_usage import RunUsage
from lightning_lite.process_places import Place


def test_samples_are_taken_once_a_second_and_those_of_ten_minutes_kept(monkeypatch: pytest.MonkeyPatch):
    run, here = RunUsage(), Place.of(os.getpid())
    monkeypatch.setattr(run_usage, "INTERVAL", 1000.0)
    for _ in range(3):
        run.measure({"root.w": here, "": here, "root.idle": None})
    found = run.since(0.0)
    assert {name: len(samples) for name, samples in found.items()} == {"root.w": 1, "": 1}
    assert found["root.w"][0].memory > 2**20
    assert run.newest("root.w") == found["root.w"][0]
    assert run.newest("root.idle") is None
    assert run.since(found["root.w"][0].time) == {}

    monkeypatch.setattr(run_usage, "INTERVAL", 0.0)
    monkeypatch.setattr(run_usage, "_KEPT_SAMPLES", 5)
    for _ in range(20):
        run.measure({"root.w": here})
    assert len(run.since(0.0)["root.w"]) == 5
    times = [sample.time for sample in run.since(0.0)["root.w"]]
    assert times == sorted(times)
    monkeypatch.setattr(run_usage, "_KEPT_SECONDS", 0.0)
    run.measure({})
    assert run.since(0.0) == {}


def test_a_process_on_another_host_is_not_measured(monkeypatch: pytest.MonkeyPatch):
    run, here = RunUsage(), Place.of(os.getpid())
    monkeypatch.setattr(process_places, "this_host", lambda: "another-host")

    run.measure({"root.w": here})

    assert run.since(0.0) == {}
