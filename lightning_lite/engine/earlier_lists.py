"""Finds, in a resumed run, the members that its lists had at the end of the earlier run.

A list numbers its members, and their names have the numbers. The flow of a resumed run adds them again, and
adds perhaps others, too. A component is the same as an earlier one if it has the same class and the same
attributes, and if that is true of each component in it that both have. A list or dict is the same if its
members are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from heapq import merge
from typing import Any

from lightning_lite.engine.history import RunHistory
from lightning_lite.tree.class_identity import class_identity
from lightning_lite.tree.component import Component
from lightning_lite.tree.node import Node, TreeMember
from lightning_lite.tree.structures import List
from lightning_lite.values.codec import decode
from lightning_lite.values.transferable import Transferable

#: Attributes of a process. That of the earlier run has ended.
PROCESS_ATTRIBUTES = frozenset({"_url", "_port"})

#: Numbers in order, by the values of some attributes.
_ByValues = dict[tuple[bytes | None, ...], list[int]]

#: The same for many components, by their class and the names of the compared attributes.
_Index = dict[tuple[str, str], dict[tuple[str, ...], _ByValues]]


class EarlierLists:
    """The lists of an earlier run.

    Args:
        history: History of that run.
    """

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._members: dict[str, dict[str, str]] = {}  # of lists and dicts: full name, by key
        self._next_numbers: dict[str, int] = {}
        self._first: dict[str, dict[str, bytes]] = {}  # results of `_first_values`
        # Of the member that is looked for, and of all in it: values of attributes, encoded once.
        self._encoded: dict[Node, dict[str, bytes | None]] = {}
        for name in history.states.keys() | history.works.keys():
            self._add(name, is_present=name in history.states)

    def names(self) -> Iterator[str]:
        """Yield the full names of all structures in which a member had a number."""
        yield from self._next_numbers

    def restore(self, member: List[Any]) -> None:
        """Let the members that are added to a list have the numbers that they had before."""
        name, present = member._node.name, member._node.children
        members = self._members.get(name, {}).items()
        # It may have been a dict, with other keys.
        earlier = {int(key): full for key, full in members if key.isdecimal() and key not in present}
        find = partial(self._take, earlier, self._index(earlier))
        member._reuse_numbers(find, self._next_numbers[name])

    def _add(self, name: str, *, is_present: bool) -> None:
        """Register a component with the structures in which it is, or was when it was removed."""
        while "." in name:
            parent, _, key = name.rpartition(".")
            if parent in self._history.states:
                break  # a component; structures have no state of their own
            if is_present:
                self._members.setdefault(parent, {})[key] = name
            if key.isdecimal():
                self._next_numbers[parent] = max(self._next_numbers.get(parent, 0), int(key) + 1)
            name = parent

    def _index(self, earlier: dict[int, str]) -> _Index:
        """Return the index of the components among some members."""
        index: _Index = {}
        for number, name in sorted(earlier.items()):
            if (identity := self._history.identities.get(name)) is not None:
                first = self._first_values(name)
                by_values = index.setdefault(identity, {}).setdefault(tuple(first), {})
                by_values.setdefault(tuple(first.values()), []).append(number)
        return index

    def _first_values(self, name: str) -> dict[str, bytes]:
        """Return the values that attributes had when a component was attached, encoded, by attribute.

        Of attributes that were written later, the history has only the last value. A `Path` or a
        `CloudCompute` differs in each run.
        """
        if (first := self._first.get(name)) is None:
            written = self._history.written.get(name, {})
            first = self._first[name] = {
                attribute: value
                for attribute, value in sorted(self._history.states[name].items())
                if attribute not in written
                and attribute not in PROCESS_ATTRIBUTES
                and not isinstance(decode(value), Transferable)
            }
        return first

    def _take(self, earlier: dict[int, str], index: _Index, member: TreeMember) -> int | None:
        """Return the lowest number of a member that is the same, and remove it; `None` if there is none."""
        self._encoded.clear()
        if isinstance(member, Component):
            alike = self._components_like(member, index)
        else:
            alike = [self._structures_like(member, earlier)]
        number = next((number for number in merge(*alike) if self._agrees(earlier[number], member)), None)
        if number is not None:
            del earlier[number]
            for numbers in alike:
                if number in numbers:
                    numbers.remove(number)
        return number

    def _components_like(self, member: Component, index: _Index) -> list[list[int]]:
        """Return the numbers of the components with the class and the attributes of a member."""
        alike = []
        for names, by_values in index.get(class_identity(type(member)), {}).items():
            values = self._values_of(member, names)
            if None not in values:
                alike.append(by_values.get(values, []))
            else:  # the class has lost an attribute
                alike += [numbers for known, numbers in by_values.items() if _agree(known, values)]
        return alike

    def _structures_like(self, member: TreeMember, earlier: dict[int, str]) -> list[int]:
        """Return the numbers of the lists and dicts with all keys of a member, in order."""
        keys = member._node.children.keys()
        known = ((number, self._members.get(name)) for number, name in sorted(earlier.items()))
        return [number for number, members in known if members is not None and keys <= members.keys()]

    def _agrees(self, name: str, member: TreeMember) -> bool:
        """Return whether a member has the class and attributes of an earlier one, and so has all in it.

        Only attributes that both have are compared: a flow may have got further members in its `run`.
        """
        if isinstance(member, Component):
            if self._history.identities.get(name) != class_identity(type(member)):
                return False
            first = self._first_values(name)
            if not _agree(tuple(first.values()), self._values_of(member, tuple(first))):
                return False
        elif name not in self._members:
            return False
        inner = ((f"{name}.{key}", child) for key, child in member._node.children.items())
        return all(self._agrees(full, child) for full, child in inner if self._is_known(full))

    def _values_of(self, component: Component, attributes: tuple[str, ...]) -> tuple[bytes | None, ...]:
        """Return the encoded values of attributes; `None` for one that the component does not have."""
        node = component._node
        encoded = self._encoded.setdefault(node, {})
        for attribute in attributes:
            if attribute not in encoded:
                encoded[attribute] = node.encode(attribute) if attribute in node.names else None
        return tuple(encoded[attribute] for attribute in attributes)

    def _is_known(self, name: str) -> bool:
        return name in self._history.states or name in self._members


def _agree(known: tuple[bytes | None, ...], values: tuple[bytes | None, ...]) -> bool:
    """Return whether encoded values are equal, except for attributes that a component has not."""
    return all(value is None or value == before for before, value in zip(known, values, strict=True))
