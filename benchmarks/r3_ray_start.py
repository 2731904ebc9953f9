"""R3: from `app.run()` until 16 works on a Ray cluster are in their `run`, next to 16 bare Ray actors."""

from __future__ import annotations

import os
import time

from benchmarks.measure import Measure
from benchmarks.p2_many import Root
from benchmarks.programs import figure_of
from benchmarks.ray_cluster import IS_INSTALLED, VARIABLES, address, stop
from lightning_lite import LightningApp

WORKS = 16


def ours(at: str) -> None:
    """Print the seconds from `app.run()` until the last work was entered."""
    os.environ.update(VARIABLES, LIGHTNING_LITE_RAY_ADDRESS=at)
    root = Root(WORKS)
    app = LightningApp(root)
    began = time.monotonic()
    app.run(runner="ray")
    print(root.entered - began)


def bare(at: str) -> None:
    """Print the seconds from the import of Ray until the last actor was entered; an app imports it, too."""
    os.environ.update(VARIABLES)
    began = time.monotonic()
    import ray  # noqa: PLC0415 - reads these variables when it is imported

    class Body:
        def run(self) -> float:
            return time.monotonic()

    ray.init(address=at, log_to_driver=False, logging_level="error")
    actors = [ray.remote(Body).options(num_cpus=0).remote() for _ in range(WORKS)]
    print(max(ray.get([actor.run.remote() for actor in actors])) - began)


MEASURES = (
    [
        Measure(
            name="R3",
            what=f"{WORKS} works up on a Ray cluster, with the connection to it",
            limit_name=f"{WORKS} bare Ray actors",
            unit="s",
            goal=2.0,
            ours=lambda: figure_of(__name__, "ours", address()),
            limit=lambda: figure_of(__name__, "bare", address()),
            rounds=3,
            end=stop,
        )
    ]
    if IS_INSTALLED
    else []
)
