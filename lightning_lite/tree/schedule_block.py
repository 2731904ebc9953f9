"""Finds the block of code that runs because a call returned true, and whether code is still in it.

    if self.schedule("hourly"):     ◀── the call
        self.first.run()            ◀── the block
        self.second.run()
    self.third.run()                ◀── after the block

The block is read from the bytecode after the call, so no source is needed. The value of the call is followed
through its expression to the test of an `if`, or out of the function to the caller.
"""

from __future__ import annotations

import dis
import sys
from itertools import pairwise
from types import FrameType
from typing import NamedTuple

#: `inspect.CO_GENERATOR`: the import of `inspect` would take 10 ms in each process that loads a flow.
_GENERATOR = 0x20

_JUMPS = frozenset([*dis.hasjrel, *dis.hasjabs])


class Part(NamedTuple):
    """The part of a block that is in one function.

    Attributes:
        frame: The running function.
        start: Offset of the call; the part begins after it.
        stop: Offset of the first instruction after the part.
        lines: The lines between the call and the first line after the part.
    """

    frame: FrameType
    start: int
    stop: int
    lines: range

    def is_running(self) -> bool:
        """Return whether the calling code runs in this part, or was called from it."""
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        code = self.frame.f_code
        if frame is None and code.co_flags & _GENERATOR and self.stop < len(code.co_code):
            frame = self.frame  # a suspended generator is not on the stack
        if frame is None or frame.f_lasti <= self.start:
            return False
        if frame.f_lasti < self.stop:
            return True
        # From Python 3.12 on, the code of `except` stands at the end of a function: compare its line.
        return bool(self.lines) and frame.f_lineno in self.lines


class Block(NamedTuple):
    """The code that runs because a call returned true.

    Attributes:
        parts: One for the function that made the call, and one for each caller that uses what it returns.
    """

    parts: list[Part]

    def is_running(self) -> bool:
        """Return whether the calling code runs in this block, or was called from it."""
        return any(part.is_running() for part in self.parts)


def find_block(frame: FrameType) -> Block:
    """Return the block of the call that `frame` is making.

    It is the block of the statement that tests the result. If this is assigned to a local variable, the block
    ends with the last statement that uses the variable. If it is negated, given to a function, or stored in
    another place, the block is the rest of the function. If the function returns a value from its block, the
    block continues in the caller, by the same rules for the call of the function.

    Args:
        frame: The frame of the function that is making the call.
    """
    parts = []
    caller: FrameType | None = frame
    while caller is not None:
        start, code = caller.f_lasti, caller.f_code
        instructions = [one for one in dis.get_instructions(code) if one.opname != "NOT_TAKEN"]
        following = [one for one in instructions if one.offset > start]
        call = instructions[-len(following) - 1]
        if call.opname == "FOR_ITER":  # a loop over a generator that makes the call
            length = sum(one.offset < call.argval for one in following)
        else:
            length = _length(following)
        stop = following[length].offset if length < len(following) else len(code.co_code)
        parts.append(Part(caller, start, stop, _lines_before(caller, stop)))
        caller = caller.f_back if _gives_value(following, length) else None
    return Block(parts)


def _length(code: list[dis.Instruction]) -> int:
    """Return how many of the instructions after a call are in its block.

    Args:
        code: The instructions from the call to the end of the function.
    """
    length, variable = _follow(code, 0)
    if variable is None:
        return length
    pending = _uses(code, length, variable)
    for index in pending:
        end, variable = _follow(code, index)
        length = max(length, end)
        if variable is not None:
            pending += [use for use in _uses(code, end, variable) if use not in pending]
    indexes = _index_by_offset(code)
    for index, instruction in enumerate(code):
        if instruction.opcode in _JUMPS and indexes.get(instruction.argval, length) < length <= index:
            length = index + 1  # a loop runs code of the block again
    return length


def _index_by_offset(code: list[dis.Instruction]) -> dict[int, int]:
    return {instruction.offset: index for index, instruction in enumerate(code)}


def _uses(code: list[dis.Instruction], start: int, variable: str) -> list[int]:
    """Return the indexes of the instructions after each load of a local variable."""
    return [
        index + 1
        for index, instruction in enumerate(code)
        # Since Python 3.13, an instruction may load two variables: `a, b`.
        if index >= start
        and instruction.opname.startswith("LOAD_FAST")
        and variable in instruction.argrepr.split(", ")
    ]


def _follow(code: list[dis.Instruction], index: int) -> tuple[int, str | None]:
    """Follow a value to the end of the block that depends on it.

    Args:
        code: The instructions from the call to the end of the function.
        index: That of the first instruction with the value on top of the stack.

    Returns:
        The index after the block, and the local variable that the value is stored in, if it is.
    """
    indexes = _index_by_offset(code)
    rest = len(code)
    height = 1  # of the stack, from the value of the call upwards
    is_argument = False
    is_generator = any(instruction.opname == "YIELD_VALUE" for instruction in code)
    while index < rest:
        instruction = code[index]
        name = instruction.opname
        if name == "YIELD_VALUE":
            return index, None
        if name == "RETURN_VALUE":
            return index + 1, None
        if name == "STORE_FAST" and height == 1 and not is_argument and not is_generator:
            return index + 1, instruction.argval
        if name.startswith("STORE"):
            return rest, None
        if name == "POP_TOP" and height == 1:
            return rest if is_argument else index + 1, None  # a function may have stored its argument
        if instruction.opcode not in _JUMPS:
            height += dis.stack_effect(instruction.opcode, instruction.arg)
            if height < 1:  # a function took the value as an argument: its result is at this place now
                height, is_argument = 1, True
            index += 1
            continue
        target = indexes.get(instruction.argval, 0)
        if target <= index:
            return rest, None  # a loop
        if name == "FOR_ITER":
            return target, None
        height += dis.stack_effect(instruction.opcode, instruction.arg, jump=True)
        if height >= 1:  # `and` and `or` keep the value at a jump
            index = target
            continue
        # The value is tested.
        if "IF_TRUE" in name and _is_test(code[target - 1]):
            index = target - 1  # `x or y`: the block is that of the last test
            target = indexes[code[index].argval]
        elif "IF_FALSE" not in name or _is_test(code[target - 1]):
            return rest, None  # `not x`, or `not x or y`
        last = code[target - 1]
        if last.opname != "JUMP_FORWARD" or _height_at_last(code[index + 1 : target]) != 1:
            return target, None
        index, height = indexes[last.argval], 1  # `a if x else b`: this value is used after the `else`
    return rest, None


def _is_test(instruction: dis.Instruction) -> bool:
    """Return whether an instruction jumps forward on a condition."""
    return (
        instruction.opcode in _JUMPS
        and "_IF_" in instruction.opname
        and instruction.argval > instruction.offset
    )


def _height_at_last(code: list[dis.Instruction]) -> int | None:
    """Return by how much the stack has grown when the last instruction is reached; `None` if it is not."""
    heights = {code[0].offset: 0} if code else {}
    for instruction, following in pairwise(code):
        height = heights.get(instruction.offset)
        if height is None:
            continue  # the code of an `except`
        opcode, argument = instruction.opcode, instruction.arg
        if opcode in _JUMPS:
            heights[instruction.argval] = height + dis.stack_effect(opcode, argument, jump=True)
        if not instruction.opname.startswith(("JUMP_FORWARD", "JUMP_BACKWARD", "RETURN", "RAISE", "RERAISE")):
            heights[following.offset] = height + dis.stack_effect(opcode, argument, jump=False)
    return heights.get(code[-1].offset) if code else None


def _gives_value(code: list[dis.Instruction], length: int) -> bool:
    """Return whether the code of a block returns or yields a value that may depend on the call.

    Args:
        code: The instructions from the call to the end of the function.
        length: How many of them are in the block.
    """
    if length < len(code) and code[length].opname == "YIELD_VALUE":
        return True
    is_none = False  # whether the last instruction has loaded `None`
    for instruction in code[:length]:
        name = instruction.opname
        if name == "RETURN_VALUE" and not is_none:
            return True
        if name == "RETURN_CONST" and instruction.argval is not None:
            return True
        # In a shorter block, a generator that has yielded there is still in it.
        if name == "YIELD_VALUE" and length == len(code):
            return True
        is_none = name == "LOAD_CONST" and instruction.argval is None
    return False


def _lines_before(frame: FrameType, stop: int) -> range:
    """Return the lines after the present one and before the line of the instruction at `stop`."""
    lines = [line for start, end, line in frame.f_code.co_lines() if start <= stop < end and line is not None]
    return range(frame.f_lineno + 1, lines[0]) if lines else range(0)
