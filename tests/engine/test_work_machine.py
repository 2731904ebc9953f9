"""The state machine in the process of a work, driven step by step."""

from __future__ import annotations

import sys
import threading
import traceback

import pytest

from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.errors import ComponentDefinitionError, ComponentError, DetachedError, StateError, StopRun
from lightning_lite.messages import AcknowledgeState, RunCall, RunEnded, StateChanged, WriteState
from lightning_lite.testing import poll_until
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.hierarchy import set_name
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.codec import encode
from lightning_lite.values.pickling import pack, unpack
from lightning_lite.values.transferable import Transferable

from tests.support.simulation import MessageCollector, Work, decoded, kinds


class Task(Work):
    """A work that runs the function in the call."""

    def run(self, task=None, *args, **kwargs):
        return task(self, *args, **kwargs) if task is not None else None


def open_work_side(work=None, name="root.work"):
    """Return the collector, the work side and the work, as if they had travelled."""
    work = work or Task()
    set_name(work, name)
    work_side = unpack(pack(WorkMachine(work)))
    collector = MessageCollector(work_side)
    work_side.open(collector.send, collector.request_report)
    return collector, work_side, work_side._work


def run_call(*args, attempt=1, changes=None, written=0, **kwargs):
    encoded = {name: (written, encode(value, name)) for name, value in (changes or {}).items()}
    return RunCall("root.work", "key", attempt, pack((args, kwargs)), encoded, written)


def write_state(number, **changes):
    return WriteState(
        "root.work", {name: (number, encode(value, name)) for name, value in changes.items()}, number
    )


def perform(work_side, task):
    """Run a call of a task that does not travel, so that it can use the objects of the test."""
    work_side._work._task = task
    work_side.perform(run_call(_run_private))


def _run_private(work):
    return work._task(work)


ACKNOWLEDGE = AcknowledgeState("root.work")


# Calls.


def test_a_call_gives_its_answer():
    collector, work_side, _ = open_work_side()

    work_side.perform(run_call(lambda work, x: x * x, 7))

    (ended,) = collector.take()
    assert (ended.work, ended.key, ended.attempt, ended.failure) == ("root.work", "key", 1, None)
    assert unpack(ended.value) == 49


def test_the_work_travels_with_its_state_and_its_private_attributes_but_without_the_tree():
    work = Task(port=4711)
    work.loss, work.curve, work._private = 0.5, [1, 2], {"a": object}

    _, _, arrived = open_work_side(work)

    assert (arrived.loss, arrived.curve, arrived._private) == (0.5, [1, 2], {"a": object})
    assert (arrived.name, arrived.port) == ("root.work", 4711)
    assert arrived._node.parent is None
    assert arrived.call() is None


def fail(work):
    raise KeyError("lost")


def test_an_exception_becomes_a_failure_with_the_users_frames_only():
    collector, work_side, _ = open_work_side(Task(raise_exception=False))

    work_side.perform(run_call(fail))

    (ended,) = collector.take()
    failure = ended.failure
    assert ended.value is None
    assert failure.reason == "user_exception"
    assert failure.message.startswith("KeyError: 'lost' in root.work.run(<function fail")
    assert isinstance(unpack(failure.error), KeyError)
    assert "in fail" in failure.traceback
    assert "core/work_side.py" not in failure.traceback
    assert failure.captured is True


@pytest.mark.parametrize("raise_exception", [True, False])
def test_on_exception_is_asked_by_default_it_raises_if_raise_exception_is_true(raise_exception):
    collector, work_side, _ = open_work_side(Task(raise_exception=raise_exception))

    work_side.perform(run_call(fail))

    assert collector.take()[0].failure.captured is not raise_exception


class Careful(Task):
    def on_exception(self, exception):
        self.loss = -1.0
        if not isinstance(exception, KeyError):
            raise RuntimeError("worse") from exception


def test_on_exception_may_take_the_exception_and_its_changes_travel():
    collector, work_side, _ = open_work_side(Careful())

    work_side.perform(run_call(fail))

    change, ended = collector.take()
    assert decoded(change.changes) == {"loss": -1.0}
    assert ended.failure.captured is True


def test_what_on_exception_raises_is_the_failure():
    collector, work_side, _ = open_work_side(Careful())

    work_side.perform(run_call(lambda work: 1 / 0))

    failure = collector.take()[-1].failure
    assert failure.captured is False
    assert failure.message.startswith("RuntimeError: worse")
    assert "ZeroDivisionError" in failure.traceback


@pytest.mark.parametrize(
    ("code", "message"),
    [(0, "sys.exit(0)"), (3, "sys.exit(3)"), (None, "sys.exit(None)"), ("x", "sys.exit('x')")],
)
def test_sys_exit_in_run_is_a_crash_and_no_silent_end(code, message):
    collector, work_side, _ = open_work_side()

    work_side.perform(run_call(lambda work, code: sys.exit(code), code))

    (ended,) = collector.take()
    assert ended.failure.reason == "crashed"
    assert ended.failure.message.startswith(message)
    assert ended.failure.captured is None


class Mute(Exception):
    def __str__(self):
        raise ValueError("no text")


class Local(Exception):
    def __init__(self):
        super().__init__("it holds a generator")
        self.held = (item for item in ())


def test_an_exception_whose_text_can_not_be_read_is_a_failure_all_the_same():
    collector, work_side, _ = open_work_side()

    def raise_mute(work):
        raise Mute

    work_side.perform(run_call(raise_mute))

    assert collector.take()[0].failure.message.startswith("Mute: its text can't be read, ValueError")


def test_an_exception_travels_without_an_attribute_that_can_not():
    collector, work_side, _ = open_work_side()

    def raise_local(work):
        raise Local

    work_side.perform(run_call(raise_local))

    failure = collector.take()[0].failure
    assert type(unpack(failure.error)) is Local
    assert not hasattr(unpack(failure.error), "held")
    assert failure.message.startswith("Local: it holds a generator")


def give_a_generator(work):
    return (item for item in ())


def give_a_lock(work):
    return threading.Lock()


def give_a_file(work):
    with open(__file__) as file:
        return file


@pytest.mark.parametrize("give", [give_a_generator, give_a_lock, give_a_file])
def test_an_answer_that_can_not_travel_is_an_invalid_value_and_the_work_stays_usable(give):
    collector, work_side, _ = open_work_side()

    work_side.perform(run_call(give))
    work_side.perform(run_call(lambda work: 5))

    broken, good = collector.take()
    assert broken.failure.reason == "invalid_value"
    assert "which can't be sent" in broken.failure.message
    assert unpack(good.value) == 5


def test_arguments_that_can_not_be_read_are_a_failure():
    collector, work_side, _ = open_work_side()

    work_side.perform(RunCall("root.work", "key", 1, b"\x80\x05cno_such_module\nname\n.", {}, 0))

    assert "ModuleNotFoundError" in collector.take()[0].failure.message


def test_a_long_argument_is_shortened_in_the_message():
    collector, work_side, _ = open_work_side()

    work_side.perform(run_call(fail, "x" * 10_000, table={"a": list(range(1000))}))

    message = collector.take()[0].failure.message
    assert len(message) < 500
    assert "table=" in message
    assert "\n" not in message


@pytest.mark.parametrize(("base", "what"), [(LightningWork, "work"), (LightningFlow, "flow")])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("a generator", "def run(self): yield 1"),
        ("a coroutine", "async def run(self): pass"),
        ("a coroutine", "async def run(self): yield 1"),
    ],
)
def test_a_run_that_would_end_before_it_began_is_refused(base, what, kind, body):
    space = {}
    exec(body, space)
    broken = type("Broken", (base,), {"run": space["run"]})

    with pytest.raises(
        ComponentDefinitionError, match=rf"The `run\(\)` method of the {what} `Broken` is {kind}"
    ):
        broken()


# Writes of the work.


def test_an_assignment_is_sent_at_once():
    collector, work_side, _ = open_work_side()
    seen = []

    def run(work):
        work.loss = 0.5
        seen.extend(collector.take())

    perform(work_side, run)

    (change,) = seen
    assert change == StateChanged("root.work", {"loss": encode(0.5, "loss")}, 0)


def test_an_equal_assignment_is_not_sent():
    collector, work_side, _ = open_work_side()

    def run(work):
        work.loss, work.curve = 0.0, []

    perform(work_side, run)

    assert kinds(collector.take()) == [("RunEnded", "root.work")]


def test_changes_merge_until_the_last_message_is_acknowledged():
    collector, work_side, _ = open_work_side()

    def run(work):
        for number in range(1000):
            work.step = number
            work.loss = float(number)

    perform(work_side, run)

    change, ended = collector.take()
    assert decoded(change.changes) == {"loss": 0.0} or decoded(change.changes) == {"step": 1}
    assert isinstance(ended, RunEnded)
    assert decoded(ended.changes) == {"step": 999, "loss": 999.0}


def test_after_an_acknowledgement_the_merged_changes_go_in_one_message():
    collector, work_side, _ = open_work_side()
    seen = []

    def run(work):
        work.step, work.step, work.loss = 1, 2, 0.5
        first = collector.take()
        work_side.receive(ACKNOWLEDGE)
        seen.extend([first, collector.take()])
        work_side.receive(ACKNOWLEDGE)
        seen.append(collector.take())

    perform(work_side, run)

    assert [[decoded(message.changes) for message in messages] for messages in seen] == [
        [{"step": 1}],
        [{"step": 2, "loss": 0.5}],
        [],
    ]


def test_nothing_is_lost_or_doubled_however_acknowledgements_come():
    for lag in (1, 2, 3, 7):
        collector, work_side, _ = open_work_side()
        known = {}

        def run(work, lag=lag, work_side=work_side, collector=collector, known=known):
            for number in range(50):
                work.step = number
                if number % lag == 0:
                    for message in collector.take():
                        known.update(decoded(message.changes))
                        work_side.receive(ACKNOWLEDGE)

        perform(work_side, run)
        for message in collector.take():
            known.update(decoded(message.changes))

        assert known["step"] == 49


def test_a_change_inside_a_list_or_dict_is_reported_before_the_end_of_the_call():
    collector, work_side, _ = open_work_side()

    def run(work):
        work.curve.append(1)
        work.table["a"] = {"b": [2]}

    perform(work_side, run)

    (ended,) = collector.take()
    assert decoded(ended.changes) == {"curve": [1], "table": {"a": {"b": [2]}}}


def append_and_look(work, collector, work_side, seen):
    work.curve.append(1)
    seen.append((collector.num_report_requests, work_side.report_changes(), collector.take()))


def replace_and_look(work, collector, work_side, seen):
    work.curve = []
    work.curve.append(1)
    seen.append((collector.num_report_requests, work_side.report_changes(), collector.take()))


class Prepared(Task):
    def on_start(self):
        self._kept = self.curve


def keep_and_look(work, collector, work_side, seen):
    work._kept.append(1)
    seen.append((collector.num_report_requests, work_side.report_changes(), collector.take()))


@pytest.mark.parametrize(
    ("work", "change"),
    [(Task, append_and_look), (Task, replace_and_look), (Prepared, keep_and_look)],
    ids=["read in the call", "assigned in the call", "read in on_start"],
)
def test_a_change_inside_a_list_is_reported_by_the_requested_check(work, change):
    collector, work_side, _ = open_work_side(work())
    seen = []

    perform(work_side, lambda work: change(work, collector, work_side, seen))

    ((num_report_requests, pause, messages),) = seen
    assert num_report_requests == 1
    assert pause == 0.1
    assert [decoded(message.changes) for message in messages] == [{"curve": [1]}]


class Carries(Task):
    items: list = []  # noqa: RUF012 - the subject of the test

    def __init__(self):
        super().__init__()
        self.items = []


class Defaults(LightningWork):
    items: list = []  # noqa: RUF012 - the subject of the test

    def __init__(self):
        super().__init__()
        self.items = []

    def run(self):
        self.items.append(1)


def test_a_change_inside_a_list_is_seen_even_if_the_class_has_an_attribute_of_that_name():
    collector, work_side, _ = open_work_side(Defaults())

    work_side.perform(run_call())

    assert decoded(collector.take()[0].changes) == {"items": [1]}


def test_what_is_no_data_in_such_a_list_does_not_end_the_helper_that_sends_what_it_has_seen_before():
    collector, work_side, _ = open_work_side(Carries())
    seen = []

    def run(work):
        work.items.append(1)
        work_side.report_changes()
        work.items.append(2)
        work_side.report_changes()  # registered, while the previous message is not acknowledged
        work.items.append({3})
        collector.take()
        work_side.receive(ACKNOWLEDGE)
        seen.extend(collector.take())

    perform(work_side, run)

    (change,) = seen
    assert decoded(change.changes) == {"items": [1, 2]}
    assert collector.take()[-1].failure.reason == "invalid_value"


def test_only_what_was_read_is_looked_into():
    collector, work_side, work = open_work_side()
    work._node.containers["table"]["behind"] = 1

    work_side.perform(run_call(lambda work: work.curve.append(1)))

    assert decoded(collector.take()[0].changes) == {"curve": [1]}


def test_values_stay_plain_lists_and_dicts():
    _, work_side, work = open_work_side()
    work_side.perform(run_call())

    assert type(work.curve) is list
    assert type(work.table) is dict


def test_the_helper_thread_is_woken_only_in_a_call_and_if_needed():
    collector, work_side, work = open_work_side()
    work.curve.append(1)
    work_side.perform(run_call(lambda work: setattr(work, "loss", 1.0)))
    num_requests = collector.num_report_requests
    work_side.perform(run_call(lambda work: setattr(work, "loss", 2.0)))

    assert collector.num_report_requests == num_requests
    assert work_side.report_changes() is None


def test_what_is_no_data_in_a_list_is_refused_at_the_end_of_the_call_and_the_rest_still_travels():
    collector, work_side, _ = open_work_side()

    def run(work):
        work.curve.append({1})
        work.table["good"] = True
        assert work_side.report_changes() == 0.1

    perform(work_side, run)

    change, ended = collector.take()
    assert decoded(change.changes) == {"table": {"good": True}}
    assert ended.failure.reason == "invalid_value"
    assert "root.work.curve[0] with {1} of type builtins.set" in ended.failure.message


def test_a_bad_list_does_not_hide_the_changes_of_the_others():
    collector, work_side, _ = open_work_side()

    def run(work):
        work.table["late"] = 1
        work.curve.append(b"no")

    perform(work_side, run)

    (ended,) = collector.take()
    assert decoded(ended.changes) == {"table": {"late": 1}}


@pytest.mark.parametrize("bad", [{1}, b"x", object(), 1j, print, [object()], {"a": {(1, 2): 3}}])
def test_a_bad_value_is_refused_at_the_assignment_and_the_work_goes_on(bad):
    collector, work_side, _ = open_work_side()

    def run(work):
        with pytest.raises(StateError, match=r"Only JSON-serializable.*root\.work\.table"):
            work.table = bad
        work.loss = 2.0
        return work.table

    work = work_side._work
    perform(work_side, run)

    assert unpack(collector.take()[-1].value) == {}
    assert work.loss == 2.0


def test_looks_while_the_work_changes_its_dict_never_fail():
    _desk, work_side, _ = open_work_side()
    over = threading.Event()
    problems = []

    def look():
        while not over.is_set():
            try:
                work_side.report_changes()
                work_side.receive(ACKNOWLEDGE)
            except BaseException:  # noqa: BLE001 - the test names what came
                problems.append(traceback.format_exc())
                return

    def run(work):
        table = work.table
        for number in range(30_000):
            table[f"key {number % 500}"] = [number]
            if number % 3 == 0:
                table.pop(f"key {(number * 7) % 500}", None)

    thread = threading.Thread(target=look)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        thread.start()
        perform(work_side, run)
    finally:
        sys.setswitchinterval(interval)
        over.set()
        thread.join()

    assert problems == []


# Writes of the flow.


def test_what_the_flow_wrote_is_there_before_run():
    collector, work_side, _ = open_work_side()

    work_side.perform(
        run_call(lambda work: (work.loss, work.curve), changes={"loss": 9.0, "curve": [1]}, written=1)
    )

    (ended,) = collector.take()
    assert unpack(ended.value) == (9.0, [1])
    assert ended.applied == 1
    assert ended.changes == {}


def test_a_write_that_comes_while_a_call_runs_is_applied_and_confirmed_by_number():
    collector, work_side, _ = open_work_side()
    seen = []

    def run(work):
        work_side.receive(write_state(3, loss=9.0))
        seen.append((work.loss, collector.take()))

    perform(work_side, run)

    ((loss, (confirmation,)),) = seen
    assert loss == 9.0
    assert confirmation == StateChanged("root.work", {}, 3)


def test_a_write_of_the_flow_replaces_a_change_that_was_not_sent_yet():
    collector, work_side, _ = open_work_side()

    def run(work):
        work.step = 1  # its message is not acknowledged, so the next change waits
        work.loss = 1.0
        work_side.receive(write_state(1, loss=9.0))

    perform(work_side, run)

    first, ended = collector.take()
    assert decoded(first.changes) == {"step": 1}
    assert (ended.changes, ended.applied) == ({}, 1)


def test_after_the_flows_write_the_works_next_write_wins():
    collector, work_side, _ = open_work_side()

    def run(work):
        work_side.receive(write_state(1, loss=9.0))
        collector.take()
        work_side.receive(ACKNOWLEDGE)
        work.loss = 10.0

    perform(work_side, run)

    change, _ = collector.take()
    assert (decoded(change.changes), change.applied) == ({"loss": 10.0}, 1)


def test_an_older_write_that_comes_late_is_ignored():
    _, work_side, work = open_work_side()

    work_side.perform(run_call(changes={"loss": 2.0}, written=2))
    work_side.receive(write_state(1, loss=1.0))

    assert work.loss == 2.0


def test_a_repeated_write_does_not_undo_what_the_work_has_written_since():
    _, work_side, work = open_work_side()

    def run(work):
        work_side.receive(write_state(1, loss=1.0))
        work.loss = 5.0
        repeated = {"loss": (1, encode(1.0, "loss")), "step": (2, encode(2, "step"))}
        work_side.receive(WriteState("root.work", repeated, 2))

    perform(work_side, run)

    assert (work.loss, work.step) == (5.0, 2)


def test_an_acknowledgement_that_came_during_on_start_is_not_needed_for_changes_in_a_call():
    class Loads(Task):
        def on_start(self):
            self.step = 1

    work = Loads()
    collector, work_side, _ = open_work_side(work)
    assert [decoded(message.changes) for message in collector.take()] == [{"step": 1}]
    work_side.receive(ACKNOWLEDGE)

    work_side.perform(run_call(lambda work: setattr(work, "loss", 1.0)))

    assert decoded(collector.take()[0].changes) == {"loss": 1.0}


# Stopping.


def test_a_stop_raises_stop_run_in_the_users_code_and_no_end_is_reported():
    collector, work_side, _ = open_work_side()

    with pytest.raises(StopRun):
        perform(work_side, lambda work: work_side.interrupt())

    assert collector.take() == []


def test_except_exception_does_not_catch_the_stop():
    _, work_side, work = open_work_side()

    def run(work):
        try:
            work_side.interrupt()
        except Exception:  # noqa: BLE001 - the subject of the test
            work.step = 99

    with pytest.raises(StopRun):
        perform(work_side, run)

    assert work.step == 0


def swallow(work, work_side):
    try:
        work_side.interrupt()
    except BaseException:  # noqa: BLE001 - the subject of the test
        return 5


def turn_into_another(work, work_side):
    try:
        work_side.interrupt()
    finally:
        raise ValueError("the connection is gone")


@pytest.mark.parametrize(("run", "reported"), [(swallow, ["RunEnded"]), (turn_into_another, [])])
def test_a_stop_that_the_users_code_has_made_into_something_else_is_a_stop_all_the_same(run, reported):
    collector, work_side, _work = open_work_side()

    with pytest.raises(StopRun):
        perform(work_side, lambda work: run(work, work_side))

    assert [type(message).__name__ for message in collector.take()] == reported


def test_a_stop_never_splits_a_message_in_two():
    collector, work_side, work = open_work_side()

    def send_interrupted(message):
        work_side.interrupt()
        collector.messages.append(message)

    work_side._send = send_interrupted

    with pytest.raises(StopRun):
        perform(work_side, lambda work: setattr(work, "loss", 1.0))

    assert [decoded(message.changes) for message in collector.take()] == [{"loss": 1.0}]
    assert work.loss == 1.0


def test_a_stop_from_another_thread_is_raised_at_the_next_change_of_state():
    _, work_side, work = open_work_side()

    def run(work):
        thread = threading.Thread(target=work_side.interrupt)
        thread.start()
        thread.join()
        work._reached = True
        work.loss = 1.0
        work._reached = "too far"

    with pytest.raises(StopRun):
        perform(work_side, run)

    assert work._reached is True


class Tidy(Task):
    def on_exit(self):
        self.loss = -1.0
        self.curve.append("end")


def test_on_exit_runs_at_the_end_and_the_last_changes_are_sent():
    collector, work_side, _ = open_work_side(Tidy())

    work_side.close()

    changes = {}
    for message in collector.take():
        changes |= decoded(message.changes)
    assert changes == {"loss": -1.0, "curve": ["end"]}


def test_the_last_changes_are_sent_even_if_on_exit_raises():
    class Breaks(Task):
        def on_exit(self):
            self.curve.append(1)
            raise KeyError("mine")

    collector, work_side, _ = open_work_side(Breaks())

    with pytest.raises(KeyError):
        work_side.close()

    assert decoded(collector.take()[-1].changes) == {"curve": [1]}


# Values that travel.


class Parcel(Transferable):
    def __init__(self, label, log):
        self.label = label
        self.log = log

    def call_key(self):
        return self.label

    def before_run(self, work):
        return Parcel(f"{self.label} for {work}", self.log)

    def after_run(self, work):
        with open(self.log, "a") as log:
            log.write(f"{self.label} after {work}\n")


def test_transferables_are_received_at_any_depth_and_called_after_a_successful_run(tmp_path):
    log = tmp_path / "log"
    collector, work_side, _ = open_work_side()

    def labels(work, one, nested, named):
        return [one.label, nested[0]["a"][0].label, named.label]

    parcels = [Parcel(name, log) for name in "abc"]
    work_side.perform(run_call(labels, parcels[0], [{"a": (parcels[1],)}], named=parcels[2]))

    assert unpack(collector.take()[0].value) == [f"{name} for root.work" for name in "abc"]
    assert log.read_text().splitlines() == [f"{name} for root.work after root.work" for name in "abc"]


def test_transferables_are_not_called_after_a_failed_run(tmp_path):
    log = tmp_path / "log"
    _, work_side, _ = open_work_side()

    work_side.perform(run_call(fail_with, Parcel("a", log)))

    assert not log.exists()


def fail_with(work, parcel):
    raise ValueError


def test_a_traveller_in_an_attribute_is_received_too(tmp_path):
    class Holder(Task):
        def __init__(self, parcel):
            super().__init__()
            self.parcel = parcel

    collector, work_side, _ = open_work_side(Holder(Parcel("kept", tmp_path / "log")))

    work_side.perform(run_call(lambda work: work.parcel.label))

    assert unpack(collector.take()[-1].value) == "kept for root.work"


# Actions that only a flow may do.


def test_a_work_can_not_ask_for_its_own_process():
    _, _, work = open_work_side()

    with pytest.raises(
        DetachedError, match=r"Only the LightningFlow can request this work \('root\.work'\) to stop"
    ):
        work.stop()


def test_calling_run_in_the_works_own_process_is_the_plain_method():
    collector, work_side, _ = open_work_side()

    work_side.perform(run_call(lambda work: work.run(lambda work: 3)))

    assert unpack(collector.take()[0].value) == 3


def test_a_work_in_its_process_takes_no_new_attributes():
    _, _, work = open_work_side()

    with pytest.raises(StateError, match="Cannot set attributes that were not defined in __init__: new"):
        work.new = 1


def test_a_work_takes_no_component_in_its_process():
    _, _, work = open_work_side()

    with pytest.raises(ComponentError, match="isn't allowed to take any children"):
        work.loss = Task()


# A work that serves.


def test_the_url_is_reported_when_the_port_answers():
    import socket  # noqa: PLC0415 - one test in this file needs it

    collector, work_side, _work = open_work_side(Task())

    def serve(work):
        with socket.socket() as server:
            port = work.port
            server.bind((work.host, port))
            server.listen()
            poll_until(lambda: work.url)
        return work.url, port

    perform(work_side, serve)

    messages = collector.take()
    url, port = unpack(messages[-1].value)
    assert url == f"http://127.0.0.1:{port}"
    changes = {}
    for message in messages:
        changes |= decoded(message.changes)
    assert changes == {"_port": port, "_url": url}
