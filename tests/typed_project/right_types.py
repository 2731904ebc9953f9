"""The types of components, structures and apps; both checkers prove each `assert_type`."""

from __future__ import annotations

from typing import Any, assert_type

from lightning_lite import LightningApp, LightningFlow, LightningWork, RunningApp
from lightning_lite.status import WorkStatus
from lightning_lite.storage import Drive
from lightning_lite.structures import Dict, List
from lightning_lite.testing import EmptyWork, LightningTestApp
from lightning_lite.tree.calls import Call


class Train(LightningWork):
    def __init__(self, rate: float) -> None:
        super().__init__(parallel=True)
        self.rate = rate
        self.losses: list[float] = []

    def run(self, steps: int, *, drive: Drive | None = None) -> float | None:
        return self.rate * steps


class Search(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.train = Train(0.1)
        self.named = Dict(a=Train(0.1))
        self.numbered = List(Train(0.1))
        self.plain = [Train(0.1)]

    def run(self) -> None:
        value = self.train.run(1)
        if value is None:
            self.stop("The call has not ended.")
        assert_type(value, float)  # because `stop` does not return


def check_works(work: Train) -> None:
    assert_type(Train(0.1), Train)
    assert_type(work.run(3), float | None)
    assert_type(work.rate, float)
    assert_type(work.losses, list[float])
    assert_type(work.status, WorkStatus)
    assert_type(work.status.stage, str)
    assert_type(work.status.reason, str | None)
    assert_type(work.status.count, int)
    assert_type(work.call(3), Call | None)


def check_structures(flow: Search) -> None:
    assert_type(flow.named, Dict[str, Train])
    assert_type(flow.named["a"], Train)
    assert_type(flow.named.pop("b", None), Train | None)
    assert_type(flow.named.setdefault("a"), Train)
    assert_type(flow.named.copy(), dict[str, Train])
    assert_type(Dict({"a": Train(0.1)}), Dict[str, Train])
    assert_type(Dict([("a", Train(0.1))]), Dict[str, Train])
    assert_type(Dict({"a": Train(0.1)}, b=Train(0.1)), Dict[str, Train])
    assert_type(flow.numbered, List[Train])
    assert_type(flow.numbered[0], Train)
    assert_type(flow.numbered[:1], list[Train])
    assert_type(flow.numbered.pop(), Train)
    assert_type(flow.numbered.works, list[LightningWork])
    assert_type(List(List(Train(0.1))), List[List[Train]])
    assert_type(flow.plain[0], Train)
    flow.numbered += [Train(0.1)]
    flow.named |= {"b": Train(0.1)}
    flow.named.update(c=Train(0.1))


def check_apps(flow: Search) -> None:
    app = LightningApp(flow)
    assert_type(app, LightningApp[Search])
    assert_type(app.root, Search)
    assert_type(app.root.train, Train)
    assert_type(LightningTestApp(Search()).root, Search)
    assert_type(LightningApp(EmptyWork()).root, LightningFlow)
    check_an_app_of_any_flow(app)


def check_an_app_of_any_flow(app: LightningApp) -> None:
    assert_type(app.root, LightningFlow)


def check_runs(app: LightningApp[Search]) -> None:
    with app.start(runner="inline") as running:
        assert_type(running, RunningApp)


def check_what_no_type_checker_knows(flow: Search) -> None:
    assert_type(flow.wait_for(flow.train), list[Any])
    assert_type(flow.get_component_by_name("root.train"), Any)


check_works(Train(0.1))
check_structures(Search())
check_apps(Search())
check_runs(LightningApp(Search()))
