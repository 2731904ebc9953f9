"""`List` and `Dict` of components, which may change while the app runs.

A component in a structure is named after it: `root.works.0`, `root.works.lr_1`. A list numbers its components
in the order in which they were added. It uses no number twice, so the name of a component does not change.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Self, SupportsIndex, TypeVar, overload

from lightning_lite.errors import ComponentError, StateError
from lightning_lite.tree.component import Component
from lightning_lite.tree.hierarchy import attach, check_attachable, detach
from lightning_lite.tree.node import STATE_PARTS, Node, TreeMember, check_name
from lightning_lite.tree.outbox import outbox_of
from lightning_lite.tree.schedule import ScheduledFlow
from lightning_lite.tree.work import LightningWork

C = TypeVar("C", bound=Component)
D = TypeVar("D")
K = TypeVar("K", bound=str)
T = TypeVar("T", bound=TreeMember)


class Structure(TreeMember):
    """Base of `List` and `Dict`: their place in the tree, and the components in them."""

    def _set_name(self, name: str) -> None:
        super()._set_name(name or "root")  # outside a tree as well, like a flow

    @property
    def works(self) -> list[LightningWork]:
        """All works in the structure, at any depth."""
        return components_below(self, LightningWork)

    @property
    def flows(self) -> dict[str, Any]:
        """All flows in the structure, at any depth, by full name."""
        return {flow.name: flow for flow in components_below(self, ScheduledFlow)}

    @property
    def state(self) -> dict[str, Any]:
        """The states of the components: `{"works": …, "flows": …, "structures": …}`, each by key."""
        return collect(self, "state")

    @property
    def state_vars(self) -> dict[str, Any]:
        """Like `state`, but only with the values of attributes."""
        return collect(self, "state_vars")

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the states of the components in the structure.

        Args:
            state: A value of the property `state` or `state_vars`.

        Raises:
            ComponentError: `state` has other keys than the structure.
        """
        given = {key for group in state.values() for key in group}
        if given != set(self._node.children):
            raise ComponentError(
                f"The provided state doesn't match the {type(self).__name__} {self.name}. "
                f"Found {sorted(given ^ set(self._node.children))} as non-matching keys."
            )
        for group in state.values():
            for key, part in group.items():
                self._node.children[key].set_state(part)

    def _check(self, key: str, child: object) -> TreeMember:
        """Return `child` if it can be added under `key`; changes nothing.

        Raises:
            ComponentError: It is not a component, or can't be attached.
        """
        if not isinstance(child, TreeMember):
            raise ComponentError(
                f"{type(self).__name__} {self.name!r} can contain only flows, works and structures; "
                f"found {child!r} for {key!r}."
            )
        check_attachable(self, key, child)
        return child

    def _add(self, key: str, child: TreeMember) -> None:
        attach(self, key, child)
        self._node.children[key] = child

    def _remove(self, key: str) -> None:
        child = self._node.children.pop(key)
        outbox = outbox_of(self)
        if outbox is not None:
            outbox.request_removal(child)
        detach(child)

    def _request_pass(self) -> None:
        """Request another pass of the flow, because the structure has changed."""
        outbox = outbox_of(self)
        if outbox is not None:
            outbox.changed(f"{self.name} has other components")


class Dict(Structure, dict[K, T]):
    """A dict of components.

    Args:
        components: A mapping, or pairs of key and component.
        **items: Components by key.

    Raises:
        ComponentError: A key is not a valid name, a value is not a component, or it is in a tree already.

    Example:
        >>> from lightning_lite.testing import EmptyWork
        >>> works = Dict(a=EmptyWork())
        >>> works["b"] = EmptyWork()
        >>> sorted(works)
        ['a', 'b']
    """

    @overload
    def __init__(
        self: Dict[str, T], components: Mapping[str, T] | Iterable[tuple[str, T]] = (), /, **items: T
    ) -> None: ...

    @overload
    def __init__(self, components: Mapping[K, T] | Iterable[tuple[K, T]], /) -> None: ...

    def __init__(self, components: Any = (), /, **items: Any) -> None:
        dict.__init__(self)
        self._node = Node(self)
        self._node.name = "root"
        self.update(components, **items)

    def __setitem__(self, key: K, child: T) -> None:
        check_name(key, f"{type(self).__name__} {self.name}")
        if key in self and self[key] is child:
            return
        self._check(key, child)
        if key in self:
            self._remove(key)
        self._add(key, child)
        dict.__setitem__(self, key, child)
        self._request_pass()

    def __delitem__(self, key: K) -> None:
        dict.__delitem__(self, key)
        self._remove(key)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Dict, (dict(self),)

    def update(  # type: ignore[override]  # one signature for the overloads of `dict`
        self, components: Mapping[K, T] | Iterable[tuple[K, T]] = (), /, **items: T
    ) -> None:
        """Add all components of a mapping, or of pairs of key and component."""
        added: dict[Any, T] = dict(components, **items)
        for key, child in added.items():
            self[key] = child

    def setdefault(self, key: K, default: T | None = None) -> T:
        """Return the component under `key`; add `default` if there is none."""
        if key not in self:
            self[key] = default  # type: ignore[assignment]  # it refuses None
        return self[key]

    @overload
    def pop(self, key: K, /) -> T: ...

    @overload
    def pop(self, key: K, default: D, /) -> T | D: ...

    def pop(self, key: K, *default: Any) -> Any:
        """Remove and return the component under `key`; its process ends.

        Args:
            key: The key.
            *default: Returned if there is no such key.

        Raises:
            KeyError: There is no such key, and no default.
        """
        if key not in self and default:
            return default[0]
        child = self[key]
        del self[key]
        return child

    def popitem(self) -> tuple[K, T]:
        """Remove and return the key and the component that was added last; its process ends.

        Raises:
            KeyError: The dict is empty.
        """
        key = next(reversed(self)) if self else dict(self).popitem()[0]
        return key, self.pop(key)

    def clear(self) -> None:
        """Remove all components; their processes end."""
        for key in list(self):
            del self[key]

    def copy(self) -> dict[K, T]:
        """Return a plain dict of the components."""
        return dict(self)

    @classmethod
    def fromkeys(cls, keys: Iterable[str], value: Any = None) -> NoReturn:  # type: ignore[override]
        """Raise `ComponentError`, because one component can't be under several keys."""
        raise ComponentError("Dict.fromkeys would put one component under several keys; create one for each.")


class List(Structure, list[T]):
    """A list of components.

    Args:
        *items: The components.

    Raises:
        ComponentError: A value is not a component, or it is in a tree already.

    Example:
        >>> from lightning_lite.testing import EmptyWork
        >>> works = List(EmptyWork(), EmptyWork())
        >>> works.append(EmptyWork())
        >>> [work.name for work in works]
        ['root.0', 'root.1', 'root.2']
    """

    def __init__(self, *items: T) -> None:
        list.__init__(self)
        self._node = Node(self)
        self._node.name = "root"
        self._next_number = 0
        self._find_earlier: Callable[[TreeMember], int | None] = _find_none
        self.extend(items)

    def append(self, child: T) -> None:
        """Add a component at the end."""
        self._add_numbered(self._check(str(self._next_number), child))
        list.append(self, child)
        self._request_pass()

    def extend(self, children: Iterable[T]) -> None:
        """Add components at the end."""
        for child in list(children):
            self.append(child)

    def insert(self, index: SupportsIndex, child: T) -> None:
        """Add a component before the one at `index`."""
        self._edit(lambda items: items.insert(index, child))

    def pop(self, index: SupportsIndex = -1) -> T:
        """Remove and return the component at `index`; its process ends.

        Raises:
            IndexError: There is no such component.
        """
        return self._edit(lambda items: items.pop(index))

    def remove(self, child: T) -> None:
        """Remove a component; its process ends.

        Raises:
            ValueError: It is not in the list.
        """
        self._edit(lambda items: items.remove(child))

    def clear(self) -> None:
        """Remove all components; their processes end."""
        self._edit(lambda items: items.clear())

    def copy(self) -> list[T]:
        """Return a plain list of the components."""
        return list(self)

    @overload
    def __setitem__(self, index: SupportsIndex, value: T, /) -> None: ...

    @overload
    def __setitem__(self, index: slice, value: Iterable[T], /) -> None: ...

    def __setitem__(self, index: Any, value: Any) -> None:
        self._edit(lambda items: items.__setitem__(index, value))

    def __delitem__(self, index: SupportsIndex | slice) -> None:
        self._edit(lambda items: items.__delitem__(index))

    def __iadd__(self, children: Iterable[T]) -> Self:  # type: ignore[misc,override]
        self.extend(children)
        return self

    def __imul__(self, times: SupportsIndex) -> NoReturn:
        raise ComponentError(
            f"List {self.name!r} can't contain a component several times; create one for each place."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return List, tuple(self)

    def _edit(self, edit: Callable[[list[T]], D]) -> D:
        """Edit a copy of the list, then add and remove the components in which the copy differs.

        Args:
            edit: Edits a plain list.

        Returns:
            The return value of `edit`.

        Raises:
            ComponentError: A new value can't be added; the list is unchanged.
        """
        items = list(self)
        result = edit(items)
        before = {id(child) for child in self}
        after = {id(child) for child in items}
        if len(after) < len(items):
            raise ComponentError(f"List {self.name!r} can't contain a component several times.")
        new = [child for child in items if id(child) not in before]
        for child in [self._check(str(self._next_number), child) for child in new]:
            self._add_numbered(child)
        for key, child in list(self._node.children.items()):
            if id(child) not in after:
                self._remove(key)
        list.__setitem__(self, slice(None), items)
        self._request_pass()
        return result

    def _reuse_numbers(self, find_earlier: Callable[[TreeMember], int | None], next_number: int) -> None:
        """Give members that are added again the numbers that they had in an earlier run.

        Args:
            find_earlier: Returns the number of the member of the earlier run that is the same, or `None`. It
                returns each number once.
            next_number: Number of the first member that is new.
        """
        self._find_earlier = find_earlier
        self._next_number = max(self._next_number, next_number)

    def _add_numbered(self, child: TreeMember) -> None:
        number = self._find_earlier(child)
        if number is None:
            number = self._next_number
            self._next_number += 1
        self._add(str(number), child)


def _find_none(member: TreeMember) -> None:
    """Return no number: there is no earlier run."""


def as_structure(value: Any, name: str) -> Any:
    """Return a plain list or dict of components as a `List` or `Dict`, and any other value unchanged.

    Args:
        value: The value.
        name: The name that the structure will have.
    """
    is_list = type(value) is list
    if not value or not (is_list or type(value) is dict):
        return value
    if not all(isinstance(item, TreeMember) for item in (value if is_list else value.values())):
        return value
    structure: Any = List() if is_list else Dict()
    structure._node.name = name  # for the messages of the next line
    structure.extend(value) if is_list else structure.update(value)
    return structure


def refuse_mixed(value: Any, name: str) -> None:
    """Refuse a list or dict that has components and other values.

    Args:
        value: The value of an attribute.
        name: Full name of the attribute.

    Raises:
        StateError: The message names the first of the other values.
    """
    if type(value) not in (list, dict):
        return
    items = list(value.items() if type(value) is dict else enumerate(value))
    others = [(key, item) for key, item in items if not isinstance(item, TreeMember)]
    if others and len(others) < len(items):
        key, item = others[0]
        raise StateError(
            f"{name}[{key!r}] is {reprlib.repr(item)}, and {name} has components, too. "
            f"A {type(value).__name__} of components contains only flows, works and structures: "
            "keep other values in another attribute.",
            where=f"{name}[{key!r}]",
        ) from None


def components_below(parent: TreeMember, kind: type[C]) -> list[C]:
    """Return the components of a class below `parent`, at any depth.

    The order is that of Lightning App: children of `parent`, sorted by attribute; then those of child flows;
    then those of structures.
    """
    children = parent._node.children
    ordered = [children[key] for key in (sorted(children) if isinstance(parent, Component) else children)]
    found = [child for child in ordered if isinstance(child, kind)]
    for group in (Component, Structure):
        for child in ordered:
            if isinstance(child, group):
                found += components_below(child, kind)
    return found


def collect(parent: TreeMember, what: str) -> dict[str, Any]:
    """Return an attribute of the children of `parent`, by kind and key.

    Args:
        parent: A flow or structure.
        what: `state` or `state_vars`.
    """
    found: dict[str, dict[str, Any]] = {kind: {} for kind in STATE_PARTS}
    for key, child in parent._node.children.items():
        kind = "structures" if isinstance(child, Structure) else "works" if child._travels else "flows"
        found[kind][key] = getattr(child, what)
    return found
