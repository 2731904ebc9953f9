"""Monarch of PyTorch: actors in processes of one host, driven by one controller."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from monarch.actor import Actor, endpoint, shutdown_context, this_host

from benchmarks.p12_value import make, take
from benchmarks.peers.executor import CALLS

VERSION = f"Monarch {version('torchmonarch')}"


class Echo(Actor):
    """An actor that returns its argument."""

    @endpoint
    def echo(self, number: int) -> int:
        """Return `number`."""
        return number

    @endpoint
    def entered(self) -> float:
        """Return the time of its first line."""
        return time.monotonic()


class Taker(Actor):
    """An actor that reads a big value."""

    @endpoint
    def take(self, value: tuple[float, Any]) -> float:
        """Return the seconds since `value` was made."""
        return take(value)

    @endpoint
    def warm_up(self) -> None:
        """Let a process load this module."""


class Maker(Actor):
    """An actor that makes a big value."""

    @endpoint
    async def give(self, taker: Any) -> float:
        """Make a big value, and return how many seconds later `taker` has read it.

        An actor that waits for another one must be asynchronous.
        """
        seconds: float = await taker.take.call_one(make())
        return seconds

    @endpoint
    async def warm_up(self) -> None:
        """Let a process load this module."""


@contextmanager
def processes(number: int) -> Iterator[Any]:
    """Yield that many processes, and end them; without that, the program ends with SIGABRT."""
    try:
        yield this_host().spawn_procs({"workers": number})
    finally:
        shutdown_context().get()


def actors(mesh: Any, number: int) -> list[Any]:
    """Return an actor in each process, each of which has answered once."""
    echoes = mesh.spawn("echo", Echo)
    found = [echoes.slice(workers=worker) for worker in range(number)]
    for actor in found:
        actor.echo.call_one(-1).get()
    return found


def body() -> None:
    """Print the seconds from the start of a process to the body."""
    began = time.monotonic()
    with processes(1) as mesh:
        print(mesh.spawn("echo", Echo).entered.call_one().get() - began)


def call() -> None:
    """Print the microseconds of one call."""
    with processes(1) as mesh:
        (actor,) = actors(mesh, 1)
        began = time.monotonic()
        for number in range(CALLS):
            assert actor.echo.call_one(number).get() == number
        print((time.monotonic() - began) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four actors."""
    with processes(4) as mesh:
        workers = actors(mesh, 4)
        began = time.monotonic()
        lines = deque((number, workers[number].echo.call_one(number)) for number in range(4))
        answers = set()
        while lines:  # the oldest call first: it is the first to end
            number, future = lines.popleft()
            answers.add(future.get())
            if number + 4 < 200:
                lines.append((number + 4, workers[number % 4].echo.call_one(number + 4)))
        assert len(answers) == 200
        print((time.monotonic() - began) * 1e3)


def big_value() -> None:
    """Print the seconds of a big value from one actor to another; the controller never gets it.

    Through the controller it takes twice as long.
    """
    with processes(2) as mesh:
        maker = mesh.slice(workers=0).spawn("maker", Maker)
        taker = mesh.slice(workers=1).spawn("taker", Taker)
        maker.warm_up.call_one().get()
        taker.warm_up.call_one().get()
        print(maker.give.call_one(taker).get())
