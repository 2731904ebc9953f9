"""`List` and `Dict` of components, which may change while the app runs.

A component in a structure is named after it: `root.works.0`, `root.works.lr_1`. A list numbers its
components in the order of their arrival; a number is never given twice, so names stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex

from lightning_lite.errors import ComponentError
from lightning_lite.tree.component import Component
from lightning_lite.tree.node import Node, adopt, check_name, check_place, release
from lightning_lite.tree.outbox import ComponentRemoved, Outbox


class Structure:
    """What `List` and `Dict` have in common: a place in the tree."""

    _node: Node
    _travels = False

    @property
    def name(self) -> str:
        """Full name in the tree: `root.works`."""
        return self._node.name

    @property
    def works(self) -> list[Any]:
        """All works in it, at any depth."""
        return [work for _, work in named_components(self, works=True)]

    @property
    def flows(self) -> dict[str, Any]:
        """All flows in it, at any depth, by name."""
        return dict(named_components(self, works=False))

    @property
    def state(self) -> dict[str, Any]:
        """The states of what is in it: `{"works": …, "flows": …, "structures": …}`, by key."""
        return collect(self, "state")

    @property
    def state_vars(self) -> dict[str, Any]:
        """Like `state`, the values alone."""
        return collect(self, "state_vars")

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the states of what is in it.

        Raises:
            ComponentError: `state` speaks of other keys than there are.
        """
        given = {key for group in state.values() for key in group}
        if given != set(self._node.children):
            raise ComponentError(
                f"The provided state doesn't match the {type(self).__name__} {self.name}. "
                f"Found {sorted(given ^ set(self._node.children))} un-matching keys."
            )
        for group in state.values():
            for key, part in group.items():
                self._node.children[key].set_state(part)

    def _entered(self, name: str) -> None:
        self._node.name = name

    def _check(self, key: str, child: Any) -> None:
        """Refuse what can't be taken, before anything is changed."""
        if not isinstance(child, Component | Structure):
            raise ComponentError(
                f"{type(self).__name__} {self.name!r} holds flows, works and structures only; "
                f"found {child!r} for {key!r}."
            )
        check_place(self, key, child)

    def _take(self, key: str, child: Any) -> None:
        adopt(self, key, child)
        self._node.children[key] = child

    def _drop(self, key: str) -> None:
        child = self._node.children.pop(key)
        if isinstance(self._node.link, Outbox):
            self._node.link.ask(ComponentRemoved(child, child.name))
            self._node.link.changed(f"{child.name} was taken out")
        release(child)

    def _noted(self) -> None:
        if isinstance(self._node.link, Outbox):
            self._node.link.changed(f"{self.name} has other components")


class Dict(Structure, dict[str, Any]):
    """A dict of components.

    Args:
        *args: As for `dict`: a mapping or pairs.
        **items: Components by key.

    Raises:
        ComponentError: A key is no text or no safe name of a folder, or a value is no component.

    Example:
        >>> from lightning_lite.testing import EmptyWork
        >>> works = Dict(a=EmptyWork())
        >>> works["b"] = EmptyWork()
        >>> sorted(works)
        ['a', 'b']
    """

    def __init__(self, *args: Any, **items: Any) -> None:
        dict.__init__(self)
        self._node = Node()
        self.update(*args, **items)

    def __setitem__(self, key: str, child: Any) -> None:
        check_name(key, f"{type(self).__name__} {self.name}")
        if key in self and self[key] is child:
            return
        self._check(key, child)
        if key in self:
            self._drop(key)
        self._take(key, child)
        dict.__setitem__(self, key, child)
        self._noted()

    def __delitem__(self, key: str) -> None:
        dict.__delitem__(self, key)
        self._drop(key)

    def __ior__(self, other: Any) -> Dict:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Dict, (dict(self),)

    def update(self, *args: Any, **items: Any) -> None:
        """Take all components of a mapping or of pairs."""
        for key, child in dict(*args, **items).items():
            self[key] = child

    def setdefault(self, key: str, default: Any = None) -> Any:
        """Return the component under `key`; take `default` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        """Take out and return the component under `key`."""
        if key not in self and default:
            return default[0]
        child = self[key]
        del self[key]
        return child

    def popitem(self) -> tuple[str, Any]:
        """Take out and return the component that came last."""
        key = next(reversed(self)) if self else dict(self).popitem()[0]
        return key, self.pop(key)

    def clear(self) -> None:
        """Take out all components."""
        for key in list(self):
            del self[key]

    def copy(self) -> dict[str, Any]:
        """Return a plain dict of the components."""
        return dict(self)

    @classmethod
    def fromkeys(cls, keys: Iterable[str], value: Any = None) -> Any:  # type: ignore[override]
        """Refuse: one component can't stand under several keys."""
        raise ComponentError("Dict.fromkeys would put one component under several keys; create one for each.")


class List(Structure, list[Any]):
    """A list of components.

    Args:
        *items: Components.

    Raises:
        ComponentError: A value is no component, or stands somewhere else already.

    Example:
        >>> from lightning_lite.testing import EmptyWork
        >>> works = List(EmptyWork(), EmptyWork())
        >>> works.append(EmptyWork())
        >>> [work.name for work in works]
        ['0', '1', '2']
    """

    def __init__(self, *items: Any) -> None:
        list.__init__(self)
        self._node = Node()
        self._next_number = 0
        self.extend(items)

    def append(self, child: Any) -> None:
        """Take a component at the end."""
        self._check(str(self._next_number), child)
        self._take(str(self._next_number), child)
        self._next_number += 1
        list.append(self, child)
        self._noted()

    def extend(self, children: Iterable[Any]) -> None:
        """Take components at the end."""
        for child in list(children):
            self.append(child)

    def insert(self, index: SupportsIndex, child: Any) -> None:
        """Take a component before the one at `index`."""
        self._change(lambda items: items.insert(index, child))

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Take out and return the component at `index`."""
        return self._change(lambda items: items.pop(index))

    def remove(self, child: Any) -> None:
        """Take out a component."""
        self._change(lambda items: items.remove(child))

    def clear(self) -> None:
        """Take out all components."""
        self._change(lambda items: items.clear())

    def copy(self) -> list[Any]:
        """Return a plain list of the components."""
        return list(self)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._change(lambda items: items.__setitem__(index, value))

    def __delitem__(self, index: Any) -> None:
        self._change(lambda items: items.__delitem__(index))

    def __iadd__(self, children: Iterable[Any]) -> List:  # type: ignore[misc]
        self.extend(children)
        return self

    def __imul__(self, times: SupportsIndex) -> Any:
        raise ComponentError(
            f"List {self.name!r} can't hold a component several times; create one for each place."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return List, tuple(self)

    def _change(self, edit: Callable[[list[Any]], Any]) -> Any:
        """Edit a copy; then take what is new in it and drop what is gone."""
        items = list(self)
        result = edit(items)
        before = {id(child): child for child in self}
        after = {id(child) for child in items}
        if len(after) < len(items):
            raise ComponentError(f"List {self.name!r} can't hold a component several times.")
        new = [child for child in items if id(child) not in before]
        for child in new:
            self._check(str(self._next_number), child)
        for child in new:
            self._take(str(self._next_number), child)
            self._next_number += 1
        for key, child in list(self._node.children.items()):
            if id(child) not in after:
                self._drop(key)
        list.__setitem__(self, slice(None), items)
        self._noted()
        return result


def as_structure(value: Any) -> Any:
    """Return a list or dict of nothing but components as a structure, and anything else as it is."""
    if type(value) is list and value and all(isinstance(item, Component | Structure) for item in value):
        return List(*value)
    if (
        type(value) is dict
        and value
        and all(isinstance(item, Component | Structure) for item in value.values())
    ):
        return Dict(value)
    return value


def named_components(parent: Any, *, works: bool) -> list[tuple[str, Any]]:
    """Return the works, or the flows, below `parent` with their names.

    As in Lightning App: own works sorted by attribute, then those of child flows, then those of structures.
    """
    children = (
        sorted(parent._node.children.items())
        if isinstance(parent, Component)
        else parent._node.children.items()
    )
    found = [
        (child.name, child)
        for _, child in children
        if isinstance(child, Component) and child._travels is works
    ]
    for kind in (Component, Structure):
        for _, child in children:
            if isinstance(child, kind) and not child._travels:
                found += named_components(child, works=works)
    return found


def collect(parent: Any, what: str) -> dict[str, Any]:
    """Return attribute `what` of the children of `parent`, by kind and key."""
    found: dict[str, dict[str, Any]] = {"flows": {}, "works": {}, "structures": {}}
    for key, child in parent._node.children.items():
        kind = "structures" if isinstance(child, Structure) else "works" if child._travels else "flows"
        found[kind][key] = getattr(child, what)
    return found


def find_component(parent: Any, path: str) -> Any:
    """Return the component below `parent` that `path` leads to, keys separated by dots.

    Raises:
        AttributeError: There is none; the message names the part that is missing.
    """
    for key in path.split(".") if path else ():
        child: Mapping[str, Any] = parent._node.children
        if key not in child:
            raise AttributeError(f"Component '{parent.name}' has no child component with name '{key}'.")
        parent = child[key]
    return parent


def flatten_states(state: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Return the states of all components below the one that `state` is of, by name relative to it."""
    found: dict[str, dict[str, Any]] = {}
    for kind in ("flows", "works", "structures"):
        for key, part in state.get(kind, {}).items():
            name = f"{prefix}{key}"
            if kind != "structures":
                found[name] = part
            found |= flatten_states(part, f"{name}.")
    return found
