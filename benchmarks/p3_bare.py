"""The limit of P3 and P8, in a module that imports nothing else."""

from __future__ import annotations

from multiprocessing.connection import Connection


def idle(connection: Connection) -> None:
    """Report that the process is up, and wait for the end."""
    connection.send("up")
    connection.recv()
