"""The graph of calls: callers, works, and the ways of answers, paths, payloads and drives."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from lightning_lite.events import ComponentDetached
from lightning_lite.monitor import call_graph
from lightning_lite.monitor.call_graph import CallGraph
from lightning_lite.storage import payload
from lightning_lite.storage.drive import Drive
from lightning_lite.storage.path import Path
from lightning_lite.values.pickling import is_reference, pack

from tests.monitor.histories import Story
from tests.support.processes import DEADLINE


@pytest.fixture(autouse=True)
def _with_time_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one look read all calls, also on a busy machine."""
    monkeypatch.setattr(call_graph, "_BUDGET", DEADLINE)


def look(story: Story, *, running: bool = True) -> dict:
    found = CallGraph(story.history).describe(is_running=running)
    json.dumps(found, allow_nan=False)
    return found


def edges(found: dict, kind: str) -> list[tuple[str, str, int]]:
    return [
        (edge["from"].removeprefix("root."), edge["to"].removeprefix("root."), edge["count"])
        for edge in found["edges"]
        if edge["kind"] == kind
    ]


def passed(value, argument) -> list[tuple[str, str, int]]:
    """Return the edges for an answer of one work and an argument of another one later."""
    story = Story("a", "b")
    story.call("a", 1.0, 2.0, 3.0, value=value)
    story.call("b", 4.0, 5.0, 6.0, argument)
    return edges(look(story), "value")


def test_flows_call_the_works_below_them():
    story = Story("a")
    story.attach("root.part")
    story.attach("root.part.list.0", is_work=True)
    story.call("a", 1.0, 2.0, 3.0)
    story.call("a", 1.0, 2.0, 3.0)

    found = look(story)

    assert edges(found, "calls") == [("root", "a", 2), ("part", "part.list.0", 0)]
    assert [(node["id"], node["kind"], node["state"], node["calls"]) for node in found["nodes"]] == [
        ("root", "flow", "", 0),
        ("root.a", "work", "succeeded", 2),
        ("root.part", "flow", "", 0),
        ("root.part.list.0", "work", "not_started", 0),
    ]
    assert (found["truncated"], found["read"], found["of"]) == (False, 2, 2)


@pytest.mark.parametrize(
    "value", ["model-17.ckpt", 0.123456, 123456, [1, 2, 3], {"a": [1]}, ("x", 1.5), b"12345678"]
)
def test_an_answer_as_an_argument_is_an_edge(value):
    assert passed(value, value) == [("a", "b", 1)]


@pytest.mark.parametrize("value", [None, True, 0, 17, 0.5, "", "best", [], {}, (1,)])
def test_values_that_are_equal_by_chance_are_not(value):
    assert passed(value, value) == []


def test_other_values_are_no_edge():
    assert passed("model-17.ckpt", "model-18.ckpt") == []
    assert passed([1, 2, 3], (1, 2, 3)) == []


def test_the_newest_earlier_answer_of_another_work_counts():
    story = Story("a", "b", "c", "d")
    story.call("a", 1.0, 2.0, 3.0, value="model-17.ckpt")
    story.call("b", 1.0, 2.0, 4.0, value="model-17.ckpt")
    story.call("d", 5.0, 6.0, 7.0, value="model-17.ckpt")
    number = story.ask("c", 5.0, "model-17.ckpt")  # d ended after that
    story.change("c", number, 5.5, "running")
    story.call("a", 8.0, 9.0, 9.0, "model-17.ckpt")

    assert sorted(edges(look(story), "value")) == [("b", "c", 1), ("d", "a", 1)]


def test_an_own_answer_is_no_edge():
    story = Story("a")
    story.call("a", 1.0, 2.0, 3.0, value="model-17.ckpt")
    story.call("a", 4.0, 5.0, 6.0, "model-17.ckpt")

    assert edges(look(story), "value") == []


def test_edges_grow_with_the_history():
    story = Story("a", "b")
    graph = CallGraph(story.history)
    number = story.ask("a", 1.0)
    counts = [edges(graph.describe(is_running=True), "value")]
    story.change("a", number, 2.0, "running")
    story.succeed("a", number, 3.0, "model-17.ckpt")
    story.call("b", 4.0, 5.0, 6.0, "model-17.ckpt")
    counts.append(edges(graph.describe(is_running=True), "value"))
    story.call("b", 7.0, 8.0, 9.0, "model-17.ckpt", 1)
    counts.append(edges(graph.describe(is_running=True), "value"))

    assert counts == [[], [("a", "b", 1)], [("a", "b", 2)]]


def test_a_big_value_is_known_by_its_digest(tmp_path):
    weights = np.random.default_rng(1).random((500, 500))
    story = Story("a", "b", "c")
    number = story.ask("a", 1.0)
    story.change("a", number, 2.0, "running")
    answer = pack({"weights": weights}, folder=str(tmp_path))
    arguments = pack(((weights,), {}), folder=str(tmp_path))
    others = pack(((weights + 1,), {}), folder=str(tmp_path))
    assert is_reference(answer)
    assert is_reference(arguments)
    story.succeed("a", number, 3.0, packed=answer)
    story.ask("b", 4.0, packed=arguments)
    story.ask("c", 4.0, packed=others)

    assert edges(look(story), "value") == [("a", "b", 1)]


def test_paths_and_drives_are_nodes():
    path = Path("model.pt")
    path.origin_name = "root.a"
    story = Story("a", "b")
    story.attach("root.c", is_work=True, store=Drive("lit://kept"), model=path)
    story.call("b", 1.0, 2.0, 3.0, {"model": path}, Drive("lit://files"))
    story.call("b", 4.0, 5.0, 6.0, {"model": path}, Drive("lit://files"))

    found = look(story)

    assert edges(found, "drive") == [("drive:files", "b", 2), ("drive:kept", "c", 1)]
    assert edges(found, "path") == [
        ("a", "path:model.pt", 2),
        ("path:model.pt", "b", 2),
        ("path:model.pt", "c", 1),
    ]
    assert {(node["kind"], node["name"]) for node in found["nodes"]} >= {
        ("drive", "files"),
        ("drive", "kept"),
        ("path", "model.pt"),
    }


def test_a_payload_is_an_edge_between_works():
    class Revived:
        def __reduce__(self):
            return payload._revive, (payload.Payload, "data", "root.a", "root.a", "v1", None, None)

    story = Story("a", "b")
    story.ask("b", 1.0, packed=pickle.dumps(((Revived(),), {}), 5))

    assert edges(look(story), "payload") == [("a", "b", 1)]


def test_a_removed_work_stays_a_node_if_it_has_calls():
    story = Story("a", "b")
    story.call("a", 1.0, 2.0, 3.0)
    for name in ("root.a", "root.b"):
        story.history.apply(ComponentDetached(name, 5.0))

    found = look(story)

    assert [(node["id"], node["state"]) for node in found["nodes"]] == [("root", ""), ("root.a", "removed")]


def test_odd_data_have_no_edges():
    story = Story("a", "b")
    number = story.ask("a", 1.0, packed=b"\x80\x05odd")
    story.change("a", number, 2.0, "running")
    story.succeed("a", number, 3.0, packed=b"odd")
    story.ask("b", 4.0, packed=pickle.dumps([1, 2, 3]))

    assert edges(look(story), "value") == []


def test_a_large_graph_is_cut():
    story = Story(*(f"w{number}" for number in range(500)))

    found = look(story)

    assert len(found["nodes"]) == 400
    assert found["truncated"]
    assert {edge["to"] for edge in found["edges"]} <= {node["id"] for node in found["nodes"]}


def test_a_look_that_has_no_time_is_continued_by_the_next_one(monkeypatch):
    story = Story("a", "b")
    for second in range(200):
        story.call("a", second, second, second, value=f"model-{second}.ckpt")
        story.call("b", second, second, second, f"model-{second}.ckpt")
    graph = CallGraph(story.history)
    with monkeypatch.context() as patches:
        patches.setattr(call_graph, "_BUDGET", 0.0)
        read = [graph.describe(is_running=True)["read"] for _ in range(3)]

    found = graph.describe(is_running=True)

    assert read[0] < 400
    assert (found["read"], found["of"]) == (400, 400)
    assert edges(found, "value") == [("a", "b", 200)]
