"""Works whose code handles SIGTERM itself, or forks, end in order; a SIGTERM from outside is named."""

from __future__ import annotations

import os
import signal

import pytest
from signal_works import IDLE, WAITS, Graceful, InDel, Left, Waiting, Work

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.errors import WorkCrashed
from lightning_lite.structures import List


class Root(LightningFlow):
    def __init__(self, folder):
        super().__init__()
        for action in IDLE:
            setattr(self, action, Work(action, folder))
        self.train = Work("train", folder, parallel=True)

    def run(self):
        self.train.run()
        answers = [getattr(self, action).run() for action in IDLE]
        if self.train.is_ready:
            assert answers == [None, None, None, None, None, 3]
            self.stop()


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_work_with_its_own_handler_of_sigterm_ends_in_order(start_method, tmp_path, capfd):
    LightningApp(Root(tmp_path)).run(start_method=start_method)

    noted = {file.name: file.read_text().split() for file in tmp_path.iterdir() if file.is_file()}
    assert noted.pop("train") == ["saved", "on_exit"]
    # The message to stop may wake the idle work before the signal does.
    for action in ("handler", "late"):
        assert noted.pop(action) in (["handler", "on_exit"], ["on_exit"])
    assert noted == {action: ["on_exit"] for action in IDLE if action not in ("handler", "late")}
    assert "Traceback" not in capfd.readouterr().out


class StopsAll(LightningFlow):
    def __init__(self, works, by_app):
        super().__init__()
        self.all_works = List(*works)
        self.by_app = by_app

    def run(self):
        for work in self.all_works:
            work.run()
        if all(work.is_ready for work in self.all_works):
            if self.by_app:
                self.stop()
            for work in self.all_works:
                work.stop()
        if all(work.has_stopped for work in self.all_works):
            self.stop()


#: How a work leaves the default action, and how it goes on: one pair for each way to go on.
BY_ASYNCIO = [("by_asyncio", wait) for wait in WAITS]
BY_ASYNCIO_TWICE = [("by_asyncio_twice", wait) for wait in WAITS]


@pytest.mark.parametrize(
    ("ways", "by_app", "start_method"),
    [
        ([*BY_ASYNCIO, ("by_hand", "pausing")], False, "spawn"),
        (BY_ASYNCIO[:2], False, "forkserver"),
        (BY_ASYNCIO_TWICE, True, "forkserver"),
    ],
    ids=["spawn", "forkserver", "forkserver-by_app"],
)
def test_a_call_that_has_left_the_default_action_is_stopped_in_order(ways, by_app, start_method, tmp_path):
    works = [Left(tmp_path, leave, wait) for leave, wait in ways]

    LightningApp(StopsAll(works, by_app)).run(start_method=start_method)

    noted = {file.name: file.read_text().split() for file in tmp_path.iterdir() if file.is_file()}
    assert noted == {f"{leave}-{wait}": ["finally", "on_exit"] for leave, wait in ways}


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_stop_that_python_ignores_in_a_callback_is_raised_again(start_method, tmp_path, capfd):
    LightningApp(StopsAll([InDel(tmp_path / "noted")], by_app=True)).run(start_method=start_method)

    assert (tmp_path / "noted").read_text().split() == ["finally", "on_exit"]
    assert "ignored" not in capfd.readouterr().err


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_what_comes_after_a_graceful_event_loop_is_not_interrupted(start_method, tmp_path):
    works = [Graceful(tmp_path / "0"), Graceful(tmp_path / "1")]

    LightningApp(StopsAll(works, by_app=False)).run(start_method=start_method)

    for i in range(2):
        assert (tmp_path / str(i)).read_text().split() == ["served", "saved", "on_exit"]


class Killer(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Waiting()

    def run(self):
        self.work.run()
        if self.work.pid and not self.work.cleaned:
            os.kill(self.work.pid, signal.SIGTERM)


def test_a_sigterm_from_outside_ends_a_work_in_order_and_is_named():
    root = Killer()
    with pytest.raises(WorkCrashed, match=r"ended with exit code 143, after a SIGTERM from outside"):
        LightningApp(root).run()
    assert root.work.cleaned
