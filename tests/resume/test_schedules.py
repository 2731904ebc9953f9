"""Schedules and loops of flows: when their events come, what names them, and that they wake the loop once."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.errors import ScheduleError
from lightning_lite.testing import EmptyFlow
from lightning_lite.tree.cron import next_event

from tests.support.simulation import ScriptedFlow, Stage, Work, play

pytestmark = pytest.mark.dependencies

PRAGUE = ZoneInfo("Europe/Prague")


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def events(pattern, begin, end, zone):
    """Return the local times of all events of a pattern in a stretch of time."""
    moment, last = at(begin, ZoneInfo(zone)), at(end, ZoneInfo(zone))
    found = []
    while (moment := next_event(pattern, moment, zone)) <= last:
        found.append(datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%d %H:%M %z"))
    return found


class Ticks(ScriptedFlow):
    """Counts the events of its schedules by name."""

    def __init__(self, *schedules):
        super().__init__(self.tick)
        self.counts = {}
        self._list = schedules

    def tick(self, _):
        for name, arguments in self._list:
            if self.schedule(**arguments):
                self.counts[name] = self.counts.get(name, 0) + 1


def ticking(*patterns, **options):
    """Return a stage with a flow that has these schedules; it is Tuesday, 14 November 2023, 22:13:20 UTC."""
    flow = Ticks(
        *((pattern, {"cron_pattern": pattern, "timezone": "UTC", **options}) for pattern in patterns)
    )
    return Stage(flow)


# The words of Lightning App.


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("hourly", "2023-11-14 23:00:00"),
        ("daily", "2023-11-15 00:00:00"),
        ("midnight", "2023-11-15 00:00:00"),
        ("weekly", "2023-11-19 00:00:00"),
        ("monthly", "2023-12-01 00:00:00"),
        ("yearly", "2024-01-01 00:00:00"),
        ("annually", "2024-01-01 00:00:00"),
        ("@Hourly", "2023-11-14 23:00:00"),
        ("*/5 * * * *", "2023-11-14 22:15:00"),
        ("* * * * * */7", "2023-11-14 22:13:21"),
        ("30 4 1,15 * 5 10", "2023-11-15 04:30:10"),
    ],
)
def test_aliases_and_the_seconds_as_the_last_field_mean_what_they_mean_in_lightning(alias, expected):
    assert next_event(alias, 1_700_000_000.0, "UTC") == at(expected)


@pytest.mark.parametrize(
    "pattern", ["", "nonsense", "* * * *", "61 * * * *", "* * * * * * *", "0 0 30 2 *", 5]
)
def test_a_pattern_without_a_meaning_is_refused_by_name(pattern):
    with pytest.raises(ScheduleError) as refusal:
        EmptyFlow().schedule(pattern)

    assert repr(pattern) in str(refusal.value)


def test_an_unknown_time_zone_is_refused_by_name():
    with pytest.raises(ScheduleError, match="no time zone 'Europe/Nowhere'"):
        EmptyFlow().schedule("daily", timezone="Europe/Nowhere")


# When events come.


def test_a_schedule_is_true_at_once_and_then_in_one_pass_for_each_event():
    stage = ticking("hourly")
    assert stage.root.counts == {"hourly": 1}

    for hour in range(1, 5):
        stage.advance(3600.0)
        assert stage.root.counts == {"hourly": 1 + hour}
        stage.settle()


def test_the_loop_is_woken_by_the_events_deadline_and_by_nothing_else():
    stage = ticking("hourly")
    passes = stage.machine.num_passes

    assert stage.machine.wake_at == pytest.approx(at("2023-11-14 23:00:00") - 1_700_000_000.0)
    stage.advance(2799.0)
    assert stage.machine.num_passes == passes
    stage.advance(1.0)
    assert stage.root.counts == {"hourly": 2}
    assert stage.machine.wake_at == pytest.approx(6400.0)


def test_events_that_were_missed_count_once():
    stage = ticking("* * * * *")

    stage.advance(86_400.0)

    assert stage.root.counts == {"* * * * *": 2}
    assert stage.machine.wake_at == pytest.approx(86_400.0 + 40.0)


def test_several_schedules_at_once_each_have_their_own_events():
    stage = ticking("hourly", "*/10 * * * *", "* * * * * 30")

    for _ in range(60):
        stage.advance(60.0)

    assert stage.root.counts == {"hourly": 2, "*/10 * * * *": 7, "* * * * * 30": 61}


def test_schedules_of_nested_flows_are_told_apart():
    def script(flow):
        flow.left.run()
        flow.right.run()

    hourly = ("x", {"cron_pattern": "hourly"})
    stage = play(script, left=Ticks(hourly), right=Ticks(hourly))

    stage.advance(3600.0)

    assert stage.root.left.counts == stage.root.right.counts == {"x": 2}


def test_an_event_while_the_flow_waits_at_an_earlier_line_is_not_lost():
    def script(flow):
        flow.work.run()
        if flow.schedule("hourly", timezone="UTC"):
            flow.count += 1

    stage = play(script, work=Work(cache_calls=False), count=0)
    stage.answer("root.work")
    assert stage.root.count == 1

    stage.advance(3 * 3600.0)
    assert stage.root.count == 1
    stage.answer("root.work")

    assert stage.root.count == 2


def test_events_begin_after_the_start_time():
    stage = ticking("hourly", start_time=datetime(2023, 11, 16, 12, 30, tzinfo=UTC))

    assert stage.root.counts == {"hourly": 1}
    assert stage.machine.wake_at == pytest.approx(at("2023-11-16 13:00:00") - 1_700_000_000.0)


# The nights in which the clocks change.


def test_an_hour_that_does_not_exist_is_made_up_for_right_after_the_gap():
    found = events("30 2 * * *", "2026-03-28 12:00", "2026-03-30 12:00", "Europe/Prague")

    assert found == ["29 03:00 +0200", "30 02:30 +0200"]


def test_an_hour_that_comes_twice_has_its_event_once():
    found = events("30 2 * * *", "2026-10-24 12:00", "2026-10-26 12:00", "Europe/Prague")

    assert found == ["25 02:30 +0200", "26 02:30 +0100"]


def test_each_hour_of_the_long_night_has_its_event():
    found = events("0 * * * *", "2026-10-25 00:30", "2026-10-25 04:30", "Europe/Prague")

    assert found == [
        "25 01:00 +0200",
        "25 02:00 +0200",
        "25 02:00 +0100",
        "25 03:00 +0100",
        "25 04:00 +0100",
    ]


def test_the_flow_runs_at_local_midnight_however_long_the_day():
    stage = ticking("daily", timezone="Europe/Prague")

    stage.advance(at("2024-03-31 00:00", PRAGUE) - 1_700_000_000.0)

    assert stage.root.counts == {"daily": 2}
    assert stage.machine.wake_at - stage.clock.now().monotonic == 23 * 3600.0


# Names.


@pytest.mark.parametrize("verb", ["schedule", "experimental_iterate"])
def test_two_of_a_name_in_one_flow_are_refused_with_the_advice_to_name_them(verb):
    def script(flow):
        if verb == "schedule":
            flow.schedule("hourly")
            flow.schedule("hourly")
        else:
            list(flow.experimental_iterate("ab"))
            list(flow.experimental_iterate("cd"))

    with pytest.raises(ScheduleError, match=r"is used twice in one flow; give each its own name.*user_key"):
        play(script)


def test_user_keys_tell_two_of_a_pattern_apart():
    flow = Ticks(*((key, {"cron_pattern": "hourly", "user_key": key}) for key in ("a", "b")))
    stage = Stage(flow)

    stage.advance(3600.0)

    assert stage.root.counts == {"a": 2, "b": 2}


def test_a_schedule_whose_pattern_has_changed_waits_for_its_next_event():
    flow = EmptyFlow()

    assert flow.schedule("0 0 1 1 *", user_key="report")
    assert not flow.schedule("hourly", user_key="report")
    assert flow._schedules["report"]["pattern"] == "hourly"


def test_a_schedule_works_without_an_app():
    flow = EmptyFlow()

    assert [flow.schedule("daily"), flow.schedule("daily"), flow.schedule("hourly")] == [True, False, True]


# Loops.


def test_a_loop_goes_on_at_the_item_where_the_pass_was_cut():
    def script(flow):
        for item in flow.experimental_iterate("abc"):
            flow.seen = [*flow.seen, item] if item not in flow.seen[-1:] else flow.seen
            flow.work.run(item)

    stage = play(script, work=Work(), seen=[])
    for item in "abc":
        assert stage.arguments("root.work") == ((item,), {})
        stage.answer("root.work")

    assert stage.root.seen == ["a", "b", "c"]
    assert stage.root._iterators == {"": None}


def test_a_loop_with_run_once_false_begins_anew():
    flow = EmptyFlow()

    assert [list(flow.experimental_iterate("ab", run_once=False)) for _ in range(2)] == [["a", "b"]] * 2


def test_what_can_not_be_gone_through_is_refused():
    with pytest.raises(TypeError, match=r"should be provided to self\.iterate method\. Found 5"):
        next(EmptyFlow().experimental_iterate(5))


# The real clock.


class EverySecond(LightningFlow):
    def __init__(self):
        super().__init__()
        self.passes = 0
        self.events = 0

    def run(self):
        self._note()
        if self.schedule("* * * * * *"):
            self.events += 1
        if self.events == 3:
            self.stop()

    def _note(self):
        self._count = getattr(self, "_count", 0) + 1


def test_the_real_clock_wakes_the_flow_once_for_each_event():
    flow = EverySecond()

    LightningApp(flow).run()

    # The first one at once; each event is a pass, and one more because it changes the count of events.
    assert flow.events == 3
    assert flow._count <= 2 * flow.events
