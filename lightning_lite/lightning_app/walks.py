"""Visits the components of a tree in the order of Lightning App."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from lightning_lite.tree.component import Component
from lightning_lite.tree.node import TreeMember
from lightning_lite.tree.structures import Structure


def breadth_first(
    root: TreeMember, types: type[TreeMember] | tuple[type[TreeMember], ...] = Component
) -> Iterator[TreeMember]:
    """Yield a component and those below it, level by level; on a level sorted by their attributes.

    Args:
        root: A flow or a work.
        types: The classes to yield. The components below components of other classes are visited, too.

    Example:
        >>> from lightning_lite import LightningFlow, LightningWork
        >>> from lightning_lite.testing import EmptyFlow, EmptyWork
        >>> class Two(EmptyFlow):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.work, self.flow = EmptyWork(), EmptyFlow()
        >>> [component.name for component in breadth_first(Two(), types=(LightningFlow, LightningWork))]
        ['root', 'root.flow', 'root.work']
    """
    waiting = deque([root])
    while waiting:
        member = waiting.popleft()
        if isinstance(member, types):
            yield member
        waiting.extend(_children(member))


def depth_first(
    root: TreeMember, types: type[TreeMember] | tuple[type[TreeMember], ...] = Component
) -> Iterator[TreeMember]:
    """Yield a component and those below it, each followed by those below itself.

    Args:
        root: A flow or a work.
        types: The classes to yield. The components below components of other classes are visited, too.

    Example:
        >>> from lightning_lite.testing import EmptyFlow
        >>> class Two(EmptyFlow):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.a, self.b = EmptyFlow(), EmptyFlow()
        >>> class Four(EmptyFlow):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.two, self.z = Two(), EmptyFlow()
        >>> [component.name for component in depth_first(Four())]
        ['root', 'root.two', 'root.two.a', 'root.two.b', 'root.z']
    """
    waiting = [root]
    while waiting:
        member = waiting.pop()
        if isinstance(member, types):
            yield member
        waiting.extend(reversed(_children(member)))


def _children(member: TreeMember) -> list[TreeMember]:
    children = member._node.children
    keys = list(children) if isinstance(member, Structure) else sorted(children)
    return [children[key] for key in keys]
