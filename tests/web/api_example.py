"""The app about which the page of the API and the tests of its description ask."""

from __future__ import annotations

import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive, Path


class Fail(LightningWork):
    def __init__(self) -> None:
        super().__init__(raise_exception=False, retries=1, retry_delay=0.0)

    def run(self, reason: str) -> None:
        raise ValueError(reason)


class Train(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.loss = float("nan")
        self.best = Path("best.txt")

    def run(self, drive: Drive, rate: float) -> dict[str, float]:
        print("\033[31mred\033[0m text")  # noqa: T201
        self.loss = 1 / rate
        with open("table.csv", "w") as file:
            file.write("a,b\n1,2\n")
        with open("page.html", "w") as file:
            file.write("<script>alert(1)</script>")
        drive.put("table.csv")
        drive.put("page.html")
        return {"loss": self.loss}


class Wait(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)

    def run(self, value: object) -> None:
        print("waiting", flush=True)  # noqa: T201
        threading.Event().wait(1000)


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://shared")
        self.bad, self.train, self.wait = Fail(), Train(), Wait()

    def run(self) -> None:
        self.bad.run("no reason")
        self.wait.run(self.train.run(self.drive, 0.5))
        print("up", flush=True)  # noqa: T201


if __name__ == "__main__":
    LightningApp(Root()).run()
