"""The limit of P3 and P8, in a module that brings nothing else into its process."""

from __future__ import annotations

from multiprocessing.connection import Connection


def idle(connection: Connection) -> None:
    """Say that it is up and wait for the end."""
    connection.send("up")
    connection.recv()
