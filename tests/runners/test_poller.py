"""Which processes wait awake, and for how long; and threads that wake a poller."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator

import pytest

from lightning_lite.runners.wire import poller
from lightning_lite.runners.wire.poller import Poller, SpinWait


class Pipe:
    """A pipe, and a spinner that waits for data in it."""

    def __init__(self) -> None:
        self.end, self._start = os.pipe()
        poller = select.poll()
        poller.register(self.end, select.POLLIN)
        self.spin_wait = SpinWait(poller)

    def answer(self) -> None:
        """Write an answer, which is not read yet."""
        os.write(self._start, b"x")

    def take(self) -> None:
        """Read an answer."""
        self.spin_wait.answered()
        os.read(self.end, 1)

    def close(self) -> None:
        os.close(self.end)
        os.close(self._start)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def ask_and_get(pipe: Pipe) -> None:
    pipe.spin_wait.sent()
    pipe.answer()
    pipe.take()


def test_no_busy_wait_comes_before_a_quick_answer(pipe: Pipe):
    pipe.spin_wait.sent()
    pipe.answer()

    assert pipe.spin_wait.spin() == []


def test_after_a_quick_answer_the_next_one_is_awaited_awake(pipe: Pipe, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poller, "LONGEST", 60.0)
    ask_and_get(pipe)
    pipe.spin_wait.sent()
    other = threading.Thread(target=pipe.answer)
    other.start()

    ready = pipe.spin_wait.spin()
    other.join()

    assert ready == [(pipe.end, select.POLLIN)]


def test_no_busy_wait_follows_a_slow_answer(pipe: Pipe, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poller, "LONGEST", 60.0)
    ask_and_get(pipe)
    monkeypatch.setattr(poller, "LONGEST", 0.0)
    ask_and_get(pipe)
    pipe.answer()

    assert pipe.spin_wait.spin() == []


def test_waiting_awake_ends_when_no_answer_comes(pipe: Pipe, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(poller, "LONGEST", 60.0)
    ask_and_get(pipe)
    monkeypatch.setattr(poller, "LONGEST", 1e-3)
    pipe.spin_wait.sent()

    assert pipe.spin_wait.spin() == []


def test_a_wake_in_another_thread_while_the_poller_is_closed_is_no_error() -> None:
    errors: list[Exception] = []

    def wake_often(poller: Poller) -> None:
        try:
            for _ in range(30):
                poller.wake()
        except Exception as error:  # noqa: BLE001 - all are wrong
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the threads alternate within the calls
    try:
        for _ in range(1000):
            closing = Poller(lambda: None, None)
            thread = threading.Thread(target=wake_often, args=(closing,))
            thread.start()
            closing.close()
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    assert errors == []
