"""Ray: actors of a cluster of one machine."""

from __future__ import annotations

import time
from typing import Any

import ray

from benchmarks.p12_value import make, take
from benchmarks.peers.executor import CALLS

VERSION = f"Ray {ray.__version__}"


@ray.remote
class Echo:
    """An actor that returns its argument."""

    def echo(self, number: int) -> int:
        """Return `number`."""
        return number

    def entered(self) -> float:
        """Return the time of its first line."""
        return time.monotonic()


def actors(number: int) -> list[Any]:
    """Start a cluster and return that many actors."""
    ray.init(num_cpus=number, include_dashboard=False, logging_level="error", log_to_driver=False)
    return [Echo.remote() for _ in range(number)]


def body() -> None:
    """Print the seconds from the start of a cluster to the body."""
    began = time.monotonic()
    (actor,) = actors(1)
    print(ray.get(actor.entered.remote()) - began)


def call() -> None:
    """Print the microseconds of one call."""
    (actor,) = actors(1)
    ray.get(actor.echo.remote(-1))
    began = time.monotonic()
    for number in range(CALLS):
        assert ray.get(actor.echo.remote(number)) == number
    print((time.monotonic() - began) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four actors."""
    workers = actors(4)
    ray.get([actor.echo.remote(-1) for actor in workers])
    began = time.monotonic()
    lines = {actor.echo.remote(number): number for number, actor in enumerate(workers)}
    answers = set()
    while lines:
        (done,), _ = ray.wait(list(lines), num_returns=1)
        number = lines.pop(done)
        answers.add(ray.get(done))
        if number + 4 < 200:
            lines[workers[number % 4].echo.remote(number + 4)] = number + 4
    assert len(answers) == 200
    print((time.monotonic() - began) * 1e3)


@ray.remote
class Keeper:
    """An actor that makes or reads a big value."""

    def make(self) -> tuple[float, Any]:
        """Return a big value."""
        return make()

    def take(self, value: tuple[float, Any]) -> float:
        """Return the seconds since `value` was made."""
        return take(value)

    def warm_up(self) -> None:
        """Let a process load this module."""


def big_value() -> None:
    """Print the seconds of a big value from one actor to another; the driver never gets it."""
    ray.init(num_cpus=2, include_dashboard=False, logging_level="error", log_to_driver=False)
    maker, taker = Keeper.remote(), Keeper.remote()
    ray.get([maker.warm_up.remote(), taker.warm_up.remote()])
    print(ray.get(taker.take.remote(maker.make.remote())))
