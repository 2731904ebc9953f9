"""Changes of the state from outside: all are made, or none."""

from __future__ import annotations

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.app.state_changes import StateChange, apply_changes
from lightning_lite.errors import StateConflict, StateError


class Picky(LightningFlow):
    """Refuses big values of `b`."""

    def __init__(self):
        super().__init__()
        self.a = 1
        self.b = 1

    def __setattr__(self, name, value):
        if name == "b" and value > 9:
            raise ValueError("b must be small")
        super().__setattr__(name, value)

    def run(self):
        self.stop()


def test_a_value_that_the_class_refuses_undoes_the_changes_before_it(own_place):
    root = Picky()
    LightningApp(root)

    with pytest.raises(StateError, match=r"root\.b refuses 10: b must be small"):
        apply_changes(root, [StateChange("root", "a", 1, 2), StateChange("root", "b", 1, 10)])

    assert (root.a, root.b) == (1, 1)


def test_a_conflict_changes_nothing(own_place):
    root = Picky()
    LightningApp(root)

    with pytest.raises(StateConflict, match=r"root\.b is 1 by now"):
        apply_changes(root, [StateChange("root", "a", 1, 2), StateChange("root", "b", 5, 6)])

    assert (root.a, root.b) == (1, 1)
