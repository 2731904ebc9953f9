"""An app for the tests of verbs; its works run until a verb ends them."""

from __future__ import annotations

import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Once(LightningWork):
    def run(self, x: int) -> int:
        return x


class Wait(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.progress = 0.0

    def run(self, rate: float, name: str = "wait") -> None:
        for number in range(3):
            print(f"{name} {number}")  # noqa: T201
        self.progress = 0.25
        wait_for_ever()

    def on_exit(self) -> None:
        print("on_exit has run")  # noqa: T201


def wait_for_ever() -> None:
    while True:
        threading.Event().wait(0.1)


class Stubborn(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)

    def run(self) -> None:
        while True:
            try:
                wait_for_ever()
            except BaseException:  # noqa: BLE001
                print("StopRun was caught")  # noqa: T201


class Part(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Wait()

    def run(self) -> None:
        self.inner.run(0.5)


class Steered(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.once = Once()
        self.train, self.stopped, self.killed, self.restarted = Wait(), Wait(), Wait(), Wait()
        self.stubborn, self.hasty = Stubborn(), Stubborn()
        self.part = Part()

    def run(self) -> None:
        self.once.run(1)
        for work in (self.train, self.stopped, self.killed, self.restarted):
            work.run(0.1, name=work.display_name)
        self.stubborn.run()
        self.hasty.run()
        self.part.run()


if __name__ == "__main__":
    LightningApp(Steered()).run()
