"""Calls a function for several things at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import chain, islice
from typing import TypeVar

from lightning_lite.storage.object_store.interruptible import Interruption

A = TypeVar("A")
B = TypeVar("B")

#: Most requests of one operation that are on their way at the same time.
MOST = 8


def in_parallel(function: Callable[[A], B], things: Iterable[A]) -> Iterator[B]:
    """Yield the results of calls in threads, in the order in which they end; one call alone gets no thread.

    An error of one call ends the others before they begin, and is raised when all threads have ended. A
    signal gives up the requests that are on their way.

    Example:
        >>> sorted(in_parallel(abs, [-1, 2, -3]))
        [1, 2, 3]
    """
    rest = iter(things)
    first = list(islice(rest, 2))
    if len(first) < 2:
        yield from map(function, first)
        return
    interruption = Interruption()
    pool = ThreadPoolExecutor(MOST, "object-store", interruption.join)
    try:
        running: set[Future[B]] = set()
        try:
            for thing in chain(first, rest):
                running.add(pool.submit(function, thing))
                if len(running) == MOST:
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        yield future.result()
            while running:
                ended, running = wait(running, return_when=FIRST_COMPLETED)
                for future in ended:
                    yield future.result()
        except Exception:
            pool.shutdown(cancel_futures=True)
            raise
    finally:
        interruption.set()  # only after a signal is a request still on its way
        pool.shutdown(cancel_futures=True)
