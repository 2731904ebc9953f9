"""`lightning-lite numbers`: the numbers of a run as a table with bars, and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_lite.runs.numbers_log import NUMBERS_NAME, NumbersLog

from tests.cli.verbs import call, is_refused
from tests.support.run_folders import make_run_folder, runs_folder

pytestmark = pytest.mark.dependencies


@pytest.fixture
def run() -> Path:
    path = make_run_folder(runs_folder(), "20260101-000000000-abcdef")
    log = NumbersLog(str(path))
    for number, loss in enumerate((4.0, 1.0, float("nan"), 2.0)):
        log.add("root.train.loss", 1000.0 + number, loss, 0.0)
    log.add("root.epoch", 1000.0, float("inf"), 0.0)
    log.flush()
    return path


def test_numbers_are_shown_as_bars_and_as_json(capfd: pytest.CaptureFixture[str], run: Path):
    head, epoch, loss = call(capfd, "numbers").out.splitlines()
    one = json.loads(call(capfd, "numbers", run.name, "train.loss", "--json").out)

    assert head.split() == ["ATTRIBUTE", "POINTS", "LAST", "LOWEST", "HIGHEST", "OVER", "TIME"]
    assert epoch.split() == ["root.epoch", "1", "inf"]
    assert loss.split() == ["root.train.loss", "4", "2", "1", "4", "█", "▁", "▃"]
    assert one == {"root.train.loss": [[1000.0, 4.0], [1001.0, 1.0], [1002.0, "nan"], [1003.0, 2.0]]}


def test_what_can_not_be_shown_is_named(capfd: pytest.CaptureFixture[str], run: Path):
    is_refused(call(capfd, "numbers", "accuracy"), 2, "'accuracy'", "root.epoch, root.train.loss")
    (run / NUMBERS_NAME).unlink()
    assert len(call(capfd, "numbers").out.splitlines()) == 1  # a run of an earlier version
    (run / NUMBERS_NAME).mkdir()
    is_refused(call(capfd, "numbers"), 1, "can't be read", NUMBERS_NAME)


def test_a_word_that_means_a_run_and_an_attribute_is_refused(capfd: pytest.CaptureFixture[str], run: Path):
    make_run_folder(runs_folder(), "20251231-000000000-111111", name="loss")

    is_refused(
        call(capfd, "numbers", "loss"),
        2,
        f"'loss' means a run, and also an attribute of run {run.name}",
        "the id of the run: 20251231-000000000-111111",
        "the full name: root.train.loss",
    )
    assert list(call(capfd, "numbers", "train.loss", "--json").data) == ["root.train.loss"]


def test_private_attributes_are_left_out_also_those_of_an_old_log(
    capfd: pytest.CaptureFixture[str], run: Path
):
    log = NumbersLog(str(run))
    log.add("root.serve._port", 1000.0, 8000.0, 0.0)
    log.flush()
    assert "_port" not in (run / NUMBERS_NAME).read_text()

    with open(run / NUMBERS_NAME, "a") as file:
        file.write("root.serve._port\t1000.0\t8000.0\n")
    assert list(call(capfd, "numbers", "--json").data) == ["root.epoch", "root.train.loss"]
