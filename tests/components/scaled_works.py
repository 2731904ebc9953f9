"""Servers for tests of `AutoScaler`; each process of a work imports this module."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from fastapi import HTTPException
from pydantic import BaseModel

from lightning_lite import LightningFlow
from lightning_lite.components import AutoScaler, ColdStartProxy, PythonServer

#: The process that has imported this module; one that is forked from it has another id.
IMPORTED_BY = os.getpid()


class Number(BaseModel):
    number: float


class Batch(BaseModel):
    inputs: list[Number]


class Squares(BaseModel):
    outputs: list[dict[str, float]]


class Square(PythonServer):
    """Squares numbers in batches; some numbers are special.

    Args:
        pause: Seconds for each batch.
        gate: Path of a file for which each batch waits, or "".

    Attributes:
        pid: Its process, once it has answered.
        imported_by: The process that has imported this module for it, by then.
        sizes: The sizes of the batches.
    """

    def __init__(self, pause: float = 0.0, gate: str = "", **options: Any) -> None:
        super().__init__(input_type=Batch, output_type=Squares, **options)
        self.pid = 0
        self.imported_by = 0
        self.sizes: list[int] = []
        self._pause = pause
        self._gate = gate

    def predict(self, request: Batch) -> Squares:
        self.pid = os.getpid()
        self.imported_by = IMPORTED_BY
        numbers = [each.number for each in request.inputs]
        self.sizes.append(len(numbers))
        if -1 in numbers:
            raise HTTPException(418, "minus one has no square here")
        if -2 in numbers:
            raise ValueError("broken")
        if -3 in numbers:
            os.kill(os.getpid(), signal.SIGKILL)
        if -4 in numbers:
            return Squares(outputs=[])
        if -5 in numbers:
            threading.Event().wait()
        threading.Event().wait(self._pause)
        while self._gate and not os.path.exists(self._gate):
            threading.Event().wait(0.01)
        return Squares(outputs=[{"square": number**2} for number in numbers])


class Shout(PythonServer):
    """Takes one request after the other."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.num_answers = 0

    def predict(self, request: Any) -> dict[str, str]:
        self.num_answers += 1
        return {"prediction": request.payload.upper()}


class BrokenAtStart(PythonServer):
    def setup(self) -> None:
        raise ValueError("no weights")

    def predict(self, request: Any) -> dict[str, str]:
        return {}


class LateProxy(ColdStartProxy):
    async def handle_request(self, request: Number) -> dict[str, int]:
        if request.number == 0:
            raise ZeroDivisionError
        return {"square": -1}


class Steered(AutoScaler):
    """The test says how many servers there are.

    Attributes:
        wanted: How many.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.wanted = self.num_replicas

    def scale(self, replicas: int, metrics: dict[str, int]) -> int:
        return self.wanted


class Scaled(LightningFlow):
    """Runs an `AutoScaler`.

    Args:
        work_cls: Class of its servers.
        scaler_cls: Its class.
        options: Its arguments.
    """

    def __init__(
        self, work_cls: type[PythonServer], scaler_cls: type[AutoScaler] = AutoScaler, **options: Any
    ) -> None:
        super().__init__()
        self.scaler = scaler_cls(work_cls, **options)
        self._num_passes = 0

    def run(self) -> None:
        self._num_passes += 1
        self.scaler.run()
