"""Schedules and loops of flows: the times of events, their names, and the passes that they start."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.engine.history import fold
from lightning_lite.engine.replay import Replay
from lightning_lite.errors import ScheduleError
from lightning_lite.testing import EmptyFlow
from lightning_lite.tree.cron import next_event

from tests.support.simulation import MachineDriver, ScriptedFlow, Work, play

pytestmark = pytest.mark.dependencies

PRAGUE = ZoneInfo("Europe/Prague")


def at(text, zone=UTC):
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def events(pattern, begin, end, zone):
    """Return the local times of all events of a pattern between two times."""
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
    """Return a driver of a flow that has these schedules, on Tuesday, 14 November 2023, 22:13:20 UTC."""
    flow = Ticks(
        *((pattern, {"cron_pattern": pattern, "timezone": "UTC", **options}) for pattern in patterns)
    )
    return MachineDriver(flow)


# Patterns.


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
def test_aliases_and_seconds_as_the_last_field_are_those_of_lightning_app(alias, expected):
    assert next_event(alias, 1_700_000_000.0, "UTC") == at(expected)


@pytest.mark.parametrize(
    "pattern", ["", "nonsense", "* * * *", "61 * * * *", "* * * * * * *", "0 0 30 2 *", 5]
)
def test_an_invalid_pattern_is_refused_by_name(pattern):
    with pytest.raises(ScheduleError) as refusal:
        EmptyFlow().schedule(pattern)

    assert repr(pattern) in str(refusal.value)


def test_an_unknown_time_zone_is_refused_by_name():
    with pytest.raises(ScheduleError, match="no time zone 'Europe/Nowhere'"):
        EmptyFlow().schedule("daily", timezone="Europe/Nowhere")


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("start_time", "now", "a datetime, or None"),
        ("start_time", 5, "a datetime, or None"),
        ("timezone", 3, "the name of a time zone, such as 'Europe/Prague', or None"),
        ("timezone", UTC, "the name of a time zone, such as 'Europe/Prague', or None"),
    ],
)
def test_an_argument_of_another_type_is_refused_by_name(argument, value, expected):
    flow = EmptyFlow()

    with pytest.raises(ScheduleError, match=f"root: {argument} must be {expected}. Found {value!r}"):
        flow.schedule("daily", **{argument: value})

    assert flow.schedule("daily")  # the refused schedule has left nothing


# Times of events.


def test_a_schedule_is_true_at_once_and_then_once_for_each_event():
    driver = ticking("hourly")
    assert driver.root.counts == {"hourly": 1}

    for hour in range(1, 5):
        driver.advance(3600.0)
        assert driver.root.counts == {"hourly": 1 + hour}
        driver.settle()


def test_the_machine_wakes_only_for_the_next_event():
    driver = ticking("hourly")
    passes = driver.machine.num_passes

    assert driver.machine.wake_at == pytest.approx(at("2023-11-14 23:00:00") - 1_700_000_000.0)
    driver.advance(2799.0)
    assert driver.machine.num_passes == passes
    driver.advance(1.0)
    assert driver.root.counts == {"hourly": 2}
    assert driver.machine.wake_at == pytest.approx(6400.0)


def test_missed_events_count_once():
    driver = ticking("* * * * *")

    driver.advance(86_400.0)

    assert driver.root.counts == {"* * * * *": 2}
    assert driver.machine.wake_at == pytest.approx(86_400.0 + 40.0)


def test_several_schedules_have_separate_events():
    driver = ticking("hourly", "*/10 * * * *", "* * * * * 30")

    for _ in range(60):
        driver.advance(60.0)

    assert driver.root.counts == {"hourly": 2, "*/10 * * * *": 7, "* * * * * 30": 61}


def test_schedules_of_nested_flows_are_separate():
    def script(flow):
        flow.left.run()
        flow.right.run()

    hourly = ("x", {"cron_pattern": "hourly"})
    driver = play(script, left=Ticks(hourly), right=Ticks(hourly))

    driver.advance(3600.0)

    assert driver.root.left.counts == driver.root.right.counts == {"x": 2}


def test_an_event_while_the_flow_waits_at_an_earlier_line_is_not_lost():
    def script(flow):
        flow.work.run()
        if flow.schedule("hourly", timezone="UTC"):
            flow.count += 1

    driver = play(script, work=Work(cache_calls=False), count=0)
    driver.answer("root.work")
    assert driver.root.count == 1

    driver.advance(3 * 3600.0)
    assert driver.root.count == 1
    driver.answer("root.work")

    assert driver.root.count == 2


def test_events_begin_after_the_start_time():
    driver = ticking("hourly", start_time=datetime(2023, 11, 16, 12, 30, tzinfo=UTC))

    assert driver.root.counts == {"hourly": 1}
    assert driver.machine.wake_at == pytest.approx(at("2023-11-16 13:00:00") - 1_700_000_000.0)


# The block of a schedule.


class Block(ScriptedFlow):
    """Calls several works in the block of an hourly schedule, and one after it."""

    def __init__(self):
        super().__init__(self.act)
        self.work = Work(raise_exception=False)
        self.after = Work(cache_calls=False)
        self._log = []  # private, because a flow that counts its passes in its state runs forever

    def act(self, _):
        if self.schedule("hourly", timezone="UTC"):
            self._log.append("in")
            for position in range(3):
                self.work.run(position)
            self._log.append("left")
        self.after.run()


def enter_block():
    """Return a driver whose flow is in its block, at its first call."""
    driver = MachineDriver(Block())
    driver.up("root.work", "root.after")
    return driver


def answer_block(driver):
    """Answer the three calls of the block; return their arguments."""
    arguments = []
    for _ in range(3):
        arguments.append(driver.arguments("root.work"))
        driver.answer("root.work")
    return arguments


def test_an_event_stays_due_until_a_pass_has_left_its_block():
    driver = enter_block()

    assert answer_block(driver) == [((0,), {}), ((1,), {}), ((2,), {})]

    assert driver.root._log[-1] == "left"
    assert driver.root._log.count("left") == 1
    assert "entered" not in driver.root._schedules["hourly"]


def test_a_pass_that_is_cut_after_the_block_does_not_enter_it_again():
    driver = enter_block()
    answer_block(driver)
    log = list(driver.root._log)

    for number in range(5):  # each of these cuts the pass at the call after the block
        driver.change("root.work", step=number)

    assert driver.root._log == log


def test_a_failed_call_in_the_block_lets_the_pass_leave_it():
    driver = enter_block()

    driver.fail("root.work")
    driver.answer("root.work")
    driver.answer("root.work")

    assert driver.root._log.count("left") == 1


def test_events_that_come_during_the_block_count_once_after_it():
    driver = enter_block()
    driver.advance(3 * 3600.0)
    assert "left" not in driver.root._log
    answer_block(driver)

    # At once after the block: one event for the three that came. Its calls are known.
    assert driver.root._log.count("left") == 2
    assert driver.machine.wake_at > driver.clock.now().monotonic


def test_a_resumed_run_goes_on_in_the_block():
    first = enter_block()
    first.answer("root.work")
    assert first.root._schedules["hourly"]["entered"] is not None

    replay = Replay("run", fold(first.events))
    root = Block()
    replay.restore(root)
    second = MachineDriver(root)
    second.up("root.work", "root.after")
    second.answer("root.work")
    second.answer("root.work")

    assert second.root._log.count("left") == 1


# Ways to ask a schedule. Each calls the block of the flow if an event is due.


def ask_in_an_if(flow):
    if flow.is_due:
        flow.act()


def ask_through_a_method(flow):
    if flow.is_due_and_on():
        flow.act()


def ask_through_nested_methods(flow):
    if flow.on and flow.reason() == "due":
        flow.act()


def ask_through_a_child_flow(flow):
    if flow.child.is_due_and_on():
        flow.act()


def ask_through_a_generator(flow):
    for _ in flow.due_items():
        flow.act()
        break


def ask_before_an_early_return(flow):
    if not flow.is_due_and_on():
        return
    flow.act()


def ask_several_with_any(flow):
    if any([flow.is_due, flow.schedule("yearly", start_time=datetime(2030, 1, 1, tzinfo=UTC))]):
        flow.act()


def ask_in_a_generator_expression(flow):
    if any(flow.schedule(pattern, timezone="UTC") for pattern in ["hourly"]):
        flow.act()


def ask_in_an_expression(flow):
    flow.is_due_and_on() and flow.act()


def ask_in_a_function_of_one_expression(flow):
    (lambda: flow.act() if flow.schedule("hourly", timezone="UTC") else None)()


def ask_and_store(flow):
    is_due = flow.is_due_and_on()
    if is_due:
        flow.act()


def ask_and_store_in_a_list(flow):
    answers = [flow.is_due_and_on()]
    if answers[0]:
        flow.act()


def ask_in_a_conditional_expression(flow):
    reason = "due" if flow.schedule("hourly", timezone="UTC") else ""
    if reason:
        flow.act()


def ask_in_a_comprehension(flow):
    for _ in [number for number in range(1) if flow.is_due_and_on()]:
        flow.act()


def ask_and_pass_on(flow):
    flow.act_if(flow.schedule("hourly", timezone="UTC"))


WAYS_TO_ASK = pytest.mark.parametrize(
    "ask",
    [function for name, function in globals().items() if name.startswith("ask_")],
    ids=lambda function: function.__name__,
)


class Asking(ScriptedFlow):
    """Has methods that ask an hourly schedule, for a flow and its child."""

    def __init__(self, script=lambda _: None):
        super().__init__(script)
        self.on = True

    @property
    def is_due(self):
        return self.schedule("hourly", timezone="UTC")

    def is_due_and_on(self):
        return self.is_due and self.on

    def reason(self):
        if self.is_due_and_on():
            return "due"
        return ""

    def due_items(self):
        is_due = self.is_due
        if is_due:
            yield 1


class AskingInOneWay(Asking):
    """Asks a schedule in one way; its block has three calls."""

    def __init__(self, ask, *, waits_after=False):
        super().__init__(ask)
        self.child = Asking()
        self.first = Work(raise_exception=False)
        self.second = Work(raise_exception=False)
        self.third = Work(raise_exception=False)
        self.other = Work(parallel=True)
        self.after = Work()
        self.waits_after = waits_after
        self._num_left = 0  # how often a pass has come to the end of the block

    def run(self):
        self.other.run()
        super().run()
        if self.waits_after:
            self.after.run()

    def act(self):
        for work in (self.first, self.second, self.third):
            work.run()
        self._num_left += 1

    def act_if(self, is_due):
        if is_due:
            self.act()


BLOCK_WORKS = ["root.first", "root.second", "root.third"]


def bring_up(root):
    driver = MachineDriver(root)
    driver.up(*[work.name for work in root.works()])
    return driver


def next_step(driver):
    """Cut the pass that waits, with a change of another work."""
    driver.change("root.other", step=driver.root.other.step + 1)


@WAYS_TO_ASK
def test_an_event_lasts_through_its_block_however_the_flow_asks(ask):
    driver = bring_up(AskingInOneWay(ask))

    for work in BLOCK_WORKS:
        next_step(driver)
        assert driver.root._num_left == 0
        driver.answer(work)
    assert driver.root._num_left == 1
    for _ in range(3):
        next_step(driver)

    assert driver.root._num_left == 1
    driver.advance(3600.0)
    assert driver.root._num_left == 2


@WAYS_TO_ASK
def test_a_failed_call_ends_no_event_however_the_flow_asks(ask):
    driver = bring_up(AskingInOneWay(ask))

    driver.answer("root.first")
    driver.fail("root.second")
    next_step(driver)
    driver.answer("root.third")
    next_step(driver)

    assert driver.root._num_left == 1


@WAYS_TO_ASK
def test_events_during_the_block_count_once_however_the_flow_asks(ask):
    driver = bring_up(AskingInOneWay(ask))

    for work in BLOCK_WORKS:
        driver.advance(3600.0)
        driver.answer(work)
    next_step(driver)

    assert driver.root._num_left == 2, "one event, and one for the three that came while its block ran"


@WAYS_TO_ASK
def test_a_resumed_run_goes_on_in_the_block_however_the_flow_asks(ask):
    first = bring_up(AskingInOneWay(ask))
    first.answer("root.first")
    next_step(first)

    root = AskingInOneWay(ask)
    Replay("run", fold(first.events)).restore(root)
    second = bring_up(root)
    assert "root.first" not in second.calls
    second.answer("root.second")
    second.answer("root.third")
    next_step(second)

    assert second.root._num_left == 1


@WAYS_TO_ASK
def test_a_pass_that_stays_after_the_block_does_not_enter_it_again_however_the_flow_asks(ask):
    driver = bring_up(AskingInOneWay(ask, waits_after=True))

    for work in BLOCK_WORKS:
        driver.answer(work)
    for _ in range(5):
        next_step(driver)

    assert driver.arguments("root.after") == ((), {})
    assert driver.root._num_left == 1


class AskingInALoop(LightningFlow):
    def __init__(self):
        super().__init__()
        self.hourly = Work()
        self.daily = Work()
        self.other = Work(parallel=True)
        self._entered = []

    def run(self):
        self.other.run()
        for name in ("hourly", "daily"):
            if self.schedule(name):
                self._entered.append(name)
                getattr(self, name).run()


def test_a_loop_over_schedules_leaves_the_block_of_each_round():
    driver = bring_up(AskingInALoop())
    driver.answer("root.hourly")
    driver.root._entered.clear()

    for _ in range(3):
        next_step(driver)

    assert set(driver.root._entered) == {"daily"}


def test_a_loop_that_starts_again_does_so_only_after_its_pass_has_ended():
    items = []

    def script(flow):
        for item in flow.experimental_iterate("ab", run_once=False):
            items.append(item)
            flow.work.run(item)
        flow.after.run()
        flow.ended = flow.ended + 1

    driver = play(script, work=Work(cache_calls=False), after=Work(), ended=0)
    driver.answer("root.work")
    driver.answer("root.work")
    num_items = len(items)
    for number in range(5):
        driver.change("root.work", step=number)

    assert len(items) == num_items, "the pass was cut after the loop"
    assert driver.root.ended == 0
    driver.answer("root.after")
    assert driver.root.ended == 1
    assert items[num_items:] == ["a"]


def test_a_loop_in_the_block_of_a_schedule_starts_again_with_the_next_event():
    items = []

    def script(flow):
        if flow.schedule("hourly", timezone="UTC"):
            for item in flow.experimental_iterate("ab", run_once=False):
                items.append(item)
                flow.work.run(item)
        flow.after.run()

    driver = play(script, work=Work(cache_calls=False), after=Work())
    driver.answer("root.work")
    driver.answer("root.work")
    items.clear()
    driver.advance(3600.0)

    assert items[0] == "a"
    driver.answer("root.work")
    driver.answer("root.work")
    assert items[-1] == "b"


# Changes between summer and winter time.


def test_an_event_in_the_missing_hour_comes_right_after_it():
    found = events("30 2 * * *", "2026-03-28 12:00", "2026-03-30 12:00", "Europe/Prague")

    assert found == ["29 03:00 +0200", "30 02:30 +0200"]


def test_an_event_in_the_repeated_hour_comes_once():
    found = events("30 2 * * *", "2026-10-24 12:00", "2026-10-26 12:00", "Europe/Prague")

    assert found == ["25 02:30 +0200", "26 02:30 +0100"]


def test_an_hourly_schedule_also_has_an_event_in_the_repeated_hour():
    found = events("0 * * * *", "2026-10-25 00:30", "2026-10-25 04:30", "Europe/Prague")

    assert found == [
        "25 01:00 +0200",
        "25 02:00 +0200",
        "25 02:00 +0100",
        "25 03:00 +0100",
        "25 04:00 +0100",
    ]


def test_a_daily_event_comes_at_local_midnight_after_a_change_of_clocks():
    driver = ticking("daily", timezone="Europe/Prague")

    driver.advance(at("2024-03-31 00:00", PRAGUE) - 1_700_000_000.0)

    assert driver.root.counts == {"daily": 2}
    assert driver.machine.wake_at - driver.clock.now().monotonic == 23 * 3600.0


# Names.


@pytest.mark.parametrize("verb", ["schedule", "experimental_iterate"])
def test_a_pattern_used_twice_in_one_flow_is_refused_with_advice(verb):
    def script(flow):
        if verb == "schedule":
            flow.schedule("hourly")
            flow.schedule("hourly")
        else:
            list(flow.experimental_iterate("ab"))
            list(flow.experimental_iterate("cd"))

    with pytest.raises(ScheduleError, match=r"is used twice in one flow; give each its own name.*user_key"):
        play(script)


def test_user_keys_distinguish_schedules_with_the_same_pattern():
    flow = Ticks(*((key, {"cron_pattern": "hourly", "user_key": key}) for key in ("a", "b")))
    driver = MachineDriver(flow)

    driver.advance(3600.0)

    assert driver.root.counts == {"a": 2, "b": 2}


def test_a_schedule_whose_pattern_has_changed_waits_for_its_next_event():
    flow = EmptyFlow()

    assert flow.schedule("0 0 1 1 *", user_key="report")
    assert not flow.schedule("hourly", user_key="report")
    assert flow._schedules["report"]["pattern"] == "hourly"


def test_a_schedule_works_without_an_app():
    flow = EmptyFlow()

    assert [flow.schedule("daily"), flow.schedule("daily"), flow.schedule("hourly")] == [True, False, True]


# Loops.


def test_a_loop_continues_at_the_item_where_the_pass_ended():
    def script(flow):
        for item in flow.experimental_iterate("abc"):
            flow.seen = [*flow.seen, item] if item not in flow.seen[-1:] else flow.seen
            flow.work.run(item)

    driver = play(script, work=Work(), seen=[])
    for item in "abc":
        assert driver.arguments("root.work") == ((item,), {})
        driver.answer("root.work")

    assert driver.root.seen == ["a", "b", "c"]
    assert driver.root._iterators == {"": None}


@pytest.mark.parametrize("kind", [list, tuple, iter, deque])
def test_a_loop_skips_the_items_before_its_position(kind):
    flow = EmptyFlow()
    for item in flow.experimental_iterate(kind("abcde")):
        if item == "d":
            break

    assert list(flow.experimental_iterate(kind("abcde"))) == ["d", "e"]


def test_a_loop_over_a_range_makes_no_step_for_the_items_before_its_position():
    flow = EmptyFlow()
    flow._iterators = {"": 10**20 - 2}  # after so many items, a step for each would take years

    assert list(flow.experimental_iterate(range(10**20))) == [10**20 - 2, 10**20 - 1]


def test_a_loop_with_run_once_false_starts_again():
    flow = EmptyFlow()

    assert [list(flow.experimental_iterate("ab", run_once=False)) for _ in range(2)] == [["a", "b"]] * 2


def test_a_value_that_is_not_iterable_is_refused():
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

    # The first event is immediate. Each event starts a pass, which changes `events` and so causes another
    # one.
    assert flow.events == 3
    assert flow._count <= 2 * flow.events
