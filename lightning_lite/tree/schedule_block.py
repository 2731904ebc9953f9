"""Finds the block of code that depends on the value of a call, and whether code is still in it.

    if self.schedule("hourly"):         ◀── the call
        loss = self.train.run()         ◀── the block: it runs only because the call returned true,
    self.log.run()                      ◀── or before the use of a value that was made there
    if loss < 0.1:
        self.save.run()                 ◀── the end of the block
    self.other.run()

The block is a forward slice of the bytecode, so no source is needed: the instructions that are
control-dependent on a test of the value, and those between the creation and the last use of a value that
depends on it. If the function returns such a value, the block continues in the caller. Exceptions that are
raised because of the value are not followed.
"""

from __future__ import annotations

import dis
import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from types import CodeType, FrameType
from typing import Any, NamedTuple

#: Bytes of a unit of bytecode. The place of a frame may be a later unit of its instruction.
_UNIT = 2

_JUMPS = frozenset([*dis.hasjrel, *dis.hasjabs])

# Beginnings of the names of instructions: those that return and that raise, and jumps without a condition,
_RETURNS = ("RETURN_VALUE", "RETURN_CONST")
_RAISES = ("RAISE_VARARGS", "RERAISE")
_GOTOS = ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_NO_INTERRUPT")
# those that do nothing with values, that push a value without using one (`BUILD`: an empty list, for
# example), and that remove values and push none.
_IDLE = ("JUMP", "NOP", "RESUME", "EXTENDED_ARG", "CACHE", "KW_NAMES", "MAKE_CELL", "COPY_FREE_VARS")
_LOADS = (
    "LOAD_CONST",
    "LOAD_GLOBAL",
    "LOAD_DEREF",
    "LOAD_NAME",
    "LOAD_CLOSURE",
    "LOAD_SMALL_INT",
    "PUSH",
    "BUILD",
)
_POPS = ("POP_", "STORE_", "DELETE_", "END_")
# Those that add the removed value to another one, which stays on the stack.
_ADDS = ("LIST_APPEND", "SET_ADD", "MAP_ADD", "LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE", "DICT_MERGE")

#: How a value depends on the call: it was computed from its value, a function got that and returned this, or
#: it was made in the block.
_COMPUTED, _RETURNED, _MADE = 1, 2, 3

#: A place of a value: the position on the stack, or the name of a local variable.
Place = int | str

#: Places of dependent values, each with the kinds of their dependence.
State = frozenset[tuple[Place, int]]


class Part(NamedTuple):
    """The part of a block that is in one function.

    Attributes:
        frame: The running function.
        call: Offset of the call.
        offsets: Offsets of the units of bytecode in the part.
    """

    frame: FrameType
    call: int
    offsets: frozenset[int]

    def is_running(self) -> bool:
        """Return whether the calling code runs in this part, or was called from it."""
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame is not self.frame:
            frame = frame.f_back
        return frame is not None and frame.f_lasti in self.offsets


class Block(NamedTuple):
    """The code that depends on the value of a call.

    Attributes:
        parts: One for the function that made the call, and one for each caller that uses what it returns.
    """

    parts: list[Part]

    def is_running(self) -> bool:
        """Return whether the calling code runs in this block, or was called from it."""
        return any(part.is_running() for part in self.parts)

    def is_of_same_call(self, other: Block) -> bool:
        """Return whether another block belongs to the same place in the same execution of a function."""
        mine, theirs = self.parts[0], other.parts[0]
        return mine.frame is theirs.frame and mine.call == theirs.call


def find_block(frame: FrameType) -> Block:
    """Return the block of the call that `frame` is making.

    A value that is stored elsewhere than in a local variable, or given to a function whose result is not
    used, may be used anywhere: then the block is the rest of the function.

    Args:
        frame: The frame of the function that is making the call.
    """
    parts = []
    caller: FrameType | None = frame
    while caller is not None:
        offsets, is_returned = _slice_of(caller.f_code, caller.f_lasti)
        parts.append(Part(caller, caller.f_lasti, offsets))
        caller = caller.f_back if is_returned else None
    return Block(parts)


@lru_cache(maxsize=256)
def _slice_of(code: CodeType, call: int) -> tuple[frozenset[int], bool]:
    """Return the offsets of the block of a call, and whether the function returns a value of the call."""
    function = _function_of(code)
    found = _Slice(function, function.index_at(call))
    offsets = frozenset(unit for index in found.block() for unit in function.units_of(index))
    return offsets, found.is_returned()


@lru_cache(maxsize=64)
def _function_of(code: CodeType) -> _Function:
    return _Function(code)


class _Function:
    """The control flow of a function. Its instructions are known by their indexes.

    Attributes:
        instructions: Its instructions.
        moves: The moves of each between the stack and local variables, see `_moves`.
        successors: Those that may run after each: after a `raise` its handler, but no handler after another
            one. The number of instructions stands for the end.
        handlers: First and last instruction of each part with a handler, and the first one of the handler.
        heights: Height of the stack before each instruction that can be reached.
        without_handlers: The instructions that can be reached without an exception, or with one of a `raise`.
    """

    def __init__(self, code: CodeType) -> None:
        bytecode: Any = dis.Bytecode(code)  # `exception_entries` is missing in the types
        self.instructions: list[dis.Instruction] = [one for one in bytecode if one.opname != "NOT_TAKEN"]
        self.moves = [_moves(one) for one in self.instructions]
        self._offsets = [one.offset for one in self.instructions] + [len(code.co_code)]
        self.handlers = [
            tuple(map(self.index_at, (entry.start, entry.end - 1, entry.target)))
            for entry in bytecode.exception_entries
        ]
        self.successors = [self._successors_of(index) for index in range(len(self.instructions))]
        self.heights: dict[int, int] = {}
        self._fill_heights(0, 0)
        for entry in bytecode.exception_entries:
            self._fill_heights(self.index_at(entry.target), entry.depth + entry.lasti + 1)
        self.without_handlers = self.reach([0])
        self._postdominators = self._find_postdominators()
        self._dependents: dict[int, set[int]] = {}

    def index_at(self, offset: int) -> int:
        """Return the index of the instruction with the unit at an offset."""
        return bisect_right(self._offsets, offset) - 1

    def units_of(self, index: int) -> range:
        """Return the offsets of the units of an instruction."""
        return range(self._offsets[index], self._offsets[index + 1], _UNIT)

    def effect(self, index: int, successor: int) -> int:
        """Return by how much an instruction changes the height of the stack on the way to another one."""
        one = self.instructions[index]
        return dis.stack_effect(one.opcode, one.arg, jump=one.opcode in _JUMPS and successor != index + 1)

    def reach(self, starts: Iterable[int]) -> set[int]:
        """Return the instructions that may run after others without an exception, and these."""
        reached: set[int] = set()
        waiting = [*starts]
        while waiting:
            index = waiting.pop()
            if index < len(self.instructions) and index not in reached:
                reached.add(index)
                waiting += self.successors[index]
        return reached

    def dependent_on(self, test: int) -> set[int]:
        """Return the instructions that run on one way after a conditional jump, and not on each way."""
        known = self._dependents.get(test)
        if known is None:
            bits = 0
            for successor in self.successors[test]:
                bits |= self._postdominators[successor] & ~self._postdominators[test]
            known = self._dependents[test] = {
                index for index, bit in enumerate(reversed(f"{bits:b}")) if bit == "1"
            }
            known.discard(len(self.instructions))
        return known

    def before_use(self, variable: str) -> set[int]:
        """Return the instructions after which the value of a local variable may be used, and its uses."""
        found: set[int] = set()
        waiting = [index for index, moves in enumerate(self.moves) if ("LOAD", variable) in moves]
        while waiting:
            index = waiting.pop()
            if index not in found:
                found.add(index)
                waiting += [
                    before for before in self._predecessors[index] if not self._replaces(before, variable)
                ]
        return found

    @cached_property
    def returns_one_constant(self) -> bool:
        """Whether the function returns the same constant wherever it ends, such as `None`."""
        values = []
        for index, one in enumerate(self.instructions):
            loaded = self.instructions[index - 1]
            if one.opname == "RETURN_CONST":
                values.append(one.argval)
            elif one.opname == "RETURN_VALUE":
                if loaded.opname != "LOAD_CONST" or self._predecessors[index] != [index - 1]:
                    return False
                values.append(loaded.argval)
        return all(value is values[0] for value in values)

    @cached_property
    def _predecessors(self) -> dict[int, list[int]]:
        found = defaultdict(list)
        for index, successors in enumerate(self.successors):
            for successor in successors:
                found[successor].append(index)
        for first, last, handler in self.handlers:
            found[handler] += range(first, last + 1)
        return found

    def _replaces(self, index: int, variable: str) -> bool:
        return any(name == variable and action != "LOAD" for action, name in self.moves[index])

    def _successors_of(self, index: int) -> list[int]:
        one = self.instructions[index]
        if one.opname == "RERAISE":
            return []  # the end of a handler for other exceptions
        if one.opname == "RAISE_VARARGS":
            found = [handler for first, last, handler in self.handlers if first <= index <= last]
            return found or [len(self.instructions)]
        if one.opname.startswith(_RETURNS):
            return [len(self.instructions)]
        if one.opcode not in _JUMPS:
            return [index + 1]
        target = self.index_at(one.argval)
        return [target] if one.opname.startswith(_GOTOS) else [index + 1, target]

    def _fill_heights(self, start: int, height: int) -> None:
        waiting = [(start, height)]
        while waiting:
            index, height = waiting.pop()
            if index not in self.heights and index < len(self.instructions):
                self.heights[index] = height
                if self.instructions[index].opname.startswith(_RAISES):
                    continue  # the height in a handler depends on its part
                waiting += [(after, height + self.effect(index, after)) for after in self.successors[index]]

    def _find_postdominators(self) -> list[int]:
        """Return for each instruction those that run on each way from it to the end, as bits."""
        end = len(self.instructions)
        everything = (1 << (end + 1)) - 1
        found = [everything] * end + [1 << end]
        is_changed = True
        while is_changed:
            is_changed = False
            for index in reversed(range(end)):
                common = everything
                for successor in self.successors[index]:
                    common &= found[successor]
                if (new := common | 1 << index) != found[index]:
                    found[index], is_changed = new, True
        return found


def _moves(one: dis.Instruction) -> list[tuple[str, str]]:
    """Return the moves of an instruction: `LOAD`, `STORE` or `DELETE`, each with the name of a variable.

    Since Python 3.13, one instruction may load or store two variables.
    """
    actions = [piece.rpartition("_")[2] for piece in one.opname.split("_FAST")[:-1]]  # "STORE_FAST_LOAD_FAST"
    return list(zip(actions, one.argrepr.split(", "), strict=False))


class _Slice:
    """The instructions of a function that depend on the value of one of its calls.

    Args:
        function: The function.
        call: The call.
    """

    def __init__(self, function: _Function, call: int) -> None:
        self._function = function
        self._call = call
        self._dependent: set[int] = set()  # the instructions that run because of the value, or only with it
        self._states: dict[int, State] = {}  # the dependent values before each instruction
        size = -1
        while size != len(self._dependent):
            size = len(self._dependent)
            self._states.clear()
            self._add_dependent()

    def block(self) -> set[int]:
        """Return the instructions of the block."""
        variables = {place for state in self._states.values() for place, _ in state if isinstance(place, str)}
        before_use = {variable: self._function.before_use(variable) for variable in variables}
        return self._dependent | {
            index
            for index, state in self._states.items()
            if any(isinstance(place, int) or index in before_use[place] for place, _ in state)
        }

    def is_returned(self) -> bool:
        """Return whether the function returns or yields a value that depends on the call."""
        function = self._function
        for index in self._states:
            name = function.instructions[index].opname
            if name == "YIELD_VALUE" or (name.startswith(_RETURNS) and not function.returns_one_constant):
                top = function.heights[index] - 1
                if index in self._dependent or any(place == top for place, _ in self._states[index]):
                    return True
        return False

    def _add_dependent(self) -> None:
        """Follow the value from the call on, and add the instructions that depend on it."""
        function = self._function
        first = self._call + 1
        if len(function.successors[self._call]) > 1:  # a loop over a generator that makes the call
            self._dependent |= function.dependent_on(self._call)
        self._merge(first, frozenset([(function.heights[first] - 1, _COMPUTED)]))
        waiting = {first}
        while waiting:
            index = min(waiting)  # mostly after all that run before it, so each is followed once or twice
            waiting.remove(index)
            for successor, state in self._outcomes(index):
                if self._merge(successor, state):
                    waiting.add(successor)
        tests = [*self._dependent]
        while tests:
            index = tests.pop()
            if len(function.successors[index]) > 1:
                new = function.dependent_on(index) - self._dependent
                self._dependent |= new
                tests += new
        for first, last, handler in function.handlers:
            if self._dependent.issuperset(range(first, last + 1)):
                self._dependent |= function.reach([handler]) - function.without_handlers

    def _merge(self, index: int, state: State) -> bool:
        """Add values before an instruction; return whether it has to be followed again."""
        before = self._states.get(index)
        if index == len(self._function.instructions) or (before is not None and state <= before):
            return False
        self._states[index] = state | (before or frozenset())
        return True

    def _outcomes(self, index: int) -> Iterator[tuple[int, State]]:
        """Yield the dependent values after an instruction, for each one that may run next."""
        function, state = self._function, self._states[index]
        if not function.instructions[index].opname.startswith(_RAISES):
            for successor in function.successors[index]:
                yield successor, self._after(index, successor)
        for first, last, handler in function.handlers:
            if first <= index <= last:
                height = function.heights[handler] - 1  # the exception is on top
                yield handler, frozenset(at for at in state if isinstance(at[0], str) or at[0] < height)

    def _after(self, index: int, successor: int) -> State:
        """Return the dependent values after an instruction; add the instructions that depend on it."""
        function, one = self._function, self._function.instructions[index]
        name, before = one.opname, function.heights[index]
        after = before + function.effect(index, successor)
        values: defaultdict[Place, set[int]] = defaultdict(set)
        for place, kind in self._states[index]:
            values[place].add(kind)
        is_dependent = index in self._dependent
        made = {_MADE} if is_dependent else set()
        top = values[before - 1]
        removed = set().union(*(values[place] for place in range(after, before)))

        if function.moves[index]:
            for action, variable in function.moves[index]:
                if action == "LOAD":
                    values[before] = values[variable] | made
                    before += 1
                elif action == "STORE":
                    before -= 1
                    values[variable] = made or values.pop(before, set())
                if action == "DELETE" or name.endswith("CLEAR"):
                    values[variable] = set()
        elif name == "SWAP":
            other = before - (one.arg or 0)
            values[other], values[before - 1] = top, values[other]
        elif name == "COPY":
            values[before] = values[before - (one.arg or 0)] | made
        elif name == "YIELD_VALUE":
            values[before - 1] = made  # the value that is sent
        elif len(function.successors[index]) > 1:
            if top:
                self._dependent |= function.dependent_on(index)
            if after > before:  # a loop pushes the next item
                values[after - 1] = top | made
        elif after > before:
            if name.startswith(_LOADS):
                # Which constant it is depends on the call: `"go" if self.schedule(...) else ""`.
                is_constant = name in ("LOAD_CONST", "LOAD_SMALL_INT")
                values[after - 1] = {_COMPUTED} if is_dependent and is_constant else made
            else:
                for place in range(before - 1, after):
                    values[place] = top | made
        elif name.startswith(_POPS):
            # The value may be used anywhere: it is stored, or a function that got it has returned.
            is_loop_end = function.instructions[index - 1].opname == "END_FOR"
            is_lost = name == "POP_TOP" and _RETURNED in top and not is_loop_end
            if (is_lost or (name.startswith("STORE_") and _COMPUTED in removed)) and not is_dependent:
                self._dependent |= function.reach(function.successors[index])
        elif name in _ADDS:
            values[after - (one.arg or 0)] |= removed | made
        elif name.startswith(("CALL", "PRECALL")) and removed and not is_dependent:
            self._dependent.add(index)
            values[after - 1] = {_RETURNED} if removed - {_MADE} else {_MADE}
        elif not name.startswith(_IDLE):
            values[after - 1] |= removed | made
        return frozenset(
            (place, kind)
            for place, kinds in values.items()
            for kind in kinds
            if isinstance(place, str) or place < after
        )
