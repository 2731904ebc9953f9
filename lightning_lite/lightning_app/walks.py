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
        types: The classes to yield. The components below those of other classes are visited, too.

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
        children = member._node.children
        keys = list(children) if isinstance(member, Structure) else sorted(children)
        waiting.extend(children[key] for key in keys)
