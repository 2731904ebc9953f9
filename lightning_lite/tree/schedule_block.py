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

    It is the block of the statement that tests the result. If this is assigned to a local variable, or if the
    block sets a local variable to `True` that is tested later, the block ends with the last statement that
    uses the variable. If the result is negated, given to a function, or stored in another place, the block is
    the rest of the function. If the function returns a value from its block, the block continues in the
    caller, by the same rules for the call of the function.

    Args:
        frame: The frame of the function that is making the call.
    """
    parts = []
    caller: FrameType | None = frame
    is_negated = False  # whether the caller gets a value that is true if the result is false
    while caller is not None:
        start, code = caller.f_lasti, caller.f_code
        instructions = [one for one in dis.get_instructions(code) if one.opname != "NOT_TAKEN"]
        following = [one for one in instructions if one.offset > start]
        call = instructions[-len(following) - 1]
        if call.opname == "FOR_ITER":  # a loop over a generator that makes the call
            length = sum(one.offset < call.argval for one in following)
        else:
            length, is_negated = _length(following, is_negated=is_negated)
        stop = following[length].offset if length < len(following) else len(code.co_code)
        parts.append(Part(caller, start, stop, _lines_before(caller, stop)))
        caller = caller.f_back if _gives_value(following, length) else None
    return Block(parts)


class _Followed(NamedTuple):
    """How far a value was followed.

    Attributes:
        end: Index of the first instruction after the block that depends on the value.
        is_negated: Whether the value was negated on the way.
        variable: The local variable that the value is stored in, if it is.
    """

    end: int
    is_negated: bool
    variable: str | None = None


def _length(code: list[dis.Instruction], *, is_negated: bool) -> tuple[int, bool]:
    """Return how many of the instructions after a call are in its block, and whether its value was negated.

    Args:
        code: The instructions from the call to the end of the function.
        is_negated: Whether the value of the call is false when the block has to run.
    """
    followed = _follow(code, 0, is_negated=is_negated)
    length, is_negated = followed.end, followed.is_negated
    uses = _uses_after(code, followed)
    for index, negates in uses:  # it grows
        followed = _follow(code, index, is_negated=negates)
        length, is_negated = max(length, followed.end), is_negated or followed.is_negated
        uses += [use for use in _uses_after(code, followed) if use not in uses]
    if uses:
        indexes = _index_by_offset(code)
        for index, instruction in enumerate(code):
            if instruction.opcode in _JUMPS and indexes.get(instruction.argval, length) < length <= index:
                length = index + 1  # a loop runs code of the block again
    return length, is_negated


def _uses_after(code: list[dis.Instruction], followed: _Followed) -> list[tuple[int, bool]]:
    """Return where variables that depend on a value are used after its block, and whether they negate it."""
    uses = []
    if followed.variable is not None:
        uses = [(use, followed.is_negated) for use in _uses(code, followed.end, followed.variable)]
    for flag in _flags(code[: followed.end]):
        uses += [(use, False) for use in _uses(code, followed.end, flag) if _is_tested(code, use)]
    return uses


def _flags(block: list[dis.Instruction]) -> set[str]:
    """Return the local variables that a block sets to `True`."""
    return {
        stored.argval
        for loaded, stored in pairwise(block)
        if loaded.opname == "LOAD_CONST" and loaded.argval is True and stored.opname == "STORE_FAST"
    }


def _is_tested(code: list[dis.Instruction], index: int) -> bool:
    """Return whether the value on top of the stack is tested at once."""
    if code[index].opname == "TO_BOOL":
        index += 1
    return _is_test(code[index])


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


def _follow(code: list[dis.Instruction], index: int, *, is_negated: bool) -> _Followed:
    """Follow a value to the end of the block that depends on it.

    Args:
        code: The instructions from the call to the end of the function.
        index: That of the first instruction with the value on top of the stack.
        is_negated: Whether the value is false when the block has to run.
    """
    indexes = _index_by_offset(code)
    rest = len(code)
    height = 1  # of the stack, from the value of the call upwards
    is_argument = False
    is_generator = any(instruction.opname == "YIELD_VALUE" for instruction in code)
    variable: str | None = None  # of `variable := value`
    while index < rest:
        instruction = code[index]
        name, argument = instruction.opname, instruction.arg
        if name == "YIELD_VALUE":
            return _Followed(index, is_negated, variable)
        if name == "RETURN_VALUE":
            return _Followed(index + 1, is_negated, variable)
        is_kept = height == 1 and not is_argument and not is_generator
        if name == "STORE_FAST" and is_kept:
            return _Followed(index + 1, is_negated, instruction.argval)
        if name == "COPY" and argument == 1 and is_kept and code[index + 1].opname == "STORE_FAST":
            variable = code[index + 1].argval
            index += 2
            continue
        if name.startswith("STORE") or (name == "COPY" and argument == height > 1):
            return _Followed(rest, is_negated)  # `0 < value < 2` compares a copy
        if name == "POP_TOP" and height == 1:
            # A function may have stored its argument.
            return _Followed(rest if is_argument else index + 1, is_negated, variable)
        if instruction.opcode not in _JUMPS:
            if name == "SWAP" and argument is not None and height in (1, argument):
                height = 1 if height == argument else argument
            is_negated ^= name == "UNARY_NOT" and height == 1
            height += dis.stack_effect(instruction.opcode, argument)
            if height < 1:  # a function took the value as an argument: its result is at this place now
                height, is_argument = 1, True
            index += 1
            continue
        target = indexes.get(instruction.argval, 0)
        if target <= index:
            return _Followed(rest, is_negated)  # a loop
        if name == "FOR_ITER":
            return _Followed(target, is_negated, variable)
        height += dis.stack_effect(instruction.opcode, argument, jump=True)
        if height >= 1:  # `and` and `or` keep the value at a jump
            index = target
            continue
        # The value is tested.
        if "NONE" in name:
            return _Followed(rest, is_negated)  # `x is None`
        is_alternative = _is_test(code[target - 1])  # `x or y`, or `not x or y`
        if ("IF_TRUE" in name) != is_negated:
            if is_negated or not is_alternative:
                return _Followed(rest, _returns_false(code[target:]))  # `not x`
            index = target - 1  # the block is that of the last test
            target = indexes[code[index].argval]
        elif is_negated or is_alternative:
            return _Followed(rest, is_negated)
        last = code[target - 1]
        if last.opname != "JUMP_FORWARD" or _height_at_last(code[index + 1 : target]) != 1:
            return _Followed(target, _returns_false(code[index + 1 : target]), variable)
        index, height = indexes[last.argval], 1  # `a if x else b`: this value is used after the `else`
    return _Followed(rest, is_negated)


def _returns_false(block: list[dis.Instruction]) -> bool:
    """Return whether a block returns, and only constants that count as false, other than `None`."""
    values = [following.argval for following in block if following.opname == "RETURN_CONST"]
    for loaded, returned in pairwise(block):
        if returned.opname == "RETURN_VALUE":
            values.append(loaded.argval if loaded.opname == "LOAD_CONST" else ...)
    return bool(values) and all(value is not None and not value for value in values)


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
