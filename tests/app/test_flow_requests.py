"""Requests of other threads to the flow, with real threads, processes and journals."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.app.flow_requests import FlowRequests
from lightning_lite.errors import AppEnding, ComponentError, NoAnswer, StateError
from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE, finish, run_script, starting

KILLED_APP = Path(__file__).with_name("killed_after_request.py")


class Slow(LightningWork):
    def run(self):
        while not os.path.exists("end"):
            threading.Event().wait(0.01)


class Counting(LightningFlow):
    """Counts in its state what other threads ask for; a pass waits for its work all the time."""

    def __init__(self):
        super().__init__()
        self.number = 0
        self.names = []
        self.seen = 0
        self.slow = Slow()

    def run(self):
        self.seen = self.number
        self.slow.run()
        self.stop()


@pytest.fixture(params=["processes", "inline"])
def idle(request: pytest.FixtureRequest, own_place: Path):
    """A running app whose flow has nothing to do."""

    class Idle(LightningFlow):
        def __init__(self):
            super().__init__()
            self.number = 0

        def run(self):
            pass

    app = LightningApp(Idle())
    with app.start(request.param):
        yield app


def set_number(app: LightningApp, number: int) -> None:
    app.set_state({"vars": {"number": number}})


def requests_of(app: LightningApp) -> FlowRequests:
    """Return the object that takes requests to the flow of a running app, once the run has begun."""
    poll_until(lambda: app._session is not None, DEADLINE)
    assert app._session is not None
    return app._session.flow_requests


def test_another_thread_sets_the_state_while_nothing_happens(idle: LightningApp):
    set_number(idle, 5)

    assert idle.root.number == 5


def test_another_thread_gets_the_error_of_the_state(idle: LightningApp):
    with pytest.raises(StateError, match=r"root\.other was never declared"):
        idle.set_state({"vars": {"other": 5}})
    with pytest.raises(ComponentError, match=r"root\.train, which does not exist"):
        idle.set_state({"vars": {}, "works": {"train": {}}})


def test_a_pass_that_waits_for_a_call_is_cut_by_a_new_state(own_place: Path):
    app = LightningApp(Counting())
    with app.start():
        set_number(app, 3)
        poll_until(lambda: app.root.seen == 3, DEADLINE)
        Path("end").touch()


def test_requests_of_many_threads_lose_nothing(own_place: Path):
    app = LightningApp(Counting())
    with app.start():
        requests = requests_of(app)

        def add(number: int) -> int:
            def handle() -> int:
                app.root.number += 1
                app.root.names.append(number)
                return app.root.number

            return requests.ask(handle)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(add, range(100)))
        Path("end").touch()

    assert sorted(answers) == list(range(1, 101))
    assert sorted(app.root.names) == list(range(100))


def test_a_request_to_an_app_that_ends_is_refused(own_place: Path):
    app = LightningApp(Counting())
    with app.start() as running:
        requests = requests_of(app)
        running.stop()

    with pytest.raises(AppEnding):
        requests.ask(lambda: 1)
    set_number(app, 8)  # it has no flow that runs, so this thread sets it
    assert app.root.number == 8


def test_a_request_that_waits_when_the_app_ends_is_refused_at_once():
    requests = FlowRequests(lambda: None)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.ask, lambda: 1, DEADLINE)
        poll_until(lambda: requests.is_asked, DEADLINE)
        requests.close()

        with pytest.raises(AppEnding):
            waiting.result(DEADLINE)


def test_a_request_that_was_given_up_is_never_executed():
    requests = FlowRequests(lambda: None)

    with pytest.raises(NoAnswer, match=r"within 0\.01 s: it is busy") as caught:
        requests.ask(lambda: 1, timeout=0.01)

    (taken,) = requests.take()
    assert taken.begin() is None
    assert not caught.value.has_begun


def test_a_request_that_takes_too_long_says_that_its_changes_may_still_come():
    requests = FlowRequests(lambda: [taken.begin() for taken in requests.take()])

    with pytest.raises(NoAnswer, match="changes may still come") as caught:
        requests.ask(lambda: 1, timeout=0.01)

    assert caught.value.has_begun


def test_a_resumed_run_has_the_state_that_a_request_has_changed(own_place: Path):
    """The app kills itself as soon as the request is answered."""
    with starting() as start:
        code, _, errors = finish(start(KILLED_APP))
    assert code == -signal.SIGKILL, errors

    assert run_script(KILLED_APP, "--resume") == "the state has 7 and ['a']\n"
