"""The limit of P1: a process of the standard library, in a module that imports nothing else."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection


def body(connection: Connection) -> None:
    """Send the time of its first line, like `Body`."""
    connection.send(time.monotonic())


def bare() -> None:
    """Print the seconds from `Process.start()` to the body."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=body, args=(sender,))
    began = time.monotonic()
    process.start()
    print(receiver.recv() - began)
    process.join()
