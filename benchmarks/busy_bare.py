"""The limit of P9 and P11: busy processes of the standard library."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess


def work_for_ever(connection: Connection) -> None:
    """Compute for ever."""
    connection.send("up")
    while True:
        pass


def busy_process() -> SpawnProcess:
    """Return a process that computes already."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work_for_ever, args=(sender,))
    process.start()
    receiver.recv()
    return process
