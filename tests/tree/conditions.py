"""A condition whose block is looked for, and which notes the lines that run in it."""

from __future__ import annotations

import sys
from typing import Any

from lightning_lite.tree.schedule_block import Block, find_block


class Condition:
    """Is true at its first calls, and remembers the block of the last of them.

    Args:
        times: Number of the calls at which it is true.
    """

    def __init__(self, times: int = sys.maxsize) -> None:
        self.seen: list[tuple[Any, bool]] = []
        self._times = times
        self._block: Block | None = None

    def __call__(self) -> bool:
        self._times -= 1
        if self._times < 0:
            return False
        self._block = find_block(sys._getframe(1))
        return True

    def note(self, what: object) -> None:
        self.seen.append((what, self._block is not None and self._block.is_running()))
