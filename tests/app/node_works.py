"""Works for apps on several machines. Their processes import this module, so it is light."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.testing import poll_until

if TYPE_CHECKING:
    from typing import Any


class Square(LightningWork):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.last = 0

    def run(self, number: int) -> int:
        self.last = number
        print("squares", number)  # noqa: T201
        return number**2


class Serve(LightningWork):
    """Answers one byte to each connection."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(parallel=True, **kwargs)
        self.seen: list[str] = []

    def run(self) -> None:
        with socket.create_server((self.host, self.port)) as server:
            self.seen = [self.host, self.internal_ip]
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"!")


class WaitFor(LightningWork):
    """Creates the file `up` next to another one, and waits for that."""

    def run(self, path: str) -> bool:
        Path(path).with_name("up").touch()
        return poll_until(Path(path).exists, 100.0)


class Hang(LightningWork):
    def run(self) -> None:
        while True:
            threading.Event().wait(0.1)
