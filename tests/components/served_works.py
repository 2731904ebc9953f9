"""Servers for tests of `PythonServer`; each process of a work imports this module."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field

from lightning_lite import LightningFlow
from lightning_lite.components import PythonServer


class Shout(PythonServer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.count = 0

    def setup(self) -> None:
        self._mark = "!"

    def predict(self, request: Any) -> dict[str, str]:
        self.count += 1
        return {"prediction": request.payload.upper() + self._mark}


class Point(BaseModel):
    x: float = Field(ge=0)
    y: float


class Sum(BaseModel):
    total: float


class Add(PythonServer):
    def __init__(self) -> None:
        super().__init__(input_type=Point, output_type=Sum)

    async def predict(self, request: Point) -> Sum:
        return Sum(total=request.x + request.y)


class Fails(PythonServer):
    def predict(self, request: Any) -> dict[str, object]:
        if request.payload == "raise":
            raise RuntimeError("the model is broken")
        return {"prediction": 7} if request.payload == "number" else {"other": "x"}


class Slow(PythonServer):
    def predict(self, request: Any) -> None:
        self.pid = os.getpid()
        threading.Event().wait()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.pid = 0


class StopsWork(LightningFlow):
    """Stops its work once that has begun to answer a request."""

    def __init__(self, work: Slow | Blocks) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work.run()
        if self.work.pid:
            self.work.stop()
        if self.work.has_stopped:
            self.stop()


class Blocks(PythonServer):
    async def predict(self, request: Any) -> None:
        self.pid = os.getpid()
        threading.Event().wait()

    def __init__(self) -> None:
        super().__init__()
        self.pid = 0


class Mortal(PythonServer):
    def predict(self, request: Any) -> dict[str, str]:
        if request.payload == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"prediction": str(os.getpid())}


class LoadsForEver(Shout):
    """Holds its port, but never serves."""

    def setup(self) -> None:
        self.count = 1
        threading.Event().wait()


class TwoAtOnePort(LightningFlow):
    def __init__(self, port: int) -> None:
        super().__init__()
        self.first, self.second = LoadsForEver(port=port), Shout(port=port, start_with_flow=False)

    def run(self) -> None:
        self.first.run()
        if self.first.count:
            self.second.run()


class Late(Shout):
    """Another socket takes the port that it has chosen, unless another program has it already."""

    def on_start(self) -> None:
        self._other: socket.socket | None = None
        with suppress(OSError):
            self._other = socket.create_server((self.host, self.port))

    def on_exit(self) -> None:
        if self._other is not None:
            self._other.close()
