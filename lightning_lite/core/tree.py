"""How components find their place: adopted under a name, connected to a link, released again."""

from __future__ import annotations

from lightning_lite.core.node import Link
from lightning_lite.errors import ComponentError
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
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
