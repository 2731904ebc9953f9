"""Lines that both type checkers must refuse.

Each comment names the expected error of each checker. A comment without an error is an error itself: in mypy
by `warn_unused_ignores`, in pyright by `reportUnnecessaryTypeIgnoreComment`.
"""

from __future__ import annotations

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite import LightningWrk as LightningWrk  # type: ignore[attr-defined]  # pyright: ignore
from lightning_lite.storage import Driv as Driv  # type: ignore[attr-defined]  # pyright: ignore
from lightning_lite.structures import Dict, List


class Train(LightningWork):
    def __init__(self) -> None:
        super().__init__(paralel=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.loss = 0.0

    def run(self, rate: float) -> float | None:
        return rate


class Report(LightningWork):
    def run(self) -> str:
        return "done"


class Search(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.train = Train()
        self.trials = List(Train())
        self.named = Dict(a=Train())

    def run(self) -> None:
        self.train.run("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.train.run()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.train.run(0.1, steps=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        self.train.run(0.1).hex()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
        self.train.rum(0.1)  # type: ignore[attr-defined]  # pyright: ignore
        self.train.los = 1.0  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
        self.train.loss = "x"  # type: ignore[assignment]  # pyright: ignore[reportAttributeAccessIssue]
        print(self.train.status.stag)  # type: ignore[attr-defined]  # pyright: ignore
        self.train.status.stage = "x"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
        self.trials.append(Report())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.trials[0].run("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.named["b"] = Report()  # type: ignore[assignment]  # pyright: ignore[reportArgumentType]
        self.named["a"].run("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        self.named.update(b=Report())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def run_app() -> None:
    LightningApp("Search")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app = LightningApp(Search())
    app.root.train.run("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    app.run(runer="inline")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
