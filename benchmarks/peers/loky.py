"""loky: a pool of processes that survives the death of a worker."""

from __future__ import annotations

import time

import loky
from loky import get_reusable_executor

from benchmarks.peers.executor import (
    CALLS,
    entered,
    seconds_of_big_value,
    seconds_of_calls,
    seconds_of_fan_out,
)

VERSION = f"loky {loky.__version__}"


def body() -> None:
    """Print the seconds from the start of a pool to the body."""
    began = time.monotonic()
    print(get_reusable_executor(1).submit(entered).result() - began)


def call() -> None:
    """Print the microseconds of one call."""
    print(seconds_of_calls(get_reusable_executor(1)) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four workers."""
    print(seconds_of_fan_out(get_reusable_executor(4)) * 1e3)


def big_value() -> None:
    """Print the seconds of a big value from one pool to another."""
    maker, taker = loky.ProcessPoolExecutor(1), loky.ProcessPoolExecutor(1)
    print(seconds_of_big_value(maker, taker))
    maker.shutdown()
    taker.shutdown()
