"""The framework's data about one component: its place in the tree, and its state.

The component keeps numbers and texts as ordinary attributes. Its node keeps lists, tuples and dicts, so that
each access to one is registered, and only those that were accessed are checked for changes.
"""

from __future__ import annotations

from lightning_lite.errors import ComponentError, StateError
from lightning_lite.light_typing import TYPE_CHECKING, Protocol
from lightning_lite.values.codec import SCALARS, decode, encode, is_container
from lightning_lite.values.transferable import Stationary, Transferable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from lightning_lite.tree.calls import Call, CallRecords
    from lightning_lite.tree.policy import WorkPolicy

    #: A value at some time: whether it was a list, tuple or dict, and its encoded form, else the value.
    Stored = tuple[bool, Any]

#: The parts of a state, in the layout of Lightning App, in which are those of the components below.
STATE_PARTS = ("flows", "works", "structures")

#: The old value of an attribute that has not been assigned yet.
UNSET = object()

_FORBIDDEN_IN_NAMES = frozenset('/\\:*?"<>|') | {chr(code) for code in (*range(32), *range(127, 160))}


class TreeMember(Stationary):
    """Base of flows, works, and the structures `List` and `Dict`: each has a place in the tree."""

    _node: Node

    def _why_it_stays(self) -> str:
        return (
            f"{self._node.name or type(self).__qualname__} stays in the process of the flow. A work isn't "
            "allowed to take a LightningWork or LightningFlow. Hand on the values that it needs, and call "
            "works from the flow"
        )

    _travels = False  # whether it runs in a process of its own, so that values must be sent there

    @property
    def name(self) -> str:
        """Full name in the tree: `root`, `root.train`, `root.works.0`; "" outside a tree."""
        return self._node.name

    @property
    def state(self) -> dict[str, Any]:
        """The state as nested dicts, in the layout of Lightning App."""
        raise NotImplementedError

    @property
    def state_vars(self) -> dict[str, Any]:
        """Like `state`, but only with the values of attributes."""
        raise NotImplementedError

    @property
    def state_with_changes(self) -> dict[str, Any]:
        """The same as `state`, under another name of Lightning App."""
        return self.state

    def set_state(self, state: dict[str, Any]) -> None:
        """Assign the values of `state`, which has the layout of the property `state`."""
        raise NotImplementedError

    def _set_name(self, name: str) -> None:
        """Store the full name, because the member or one above it was attached or detached."""
        self._node.name = name


class Work(Protocol):
    """The part of `LightningWork` that requests of the flow need; `tree.work` imports this module."""

    _node: Node
    _policy: WorkPolicy

    @property
    def _records(self) -> CallRecords: ...


class Requests(Protocol):
    """Takes the calls and requests of the flow: its outbox, which the process of a work does not load."""

    def call(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the value of a call that has ended, or request the call."""

    def reached_call(self, work: Work) -> Call | None:
        """Return the call that the pass has requested last from a work."""

    def request_start(self, work: Work) -> None:
        """Request a process of a work, without a call."""

    def request_stop(self, work: Work, timeout: float) -> None:
        """Request the end of the process of a work."""

    def request_restart(self, work: Work, timeout: float) -> None:
        """Request a new process of a work."""

    def request_stacks(self, work: Work) -> None:
        """Request the Python stacks of the process of a work."""


class Link(Protocol):
    """Receives the changes of a component while an app runs: the flow's outbox, or a `WorkMachine`."""

    @property
    def outbox(self) -> Requests | None:
        """The outbox of the flow; `None` in the process of a work."""

    def write(self, node: Node, name: str, value: Any) -> None:
        """Store the new value of an attribute, and register the change."""

    def attached(self, node: Node) -> None:
        """Register that a component or structure was attached to the tree."""

    def touch(self, node: Node) -> None:
        """Register that the user got a list or dict of the component, and may change it in place."""


class Node:
    """The framework's data about one component or structure.

    Args:
        owner: The component or structure.

    Attributes:
        owner: The component or structure.
        name: Full name in the tree, `root.train`; "" outside a tree.
        parent: The component or structure that contains the owner, or `None`.
        children: Components and structures in the owner, by key.
        names: Names of the attributes that are state, in the order of declaration.
        containers: The lists, tuples and dicts among these attributes.
        encoded: Their values at the last check for changes.
        touched: Names of the containers that were accessed since then.
        link: Receives changes; `None` outside an app.
        sealed: Whether `__init__` has ended.
        depth: Number of calls of its `run` and `load_state_dict` on the stack.
        waiting: In a root: callbacks that are called when a member is attached, by its name.
    """

    __slots__ = (
        "children",
        "containers",
        "depth",
        "encoded",
        "link",
        "name",
        "names",
        "owner",
        "parent",
        "sealed",
        "touched",
        "waiting",
    )

    def __init__(self, owner: TreeMember) -> None:
        self.owner = owner
        self.name = ""
        self.parent: TreeMember | None = None
        self.children: dict[str, TreeMember] = {}
        self.names: dict[str, None] = {}
        self.containers: dict[str, Any] = {}
        self.encoded: dict[str, bytes] = {}
        self.touched: set[str] = set()
        self.link: Link | None = None
        self.sealed = False
        self.depth = 0
        self.waiting: dict[str, Callable[[TreeMember], None]] = {}

    # Pickling and copying.

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the values are pickled: tree and link belong to this process. The owner is the state, not an
        # argument: `pickle` reaches the node while it pickles the owner, and can refer to the owner only
        # after the node was created.
        containers = {name: encode(value, name) for name, value in self.containers.items()}
        return _restore_node, (self.name, self.names, containers), self.owner

    def __setstate__(self, owner: TreeMember) -> None:
        self.owner = owner

    def copy_for(self, owner: TreeMember) -> Node:
        """Return a node outside the tree for a shallow copy of the owner, with the same values."""
        node = Node(owner)
        node.name = self.name
        node.names = dict(self.names)
        node.containers = dict(self.containers)
        node.encoded = dict(self.encoded)
        node.touched = set(self.containers)  # the lists and dicts are shared, so each may change at any time
        node.sealed = True
        return node

    # Values.

    def value(self, name: str) -> Any:
        """Return the current value of a state attribute, without registering an access."""
        attributes = self.owner.__dict__
        return attributes[name] if name in attributes else self.containers[name]

    def encode(self, name: str) -> bytes:
        """Return the current value of a state attribute as bytes.

        Raises:
            StateError: The value is not plain data.
        """
        return encode(self.value(name), self.attribute_path(name))

    def stored(self, name: str) -> Stored:
        """Return the stored value of an attribute, which `is_stored` compares later."""
        if name in self.containers:
            return True, self.encoded[name]
        return False, self.owner.__dict__.get(name, UNSET)

    def is_stored(self, name: str, before: Stored) -> bool:
        """Return whether an attribute has the value that it had when `stored` returned `before`."""
        was_container, old = before
        is_container, new = self.stored(name)
        return was_container == is_container and not differ(old, new)

    def store(self, name: str, value: Any) -> bool:
        """Store a value, and return whether it differs from the one before.

        Raises:
            StateError: The value is not plain data; the attribute keeps its old one.
        """
        attributes = self.owner.__dict__
        if is_container(value):
            changed = self._store_container(name, value)
            self.touched.add(name)  # the caller still has a reference to it, and may change it
        else:
            changed = differ(attributes.get(name, UNSET), value)
            if changed:
                if type(value) not in SCALARS:
                    encode(value, self.attribute_path(name))
                attributes[name] = value
            if name in self.containers:
                self._forget_container(name)
                changed = True
            self.names[name] = None
        return changed

    def store_encoded(self, name: str, encoded: bytes) -> None:
        """Store an encoded value, which came in a message or from the journal."""
        value = decode(encoded)
        if is_container(value):
            # Unmark before storing: a thread that accesses the new value marks it again.
            self.touched.discard(name)
            self._store_container(name, value)
        else:
            self.store(name, value)

    def attribute_path(self, name: str) -> str:
        """Return the name of an attribute in error messages: `root.train.loss`."""
        return f"{self.name or type(self.owner).__qualname__}.{name}"

    # Changes inside lists and dicts.

    def changed_containers(self) -> Iterator[tuple[str, Stored]]:
        """Yield the names of the containers that have changed since the last check, and their values before.

        Raises:
            StateError: A container holds a value that is not plain data; raised after the last name.
        """
        refused: StateError | None = None
        for name in sorted(self.touched):
            if name not in self.containers:
                continue  # the flow has assigned a number while the work was accessing the list
            try:
                encoded = self.encode(name)
            except StateError as error:
                refused = refused or error
                continue
            before = self.encoded[name]
            if encoded != before:
                self.encoded[name] = encoded
                yield name, (True, before)
        if refused is not None:
            raise refused

    def restore_invalid(self) -> StateError | None:
        """Set the containers that hold a value that is not plain data back to their values at the last check.

        Returns:
            The error about the first one, or `None`.
        """
        first: StateError | None = None
        for name in sorted(self.touched & self.containers.keys()):
            try:
                self.encode(name)
            except StateError as error:
                first = first or error
                self.store_encoded(name, self.encoded[name])
        return first

    def clear_touched(self) -> None:
        """Unmark all containers, except those that are in the instance, where no access is registered."""
        self.touched = {name for name in self.containers if name in self.owner.__dict__}

    def _store_container(self, name: str, value: Any) -> bool:
        encoded = encode(value, self.attribute_path(name))
        changed = self.encoded.get(name) != encoded
        # Store in the node before removing from the instance: a thread that reads always finds one of them.
        self.containers[name] = value
        self.encoded[name] = encoded
        if hasattr(type(self.owner), name):
            # Python finds the class attribute of this name and does not call `__getattr__`. So the value is
            # stored in the instance as well, and always checked for changes.
            self.owner.__dict__[name] = value
            self.touched.add(name)
        else:
            self.owner.__dict__.pop(name, None)
        self.names[name] = None
        return changed

    def _forget_container(self, name: str) -> None:
        del self.containers[name], self.encoded[name]
        self.touched.discard(name)


def differ(old: Any, new: Any) -> bool:
    """Return whether two values differ: `1` from `1.0`, `0.0` from `-0.0`, but NaN is equal to NaN."""
    if old is new:
        return False
    if type(old) is not type(new):
        return True
    if isinstance(old, Transferable):  # equal paths may come from different works
        return bool(old.__reduce_ex__(4) != new.__reduce_ex__(4))
    return bool(old.hex() != new.hex() if type(old) is float else old != new)


def join(name: str, key: str) -> str:
    """Return the full name of the child `key` of the component `name`."""
    return f"{name}.{key}" if name else key


def check_name(name: object, what: str) -> None:
    """Refuse a key that is not a valid name of a folder on every file system.

    Args:
        name: The key.
        what: The thing that gets the key, for the error message.

    Raises:
        ComponentError: The message names the forbidden character, or says what is wrong.
    """
    if not isinstance(name, str):
        raise ComponentError(f"The provided key should be a string: {what} has {name!r}.", name=name)
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


def _restore_node(name: str, names: dict[str, None], encoded: dict[str, bytes]) -> Node:
    """Return an unpickled node, without its owner: `pickle` calls `__setstate__` with that next."""
    node = Node(None)  # type: ignore[arg-type]
    node.name = name
    node.names = names
    node.encoded = encoded
    node.containers = {key: decode(value) for key, value in encoded.items()}
    node.sealed = True
    return node
