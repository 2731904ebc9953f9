"""A big attribute that changes often is named in a warning, once."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_lite import LightningWork
from lightning_lite.clock import Moment
from lightning_lite.engine import big_value_warnings
from lightning_lite.engine.big_value_warnings import BigValueWarnings
from lightning_lite.engine.recorder import Recorder
from lightning_lite.errors import LightningFlowWarning
from lightning_lite.events import StateWritten
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.numbers_log import read_numbers
from lightning_lite.values.codec import encode

from tests.support.flows import Steps, do_nothing


def test_a_list_that_grows_gives_one_warning_that_says_what_to_do():
    big_values = BigValueWarnings()
    million = encode("x" * 1_000_000, "root.items")
    for _ in range(67):
        big_values.count("root.items", million)

    with pytest.warns(LightningFlowWarning, match=r"root\.items has .* changed 68 times: .*Drive") as caught:
        big_values.count("root.items", million)
    assert caught[0].filename == __file__  # not a file of the package
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(100):
            big_values.count("root.items", million)


class Grows(LightningWork):
    def run(self):
        """Do nothing."""


def count_often(big_values: BigValueWarnings, attribute: str, value: object) -> None:
    for _ in range(20):
        big_values.count(attribute, encode(value, attribute))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([0] * 10_000, "because a change inside a list or dict costs all of it. Keep only the last items, "),
        ({"a": "x" * 20_000}, "because a change inside a list or dict costs all of it. Keep only the last "),
        ("x" * 20_000, "because each change costs all of the text. Keep only a part of it, or write it to a"),
        ((0,) * 10_000, "because each change costs all of the tuple. Keep only a part of it, or write it"),
    ],
)
@pytest.mark.parametrize(("component", "run"), [("root", Steps.run), ("root.work", Grows.run)])
def test_the_warning_fits_the_value_and_has_the_line_of_the_run_of_its_component(
    value: object, reason: str, component: str, run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(big_value_warnings, "_MUCH", 0)
    big_values = BigValueWarnings(Steps(do_nothing, work=Grows()))

    with pytest.warns(LightningFlowWarning) as caught:
        count_often(big_values, f"{component}.items", value)

    (warning,) = caught
    assert reason in str(warning.message)
    code = inspect.unwrap(run).__code__
    assert (warning.filename, warning.lineno) == (code.co_filename, code.co_firstlineno)


def test_the_warning_for_a_component_that_was_removed_has_a_line_of_the_user(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(big_value_warnings, "_MUCH", 0)
    big_values = BigValueWarnings(Steps(do_nothing))

    with pytest.warns(LightningFlowWarning) as caught:
        count_often(big_values, "root.gone.items", "x" * 20_000)

    assert [warning.filename for warning in caught] == [__file__]


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
