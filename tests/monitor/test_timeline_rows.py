"""Rows of the timeline: spans and bins of attempts, waits and passes, and the cut at the range."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_lite.engine.history import RunHistory
from lightning_lite.monitor.timeline import Timeline

from tests.monitor.histories import Story


def describe(story: Story, *works: str, running: bool = True, now: float = 100.0, **options):
    names = [f"root.{work}" for work in works or ("a",)]
    found = Timeline(story.history).describe(names, now=now, is_running=running, **options)
    json.dumps(found, allow_nan=False)
    return found


def row(story: Story, **options):
    return describe(story, **options)["rows"][0]


def many(number: int) -> Story:
    """Return a story of calls that take 0.4 seconds each, one a second."""
    story = Story("a")
    for second in range(number):
        story.call("a", second, second + 0.1, second + 0.5)
    return story


def test_a_call_is_a_span_after_its_wait():
    story = Story("a")
    story.call("a", 1.0, 3.0, 7.0)

    found = row(story)

    assert found["spans"] == [[3.0, 7.0, "succeeded", 1, 1]]
    assert found["waits"] == [[1.0, 3.0]]
    assert (found["work"], found["calls"], found["bins"]) == ("root.a", 1, [])


def test_each_attempt_is_a_span():
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 2.0, "running", 1)
    story.change("a", number, 3.0, "failed", 1)
    story.change("a", number, 4.0, "running", 2)
    story.succeed("a", number, 6.0)

    found = row(story)

    assert found["spans"] == [[2.0, 3.0, "failed", 1, 1], [4.0, 6.0, "succeeded", 1, 2]]
    assert found["calls"] == 1


def test_a_call_counts_once_also_if_its_first_attempt_is_before_the_range():
    story = Story("a")
    number = story.ask("a", 1.0)
    for attempt in range(1, 4):
        story.change("a", number, 10.0 * attempt, "running", attempt)
        story.change("a", number, 10.0 * attempt + 5, "failed", attempt)
    story.fail("a", number, 40.0, 3)
    story.call("a", 50.0, 51.0, 52.0)

    assert [row(story, start=start)["calls"] for start in (0.0, 17.0, 50.0)] == [2, 2, 1]


def test_a_restart_by_the_flow_ends_an_attempt():
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 2.0, "running", 1)
    story.change("a", number, 5.0, "pending", 1)
    story.change("a", number, 6.0, "running", 1)

    assert row(story)["spans"] == [[2.0, 5.0, "restarted", 1, 1], [6.0, None, "running", 1, 1]]


def test_a_call_that_runs_has_no_end():
    story = Story("a")
    story.change("a", story.ask("a", 1.0), 2.0, "running")
    story.ask("a", 50.0)

    found = row(story)

    assert found["spans"] == [[2.0, None, "running", 1, 1]]
    assert found["waits"] == [[1.0, 2.0], [50.0, None]]


def test_a_call_that_was_running_when_the_run_died_is_lost_at_the_last_event():
    story = Story("a", "b")
    story.change("a", story.ask("a", 1.0), 2.0, "running")
    story.call("b", 3.0, 4.0, 9.0)

    found = describe(story, "a", running=False)

    assert found["rows"][0]["spans"] == [[2.0, 9.0, "lost", 1, 1]]
    assert found["to"] == 9.0


def test_a_call_that_was_stopped_waits_until_then():
    story = Story("a")
    story.change("a", story.ask("a", 1.0), 6.0, "stopped")
    story.call("a", 2.0, 3.0, 9.0)

    assert row(story)["waits"] == [[2.0, 3.0], [1.0, 6.0]]
    assert describe(story, running=False)["rows"][0]["waits"] == [[2.0, 3.0], [1.0, 6.0]]


def test_a_call_that_was_waiting_when_the_run_died_waits_until_the_last_event():
    story = Story("a")
    story.ask("a", 1.0)
    story.call("a", 2.0, 3.0, 9.0)

    assert describe(story, running=False)["rows"][0]["waits"] == [[2.0, 3.0], [1.0, 9.0]]


def test_a_call_that_was_running_before_a_resume_is_lost():
    story = Story("a")
    story.change("a", story.ask("a", 1.0), 2.0, "running")
    story.resume(50.0)

    found = describe(story)

    assert found["rows"][0]["spans"] == [[2.0, 2.0, "lost", 1, 1]]
    assert found["begun"] == [0.0, 50.0]


def test_calls_are_shown_as_they_go_on():
    story = Story("a")
    timeline = Timeline(story.history)
    number = story.ask("a", 1.0)
    stages = []
    for change in (
        lambda: story.change("a", number, 2.0, "running"),
        lambda: story.change("a", number, 3.0, "failed"),
        lambda: story.change("a", number, 4.0, "running", 2),
        lambda: story.succeed("a", number, 5.0),
        lambda: story.call("a", 6.0, 7.0, 8.0),
    ):
        change()
        spans = timeline.describe(["root.a"], now=9.0, is_running=True)["rows"][0]["spans"]
        stages.append([span[2] for span in spans])

    assert stages == [
        ["running"],
        ["failed"],
        ["failed", "running"],
        ["failed", "succeeded"],
        ["failed", "succeeded", "succeeded"],
    ]


def test_many_calls_are_bins():
    found = row(many(600), now=600.0, pixels=300)

    assert found["spans"] == found["waits"] == []
    assert found["calls"] == 600
    assert len(found["bins"]) == 100
    assert found["bins"][0] == [0.0, 6.0, 6, 0, pytest.approx(0.4)]
    assert sum(count for _, _, count, _, _ in found["bins"]) == 600


def test_a_range_with_few_of_many_calls_has_spans():
    found = row(many(600), now=600.0, pixels=300, start=100.3, end=102.2)

    assert [span[3] for span in found["spans"]] == [101, 102, 103]  # call 101 began before the range
    assert found["calls"] == 3


def test_a_failure_among_thousands_of_calls_is_in_its_bin():
    story = many(2000)
    number = story.ask("a", 2000.0)
    story.change("a", number, 2000.1, "running")
    story.fail("a", number, 2000.2)
    for second in range(2001, 4000):
        story.call("a", second, second + 0.1, second + 0.5)

    found = row(story, now=4000.0, pixels=300)

    assert [(low, high, failed) for low, high, _, failed, _ in found["bins"] if failed] == [
        (2000.0, 2040.0, 1)
    ]


def test_a_failure_that_ends_in_the_range_counts_although_it_began_before():
    story = many(600)
    number = story.ask("a", 600.0)
    story.change("a", number, 600.1, "running")
    story.fail("a", number, 700.5)
    for second in range(701, 1300):
        story.call("a", second, second + 0.1, second + 0.5)

    found = row(story, now=1300.0, pixels=300, start=650.0, end=1300.0)

    assert sum(failed for _, _, _, failed, _ in found["bins"]) == 1
    assert found["bins"][0][4] == 1.0  # busy all the time


def test_a_call_that_runs_is_in_the_bins():
    story = many(600)
    story.change("a", story.ask("a", 600.0), 600.0, "running")

    found = row(story, now=1200.0, pixels=300)

    assert found["bins"][-1] == [1188.0, 1200.0, 0, 0, 1.0]
    assert found["calls"] == 601


def test_a_lost_call_counts_as_failed_in_its_bin():
    story = many(600)
    story.change("a", story.ask("a", 600.0), 600.0, "running")

    found = row(story, running=False, pixels=300)

    assert sum(failed for _, _, _, failed, _ in found["bins"]) == 1


def test_a_stop_before_the_first_attempt_is_a_wait_with_an_end():
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 9.0, "stopped", 0)
    story.fail("a", number, 9.0, 0, reason="stopped")

    found = row(story)

    assert found["spans"] == [[9.0, 9.0, "failed", 1, 0]]
    assert found["waits"] == [[1.0, 9.0]]


def test_a_wait_is_in_the_range_although_its_call_is_not():
    story = Story("a")
    story.call("a", 1.0, 90.0, 95.0)

    assert row(story, start=10.0, end=20.0)["waits"] == [[1.0, 90.0]]
    assert row(story, start=10.0, end=20.0)["spans"] == []


def test_waits_too_short_to_be_seen_are_left_out():
    story = Story("a")
    story.call("a", 1.0, 1.01, 90.0)

    assert row(story, pixels=100)["waits"] == []


def test_the_status_of_a_process_before_the_range_is_known():
    story = Story("a")
    for moment, stage in ((1.0, "started"), (50.0, "failed"), (60.0, "started"), (99.0, "stopped")):
        story.process("a", moment, stage)

    found = row(story, start=55.0, end=70.0)

    assert found["process"] == [[50.0, "failed"], [60.0, "started"]]


def test_thousands_of_restarts_are_as_many_as_can_be_seen():
    story = Story("a")
    for second in range(5000):
        story.process("a", float(second), "failed")
        story.process("a", second + 0.5, "started")

    found = row(story, now=5000.0, pixels=300)

    assert len(found["process"]) == 200
    assert [stage for _, stage in found["process"][:2]] == ["failed", "started"]


def test_passes_are_counted_in_bins():
    story = many(100)

    found = describe(story, now=200.0, pixels=300)

    assert sum(count for _, count in found["passes"]) == len(story.history.times)
    assert all(moment < 100 for moment, _ in found["passes"])


def test_a_clock_that_was_set_back_breaks_nothing():
    story = Story("a")
    story.call("a", 50.0, 51.0, 60.0)
    story.call("a", 20.0, 21.0, 30.0)
    story.call("a", 61.0, 60.0, 59.0)

    assert [span[:2] for span in row(story)["spans"]] == [[21.0, 30.0], [51.0, 60.0], [60.0, 60.0]]


def test_an_empty_run_has_a_timeline():
    found = Timeline(RunHistory()).describe([], now=5.0, is_running=False)

    assert (found["rows"], found["passes"], found["begun"]) == ([], [], [])
    assert found["from"] < found["to"]


@pytest.mark.parametrize(("start", "end"), [(5.0, 5.0), (6.0, 5.0), (float("nan"), 5.0), (0.0, float("inf"))])
def test_an_empty_range_is_refused(start: float, end: float):
    with pytest.raises(ValueError, match="its end must be after its start"):
        row(Story("a"), start=start, end=end)


def test_too_many_works_and_unknown_ones_are_refused():
    story = Story("a")

    with pytest.raises(ValueError, match="61 works are too many"):
        describe(story, *["a"] * 61)
    with pytest.raises(LookupError, match=r"no work 'root\.b'"):
        describe(story, "b")


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 10), st.booleans()), max_size=60), st.data())
def test_bins_count_as_a_simple_loop_does(lengths, data):
    story, moment, spans = Story("a"), 0.0, []
    for gap, length, fails in lengths:
        began = moment + gap / 10
        moment = began + length
        number = story.ask("a", began)
        story.change("a", number, began, "running")
        (story.fail if fails else story.succeed)("a", number, moment)
        spans.append((began, moment, fails))
    start = data.draw(st.floats(0, moment + 1))
    end = data.draw(st.floats(start + 1, moment + 10))
    index = Timeline(story.history)._index("root.a")
    edges = [start + (end - start) * position / 7 for position in range(7)] + [end]

    for position, (begun, failed, busy) in enumerate(index.attempts.bins(edges)):
        low, high = edges[position], edges[position + 1]
        is_last = position == 6

        def inside(moment: float, low=low, high=high, is_last=is_last) -> bool:
            return low <= moment < high or (is_last and moment == high)

        assert begun == sum(inside(one) for one, _, _ in spans)
        assert failed == sum(fails and inside(until) for _, until, fails in spans)
        expected = sum(max(0.0, min(until, high) - max(one, low)) for one, until, _ in spans)
        assert busy == pytest.approx(expected, abs=1e-6)


def test_calls_that_ended_in_another_order_are_the_same_as_in_order():
    story = Story("a")
    numbers = [story.ask("a", float(position)) for position in range(50)]
    for number in numbers:
        story.change("a", number, 100.0 + number, "running")
    timeline = Timeline(story.history)
    shuffled = random.Random(1).sample(numbers, len(numbers))
    for number in shuffled:
        story.succeed("a", number, 100.5 + number)
        timeline.describe(["root.a"], now=200.0, is_running=True)

    in_steps = timeline.describe(["root.a"], now=200.0, is_running=True)

    assert in_steps == describe(story, now=200.0)
    assert [span[3] for span in in_steps["rows"][0]["spans"]] == numbers
