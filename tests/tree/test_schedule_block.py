"""The block of a condition is found in the bytecode, however the condition is written."""

from __future__ import annotations

import sys
from contextlib import suppress

import pytest

from lightning_lite.tree.schedule_block import find_block


class Condition:
    """Returns true, and remembers the block of the last call."""

    def __init__(self):
        self.seen = []
        self._block = None

    def __call__(self):
        self._block = find_block(sys._getframe(1))
        return True

    def note(self, what):
        self.seen.append((what, self._block.is_running()))


def in_an_if(due):
    if due():
        due.note("in")
        for _ in range(2):
            due.note("in")
    due.note("out")


def in_an_if_with_else(due):
    if due():
        due.note("in")
    else:
        due.note("never")
    due.note("out")


def in_the_first_of_two_conditions(due):
    if due() and len(due.seen) == 0:
        due.note("in")
    due.note("out")


def in_the_second_of_two_conditions(due):
    if len(due.seen) == 0 and due():
        due.note("in")
    due.note("out")


def in_an_expression(due):
    due() and due.note("in")
    due.note("out")


def in_a_loop(due):
    for _ in range(2):
        if due():
            due.note("in")
        due.note("out")


def in_a_with_and_a_try(due):
    try:
        if due():
            with suppress(KeyError):
                due.note("in")
                raise KeyError
            due.note("in")
    finally:
        due.note("out")


def in_a_handler(due):
    if due():
        try:
            raise KeyError
        except KeyError:
            due.note("in")
    due.note("out")


def in_a_function_that_the_block_calls(due):
    def call():
        due.note("in")

    if due():
        call()
    due.note("out")


def after_a_function_that_returns_the_condition(due):
    def is_due():
        return due()

    if is_due():
        due.note("in")
    due.note("out")


def after_a_method_of_another_name(due):
    class Flow:
        def is_due(self):
            return due()

    if Flow().is_due():
        due.note("in")
    due.note("out")


def in_a_generator_that_waits(due):
    def generate():
        if due():
            yield 1
        yield 2

    for number in generate():
        due.note("in" if number == 1 else "out")


def in_a_comprehension(due):
    [due.note("in") for _ in range(2) if due()]


def in_the_rest_after_a_negation(due):
    if not due():
        return
    due.note("in")


def in_the_rest_if_it_is_assigned(due):
    is_due = due()
    if is_due:
        due.note("in")
    due.note("in")


@pytest.mark.parametrize(
    "function",
    [function for name, function in globals().items() if name.startswith(("in_", "after_"))],
    ids=lambda function: function.__name__,
)
def test_code_is_in_the_block_until_it_has_left_it(function):
    due = Condition()

    function(due)

    assert due.seen
    assert due.seen == [(what, what == "in") for what, _ in due.seen]


def test_a_block_is_left_when_its_function_has_returned():
    due = Condition()

    def run():
        if due():
            due.note("in")

    run()
    due.note("out")

    assert due.seen == [("in", True), ("out", False)]
