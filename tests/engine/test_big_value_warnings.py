"""A big attribute that changes often is named in a warning, once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from lightning_lite.clock import Moment
from lightning_lite.engine import big_value_warnings
from lightning_lite.engine.big_value_warnings import BigValueWarnings
from lightning_lite.engine.recorder import Recorder
from lightning_lite.errors import LightningFlowWarning
from lightning_lite.events import StateWritten
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.numbers_log import read_numbers
from lightning_lite.values.codec import encode


def test_a_list_that_grows_gives_one_warning_that_says_what_to_do():
    big_values = BigValueWarnings()
    for _ in range(67):
        big_values.count("root.items", 1_000_000)

    with pytest.warns(LightningFlowWarning, match=r"root\.items has .* changed 68 times: .*Drive") as caught:
        big_values.count("root.items", 1_000_000)
    assert caught[0].filename == "root"  # not a file of the package
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(100):
            big_values.count("root.items", 1_000_000)


def test_the_recorder_counts_big_values_and_logs_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(big_value_warnings, "_MUCH", 0)
    values = {"few": [0] * 1000, "items": "x" * 20_000, "loss": 0.5}
    step = [StateWritten("root", 1.0, {name: encode(value, name) for name, value in values.items()})]
    recorder = Recorder(Journal.create(str(tmp_path), "app"))

    for _ in range(19):
        recorder.record(step, Moment(0.0, 0.0))
    with pytest.warns(LightningFlowWarning, match=r"root\.items has .* changed 20 times"):
        recorder.record(step, Moment(0.0, 0.0))
    assert recorder.wake_at == 1.0
    recorder.record([], Moment(1.0, 1.0))

    assert recorder.wake_at is None
    assert read_numbers(str(tmp_path)).keys() == {"root.loss"}
    recorder.close()
