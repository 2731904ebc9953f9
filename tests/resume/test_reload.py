"""Saves the whole state and loads it: at once, or when a dynamic component is attached."""

from __future__ import annotations

import json

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.errors import StateError
from lightning_lite.testing import EmptyFlow
from lightning_lite.tree.structures import Dict, List

from tests.support.simulation import MachineDriver, Work


class Inner(EmptyFlow):
    def __init__(self):
        super().__init__()
        self.depth = 0
        self.work = Work()


class Root(LightningFlow):
    """Has declared components, and creates as many others as its attribute `wanted` says."""

    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.named = Dict()
        self.listed = List()
        self.wanted = 0
        self.items = {"a": (1, [2.0, None])}

    def run(self):
        for number in range(self.wanted):
            if f"{number}" not in self.named:
                self.named[f"{number}"] = Work()
                self.listed.append(Inner())
        if self.schedule("hourly"):
            self.items["events"] = self.items.get("events", 0) + 1


def used():
    """Return an app in which the state of each component differs from that of a new app."""
    driver = MachineDriver(Root())
    root = driver.root
    root.wanted = 2
    driver.settle()
    root.inner.depth, root.inner.work.loss = 7, 0.5
    root.named["1"].table["x"] = [1, (2, 3)]
    root.listed[0].depth, root.listed[1].work.step = 8, 9
    driver.settle()
    driver.machine.close(driver.clock.now())
    return LightningApp(root)


def variables(state):
    """Return only the values of a state, at all depths."""
    return {
        key: variables(part) if key in ("flows", "works", "structures") or "vars" in part else part
        for key, part in state.items()
        if key in ("flows", "works", "structures", "vars") or (isinstance(part, dict) and "vars" in part)
    }


def test_a_new_app_loads_the_whole_state_also_of_components_that_it_creates_later():
    saved = used().state_dict()
    app = LightningApp(Root())
    app.load_state_dict(saved)
    assert app.root.inner.depth == 7
    assert app.root.wanted == 2
    assert app.root.items == {"a": (1, [2.0, None]), "events": 1}
    assert app.works == [app.root.inner.work]

    driver = MachineDriver(app.root)

    assert variables(driver.root.state) == variables(saved)
    assert driver.root.named["1"].table == {"x": [1, (2, 3)]}
    assert [flow.depth for flow in driver.root.listed] == [8, 0]
    assert driver.root.listed[1].work.step == 9


def test_the_state_is_plain_data():
    saved = used().state_dict()
    saved["vars"]["items"] = {}
    saved["structures"]["named"]["works"]["1"]["vars"]["table"] = {}

    assert json.loads(json.dumps(saved)) == saved


def test_a_saved_schedule_is_not_due_at_once():
    app = LightningApp(Root())
    app.load_state_dict(used().state_dict())

    assert MachineDriver(app.root).root.items["events"] == 1


def test_load_state_dict_of_a_flow_loads_only_its_own_state():
    root = used().root
    fresh = Root()

    fresh.load_state_dict(root.state_dict(), {})

    assert (fresh.wanted, fresh.inner.depth) == (2, 0)


def test_the_state_of_a_missing_component_is_refused_if_strict():
    state = {"vars": {"step": 4}}

    with pytest.raises(
        ValueError, match=r"The component named\.5 wasn't instantiated for the component root"
    ):
        Root().load_state_dict({}, {"named.5": state})


def test_the_state_of_a_missing_component_is_kept_for_it_if_not_strict():
    root = Root()

    root.load_state_dict({}, {"named.5": {"vars": {"step": 4}}}, strict=False)
    root.named["5"] = Work()
    root.named["6"] = Work()

    assert (root.named["5"].step, root.named["6"].step) == (4, 0)


def test_an_override_of_load_state_dict_may_create_components():
    class Loads(Root):
        def load_state_dict(self, flow_state, children_states, strict=True):
            for name in children_states:
                if name.startswith("named."):
                    self.named[name.removeprefix("named.")] = Work()
            super().load_state_dict(flow_state, children_states, strict)

    root = Loads()
    root.load_state_dict({"vars": {"wanted": 1}}, {"named.a": {"vars": {"step": 4}}})

    assert (root.wanted, root.named["a"].step) == (1, 4)


def test_the_override_of_a_child_flow_gets_its_part_of_the_state():
    class Child(Inner):
        def load_state_dict(self, flow_state, children_states, strict=True):
            self._got = sorted(children_states)
            super().load_state_dict(flow_state, children_states, strict)

    class Parent(EmptyFlow):
        def __init__(self):
            super().__init__()
            self.child = Child()

    saved = LightningApp(Parent()).state_dict()
    saved["flows"]["child"]["vars"]["depth"] = 3
    app = LightningApp(Parent())
    app.load_state_dict(saved)

    assert app.root.child._got == ["work"]
    assert app.root.child.depth == 3


def test_each_flow_gets_its_part_once_also_with_similar_names():
    taken = []

    class Nested(EmptyFlow):
        def __init__(self, *children):
            super().__init__()
            self.children = Dict(children)

        def load_state_dict(self, flow_state, children_states, strict=True):
            taken.append(self.name)
            super().load_state_dict(flow_state, children_states, strict)

    app = LightningApp(Root())
    app.root.named.update({"a": Nested(("x", Nested())), "a-b": Nested()})  # "a" < "a-b" < "a.x"
    app.load_state_dict(app.state_dict())

    assert taken == ["root.named.a", "root.named.a.children.x", "root.named.a-b"]


def test_an_undeclared_attribute_is_refused_by_name():
    with pytest.raises(StateError, match=r"root\.unheard_of was never declared"):
        Root().load_state_dict({"vars": {"unheard_of": 1}}, {})
