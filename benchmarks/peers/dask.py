"""Dask distributed: actors on the workers of a local cluster, the fastest kind of call that it has."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

import distributed
from distributed import Client, LocalCluster

from benchmarks.p12_value import make, take
from benchmarks.peers.executor import CALLS, entered, warm_up

VERSION = f"Dask distributed {distributed.__version__}"


class Echo:
    """An actor that returns its argument."""

    def echo(self, number: int) -> int:
        """Return `number`."""
        return number


def client(workers: int) -> Client:
    """Return a client of a cluster with that many processes and no dashboard."""
    return Client(LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None))


def actors(cluster: Client, number: int) -> list[Any]:
    """Return that many actors, each of which has answered once."""
    cluster.wait_for_workers(number)
    places = list(cluster.scheduler_info(n_workers=-1)["workers"])
    found = [cluster.submit(Echo, actor=True, pure=False, workers=[place]).result() for place in places]
    for actor in found:
        actor.echo(-1).result()
    return found


def body() -> None:
    """Print the seconds from the start of a cluster to the body."""
    began = time.monotonic()
    with client(1) as cluster:
        print(cluster.submit(entered, pure=False).result() - began)


def call() -> None:
    """Print the microseconds of one call."""
    with client(1) as cluster:
        (actor,) = actors(cluster, 1)
        began = time.monotonic()
        for number in range(CALLS):
            assert actor.echo(number).result() == number
        print((time.monotonic() - began) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four actors."""
    with client(4) as cluster:
        workers = actors(cluster, 4)
        began = time.monotonic()
        lines = deque((number, workers[number].echo(number)) for number in range(4))
        answers = set()
        while lines:  # the oldest call first: it is the first to end
            number, future = lines.popleft()
            answers.add(future.result())
            if number + 4 < 200:
                lines.append((number + 4, workers[number % 4].echo(number + 4)))
        assert len(answers) == 200
        print((time.monotonic() - began) * 1e3)


def big_value() -> None:
    """Print the seconds of a big value from one worker to another; the client never gets it."""
    with client(2) as cluster:
        cluster.wait_for_workers(2)
        one, other = cluster.scheduler_info(n_workers=-1)["workers"]
        for place in (one, other):
            cluster.submit(warm_up, pure=False, workers=[place]).result()
        value = cluster.submit(make, pure=False, workers=[one])
        print(cluster.submit(take, value, pure=False, workers=[other]).result())
