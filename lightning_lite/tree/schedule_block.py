"""Finds the block of code that runs if a call returns true, and whether code is still in it.

    if self.schedule("hourly"):     ◀── the call
        self.first.run()            ◀── the block
        self.second.run()
    self.third.run()                ◀── after the block

The block is read from the bytecode after the call, so no source is needed.
"""

from __future__ import annotations

import dis
import sys
from types import CodeType, FrameType
from typing import NamedTuple

#: `inspect.CO_GENERATOR`: the import of `inspect` would take 10 ms in each process that loads a flow.
_GENERATOR = 0x20

#: A jump that belongs to the condition follows the call after at most so many instructions.
_MAX_DISTANCE = 4


class Block(NamedTuple):
    """The instructions that run only if a call returned true.

    Attributes:
        frame: The running function that made the call.
        start: Offset of the first instruction.
        stop: Offset of the first instruction after the block.
        lines: The lines between the call and the first line after the block.
    """

    frame: FrameType
    start: int
    stop: int
    lines: range

    def is_running(self) -> bool:
        """Return whether the calling code runs in this block, or was called from it."""
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        code = self.frame.f_code
        if frame is None and code.co_flags & _GENERATOR and self.stop < len(code.co_code):
            frame = self.frame  # a suspended generator is not on the stack
        if frame is None or frame.f_lasti < self.start:
            return False
        if frame.f_lasti < self.stop:
            return True
        # From Python 3.12 on, the code of `except` stands at the end of a function: compare its line.
        return bool(self.lines) and frame.f_lineno in self.lines


def find_block(frame: FrameType) -> Block:
    """Return the block of the call that `frame` is making.

    A function that returns the result of the call counts as the call. If the result is not the condition of a
    jump, for example because it is assigned first, the block is the rest of the function.

    Args:
        frame: The frame of the function that is making the call.
    """
    while True:
        following = _following(frame.f_code, frame.f_lasti)
        if following and following[0].opname == "RETURN_VALUE" and frame.f_back is not None:
            frame = frame.f_back
            continue
        for instruction in following:
            if "JUMP" in instruction.opname and "IF_FALSE" in instruction.opname:
                stop = instruction.argval
                if stop <= instruction.offset:
                    break  # the condition of a comprehension, in Python 3.11
                return Block(frame, instruction.offset, stop, _lines_before(frame, stop))
            if "JUMP" in instruction.opname or instruction.opname.startswith("STORE"):
                break
        return Block(frame, frame.f_lasti, len(frame.f_code.co_code), range(0))


def _following(code: CodeType, offset: int) -> list[dis.Instruction]:
    """Return the instructions after the one at `offset`."""
    after = (instruction for instruction in dis.get_instructions(code) if instruction.offset > offset)
    return [instruction for instruction, _ in zip(after, range(_MAX_DISTANCE), strict=False)]


def _lines_before(frame: FrameType, stop: int) -> range:
    """Return the lines after the present one and before that of the instruction at `stop`."""
    lines = [line for start, end, line in frame.f_code.co_lines() if start <= stop < end and line is not None]
    return range(frame.f_lineno + 1, lines[0]) if lines else range(0)
