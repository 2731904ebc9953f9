"""`concurrent.futures.ProcessPoolExecutor` with spawned processes."""

from __future__ import annotations

import multiprocessing
import platform
import time
from concurrent.futures import FIRST_COMPLETED, Executor, ProcessPoolExecutor, wait

from benchmarks.p12_value import make, take

VERSION = f"ProcessPoolExecutor of Python {platform.python_version()}"

CALLS = 1000


def echo(number: int) -> int:
    """Return the argument."""
    return number


def entered() -> float:
    """Return the time of its first line."""
    return time.monotonic()


def pool(workers: int) -> Executor:
    """Return a pool whose processes are spawned."""
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))


def body() -> None:
    """Print the seconds from the start of a pool to the body."""
    began = time.monotonic()
    with pool(1) as executor:
        print(executor.submit(entered).result() - began)


def call() -> None:
    """Print the microseconds of one call."""
    with pool(1) as executor:
        print(seconds_of_calls(executor) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four workers."""
    with pool(4) as executor:
        print(seconds_of_fan_out(executor) * 1e3)


def seconds_of_calls(executor: Executor) -> float:
    """Return the seconds of `CALLS` calls, one after the other."""
    executor.submit(echo, -1).result()
    began = time.monotonic()
    for number in range(CALLS):
        assert executor.submit(echo, number).result() == number
    return time.monotonic() - began


def seconds_of_fan_out(executor: Executor, workers: int = 4, calls: int = 200) -> float:
    """Return the seconds of `calls` calls; each line makes its next call when the last one has ended."""
    list(executor.map(echo, [-1] * workers * 4))
    began = time.monotonic()
    lines = {executor.submit(echo, number) for number in range(workers)}
    answers: set[int] = set()
    while len(answers) < calls:
        done, lines = wait(lines, return_when=FIRST_COMPLETED)
        for future in done:
            answers.add(future.result())
            if future.result() + workers < calls:
                lines.add(executor.submit(echo, future.result() + workers))
    return time.monotonic() - began


def big_value() -> None:
    """Print the seconds of a big value from one pool to another."""
    with pool(1) as maker, pool(1) as taker:
        print(seconds_of_big_value(maker, taker))


def seconds_of_big_value(maker: Executor, taker: Executor) -> float:
    """Return the seconds from the return of a big value in one pool to its use in another."""
    maker.submit(warm_up).result()
    taker.submit(warm_up).result()
    return taker.submit(take, maker.submit(make).result()).result()


def warm_up() -> None:
    """Let a process load this module."""
