"""Dask distributed: a scheduler and workers on this machine."""

from __future__ import annotations

import time

from distributed import Client, LocalCluster, as_completed

from benchmarks.peers.executor import CALLS, echo, entered


def client(workers: int) -> Client:
    """Return a client of a cluster with so many processes and no dashboard."""
    return Client(LocalCluster(workers, threads_per_worker=1, dashboard_address=None))


def body() -> None:
    """Print the seconds from the start of a cluster to the body."""
    began = time.monotonic()
    with client(1) as cluster:
        print(cluster.submit(entered, pure=False).result() - began)


def call() -> None:
    """Print the microseconds of one call."""
    with client(1) as cluster:
        cluster.submit(echo, -1).result()
        began = time.monotonic()
        for number in range(CALLS):
            assert cluster.submit(echo, number, pure=False).result() == number
        print((time.monotonic() - began) / CALLS * 1e6)


def fan_out() -> None:
    """Print the milliseconds of 200 calls over four workers."""
    with client(4) as cluster:
        cluster.gather(cluster.map(echo, [-1, -2, -3, -4], pure=False))
        began = time.monotonic()
        lines = as_completed([cluster.submit(echo, number, pure=False) for number in range(4)])
        answers = set()
        for future in lines:
            number = future.result()
            answers.add(number)
            if number + 4 < 200:
                lines.add(cluster.submit(echo, number + 4, pure=False))
        assert len(answers) == 200
        print((time.monotonic() - began) * 1e3)
