"""R1: one call of an app on a Ray cluster, next to a call of a bare Ray actor; R1r is by calls of Ray alone.

Ours is the whole way from the line of the flow to its next line, with the journal, as in P4.
"""

from __future__ import annotations

import os
import time

from benchmarks.measure import Measure
from benchmarks.p4_call import CALLS, Root
from benchmarks.programs import figure_of
from benchmarks.ray_cluster import IS_INSTALLED, VARIABLES, address, stop
from lightning_lite import LightningApp


def ours(at: str, direct: str) -> None:
    """Print the microseconds of one call."""
    os.environ.update(VARIABLES, LIGHTNING_LITE_RAY_ADDRESS=at, LIGHTNING_LITE_RAY_DIRECT=direct)
    LightningApp(Root()).run(runner="ray")


def bare(at: str) -> None:
    """Print the microseconds of one call of an actor."""
    os.environ.update(VARIABLES)
    import ray  # noqa: PLC0415 - reads these variables when it is imported

    class Echo:
        def echo(self, number: int) -> int:
            return number

    ray.init(address=at, log_to_driver=False, logging_level="error")
    actor = ray.remote(Echo).options(num_cpus=0).remote()
    ray.get(actor.echo.remote(-1))
    began = time.monotonic()
    for number in range(CALLS):
        assert ray.get(actor.echo.remote(number)) == number
    print((time.monotonic() - began) / CALLS * 1e6)


def measure(name: str, way: str, direct: str, goal: float) -> Measure:
    """Return the measure of one way that messages take."""
    return Measure(
        name=name,
        what=f"one call on a Ray cluster, with the journal, {way}",
        limit_name="call of a bare Ray actor",
        unit="µs",
        goal=goal,
        ours=lambda: figure_of(__name__, "ours", address(), direct),
        limit=lambda: figure_of(__name__, "bare", address()),
        rounds=5,
        end=stop,
    )


MEASURES = (
    [
        measure("R1", "by a connection of ours", "on", 0.5),
        measure("R1r", "by calls of Ray alone", "off", 2.0),
    ]
    if IS_INSTALLED
    else []
)
