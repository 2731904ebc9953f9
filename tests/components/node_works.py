"""Works for tests of `MultiNode`; each process of a node imports this module."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import Any

from lightning_lite import LightningWork
from lightning_lite.testing import poll_until

#: Seconds after which a node hangs.
DEADLINE = 100.0


def gather(address: str, port: int, num_nodes: int, rank: int, text: str) -> list[str]:
    """Send a text from each node to node 0, and return there all texts, by rank."""
    if rank > 0:
        poll_until(lambda: can_send(address, port, f"{rank} {text}"), timeout=DEADLINE)
        return []
    texts = {0: text}
    with socket.create_server((address, port)) as server:
        while len(texts) < num_nodes:
            connection, _ = server.accept()
            with connection:
                number, _, received = connection.recv(1000).decode().partition(" ")
            if number:
                texts[int(number)] = received
    return [texts[each] for each in sorted(texts)]


def can_send(address: str, port: int, text: str) -> bool:
    try:
        with socket.create_connection((address, port)) as connection:
            connection.sendall(text.encode())
    except ConnectionError:
        return False
    return True


class Gathering(LightningWork):
    def __init__(self, word: str = "node", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.word = word
        self.pid = 0

    def run(self, main_address: str, main_port: int, num_nodes: int, node_rank: int) -> list[str]:
        self.pid = os.getpid()
        return gather(main_address, main_port, num_nodes, node_rank, f"{self.word} {node_rank}")


class Failing(LightningWork):
    """Node 1 ends badly, and the others wait for it forever."""

    def __init__(self, how: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.how = how

    def run(self, main_address: str, main_port: int, num_nodes: int, node_rank: int) -> None:
        note = Path(f"new {node_rank}")
        note.write_text(str(os.getpid()))
        note.rename(f"node {node_rank}")  # whole: this process is ended as soon as node 1 has seen the name
        if node_rank == 1:
            poll_until(lambda: Path("node 0").exists() and Path("node 2").exists(), timeout=DEADLINE)
            if self.how == "raises":
                raise ValueError("no data")
            os.kill(os.getpid(), signal.SIGKILL)
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.accept()
