"""The text for Prometheus, read by Prometheus' own parser."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import RunBegun
from lightning_lite.monitor.prometheus import CallCounters, WatchedRun, metrics
from lightning_lite.runs.catalog import RunSummary

from tests.monitor.histories import Story

pytestmark = pytest.mark.dependencies


def summary(run: str = "r1", state: str = "running", app: str = "app") -> RunSummary:
    details = {"app": app, "started": "2026-11-29T03:00:00+00:00"}
    return RunSummary(run, f"/root/runs/{run}", details, state, None)


def samples(text: str) -> dict[tuple, float]:
    """Return the samples by name, and by their labels except those of the run."""
    assert text.isascii() or text.encode("utf-8")
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith(".")
        for sample in family.samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k not in ("run", "app")))
            key = (sample.name.removeprefix("lightning_lite_"), labels)
            assert key not in found
            found[key] = sample.value
    return found


def watched(story: Story, run: RunSummary | None = None, **usage) -> WatchedRun:
    counters = CallCounters()
    counters.update(story.history)
    states = {name: work.last.stage for name, work in story.history.works.items()}
    return WatchedRun(run or summary(), states, counters, usage)


def test_runs_are_counted_by_state():
    runs = [summary("r1"), summary("r2", "died"), summary("r3", "died")]

    found = samples(metrics(runs, []))

    assert found == {("runs", (("state", "died"),)): 2, ("runs", (("state", "running"),)): 1}


def test_a_running_run_has_series():
    story = Story("a", "b")
    story.call("a", 1.0, 2.0, 3.5)
    number = story.ask("a", 4.0)
    story.change("a", number, 5.0, "running")
    story.change("a", number, 6.0, "failed")
    story.change("a", number, 7.0, "running", 2)
    story.fail("a", number, 8.0, 2)
    story.change("b", story.ask("b", 4.0), 5.0, "running")

    text = metrics([summary()], [watched(story, **{"root.a": (0.5, 1000), "": (None, 2000)})])
    found = samples(text)

    work = ("work", "root.a")
    assert found == {
        ("runs", (("state", "running"),)): 1,
        ("works", (("state", "failed"),)): 1,
        ("works", (("state", "running"),)): 1,
        ("run_start_time_seconds", ()): 1795921200.0,
        ("calls_total", (("outcome", "succeeded"), work)): 1,
        ("calls_total", (("outcome", "failed"), work)): 1,
        ("calls_total", (("outcome", "succeeded"), ("work", "root.b"))): 0,
        ("attempts_total", (("outcome", "succeeded"), work)): 1,
        ("attempts_total", (("outcome", "failed"), work)): 2,
        ("call_seconds_total", (work,)): 3.5,
        ("cpu_ratio", (work,)): 0.5,
        ("memory_bytes", (work,)): 1000,
        ("memory_bytes", (("work", ""),)): 2000,
    }


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\nb", "a\\nb", "é", "\udc80", "a\x00\r\x1b[31m", "x" * 1000, '{a="b"} 1']
)
def test_labels_are_escaped(name):
    text = metrics([summary()], [watched(Story("a"), summary(app=name))])

    apps = {
        sample.labels["app"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "app" in sample.labels
    }
    assert len(apps) == 1
    assert len(apps.pop()) <= 200
    text.encode("utf-8")


def test_numbers_that_are_not_finite_are_written_as_prometheus_reads_them():
    usage = {"root.a": (float("inf"), float("-inf"))}

    found = samples(metrics([], [watched(Story("a"), **usage)]))

    assert found["cpu_ratio", (("work", "root.a"),)] == float("inf")
    assert found["memory_bytes", (("work", "root.a"),)] == float("-inf")


def test_the_number_of_series_is_bounded():
    story, small = (Story(*(f"w{number}" for number in range(count))) for count in (700, 2))
    for number in range(700):
        story.call(f"w{number}", 1.0, 2.0, 3.0)
    small.call("w0", 1.0, 2.0, 3.0)
    runs = [summary(f"r{number}") for number in range(60)]

    text = metrics(runs, [watched(story if run is runs[0] else small, run) for run in runs])

    assert text.count("\nlightning_lite_calls_total{") == 500 + 1 + 49
    calls = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    others = [sample.value for sample in calls if sample.labels.get("work") == "(others)"]
    assert others[0] == 200


def test_counters_grow_with_the_history():
    story = Story("a")
    counters = CallCounters()
    seen = []
    for second in range(3):
        number = story.ask("a", second)
        story.change("a", number, second, "running")
        counters.update(story.history)
        story.succeed("a", number, second + 0.5)
        counters.update(story.history)
        seen.append((counters.calls["root.a", "succeeded"], counters.seconds["root.a"]))

    assert seen == [(1, 0.5), (2, 1.0), (3, 1.5)]


def test_counters_do_not_go_back_or_count_twice_when_the_journal_was_compacted():
    story = Story("a")
    for second in range(20):
        story.call("a", second, second, second + 0.5)
    number = story.ask("a", 30.0)
    story.change("a", number, 30.0, "running")
    counters = CallCounters()
    counters.update(story.history)
    before = dict(counters.calls), dict(counters.seconds)
    compacted = RunHistory()
    compacted.apply(RunBegun(0.0))
    for event in story.history.snapshot(5):
        compacted.apply(event)
    assert compacted.works["root.a"].num_unlisted == 15

    counters.update(compacted)
    assert (dict(counters.calls), dict(counters.seconds)) == before
    story.history = compacted
    story.succeed("a", number, 31.0)
    story.call("a", 32.0, 32.0, 32.5)
    counters.update(compacted)

    assert counters.calls["root.a", "succeeded"] == 22
    assert counters.attempts["root.a", "succeeded"] == 22
    assert counters.seconds["root.a"] == 20 * 0.5 + 1.5


def test_calls_that_were_removed_before_the_first_look_count_as_succeeded():
    story = Story("a")
    for second in range(20):
        story.call("a", second, second, second + 0.5)
    compacted = RunHistory()
    for event in story.history.snapshot(5):
        compacted.apply(event)
    counters = CallCounters()

    counters.update(compacted)

    assert counters.calls["root.a", "succeeded"] == 20
