"""The framework's data about one component: its place in the tree and its state.

Scalars live in the component's instance, as any attribute does. Lists, tuples and dicts live here, so
that reading one is seen, and only those that were read are looked into for changes.
"""

from __future__ import annotations

from lightning_lite.errors import ComponentError, StateError
from lightning_lite.light_typing import TYPE_CHECKING, Protocol
from lightning_lite.values.codec import SCALARS, decode, encode, is_container
from lightning_lite.values.protocol import Transferable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


_FORBIDDEN_IN_NAMES = frozenset('/\\:*?"<>|') | {chr(code) for code in (*range(32), *range(127, 160))}
_MAX_NAME_NBYTES = 200  # a component's name is also a folder and, with a suffix, a file


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
        link.attached(component)
        if node.touched:
            link.touch(component)
    for child in component._node.children.values():
        connect(child, link)


def wait_for(component: Any, name: str, take: Callable[[Any], None]) -> None:
    """Call `take` with the component named `name`, now or as soon as it enters the tree of `component`."""
    top = _top_of(component)
    found = _find(top, name)
    if found is None:
        top._node.waiting[name] = take
    else:
        take(found)


def _top_of(component: Any) -> Any:
    while component._node.parent is not None:
        component = component._node.parent
    return component


def _find(top: Any, name: str) -> Any:
    """Return the component with this full name, or `None`."""
    if name == top._node.name:
        return top
    component = top
    for key in name.removeprefix(f"{top._node.name}.").split("."):
        component = component._node.children.get(key)
        if component is None:
            return None
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


class Link(Protocol):
    """Where a component reports to while an app runs: the outbox of the flow, or the host of a work."""

    def write(self, component: Any, name: str, value: Any) -> None:
        """Store the new value of an attribute, and note that it changed."""

    def attached(self, component: Any) -> None:
        """Note that a component came into the tree."""

    def touch(self, component: Any) -> None:
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
        "encoded",
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
        self.encoded: dict[str, bytes] = {}
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
            {name: encode(value, name) for name, value in self.containers.items()},
        )

    def store(self, component: Any, name: str, value: Any) -> bool:
        """Store a checked value and return whether it differs from the one before."""
        attributes = component.__dict__
        if is_container(value):
            changed = self._store_container(component, name, value)
            self.touched.add(name)  # the caller still holds it and may change it
        else:
            changed = differ(attributes.get(name, UNSET), value)
            if changed:
                if type(value) not in SCALARS:
                    encode(value, self.where(component, name))
                attributes[name] = value
            if name in self.containers:
                self._forget_container(name)
                changed = True
            self.names[name] = None
        return changed

    def store_encoded(self, component: Any, name: str, encoded: bytes) -> None:
        """Store a value that came in a letter."""
        value = decode(encoded)
        if is_container(value):
            self.touched.discard(name)  # first: a thread that reads it from now on touches it
            self._store_container(component, name, value)
        else:
            self.store(component, name, value)

    def encode(self, component: Any, name: str) -> bytes:
        """Return the present value of a state attribute, frozen."""
        return encode(self.value(component, name), self.where(component, name))

    def value(self, component: Any, name: str) -> Any:
        """Return the present value of a state attribute, without noting that it was read."""
        attributes = component.__dict__
        return attributes[name] if name in attributes else self.containers[name]

    def look(self, component: Any) -> Iterator[str]:
        """Yield the names of the containers that changed since the last look.

        Raises:
            StateError: One of them holds what is not plain data; raised after all others were yielded.
        """
        refused: StateError | None = None
        for name in sorted(self.touched):
            if name not in self.containers:
                continue  # the flow has written a number while the work was reading the list
            try:
                encoded = self.encode(component, name)
            except StateError as error:
                refused = refused or error
                continue
            if encoded != self.encoded[name]:
                self.encoded[name] = encoded
                yield name
        if refused is not None:
            raise refused

    def settle(self, component: Any) -> None:
        """Forget which containers were handed out; only the next reading makes them worth a look."""
        self.touched = {name for name in self.containers if name in component.__dict__}

    def where(self, component: Any, name: str) -> str:
        """Return how messages call an attribute: `root.train.loss`."""
        return f"{self.name or type(component).__qualname__}.{name}"

    def _store_container(self, component: Any, name: str, value: Any) -> bool:
        encoded = encode(value, self.where(component, name))
        changed = self.encoded.get(name) != encoded
        # Stored here before it is removed there: another thread that reads it finds one of them.
        self.containers[name] = value
        self.encoded[name] = encoded
        if hasattr(type(component), name):
            # A class attribute of that name would hide the node; such containers are always looked at.
            component.__dict__[name] = value
            self.touched.add(name)
        else:
            component.__dict__.pop(name, None)
        self.names[name] = None
        return changed

    def _forget_container(self, name: str) -> None:
        del self.containers[name], self.encoded[name]
        self.touched.discard(name)


#: The old value of an attribute that has none.
UNSET = object()


def differ(old: Any, new: Any) -> bool:
    """Return whether two values differ: `1` from `1.0`, `0.0` from `-0.0`, but NaN is NaN."""
    if old is new:
        return False
    if type(old) is not type(new):
        return True
    if isinstance(old, Transferable):  # equal paths may come from different works
        return bool(old.__reduce_ex__(4) != new.__reduce_ex__(4))
    return bool(old.hex() != new.hex() if type(old) is float else old != new)


def _revive_node(name: str, names: dict[str, None], encoded: dict[str, bytes]) -> Node:
    node = Node()
    node.name = name
    node.names = names
    node.encoded = encoded
    node.containers = {key: decode(value) for key, value in encoded.items()}
    node.sealed = True
    return node
