"""The history of a run is read without a lock: calls, attempts, times and states."""

from __future__ import annotations

import datetime
import decimal
import os
import pickle
import shutil
from pathlib import Path

import numpy
import pytest

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.engine.history import RunHistory, fold, read_history
from lightning_lite.errors import JournalCorrupt, JournalError, JournalVersion, NothingToResume
from lightning_lite.events import (
    CallAsked,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    ComponentDetached,
    RunBegun,
    WorkStatusChanged,
)
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.runs.safe_unpickle import NotPlain, show_arguments, unpack_plain
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.storage import Drive
from lightning_lite.testing import LightningTestApp
from lightning_lite.values.codec import decode


class Add(LightningWork):
    def __init__(self, **options):
        super().__init__(raise_exception=False, **options)
        self.progress = 0.0

    def run(self, one, other=0):
        self.progress = 1.0
        if one == "fail":
            raise ValueError("no such thing")
        return one


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.passes = 0
        self.first, self.second = Add(), Add(retries=1, retry_delay=0.0)

    def run(self):
        self.passes = 7
        self.first.run(1, other=Drive("lit://shared"))
        self.first.run("x" * 5000)
        self.second.run("fail")
        self.stop()


def only_run() -> str:
    (path,) = Path(os.environ["LIGHTNING_LITE_ROOT"], "runs").iterdir()
    return str(path)


def run_app(app: LightningTestApp | None = None) -> RunHistory:
    (app or LightningTestApp(Root())).run(runner="inline")
    return read_history(only_run())


def tell(
    history: RunHistory,
    *notes: tuple[str, str, int, tuple[object, ...]],
    entered: tuple[str, ...] = (),
    left: tuple[str, ...] = (),
) -> None:
    """Apply that works came and went, and then what happened; a call is first of all pending."""
    for name in left:
        history.apply(ComponentDetached(name, 0.0))
    new = {work for work, *_ in notes} - history.works.keys()
    for name in sorted({*entered, *new}):
        history.apply(ComponentAttached(name, 0.0, True, ("m", "A"), {}))
    for work, key, number, (stage, time, *rest) in notes:
        status = WorkStatus(stage, time, *rest)
        if stage == "pending" and not rest:
            history.apply(CallAsked(work, key, time, number, None))
        elif key:
            history.apply(CallStatusChanged(work, key, time, number, status))
        else:
            history.apply(WorkStatusChanged(work, time, status))


def test_calls_are_known_with_their_arguments_attempts_and_times():
    history = run_app()

    first, second = history.works["root.first"], history.works["root.second"]
    assert first.identity is not None
    assert first.identity[1] == "Add"
    assert [call.arguments for call in first.calls] == ["1, other=Drive(...)", "..."]
    assert [(call.number, call.stage) for call in first.calls] == [(1, "succeeded"), (2, "succeeded")]
    (call,) = second.calls
    assert [(try_.number, try_.outcome, try_.reason) for try_ in call.attempts] == [
        (1, "failed", "user_exception"),
        (2, "failed", "user_exception"),
    ]
    assert "ValueError: no such thing" in call.message
    for call in history.calls:
        moments = [call.asked, *(at for try_ in call.attempts for at in (try_.began, try_.ended))]
        assert moments == sorted(moments)
        assert call.ended
    assert history.begun[0] <= history.times[0] <= history.last_time


def test_states_are_known_without_the_classes_of_the_user():
    history = run_app()

    assert decode(history.states["root"]["passes"]) == 7
    assert decode(history.states["root.first"]["progress"]) == 1.0


def test_a_run_is_read_while_it_goes_on_and_the_reader_leaves_nothing_behind():
    seen = []

    class Watched(LightningTestApp):
        def on_after_run_once(self):
            seen.append([call.stage for call in read_history(only_run()).calls])

    run_app(Watched(Root()))

    assert any("running" in stages or "pending" in stages for stages in seen)
    before = sorted(os.listdir(only_run()))
    changed = os.stat(only_run()).st_mtime_ns
    read_history(only_run())
    assert sorted(os.listdir(only_run())) == before
    assert os.stat(only_run()).st_mtime_ns == changed
    assert not any(name.endswith(".new") for name in before)


def test_a_run_that_died_is_read_up_to_its_last_whole_record(tmp_path: Path):
    copies = []

    class Copied(LightningTestApp):
        def on_after_run_once(self):
            target = tmp_path / f"copy-{len(copies)}"
            copies.append(shutil.copytree(only_run(), target, ignore=shutil.ignore_patterns("*.sock")))

    run_app(Copied(Root()))

    stages = [[call.stage for call in read_history(str(copy)).calls] for copy in copies]
    assert stages[0] in (["pending"], ["running"])
    assert [len(each) for each in stages] == sorted(len(each) for each in stages)


def test_what_a_dead_process_had_under_way_is_lost_and_asked_again_as_another_call():
    history = RunHistory()
    history.apply(RunBegun(100.0))
    tell(history, ("root.a", "k", 1, ("pending", 101.0)), ("root.a", "k", 1, ("running", 102.0, None, "", 1)))
    tell(
        history,
        ("root.a", "done", 2, ("pending", 101.0)),
        ("root.a", "done", 2, ("running", 102.0, None, "", 1)),
    )
    history.apply(CallSucceeded("root.a", "done", 103.0, b""))
    history.apply(RunBegun(200.0))
    tell(history, ("root.a", "k", 1, ("pending", 201.0)), ("root.a", "k", 1, ("running", 202.0, None, "", 1)))

    assert history.begun == [100.0, 200.0]
    assert [(call.number, call.stage) for call in history.calls] == [
        (1, "lost"),
        (2, "succeeded"),
        (1, "running"),
    ]
    assert [call.attempts[0].outcome for call in history.calls] == ["lost", "succeeded", "running"]
    assert [call.ended for call in history.calls] == [True, True, False]


def test_what_was_taken_out_of_the_tree_stays_known_and_its_name_may_come_again():
    history = RunHistory()
    tell(history, ("root.a", "k", 1, ("pending", 1.0)), entered=("root.a", "root.ab"))
    tell(history, left=("root.a",))
    assert [work.is_detached for work in history.works.values()] == [True, False]

    tell(history, ("root.a", "k", 1, ("pending", 2.0)), entered=("root.a",))

    assert not history.works["root.a"].is_detached
    assert [call.asked for call in history.works["root.a"].calls] == [1.0, 2.0]


def test_a_call_goes_on_when_another_work_is_taken_out():
    history = RunHistory()
    tell(history, entered=("root.a", "root.b"))
    tell(history, left=("root.a",), entered=("root.a",))
    tell(history, ("root.a", "k", 1, ("pending", 1.0)))
    tell(history, left=("root.b",))
    tell(history, ("root.a", "k", 1, ("running", 2.0, None, "", 1)))

    assert [work.is_detached for work in history.works.values()] == [False, True]
    assert [call.stage for call in history.works["root.a"].calls] == ["running"]


def test_a_call_whose_work_has_got_another_name_goes_on_under_that_one():
    history = RunHistory()
    tell(history, ("root.a", "k", 1, ("pending", 1.0)), entered=("root.a",))
    tell(history, ("root.b", "k", 1, ("running", 2.0, None, "", 1)), left=("root.a",), entered=("root.b",))

    assert [call.stage for call in history.calls] == ["pending", "running"]


@pytest.mark.parametrize(
    ("events", "attempts"),
    [
        ([("running", 1.0, None, "", 1), ("pending", 2.0, None, "", 1)], [(1, "restarted")]),
        ([("running", 1.0, None, "", 1), ("stopped", 2.0, None, "", 1)], [(1, "stopped")]),
        ([("failed", 2.0, "start_failed", "no", 1)], [(1, "failed")]),
        ([("stopped", 2.0)], []),
    ],
)
def test_attempts(events: list[tuple[object, ...]], attempts: list[tuple[int, str]]):
    history = RunHistory()
    tell(history, ("root.a", "k", 1, ("pending", 0.5)), *(("root.a", "k", 1, event) for event in events))

    (call,) = history.calls
    assert [(each.number, each.outcome) for each in call.attempts] == attempts


def test_the_last_thing_about_a_work_is_about_its_newest_call_or_its_process():
    history = RunHistory()
    tell(history, entered=("root.a",))
    work = history.works["root.a"]
    assert work.last == WorkStatus("not_started", 0.0)

    tell(history, ("root.a", "", 0, ("started", 1.0)))
    assert work.last.stage == "started"
    tell(history, ("root.a", "k", 1, ("pending", 1.0)))  # of the same moment
    tell(history, ("root.a", "k", 1, ("running", 1.0, None, "", 1)))
    assert work.last.stage == "running"
    tell(history, ("root.a", "", 0, ("stopped", 3.0)))
    assert work.last.stage == "stopped"


# values that can't be read


def test_a_journal_that_is_damaged_of_another_version_or_none_is_refused_by_name(tmp_path: Path):
    with pytest.raises(NothingToResume, match=r"there is no journal"):
        read_history(str(tmp_path))

    Journal.create(str(tmp_path), "app").close()
    file = tmp_path / FILE_NAME
    whole = file.read_bytes()
    file.write_bytes(b"something else" * 100)
    with pytest.raises(JournalCorrupt, match=r"journal\.log"):
        read_history(str(tmp_path))
    file.write_bytes(whole[:12] + (99).to_bytes(4, "little") + whole[16:])
    with pytest.raises(JournalVersion, match=r"version 99"):
        read_history(str(tmp_path))
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(JournalCorrupt, match=r"a FIFO"):
        read_history(str(tmp_path))


def test_records_that_are_no_plain_data_are_not_unpickled(tmp_path: Path):
    journal = Journal.create(str(tmp_path), "app")
    journal.write(pickle.dumps([("StateWritten", "root", 1.0, print)]))
    journal.close()

    with pytest.raises(JournalError, match=r"builtins\.print"):
        read_history(str(tmp_path))


def test_a_file_of_others_is_not_a_journal(tmp_path: Path):
    (tmp_path / FILE_NAME).write_text("2026-11-22 a log of another program\n" * 100)

    with pytest.raises(JournalCorrupt, match=r"it is not a journal"):
        read_history(str(tmp_path))


# arguments


class Colour:
    def __reduce__(self):
        return os.mkdir, ("made by looking",)


@pytest.mark.parametrize("protocol", [4, 5])
def test_arguments_are_shown_without_running_anything_of_the_users(protocol):
    arguments = (
        1,
        (2.5, None),
        Path("a/b"),
        datetime.date(2026, 1, 2),
        decimal.Decimal("1.5"),
        {3},
        Colour(),
        numpy.zeros(3),
        Drive("lit://x"),
    )

    shown = show_arguments(pickle.dumps((arguments, {"key": "x" * 100}), protocol))

    assert shown.startswith(
        "1, (2.5, None), PosixPath('a/b'), datetime.date(2026, 1, 2), Decimal('1.5'), {3}, "
    )
    assert "mkdir(...), ndarray(...), Drive(...), key='xxx" in shown
    assert len(shown) < 300
    assert not Path("made by looking").exists()


def test_what_can_not_be_read_is_shown_as_dots():
    assert show_arguments(b"\x80\x05nonsense") == "..."
    with pytest.raises(NotPlain, match=r"posix\.mkdir"):
        unpack_plain(pickle.dumps(Colour()))


def test_a_stop_of_a_call_that_was_never_written_is_no_damage():
    """Ctrl-C may come after the flow has asked for a call and before that is written."""
    stopped = WorkStatus(WorkStageStatus.STOPPED, 3.0, None, "", 1, "")
    running = WorkStatus(WorkStageStatus.RUNNING, 3.0, None, "", 1, "")
    begin = [RunBegun(1.0), ComponentAttached("root.work", 1.0, True, "app.py Work", {})]

    history = fold([*begin, CallStatusChanged("root.work", "key", 3.0, 1, stopped)])
    with pytest.raises(JournalCorrupt, match="was not asked for a call"):
        fold([*begin, CallStatusChanged("root.work", "key", 3.0, 1, running)])

    assert history.works["root.work"].calls == []
