"""Parameters of runs side by side, and the numbers of a run over time."""

from __future__ import annotations

import json
import os

import pytest

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import ComponentAttached
from lightning_lite.monitor.comparison import compare
from lightning_lite.monitor.number_series import number_series
from lightning_lite.runs.numbers_log import NUMBERS_NAME, NumbersLog

from tests.monitor.histories import Story


def run(rate: float, **state) -> Story:
    """Return a run of a work with a rate, which it was also called with."""
    story = Story("train")
    story.attach("root.model", rate=rate, **state)
    story.call("train", 1.0, 2.0, 3.0, rate, "adam")
    return story


def table(*stories: Story | None) -> dict[str, tuple]:
    found = compare([None if story is None else story.history for story in stories])
    json.dumps(found, allow_nan=False)
    return {row["attribute"]: (row["kind"], row["values"], row["differs"]) for row in found["rows"]}


def test_parameters_arguments_and_results_stand_side_by_side():
    one, other = run(0.1, name="a"), run(0.2, name="a")
    other.write("root.model", 5.0, loss=0.5)

    assert table(one, other) == {
        "root.model.loss": ("result", [None, "0.5"], True),
        "root.model.name": ("parameter", ["'a'", "'a'"], False),
        "root.model.rate": ("parameter", ["0.1", "0.2"], True),
        "root.train.run(0)": ("argument", ["0.1", "0.2"], True),
        "root.train.run(1)": ("argument", ["'adam'", "'adam'"], False),
    }


def test_values_whose_shown_texts_are_equal_may_differ():
    text = "a" * 1000
    values = [(f"{text}b", f"{text}c"), (text, text), (float("nan"), float("nan")), (1, True)]

    found = [table(run(0.1, x=one), run(0.1, x=other))["root.model.x"] for one, other in values]

    assert [differs for _, _, differs in found] == [True, False, False, True]


def test_what_one_run_has_changed_is_a_result_in_all():
    one, other = run(0.1), run(0.1)
    other.report("root.model", 5.0, rate=0.1)

    assert table(one, other)["root.model.rate"] == ("result", ["0.1", "0.1"], False)


def test_scalars_in_dicts_have_rows_and_other_values_have_none():
    story = Story("train")
    story.attach("root.model", config={"net": {"layers": 3, "deep": {"x": {}}}, 7: None}, data=[1], _hidden=1)
    story.ask("train", 1.0, config={"rate": 0.5}, steps=[1])

    assert table(story) == {
        "root.model.config['net']['layers']": ("parameter", ["3"], False),
        "root.model.config[7]": ("parameter", ["None"], False),
        "root.train.run(config)['rate']": ("argument", ["0.5"], False),
    }


def test_a_run_that_cannot_be_read_is_an_empty_column():
    assert table(run(0.1), None)["root.model.rate"] == ("parameter", ["0.1", None], True)


def test_odd_data_are_left_out():
    history = RunHistory()
    history.apply(
        ComponentAttached("root", 0.0, False, ("a", "R"), {"odd": b"\x80\x05odd", "ok": b"\x80\x05K\x01."})
    )

    assert [row["attribute"] for row in compare([history])["rows"]] == ["root.ok"]


def test_the_comparison_is_bounded():
    story = Story()
    story.attach("root.model", **{f"a{number}": number for number in range(2500)}, text="x" * 1000)

    found = compare([story.history])

    assert (len(found["rows"]), found["truncated"]) == (2000, True)
    assert [row["attribute"] for row in found["rows"][:11]][::10] == ["root.model.a0", "root.model.a10"]
    with pytest.raises(ValueError, match="21 runs are too many to compare; choose at most 20"):
        compare([None] * 21)


def test_numbers_over_time(tmp_path):
    log = NumbersLog(str(tmp_path))
    for moment, value in ((1.0, 0.5), (2.0, float("nan")), (3.0, float("inf"))):
        log.add("root.train.loss", moment, value, now=0.0)
    log.add("root.train.rate", 1.0, 0.1, now=0.0)
    log.flush()

    found = number_series(str(tmp_path), ["root.train.loss", "root.other", "root.train.loss"])

    assert found == {
        "attributes": ["root.train.loss", "root.train.rate"],
        "points": {"root.train.loss": [[1.0, 0.5], [2.0, "nan"], [3.0, "inf"]]},
    }
    assert number_series(str(tmp_path))["points"] == {}


def test_numbers_that_cannot_be_read_raise(tmp_path):
    os.symlink("/dev/null", tmp_path / NUMBERS_NAME)

    with pytest.raises(OSError, match=NUMBERS_NAME):
        number_series(str(tmp_path))
