"""Attaches components and structures to the tree, detaches them, and finds them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning_lite.errors import ComponentError
from lightning_lite.tree.node import Link, TreeMember, join

if TYPE_CHECKING:
    from collections.abc import Callable

#: Limit for a full name, in bytes: it is also the name of a folder, and with a suffix of a file.
_MAX_NAME_NBYTES = 200


def attach(parent: TreeMember, key: str, child: TreeMember) -> None:
    """Make `child` the child of `parent` under `key`, and set its name and the names of its descendants.

    Raises:
        ComponentError: See `check_attachable`.
    """
    check_attachable(parent, key, child)
    child._node.parent = parent
    set_name(child, join(parent._node.name, key))
    connect(child, parent._node.link)
    _call_waiting(child, root_of(parent)._node.waiting)


def check_attachable(parent: TreeMember, key: str, child: TreeMember) -> None:
    """Refuse a child that can't be attached to `parent` under `key`; changes nothing.

    Raises:
        ComponentError: It is in a tree already, it would contain itself, or its name would be too long.
    """
    node, name = child._node, join(parent._node.name, key)
    if node.parent is not None:
        raise ComponentError(
            f"The same {type(child).__qualname__} can't be in two places: it is {node.name!r} already, "
            f"so it can't become {key!r} of {_shown(parent)}, too. Create a second one.",
            name=node.name,
        )
    ancestor: TreeMember | None = parent
    while ancestor is not None:
        if ancestor is child:
            raise ComponentError(f"{type(child).__qualname__} can't contain itself as {key!r}.")
        ancestor = ancestor._node.parent
    _check_length(child, name)


def detach(child: TreeMember) -> None:
    """Remove a component or structure from the tree."""
    child._node.parent = None
    connect(child, None)
    set_name(child, "")


def set_name(member: TreeMember, name: str) -> None:
    """Set the name of a component or structure, and the names of its descendants."""
    member._set_name(name)
    for key, child in member._node.children.items():
        set_name(child, join(member._node.name, key))


def connect(member: TreeMember, link: Link | None) -> None:
    """Let a component or structure, and its descendants, report changes to `link` from now on."""
    node = member._node
    node.link = link
    if link is not None:
        # `attached` reports the current state, so changes made before must not be reported again.
        for _ in node.changed_containers():
            pass
        node.clear_touched()
        link.attached(node)
        if node.touched:
            link.touch(node)
    for child in node.children.values():
        connect(child, link)


def call_when_attached(member: TreeMember, name: str, callback: Callable[[TreeMember], None]) -> None:
    """Call `callback` with the member `name` of the tree: now, or when it is attached.

    Args:
        member: Any component or structure of the tree.
        name: Full name.
        callback: Called once.
    """
    root = root_of(member)
    found = _find(root, name)
    if found is None:
        root._node.waiting[name] = callback
    else:
        callback(found)


def _shown(parent: TreeMember) -> str:
    """Return a parent for a message; before it is attached, its name is not the one that it will have."""
    kind = type(parent).__qualname__
    return f"{kind} {parent._node.name!r}" if parent._node.parent is not None else f"this {kind}"


def _check_length(member: TreeMember, name: str) -> None:
    nbytes = len(name.encode())
    if nbytes > _MAX_NAME_NBYTES:
        raise ComponentError(
            f"The name {name[:60]}... is {nbytes} bytes long, the limit is {_MAX_NAME_NBYTES}. "
            "Names are also names of folders: use shorter keys or fewer levels.",
            name=name,
        )
    for key, child in member._node.children.items():
        _check_length(child, join(name, key))


def root_of(member: TreeMember) -> TreeMember:
    """Return the root of the tree that a member is in."""
    while (parent := member._node.parent) is not None:
        member = parent
    return member


def find_component(parent: TreeMember, path: str) -> TreeMember:
    """Return the component or structure at `path` below `parent`.

    Args:
        parent: A flow or structure.
        path: Keys, separated by dots.

    Raises:
        AttributeError: There is none; the message names the missing key.
    """
    for key in path.split("."):
        children = parent._node.children
        if key not in children:
            raise AttributeError(f"Component '{parent.name}' has no child component with name '{key}'.")
        parent = children[key]
    return parent


def _find(root: TreeMember, name: str) -> TreeMember | None:
    """Return the member of the tree with this full name, or `None`."""
    if name == root._node.name:
        return root
    try:
        return find_component(root, name.removeprefix(f"{root._node.name}."))
    except AttributeError:
        return None


def _call_waiting(member: TreeMember, waiting: dict[str, Callable[[TreeMember], None]]) -> None:
    """Call the callbacks that wait for the member or for one of its descendants."""
    if not waiting:
        return
    callback = waiting.pop(member._node.name, None)
    if callback is not None:
        callback(member)
    for child in list(member._node.children.values()):
        _call_waiting(child, waiting)
