"""Works of real users for the conformance suite. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import threading

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.context import current_caller


class Root(LightningFlow):
    """Gives works their names: `root.<name>`."""

    def __init__(self, **works: LightningWork) -> None:
        super().__init__()
        for name, work in works.items():
            setattr(self, name, work)

    def run(self) -> None:
        """Never run."""


class Answer:
    """A value of the user's own class."""

    def __init__(self, value: object) -> None:
        self.value = value


class Worker(LightningWork):
    """Calls, in `run`, its method of the name that it gets."""

    def __init__(self, on_start: str = "", on_exit: str = "", parallel: bool = False) -> None:
        super().__init__(parallel=parallel)
        self.number = 0
        self.numbers: list[object] = []
        self.started = False
        self.exited = False
        self._on_start, self._on_exit = on_start, on_exit

    def on_start(self) -> None:
        self.started = True
        if self._on_start:
            raise ValueError(self._on_start)

    def on_exit(self) -> None:
        self.exited = True
        if self._on_exit:
            raise ValueError(self._on_exit)

    def run(self, task: str, *args: object) -> object:
        return getattr(self, task)(*args)

    def echo(self, value: object) -> object:
        return value

    def answer(self, value: object) -> Answer:
        return Answer(value)

    def extend(self, numbers: list[int]) -> list[int]:
        numbers.append(0)
        return numbers

    def nbytes(self, data: bytes) -> int:
        return len(data)

    def zeros(self, nbytes: int) -> bytes:
        return bytes(nbytes)

    def count(self, number: int) -> None:
        for self.number in range(1, number + 1):
            self.numbers.append(self.number)

    def fail(self, message: str) -> None:
        raise ValueError(message)

    def lock(self) -> object:
        return threading.Lock()

    def say(self, text: str) -> None:
        print(text)  # noqa: T201 - the test reads the output

    def caller(self) -> tuple[object, ...]:
        return tuple(current_caller())

    def pid(self) -> int:
        return os.getpid()

    def change_and_wait(self, path: str) -> None:
        """Change the state, then wait until another process opens the FIFO `path` for writing."""
        self.number = 1
        with open(path) as fifo:
            fifo.read()

    def append_and_wait(self, path: str) -> None:
        self.numbers.append(1)
        with open(path) as fifo:
            fifo.read()

    def wait_for_write(self) -> int:
        """Wait until the flow has written `number`."""
        self.started = False
        while self.number == 0:
            threading.Event().wait(0.001)
        return self.number

    def change_for_ever(self) -> None:
        while True:
            self.number += 1
            threading.Event().wait(0.001)

    def change_for_ever_whatever_is_raised(self) -> None:
        while True:
            try:
                self.change_for_ever()
            except Exception:  # noqa: BLE001 - as users do
                self.numbers.append("swallowed")
