"""xoscar: actors in a pool of processes, driven by asyncio."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from typing import Any

import xoscar

from benchmarks.p12_value import make, take
from benchmarks.peers.executor import CALLS

VERSION = f"xoscar {version('xoscar')}"


class Echo(xoscar.Actor):
    """An actor that returns its argument."""

    def echo(self, number: int) -> int:
        """Return `number`."""
        return number

    def entered(self) -> float:
        """Return the time of its first line."""
        return time.monotonic()

    def make(self) -> tuple[float, Any]:
        """Return a big value."""
        return make()

    def take(self, value: tuple[float, Any]) -> float:
        """Return the seconds since `value` was made."""
        return take(value)


async def actors(number: int) -> tuple[Any, list[Any]]:
    """Start a pool, and an actor in each of its processes."""
    pool = await xoscar.create_actor_pool("127.0.0.1", n_process=number)
    addresses = list(pool.sub_processes)
    return pool, [await xoscar.create_actor(Echo, address=address) for address in addresses]


async def time_body() -> float:
    """Return the seconds from the start of a pool to the body."""
    began = time.monotonic()
    pool, (actor,) = await actors(1)
    async with pool:
        entered: float = await actor.entered()
        return entered - began


async def time_calls() -> float:
    """Return the seconds of `CALLS` calls, one after the other."""
    pool, (actor,) = await actors(1)
    async with pool:
        await actor.echo(-1)
        began = time.monotonic()
        for number in range(CALLS):
            assert await actor.echo(number) == number
        return time.monotonic() - began


async def time_fan_out() -> float:
    """Return the seconds of 200 calls over four actors."""
    pool, workers = await actors(4)
    async with pool:
        for actor in workers:
            await actor.echo(-1)

        async def line(actor: Any, first: int) -> None:
            for number in range(first, 200, 4):
                assert await actor.echo(number) == number

        began = time.monotonic()
        await asyncio.gather(*(line(actor, first) for first, actor in enumerate(workers)))
        return time.monotonic() - began


async def time_big_value() -> float:
    """Return the seconds of a big value from one actor through the client to another."""
    pool, (maker, taker) = await actors(2)
    async with pool:
        await maker.echo(-1)
        await taker.echo(-1)
        seconds: float = await taker.take(await maker.make())
        return seconds


def body() -> None:
    """Print the seconds from the start of a pool to the body."""
    print(asyncio.run(time_body()))


def call() -> None:
    """Print the microseconds of one call."""
    print(asyncio.run(time_calls()) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four workers."""
    print(asyncio.run(time_fan_out()) * 1e3)


def big_value() -> None:
    """Print the seconds of a big value from one actor through the client to another."""
    print(asyncio.run(time_big_value()))
