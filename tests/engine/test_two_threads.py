"""A work and its helper thread, interleaved at any instruction: both copies of the state end equal."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import cache

import pytest

from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.errors import StopRun
from lightning_lite.messages import AcknowledgeState, RunCall, RunEnded, StateChanged, WriteState
from lightning_lite.tree.component import Component
from lightning_lite.tree.hierarchy import set_name
from lightning_lite.tree.node import Node
from lightning_lite.values.codec import decode, encode
from lightning_lite.values.pickling import pack, unpack

from tests.support.simulation import MessageCollector, Work


def codes_of(*functions):
    return {function.__code__ for function in functions}


#: Actions of the work's thread without the guard.
OF_THE_WORK = codes_of(
    WorkMachine.write,
    WorkMachine._write_atom,
    WorkMachine._request_report_if_touched,
    WorkMachine.touch,
    Component.__setattr__,
    Component.__getattr__,
    Component._write,
)
#: Actions of the helper thread within it.
OF_THE_HELPER = codes_of(
    WorkMachine.receive,
    WorkMachine.report_changes,
    WorkMachine._apply,
    WorkMachine._find_changes,
    WorkMachine._report,
    WorkMachine._take_changes,
    Node.store,
    Node.store_encoded,
    Node._store_container,
    Node._forget_container,
    Node.changed_containers,
    Node.value,
)


@contextmanager
def before_each_instruction(codes, act):
    """Call `act` before each instruction of these codes."""
    if sys.version_info < (3, 12):  # later versions trace the instructions of some calls only

        def at_instruction(frame, event, _):
            if event == "opcode":
                act()
            return at_instruction

        def at_call(frame, event, _):
            frame.f_trace_opcodes = frame.f_code in codes
            return at_instruction if frame.f_trace_opcodes else None

        trace = sys.gettrace()
        sys.settrace(at_call)
        try:
            yield
        finally:
            sys.settrace(trace)
    else:
        monitoring, tool = sys.monitoring, sys.monitoring.DEBUGGER_ID
        monitoring.use_tool_id(tool, __name__)
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, lambda code, offset: act())
        try:
            for code in codes:
                monitoring.set_local_events(tool, code, monitoring.events.INSTRUCTION)
            yield
        finally:
            for code in codes:
                monitoring.set_local_events(tool, code, monitoring.events.NO_EVENTS)
            monitoring.register_callback(tool, monitoring.events.INSTRUCTION, None)
            monitoring.free_tool_id(tool)


class Plain(Work):
    def run(self):
        self._body(self)


class OfTheClass(Plain):
    step = 7  # a default, which hides nothing


@cache
def packed_work_side(kind):
    """Return the machine of a work of this kind, as the app sends it to a process."""
    work = kind()
    set_name(work, "root.work")
    return pack(WorkMachine(work))


class TwoThreads:
    """The work_side of a work, and the value of its attribute `step` in the flow."""

    def __init__(self, kind, before):
        self.work_side = unpack(packed_work_side(kind))
        self.work = self.work_side._work
        self.collector = MessageCollector(self.work_side)
        self.work_side.open(self.collector.send, self.collector.request_report)
        self.known = encode(0, "step")
        self.unconfirmed = 0
        self.num_instructions = 0
        self._before = before

    def hear(self):
        """The flow takes the messages of the work."""
        for message in self.collector.take():
            if message.applied >= self.unconfirmed:
                self.known = message.changes.get("step", self.known)
            if isinstance(message, StateChanged):
                self.work_side.receive(AcknowledgeState("root.work"))

    def flow_writes(self, value):
        self.known, self.unconfirmed = encode(value, "step"), self.unconfirmed + 1
        changes = {"step": (self.unconfirmed, self.known)}
        self.work_side.receive(WriteState("root.work", changes, self.unconfirmed))

    def cut(self, codes, position, first, second):
        """Run a call that does `first`, and `second` before the n-th instruction of these codes in it."""

        def at_instruction():
            is_deferred = codes is OF_THE_WORK and self.work_side._stop_lock._depth
            if self.num_instructions < position and not is_deferred:
                self.num_instructions += 1
                if self.num_instructions == position:
                    second(self)

        def body(work):
            work.step = self._before
            self.hear()
            with before_each_instruction(codes, at_instruction):
                first(self)
            self.work_side.report_changes()

        self.work._body = body
        with suppress(StopRun):
            self.work_side.perform(RunCall("root.work", "key", 1, pack(((), {})), {}, 0))
        failures = [message.failure for message in self.collector.messages if isinstance(message, RunEnded)]
        assert failures in ([], [None])
        self.hear()
        self.work_side.close()
        self.hear()
        node = self.work._node
        assert repr(decode(self.known)) == repr(decode(encode(node.value("step"), "step")))


def play(kind, before, codes, first, second):
    """Cut the one into the other at each instruction; return how many there are."""
    position = 0
    while True:
        position += 1
        threads = TwoThreads(kind, list(before) if isinstance(before, list) else before)
        threads.cut(codes, position, first, second)
        if threads.num_instructions < position:
            return position - 1


def assigns_nine(threads):
    threads.work.step = 9


def grows(threads):
    if isinstance(found := threads.work.step, list):
        found.append(8)


def writes(value):
    return lambda threads: threads.flow_writes(value)


def stops(threads):
    threads.work_side.interrupt()


def waits_for_an_answer(then):
    """Return a function that calls `then` while a message of the work is being sent."""

    def act(threads):
        threads.work.loss += 1
        then(threads)

    return act


def assigns_a_number(threads):
    # One that has to be sent at once, or is a list by now, waits for the guard.
    if threads.work_side._unacknowledged and "step" not in threads.work._node.containers:
        threads.work.step = 9


def cases(assigns: Callable[..., object]) -> pytest.MarkDecorator:
    """Give each two of kind, value before and action together, and all three of each in `make torture`."""
    found = []
    for kind, before, work_does in itertools.product([Plain, OfTheClass], [3, [3]], [assigns, grows]):
        is_always = (kind is Plain) ^ (before == 3) ^ (work_does is grows)
        found.append(pytest.param(kind, before, work_does, marks=() if is_always else pytest.mark.torture))
    return pytest.mark.parametrize(("kind", "before", "work_does"), found)


@cases(assigns_nine)
def test_nothing_is_lost_whatever_the_helper_does_between_two_instructions_of_the_work(
    kind, before, work_does
):
    for helper_does in (writes(9), writes([1]), TwoThreads.hear, stops):
        assert play(kind, before, OF_THE_WORK, waits_for_an_answer(work_does), helper_does) > 10


@cases(assigns_a_number)
def test_nothing_is_lost_whatever_the_work_does_between_two_instructions_of_the_helper(
    kind, before, work_does
):
    for helper_does in (writes(9), writes([1])):
        assert play(kind, before, OF_THE_HELPER, waits_for_an_answer(helper_does), work_does) > 10
