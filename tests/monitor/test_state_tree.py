"""The state of a run as text."""

from __future__ import annotations

import json
import os
import pickle

import pytest

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import ComponentAttached, StateWritten
from lightning_lite.monitor import state_tree
from lightning_lite.monitor.event_index import AttributeChange
from lightning_lite.monitor.state_tree import StateTree

from tests.monitor.histories import Story


def attributes(found: dict, component: str) -> dict[str, dict]:
    return next(
        {attribute["name"]: attribute for attribute in one["attributes"]}
        for one in found["components"]
        if one["name"] == component
    )


def test_components_come_in_the_order_of_the_tree():
    story = Story("b10", "b9")
    story.attach("root.a", is_work=False)

    found = StateTree(story.history).tree({})["components"]

    assert [(one["name"], one["kind"], one["class"]) for one in found] == [
        ("root", "flow", "Root"),
        ("root.a", "flow", "Part"),
        ("root.b9", "work", "B9"),
        ("root.b10", "work", "B10"),
    ]


def test_an_attribute_has_text_type_size_number_and_changes():
    story = Story()
    story.attach("root.m", loss=0.5, names=["a"], _private=1)
    story.write("root.m", 5.0, loss=float("nan"))

    found = StateTree(story.history).tree({"root.m": {"loss": AttributeChange(5.0, 3)}})
    json.dumps(found, allow_nan=False)

    assert attributes(found, "root.m") == {
        "loss": {
            "name": "loss",
            "type": "float",
            "text": "nan",
            "size": 21,
            "number": "nan",
            "changed": 5.0,
            "changes": 3,
            "is_long": False,
        },
        "names": {
            "name": "names",
            "type": "list",
            "text": "['a']",
            "size": attributes(found, "root.m")["names"]["size"],
            "number": None,
            "changed": None,
            "changes": 0,
            "is_long": False,
        },
    }


def test_a_truth_value_is_no_number():
    story = Story()
    story.attach("root.m", yes=True, count=3)

    found = attributes(StateTree(story.history).tree({}), "root.m")

    assert (found["yes"]["number"], found["count"]["number"]) == (None, 3.0)


def test_only_a_value_that_has_changed_is_read_again(monkeypatch):
    story = Story()
    story.attach("root.m", a=1, b=[2])
    tree = StateTree(story.history)
    tree.tree({})
    read = []
    monkeypatch.setattr(state_tree, "_read", lambda encoded: read.append(encoded) or original(encoded))
    story.write("root.m", 1.0, b=[3])

    found = attributes(tree.tree({}), "root.m")

    assert len(read) == 1
    assert (found["a"]["text"], found["b"]["text"]) == ("1", "[3]")


original = state_tree._read


def test_a_long_value_is_given_on_demand():
    story = Story()
    story.attach("root.m", text="one\n" * 100, big=["x" * 1000] * 3000)
    tree = StateTree(story.history)

    short = attributes(tree.tree({}), "root.m")
    assert (short["text"]["is_long"], len(short["text"]["text"])) == (True, 200)
    assert short["big"]["text"] == "list of 2.9 MiB, too large to be shown"
    assert tree.value("root.m", "text") == {
        "text": "one\n" * 100,
        "type": "str",
        "size": short["text"]["size"],
        "truncated": False,
    }
    assert len(tree.value("root.m", "big")["text"]) == 1024 * 1024


def test_unknown_components_and_attributes_are_refused():
    tree = StateTree(Story().history)

    with pytest.raises(LookupError, match=r"no component 'root\.x'"):
        tree.value("root.x", "a")
    with pytest.raises(LookupError, match="root has no attribute 'a'"):
        tree.value("root", "a")


def test_state_that_no_value_encodes_is_shown_as_unreadable_and_runs_nothing(tmp_path):
    marker = tmp_path / "must-not-exist"

    class Harmful:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    history = RunHistory()
    history.apply(ComponentAttached("root", 0.0, False, ("app", "Root"), {"odd": b"", "more": b"\x80\x05K"}))
    number_first = b"\x80\x05K\x01" + pickle.dumps(Harmful(), 2)[2:-1] + b"\x86."
    history.apply(StateWritten("root", 1.0, {"evil": pickle.dumps(Harmful()), "pair": number_first}))

    found = attributes(StateTree(history).tree({}), "root")

    assert found["odd"]["text"].startswith("not readable")
    assert found["more"]["text"].startswith("not readable")
    assert found["evil"]["text"] == f"mkdir({str(marker)!r})"
    assert found["pair"]["number"] is None
    assert not marker.exists()


def test_a_component_with_very_many_attributes_is_bounded():
    story = Story()
    story.attach("root.m", **{f"a{number}": number for number in range(2100)})

    found = StateTree(story.history).tree({})["components"][1]

    assert (len(found["attributes"]), found["attributes_left_out"]) == (2000, 100)
