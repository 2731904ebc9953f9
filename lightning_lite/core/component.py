"""What flows and works have in common: a name in the tree, and attributes that are state.

A public attribute declared in `__init__` is state. Scalars live in the instance, as any attribute
does; lists, tuples and dicts live in the `Node`, so that reading one is seen and only those that
were read are looked into for changes.
"""

from __future__ import annotations

from abc import ABCMeta
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from lightning_lite.context import Caller, acting_as, current_caller
from lightning_lite.errors import ComponentDefinitionError, ComponentError, StateError
from lightning_lite.state.frozen import SCALARS, freeze, is_container, thaw
from lightning_lite.travel import Traveller

_FORBIDDEN_IN_NAMES = frozenset('/\\:*?"<>|') | {chr(code) for code in (*range(32), *range(127, 160))}
_MAX_NAME_NBYTES = 200  # a component's name is also a folder and, with a suffix, a file


class Link(Protocol):
    """Where a component reports to while an app runs: the outbox of the flow, or the host of a work."""

    def write(self, component: Component, name: str, value: Any) -> None:
        """Store the new value of an attribute, and note that it changed."""

    def touch(self, component: Component) -> None:
        """Note that a container of the component was handed out and may be changed in place."""


class Node:
    """What the framework knows about one component; never part of what the user defines.

    Attributes:
        name: Full name in the tree, `root.train`; "" until it is attached.
        parent: The component or structure that holds it.
        children: Components and structures by attribute name.
        names: Names of the attributes that are state, in the order of declaration.
        containers: The lists, tuples and dicts among them.
        frozen: Their values when they were last looked at.
        touched: Names of containers handed out since then.
        link: Where changes are reported, or `None` outside an app.
        sealed: Whether `__init__` has ended.
        depth: How many `run` methods of this component are on the way.
        waiting: In a root: what to do with a component that is not there yet, by its name.
    """

    __slots__ = (
        "children",
        "containers",
        "depth",
        "frozen",
        "link",
        "name",
        "names",
        "parent",
        "sealed",
        "touched",
        "waiting",
    )

    def __init__(self) -> None:
        self.name = ""
        self.parent: Any = None
        self.children: dict[str, Any] = {}
        self.names: dict[str, None] = {}
        self.containers: dict[str, Any] = {}
        self.frozen: dict[str, bytes] = {}
        self.touched: set[str] = set()
        self.link: Any = None
        self.sealed = False
        self.depth = 0
        self.waiting: dict[str, Callable[[Any], None]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the values travel: the tree and the link belong to the process that has them.
        return _revive_node, (
            self.name,
            self.names,
            {name: freeze(value, name) for name, value in self.containers.items()},
        )

    def store(self, component: Component, name: str, value: Any) -> bool:
        """Store a checked value and return whether it differs from the one before."""
        attributes = component.__dict__
        if is_container(value):
            frozen = freeze(value, self.where(component, name))
            changed = self.frozen.get(name) != frozen
            if hasattr(type(component), name):
                # A class attribute of that name would hide the node; such containers are always looked at.
                attributes[name] = value
            else:
                attributes.pop(name, None)
            self.containers[name] = value
            self.frozen[name] = frozen
            self.touched.add(name)
        else:
            old = attributes.get(name, _UNSET)
            changed = old is not value and (type(old) is not type(value) or _differ(old, value))
            if changed:
                if type(value) not in SCALARS:
                    freeze(value, self.where(component, name))
                attributes[name] = value
            if name in self.containers:
                self._forget_container(name)
                changed = True
        self.names[name] = None
        return changed

    def store_frozen(self, component: Component, name: str, frozen: bytes) -> None:
        """Store a value that came in a letter."""
        self.store(component, name, thaw(frozen))
        if name not in component.__dict__:
            self.touched.discard(name)

    def freeze(self, component: Component, name: str) -> bytes:
        """Return the present value of a state attribute, frozen."""
        return freeze(self.value(component, name), self.where(component, name))

    def value(self, component: Component, name: str) -> Any:
        """Return the present value of a state attribute, without noting that it was read."""
        attributes = component.__dict__
        return attributes[name] if name in attributes else self.containers[name]

    def look(self, component: Component) -> Iterator[str]:
        """Yield the names of the containers that changed since the last look.

        Raises:
            StateError: One of them holds what is not plain data; raised after all others were yielded.
        """
        refused: StateError | None = None
        for name in sorted(self.touched):
            try:
                frozen = self.freeze(component, name)
            except StateError as error:
                refused = refused or error
                continue
            if frozen != self.frozen[name]:
                self.frozen[name] = frozen
                yield name
        if refused is not None:
            raise refused

    def settle(self, component: Component) -> None:
        """Forget which containers were handed out; only the next reading makes them worth a look."""
        self.touched = {name for name in self.containers if name in component.__dict__}

    def where(self, component: Component, name: str) -> str:
        """Return how messages call an attribute: `root.train.loss`."""
        return f"{self.name or type(component).__qualname__}.{name}"

    def _forget_container(self, name: str) -> None:
        del self.containers[name], self.frozen[name]
        self.touched.discard(name)


_UNSET = object()


def _differ(old: Any, new: Any) -> bool:
    """Return whether two values of one type differ: NaN is NaN, but 0.0 is not -0.0."""
    return bool(old.hex() != new.hex() if type(old) is float else old != new)


def _revive_node(name: str, names: dict[str, None], frozen: dict[str, bytes]) -> Node:
    node = Node()
    node.name = name
    node.names = names
    node.frozen = frozen
    node.containers = {key: thaw(value) for key, value in frozen.items()}
    node.sealed = True
    return node


class ComponentType(ABCMeta):
    """The class of component classes: it knows when `__init__` begins and ends."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Build a component; while that lasts, no drive may be used."""
        with acting_as(Caller("init", cls.__qualname__, current_caller().root)):
            component = super().__call__(*args, **kwargs)
        node = component.__dict__.get("_node")
        if node is None:
            raise ComponentDefinitionError(
                f"Did you forget to call super().__init__() in {cls.__qualname__}.__init__?"
            )
        node.sealed = True
        return component


class Component(metaclass=ComponentType):
    """Base of flows and works."""

    _node: Node
    _travels = False  # whether it lives in a process of its own, so that writes have to be sent

    def __init__(self) -> None:
        self._node = Node()

    def __setattr__(self, name: str, value: Any) -> None:
        node = self.__dict__.get("_node")
        if node is not None and name in node.names:
            self._write(node, name, value)
        elif name[:1] == "_" or hasattr(getattr(type(self), name, None), "__set__"):
            object.__setattr__(self, name, value)
        elif node is None:
            raise StateError(
                f"Did you forget to call super().__init__() in {type(self).__qualname__}.__init__? "
                f"It has to come before self.{name} = ..."
            )
        else:
            self._declare(node, name, value)

    def __getattr__(self, name: str) -> Any:
        node = self.__dict__.get("_node")
        if node is not None and name in node.containers:
            if name not in node.touched:
                node.touched.add(name)
                if node.link is not None:
                    node.link.touch(self)
            return node.containers[name]
        if node is None and name[:1] != "_":
            raise StateError(
                f"Did you forget to call super().__init__() in {type(self).__qualname__}.__init__?"
            )
        raise AttributeError(f"{type(self).__qualname__!r} object has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if name in self._node.names or name in self._node.children:
            raise StateError(
                f"{self._node.where(self, name)} is part of the state, which keeps its shape. "
                "Set it to None instead of deleting it."
            )
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._node.containers})

    @property
    def name(self) -> str:
        """Full name in the tree: `root`, `root.train`, `root.works.0`; "" for a work outside a flow."""
        return self._node.name

    @property
    def state_vars(self) -> dict[str, Any]:
        """The values of the state alone, see `state`."""
        return {"vars": self._values()}

    def _values(self) -> dict[str, Any]:
        return {name: self._copied(name) for name in self._node.names}

    def _set_values(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name not in self._node.names:
                raise StateError(f"{self._node.where(self, name)} was never declared, so it can't be set.")
            setattr(self, name, value)

    def _copied(self, name: str) -> Any:
        value = self._node.value(self, name)
        return thaw(freeze(value, name)) if is_container(value) else value

    def _write(self, node: Node, name: str, value: Any) -> None:
        if node.link is None:
            node.store(self, name, value)
        else:
            node.link.write(self, name, value)
        if isinstance(value, Traveller) and node.name:
            value.attached(node.name, name)

    def _declare(self, node: Node, name: str, value: Any) -> None:
        """Take a public attribute that is new."""
        if node.sealed:
            raise StateError(
                f"Cannot set attributes that were not defined in __init__: {name}. "
                f"Declare self.{name} = ... in {type(self).__qualname__}.__init__, "
                f"or use a private attribute, self._{name}, which is not shared.",
                attribute=name,
            )
        if callable(getattr(type(self), name, None)):
            raise StateError(
                f"{node.where(self, name)} is a method of {type(self).__qualname__}; "
                "give the attribute another name.",
                attribute=name,
            )
        check_name(name, f"the attribute of {type(self).__qualname__}")
        self._write(node, name, value)

    def _entered(self, name: str) -> None:
        """Take the name under which the component stands in the tree."""
        self._node.name = name
        for attribute in self._node.names:
            value = self.__dict__.get(attribute)
            if isinstance(value, Traveller):
                value.attached(name, attribute)


def adopt(parent: Any, key: str, child: Any) -> None:
    """Make `child` a child of `parent` under `key`; its name and those of its descendants follow.

    Raises:
        ComponentError: It has a place already, or would contain itself.
    """
    check_place(parent, key, child)
    child._node.parent = parent
    enter(child, join(parent._node.name, key))
    connect(child, parent._node.link)
    _end_waiting(child, _top_of(parent)._node.waiting)


def check_place(parent: Any, key: str, child: Any) -> None:
    """Refuse a child that can't become `key` of `parent`, before anything is changed.

    Raises:
        ComponentError: It has a place already, would contain itself, or would get too long a name.
    """
    node, name = child._node, join(parent._node.name, key)
    if node.parent is not None:
        raise ComponentError(
            f"The same {type(child).__qualname__} can't stand in two places: it is {node.name!r} already "
            f"and was to become {name!r}. Create a second one.",
            name=node.name,
        )
    ancestor = parent
    while ancestor is not None:
        if ancestor is child:
            raise ComponentError(f"{type(child).__qualname__} can't contain itself as {key!r}.")
        ancestor = ancestor._node.parent
    _check_length(child, name)


def _check_length(component: Any, name: str) -> None:
    nbytes = len(name.encode())
    if nbytes > _MAX_NAME_NBYTES:
        raise ComponentError(
            f"The name {name[:60]}... is {nbytes} bytes long, the limit is {_MAX_NAME_NBYTES}. "
            "Names are also names of folders: use shorter keys or fewer levels.",
            name=name,
        )
    for key, child in component._node.children.items():
        _check_length(child, join(name, key))


def enter(component: Any, name: str) -> None:
    """Give a component, and all below it, its name."""
    component._entered(name)
    for key, child in component._node.children.items():
        enter(child, join(component._node.name, key))


def connect(component: Any, link: Link | None) -> None:
    """Let a component, and all below it, report to `link` what changes from now on."""
    node = component._node
    node.link = link
    if link is not None:
        list(node.look(component))  # what was changed before is no news
        node.settle(component)
        if node.touched:
            link.touch(component)
    for child in component._node.children.values():
        connect(child, link)


def wait_for(component: Any, name: str, take: Callable[[Any], None]) -> None:
    """Call `take` with the component named `name`, now or as soon as it enters the tree of `component`."""
    top = _top_of(component)
    top._node.waiting[name] = take
    _end_waiting(top, top._node.waiting)


def _top_of(component: Any) -> Any:
    while component._node.parent is not None:
        component = component._node.parent
    return component


def _end_waiting(component: Any, waiting: dict[str, Callable[[Any], None]]) -> None:
    if not waiting:
        return
    take = waiting.pop(component._node.name, None)
    if take is not None:
        take(component)
    for child in list(component._node.children.values()):
        _end_waiting(child, waiting)


def release(child: Any) -> None:
    """Take a component out of the tree."""
    child._node.parent = None
    connect(child, None)
    enter(child, "")


def join(name: str, key: str) -> str:
    """Return the full name of the child `key` of the component `name`."""
    return f"{name}.{key}" if name else key


def check_name(name: Any, what: str) -> None:
    """Refuse a name that could not be a folder everywhere.

    Raises:
        ComponentError: The message says which character or length is in the way.
    """
    if not isinstance(name, str):
        raise ComponentError(f"The provided key should be an string: {what} has {name!r}.", name=name)
    if "." in name:
        raise ComponentError(f"The provided name {name!r} contains . which is forbidden ({what}).", name=name)
    bad = sorted(set(name) & _FORBIDDEN_IN_NAMES)
    if bad or not name or name != name.strip():
        found = f"contains {bad[0]!r}" if bad else "is empty or begins or ends with a space"
        raise ComponentError(
            f"The provided name {name!r} {found}, which is forbidden ({what}): "
            "names of components are also names of folders. Use letters, digits, - and _.",
            name=name,
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ComponentError(f"The provided name {name!r} is no valid text ({what}).", name=name) from None
