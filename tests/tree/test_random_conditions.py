"""In random programs, each line that runs only because the condition is true belongs to its block."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from conditions import Condition

from lightning_lite.tree.schedule_block import Block

PROGRAMS = 150

#: Forms of the condition, which a program has once.
CONDITIONS = [
    *("due()", "not due()", "due() == True", "due() is False", "[due()]", "bool(due())", "(d := due())"),
    *("(due() and a)", "(due() or b)", "('x' if due() else '')", "0 < due() < 2", "{'x': due()}['x']"),
]

#: Forms of other expressions; the braces stand for variables.
EXPRESSIONS = [
    "{}",
    "not {}",
    "True",
    "False",
    "({} and {})",
    "({} or {})",
    "({} if {} else False)",
    "{} == {}",
]


class Program:
    """The text of a random function, with the condition in it once at most."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._num_notes = 0
        self._has_condition = False
        lines = ["def program(due):"]
        if self._random.random() < 0.5:
            lines += ["    def helper():", "        a = b = c = False", *self._lines(3, 2)]
            lines += [
                f"        return {self._expression()}",
                "    a = b = False; c = True",
                *self._lines(1, 1),
            ]
            lines += [
                self._random.choice(["    if helper():", "    if not helper():", "    if (a := helper()):"])
            ]
            lines += self._lines(2, 2)
            if self._random.random() < 0.4:
                lines += ["        return"]
        else:
            lines += ["    a = b = False; c = True", *self._lines(4, 1)]
        self.text = "\n".join([*lines, *self._lines(3, 1)])

    def _expression(self) -> str:
        if not self._has_condition and self._random.random() < 0.35:
            self._has_condition = True
            return self._random.choice(CONDITIONS)
        return self._random.choice(EXPRESSIONS).format(self._random.choice("abc"), self._random.choice("abc"))

    def _note(self) -> str:
        self._num_notes += 1
        return f"due.note({self._num_notes})"

    def _lines(self, depth: int, indent: int, *, in_loop: bool = False) -> list[str]:
        """Return one to three statements."""
        lines = []
        for _ in range(self._random.randint(1, 3)):
            lines += self._statement(depth, in_loop=in_loop)
        return ["    " * indent + line for line in lines]

    def _statement(self, depth: int, *, in_loop: bool) -> list[str]:
        kinds = ["note", "if", "assign", "for", "with", "try", "return", *(["break", "continue"] * in_loop)]
        kind = self._random.choices(kinds, [8, 8, 4, 2, 1, 1, 1, 1, 1][: len(kinds)])[0] if depth else "note"

        def body() -> list[str]:
            return self._lines(depth - 1, 1, in_loop=in_loop or kind == "for")

        match kind:
            case "note":
                return [self._note()]
            case "if":
                lines = [f"if {self._expression()}:", *body()]
                if self._random.random() < 0.15:
                    lines += [f"elif {self._expression()}:", *body()]
                return [*lines, "else:", *body()] if self._random.random() < 0.3 else lines
            case "assign":
                return [f"{self._random.choice('abc')} = {self._expression()}"]
            case "for":
                return ["for _ in range(2):", *body()]
            case "with":
                return ["with nullcontext():", *body()]
            case "try":
                return ["try:", *body(), "finally:", f"    {self._note()}"]
            case "return":
                return [self._random.choice(["return", "return True", "return False", "return a"])]
            case _:
                return [kind]


def test_lines_that_run_only_because_the_condition_is_true_are_in_its_block():
    num_compared = 0
    for seed in range(PROGRAMS):
        text = Program(seed).text
        names: dict[str, Callable[[Condition], None]] = {"nullcontext": nullcontext}
        exec(compile(text, f"<program {seed}>", "exec"), names)
        when_true, when_false = Condition(times=1), Condition(times=0)
        try:
            names["program"](when_true)
            names["program"](when_false)
        except UnboundLocalError:
            continue  # of a variable that got no value on this way

        others = {number for number, _ in when_false.seen}
        missed = [number for number, is_in in when_true.seen if number not in others and not is_in]
        assert missed == [], text
        num_compared += "due()" in text

    assert num_compared > PROGRAMS / 2


def test_the_oracle_finds_a_block_that_is_too_short(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Block, "is_running", lambda block: False)

    with pytest.raises(AssertionError):
        test_lines_that_run_only_because_the_condition_is_true_are_in_its_block()
