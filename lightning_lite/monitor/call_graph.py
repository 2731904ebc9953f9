"""The calls between flows and works of a run, and the data between works: nodes and edges of a graph.

    flow ─calls─▶ work            the flow above a work, with the number of its calls
    work ─value─▶ work            an answer of one was an argument of the other
    work ─payload─▶ work          a payload of one was an argument of the other
    work ─path─▶ path ─path─▶ work
    drive ─drive─▶ work           a drive was an argument or is an attribute

The journal does not say where an argument came from. The edge `value` stands for the rule: an argument, by
position or by keyword, that is the same big value, or equals the newest answer of another work that ended
before the call was requested. Values that are equal by chance are not compared: `None`, truth values, numbers
and texts whose `repr` has less than 6 and 8 characters, and other values with less than 8.
"""

from __future__ import annotations

import time
from bisect import bisect_right, insort
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from lightning_lite.engine.history import CallHistory, RunHistory, WorkHistory
from lightning_lite.events import ancestors
from lightning_lite.monitor.run_status import tree_order
from lightning_lite.monitor.value_links import Link, links_in
from lightning_lite.monitor.value_text import digests_of, read_value, write
from lightning_lite.values.pickling import is_reference

#: Maximum numbers of nodes and edges in one answer.
MAX_NODES = 400
MAX_EDGES = 2000

#: Seconds for which one look reads calls that were not read before.
_BUDGET = 0.3

#: Calls that are read between two looks at the clock.
_CALLS_PER_LOOK = 50

#: Arguments in a journal are at most this large, so a larger answer can't equal one of them.
_MAX_ANSWER = 1100

#: Different answers that are remembered, the newest ones.
_MAX_ANSWERS = 20_000

_LABEL = 60

_MODULES = (
    b"lightning_lite.storage.drive",
    b"lightning_lite.storage.path",
    b"lightning_lite.storage.payload",
)


class _Edge(NamedTuple):
    """Begin, end and kind of an edge; nodes of drives and paths begin with `drive:` and `path:`."""

    start: str
    end: str
    kind: str


class CallGraph:
    """The graph of one run.

    It must not be used by two threads at once, nor while another one changes the history. Each call is read
    once; one description reads for at most 0.3 seconds, and the next one continues.

    Args:
        history: The history, which may grow.

    Example:
        >>> CallGraph(RunHistory()).describe(is_running=False)
        {'nodes': [], 'edges': [], 'truncated': False, 'read': 0, 'of': 0}
    """

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._num_listed: dict[str, int] = {}
        self._unread: list[CallHistory] = []  # their arguments were not read
        self._unanswered: list[CallHistory] = []  # their answers were not read
        self._num_calls = 0
        # Times at which works gave an answer, by its key and by the work.
        self._answers: dict[int, dict[str, list[float]]] = {}
        self._edges: dict[_Edge, tuple[int, str]] = {}

    def describe(self, *, is_running: bool) -> dict[str, Any]:
        """Return the graph, ready for JSON.

        Args:
            is_running: Whether the app is still running: else its calls without an end are lost.

        Returns:
            `nodes` (id, kind, name, state, calls), `edges` (from, to, kind, count, label), `truncated`,
            whether nodes or edges were left out; and of the `of` calls of the run, how many were `read`.
        """
        self._read(time.monotonic() + _BUDGET)
        edges = dict(self._edges)
        self._add_calls(edges)
        self._add_attributes(edges)
        nodes = self._nodes(edges, is_running=is_running)
        kept = {node["id"] for node in nodes[:MAX_NODES]}
        shown = [
            {"from": edge.start, "to": edge.end, "kind": edge.kind, "count": count, "label": label}
            for edge, (count, label) in edges.items()
            if edge.start in kept and edge.end in kept
        ]
        return {
            "nodes": nodes[:MAX_NODES],
            "edges": shown[:MAX_EDGES],
            "truncated": len(nodes) > MAX_NODES or len(shown) > MAX_EDGES,
            "read": self._num_calls - len(self._unread),
            "of": self._num_calls,
        }

    # Read calls.

    def _read(self, due: float) -> None:
        """Read answers, then arguments, until a time in monotonic seconds."""
        for name, work in self._history.works.items():
            new = work.calls[self._num_listed.get(name, 0) :]
            self._num_listed[name] = len(work.calls)
            self._num_calls += len(new)
            self._unread += new
            self._unanswered += new
        open_calls: list[CallHistory] = []
        for position, call in enumerate(self._unanswered):
            if position % _CALLS_PER_LOOK == 0 and time.monotonic() > due:
                self._unanswered = open_calls + self._unanswered[position:]
                return  # an argument is compared with all answers before it
            if call.record.succeeded:
                with suppress(Exception):  # odd data have no edges
                    self._read_answer(call)
            elif not call.ended:
                open_calls.append(call)
        self._unanswered = open_calls
        for position, call in enumerate(self._unread):
            if position % _CALLS_PER_LOOK == 0 and time.monotonic() > due:
                self._unread = self._unread[position:]
                return
            with suppress(Exception):
                self._read_arguments(call)
        self._unread = []

    def _read_answer(self, call: CallHistory) -> None:
        packed = call.record.stored_value
        if not isinstance(packed, bytes) or (len(packed) > _MAX_ANSWER and not is_reference(packed)):
            return
        keys = digests_of(packed) if is_reference(packed) else filter(None, (_key_of(read_value(packed)),))
        for key in map(hash, keys):
            answers = self._answers.setdefault(key, {})
            insort(answers.setdefault(call.work, []), call.statuses[-1].timestamp)
            if len(self._answers) > _MAX_ANSWERS:
                del self._answers[next(iter(self._answers))]

    def _read_arguments(self, call: CallHistory) -> None:
        packed = call.packed_arguments
        if packed is None:
            return
        if is_reference(packed):
            for digest in digests_of(packed):
                self._add_value(call, digest, "big value")
        args, kwargs = read_value(packed)
        for value in (*args, *kwargs.values()):
            key = _key_of(value)
            if key is not None:
                self._add_value(call, key, key)
        for link in links_in((args, kwargs)):
            for edge in _edges_of(link, call.work):
                self._add(edge, link.name)

    def _add_value(self, call: CallHistory, key: str, label: str) -> None:
        newest = ("", float("-inf"))
        for work, times in self._answers.get(hash(key), {}).items():
            earlier = bisect_right(times, call.asked)
            if work != call.work and earlier and times[earlier - 1] > newest[1]:
                newest = work, times[earlier - 1]
        if newest[0]:
            self._add(_Edge(newest[0], call.work, "value"), label)

    def _add(self, edge: _Edge, label: str) -> None:
        count, _ = self._edges.get(edge, (0, ""))
        self._edges[edge] = count + 1, _label(label)

    # Edges that need no reading of calls.

    def _add_calls(self, edges: dict[_Edge, tuple[int, str]]) -> None:
        for work in self._history.works.values():
            flow = self._flow_above(work.name)
            if flow is not None and (work.num_calls or not work.is_detached):
                edges[_Edge(flow, work.name, "calls")] = work.num_calls, ""

    def _flow_above(self, name: str) -> str | None:
        """Return the nearest flow above a component; lists and dicts of components are none."""
        for above in ancestors(name):
            if above in self._history.states and above not in self._history.works:
                return above
        return None

    def _add_attributes(self, edges: dict[_Edge, tuple[int, str]]) -> None:
        """Add the drives, paths and payloads that works have as attributes."""
        for name, state in self._history.states.items():
            if name not in self._history.works:
                continue
            for attribute, encoded in state.items():
                if any(module in encoded[:200] for module in _MODULES):
                    with suppress(Exception):  # odd data have no edges
                        for link in links_in(read_value(encoded)):
                            for edge in _edges_of(link, name):
                                edges.setdefault(edge, (1, attribute))

    def _nodes(self, edges: dict[_Edge, tuple[int, str]], *, is_running: bool) -> list[dict[str, Any]]:
        """Return the nodes: flows and works in the order of the tree, then the nodes to which edges lead."""
        works = self._history.works
        flows = {name for name in self._history.states if name not in works}
        listed = {name for name, work in works.items() if work.num_calls or not work.is_detached}
        nodes = [
            _node(name, "work", name, _state_of(works[name], is_running), works[name].num_calls)
            if name in listed
            else _node(name, "flow", name, "", 0)
            for name in sorted(flows | listed, key=tree_order)
        ]
        others = dict.fromkeys(end for edge in edges for end in (edge.start, edge.end))
        for other in others:
            kind, _, name = other.partition(":")
            if kind in ("drive", "path"):
                nodes.append(_node(other, kind, name, "", 0))
            elif other not in flows and other not in listed:
                nodes.append(_node(other, "work", other, "removed", 0))
        return nodes


def _edges_of(link: Link, work: str) -> Iterator[_Edge]:
    """Yield the edges for something that a work has or was given."""
    if link.kind == "drive":
        yield _Edge(f"drive:{link.name}", work, "drive")
    elif link.kind == "path":
        node = f"path:{link.name}"
        if link.origin is not None:
            yield _Edge(link.origin, node, "path")
        if link.origin != work:
            yield _Edge(node, work, "path")
    elif link.origin is not None and link.origin != work:
        yield _Edge(link.origin, work, "payload")


def _node(node: str, kind: str, name: str, state: str, calls: int) -> dict[str, Any]:
    return {"id": node, "kind": kind, "name": name, "state": state, "calls": calls}


def _state_of(work: WorkHistory, is_running: bool) -> str:
    if work.is_detached:
        return "removed"
    stage = work.last.stage
    return "lost" if not is_running and stage in ("pending", "running") else stage


def _key_of(value: Any) -> str | None:
    """Return a text that is equal for equal values; `None` for a value that is equal to others by chance."""
    if value is None or isinstance(value, bool):
        return None
    text, is_cut = write(value, 16 * _MAX_ANSWER)
    shortest = 6 if isinstance(value, int | float) else 8
    return None if is_cut or len(text) < shortest else text


def _label(text: str) -> str:
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 3]}..."
