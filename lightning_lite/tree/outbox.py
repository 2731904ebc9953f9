"""Answers the calls of the flow; collects its requests and the events of a step until the machine takes them.

The process of a work has no flow, and does not load this module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from lightning_lite import masking
from lightning_lite.errors import (
    ArgumentError,
    FailApp,
    HandlerError,
    InvalidValue,
    JournalError,
    Pause,
    PauseSwallowed,
    ScheduleError,
    StateError,
    StopApp,
    ValueFileError,
)
from lightning_lite.events import (
    AnswerUsed,
    CallAsked,
    ComponentAttached,
    ComponentDetached,
    Event,
    StateReported,
    StateWritten,
    WorkEvent,
    is_below,
)
from lightning_lite.status import WorkStageStatus
from lightning_lite.tracebacks import find_user_error
from lightning_lite.tree.calls import Call, handed_on, loaded
from lightning_lite.tree.class_identity import class_identity
from lightning_lite.tree.component import Component
from lightning_lite.tree.node import Node, TreeMember, Work
from lightning_lite.tree.run_arguments import mismatch
from lightning_lite.values.call_key import call_key
from lightning_lite.values.pickling import REFERENCE, PackingError, pack, shown_type, why_not

if TYPE_CHECKING:
    from lightning_lite.tree.node import Stored
    from lightning_lite.tree.runaway_calls import RunawayCalls
    from lightning_lite.tree.schedule_block import Block

#: Longer arguments of a call, in bytes, are not written to the journal.
_MAX_JOURNALED_ARGUMENTS = 1024

#: Maximum of remembered forms of arguments: a `run` with `**kwargs` may get other names in each call.
_MAX_FORMS = 1000

#: Why a handler can't call a work that is not parallel; with the name of the work.
CANNOT_WAIT = (
    "A request is answered between passes of the flow, so its handler can't wait for a call of {}. Set an "
    "attribute there, and call the work in the flow's run; or make the work parallel."
)


class CallRequested(NamedTuple):
    """The flow requested a call that has no record yet."""

    work: Work
    call: Call


class StartRequested(NamedTuple):
    """The flow requested a process for a work, without a call."""

    work: Work


class StopRequested(NamedTuple):
    """The flow requested the end of the process of a work; `timeout` 0 means at once."""

    work: Work
    timeout: float


class RestartRequested(NamedTuple):
    """The flow requested a new process for a work; a call that this interrupts is run again."""

    work: Work
    timeout: float


class StacksRequested(NamedTuple):
    """The flow requested the Python stacks of the process of a work."""

    work: Work


class ComponentRemoved(NamedTuple):
    """The flow removed a component from the tree; `name` is the name that it had there."""

    component: TreeMember
    name: str


#: Requests of the flow that concern one work.
WorkRequest = CallRequested | StartRequested | StopRequested | RestartRequested | StacksRequested

#: All requests of the flow to the machine.
FlowRequest = WorkRequest | ComponentRemoved


class PassRecord:
    """The actions of one pass of the flow, or of one handler, so far.

    Attributes:
        reached: The last call that it has requested from each work, by the name of the work.
        pending: The calls of parallel works that it has requested and that had not ended then, by work.
        num_answers: Number of calls that were answered in it.
        again: Why another pass follows if it is not cut; "" if none does.
        waited: The works with `cache_calls=False` for whose answers it has waited: if it is cut, the next
            pass makes these calls again.
        pause: The `Pause` that was raised in it, if any.
        ending: The exception that `flow.stop()` or `flow.fail()` raised in it, if any.
        used: The schedules and loops that it has reached.
        blocks: The blocks that it has entered, each with the functions to call when it has left the block.
        at_end: The functions to call at its end.
        written: The attributes that it has written, and their values before.
    """

    __slots__ = (
        "again",
        "at_end",
        "blocks",
        "ending",
        "num_answers",
        "pause",
        "pending",
        "reached",
        "used",
        "waited",
        "written",
    )

    def __init__(self) -> None:
        self.reached: dict[str, Call] = {}
        self.pending: dict[str, list[Call]] = {}
        self.num_answers = 0
        self.again = ""
        self.pause: Pause | None = None
        self.ending: StopApp | FailApp | None = None
        self.used: set[str] = set()
        self.blocks: list[tuple[Block, list[Callable[[], None]]]] = []
        self.at_end: list[Callable[[], None]] = []
        self.written: dict[str, tuple[Node, str, Stored]] = {}
        self.waited: set[str] = set()


class Outbox:
    """Queue between the tree in the main process and the machine, which empties it after each step.

    Args:
        runaway_calls: Finds calls whose arguments are new in each pass.
        values: Absolute path of the folder for big values, or `None`: then these are in the messages.
        durable: Whether the files of big values must survive the loss of power.

    Attributes:
        runaway_calls: As above.
        values: As above.
        durable: As above.
        requests: The requests of the flow, in order.
        events: The events of this step, in order.
        unneeded: Packed big values that are not needed after the events of this step.
        still_needed: Those of a pass that raised: a resume needs them, because its events are not journaled.
        writes: The attributes that the main process wrote in this step: node of the component, and names of
            its attributes, by the name of the component.
        reasons: The changes that require another pass, as text for the debug log (`root.counter`), each with
            the name of the work that has changed; "" if it was the flow or a schedule.
        this_pass: The actions so far of the pass or the handler that runs.
        wait: Called where a pass needs calls that have not ended, with these and the names of their works. It
            returns when they have ended, or raises `Pause` to cut the pass. The machine sets it.
        wall: Current time in seconds since 1970.
        explain: Called with each decision about a call, for the debug log: name of the work, call, whether
            it is new, its arguments. `None` without a debug log.
        is_handling: Whether a handler runs, see `begin_handler`.
        touched: The nodes whose lists and dicts the flow got since they were last examined for changes.
        wakes: Times at which the flow must run again, in seconds since 1970, by the reason.
    """

    def __init__(self, runaway_calls: RunawayCalls, values: str | None, *, durable: bool) -> None:
        self.runaway_calls = runaway_calls
        self.values = values
        self.durable = durable
        self.requests: list[FlowRequest] = []
        self.events: list[Event] = []
        self.unneeded: list[bytes] = []
        self.still_needed: list[bytes] = []
        self.writes: dict[str, tuple[Node, set[str]]] = {}
        self.reasons: dict[str, str] = {}
        self.this_pass = PassRecord()
        self.wait: Callable[[Sequence[Call], Collection[str]], None]
        self.wall = 0.0
        self.explain: Callable[[str, Call, bool, tuple[Any, ...], dict[str, Any]], None] | None = None
        self.wakes: dict[str, float] = {}
        self.touched: dict[Node, None] = {}
        self.is_handling = False
        # Class, number of positional arguments and names of the others: `run` takes these. To compare them
        # with its signature would take some microseconds in each call.
        self._fitting: set[tuple[Any, ...]] = set()

    @property
    def outbox(self) -> Self:
        """This object, as `Link` has it."""
        return self

    # The events of a step.

    def emit(self, work: Work, event: WorkEvent) -> None:
        """Apply an event to the records of a work, and add it to the events of the step.

        Events of a work that was removed from the tree are not journaled: another work may have its name.
        """
        work._records.apply(event)
        if work._node.link is self:
            self.events.append(event)

    def report_state(self, work: Work, values: dict[str, bytes]) -> None:
        """Add the event that a work reported new values; `values` are encoded, by attribute."""
        if work._node.link is self:
            self.runaway_calls.state_changed()
            self.events.append(StateReported(work._node.name, self.wall, values))

    def emit_writes(self) -> None:
        """Add the events about the values that the main process wrote."""
        for name, (node, attributes) in self.writes.items():
            values = {key: node.encode(key) for key in sorted(attributes)}
            self.events.append(StateWritten(name, self.wall, values))
        self.writes = {}

    def drop_events(self) -> None:
        """Discard the events of a pass that raised: such a pass is not journaled."""
        self.events = []
        self.writes = {}
        self.still_needed += self.unneeded
        self.unneeded.clear()

    def unhandled_changes(self) -> dict[str, str]:
        """Return the requests and changes since the machine has emptied this, by full name, in words.

        A private attribute, such as the port that a work has chosen on its first use, is left out.

        Raises:
            StateError: A list or dict holds a value that is not plain data.
        """
        self.collect_changes()
        found = {
            f"{name}.{attribute}": "changes"
            for name, (_, attributes) in self.writes.items()
            for attribute in sorted(attributes)
            if attribute[:1] != "_"
        }
        for event in self.events:
            if isinstance(event, ComponentAttached):
                found[event.component] = "adds"
        for request in self.requests:
            if not isinstance(request, ComponentRemoved):
                found[request.work._node.name] = "calls or stops"
            else:
                found[request.name] = "removes"
        return found

    # Handlers.

    def begin_handler(self) -> PassRecord:
        """Let a handler run, with a record of its own; return the record of the pass that may be waiting."""
        waiting, self.this_pass = self.this_pass, PassRecord()
        self.is_handling = True
        return waiting

    def end_handler(self, waiting: PassRecord) -> StopApp | FailApp | None:
        """End a handler, and return the exception with which it has ended the app, if it has.

        Args:
            waiting: The record that `begin_handler` has returned.
        """
        self.is_handling = False
        record, self.this_pass = self.this_pass, waiting
        if record.again:
            self.changed(record.again)
        return record.ending

    def collect_or_restore(self) -> StateError | None:
        """Register the changes inside lists and dicts, and undo those that are not plain data.

        Returns:
            The error about the first one that was undone, or `None`.
        """
        refused = None
        for node in self.touched:
            refused = node.restore_invalid() or refused
        self.collect_changes()
        return refused

    # Passes; called by the machine.

    def begin_pass(self) -> None:
        """Clear the reasons for the pass that begins now, and the result of the last one."""
        self.runaway_calls.begin_pass()
        self.reasons = {}
        self.this_pass = PassRecord()

    def end_blocks(self) -> None:
        """Call the functions of all blocks: the pass has come to its end."""
        self._end_blocks_if(lambda _: True)
        at_end, self.this_pass.at_end = self.this_pass.at_end, []
        for on_left in at_end:
            on_left()

    def collect_changes(self) -> None:
        """Register the changes that the pass made inside lists and dicts.

        Raises:
            StateError: A list or dict holds a value that is not plain data.
        """
        if not self.touched:
            return
        touched, self.touched = self.touched, {}
        for node in touched:
            if node.link is not self:
                continue  # removed from the tree in this pass
            for name, before in node.changed_containers():
                self._add_write(node, name, before)
            node.clear_touched()
            if node.touched:
                self.touched[node] = None

    def _add_write(self, node: Node, name: str, before: Stored) -> None:
        """Register that the main process changed an attribute, which had another value before."""
        reason = f"{node.name}.{name}"
        if self.is_handling:
            reason += ", changed by a handler"
            self.runaway_calls.state_changed()
        else:
            self.runaway_calls.flow_wrote()
            self.this_pass.written.setdefault(reason, (node, name, before))
        self.reasons[reason] = ""
        self.writes.setdefault(node.name, (node, set()))[1].add(name)

    def forget_unchanged(self) -> None:
        """Forget the writes of this pass that left an attribute as it was when the pass began.

        Another pass would begin with the same values, and write the same. Without this, a loop that stores
        its position, `self.epoch = i`, would make each pass ask for another one.

        If the pass has waited for an answer of a work with `cache_calls=False`, all its writes are forgotten:
        the next pass would make the same calls again, and its writes would cut it in the same way. Another
        pass follows when something else cuts this one, or when it has come to its end.
        """
        for reason, (node, name, before) in self.this_pass.written.items():
            if reason in self.reasons and (self.this_pass.waited or node.is_stored(name, before)):
                del self.reasons[reason]

    def forget_answers(self, works: Collection[str]) -> None:
        """Forget that the flow has used answers of works: it has called them again, and waits for them."""
        for work in works:
            self.reasons.pop(_answered(work), None)

    def make_pause(self) -> Pause:
        """End the blocks that the pass has left, and return the `Pause` to raise, which the record keeps."""
        self.end_left_blocks()
        self.this_pass.pause = pause = Pause("a call has not ended yet")
        return pause

    def cut_again(self) -> NoReturn:
        """Refuse to wait in a pass that was cut already.

        Raises:
            Pause: The call is in `finally:`, and the pass is still being cut.
            PauseSwallowed: The flow has caught the `Pause`.
        """
        pause = self.this_pass.pause
        if pause is not None and sys.exception() is pause:
            raise pause
        raise self.swallowed_error() from pause

    @property
    def line_of_cut(self) -> str:
        """File and line at which this pass was cut."""
        pause = self.this_pass.pause
        trace = pause.__traceback__ if pause is not None else None
        if trace is None:
            return "an unknown line"
        return f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"

    def swallowed_error(self) -> PauseSwallowed:
        """Return the error that names the line at which the flow caught the `Pause` of this pass."""
        return PauseSwallowed(
            "The flow caught the exception that pauses it while a call of a work has not ended "
            f"({self.line_of_cut}). "
            "A bare `except:`, `except BaseException:` or `return` in `finally:` does that; "
            "use `except Exception:`."
        )

    # Blocks that a pass has entered.

    def use(self, what: str) -> None:
        """Register that a pass has reached a schedule or a loop.

        Raises:
            ScheduleError: The pass has reached one of this name before, and can't distinguish them.
        """
        if what in self.this_pass.used:
            raise ScheduleError(f"{what} is used twice in one flow; give each its own name: user_key=...")
        self.this_pass.used.add(what)

    def enter(self, block: Block, on_left: Callable[[], None]) -> None:
        """Call a function when a pass has left a block, unless it is cut there."""
        # A loop that makes the call again has left the block of its last round.
        self._end_blocks_if(lambda entered: entered.is_of_same_call(block))
        self.this_pass.blocks.append((block, [on_left]))

    def call_when_left(self, on_left: Callable[[], None]) -> None:
        """Call a function when the pass has left the innermost block that it has entered, or at its end."""
        record = self.this_pass
        running = [functions for block, functions in record.blocks if block.is_running()]
        (running[-1] if running else record.at_end).append(on_left)

    def end_left_blocks(self) -> None:
        """Call the functions of the blocks that the pass has left: it ends here, before its end."""
        self._end_blocks_if(lambda block: not block.is_running())
        self.this_pass.blocks, self.this_pass.at_end = [], []

    def _end_blocks_if(self, is_left: Callable[[Block], bool]) -> None:
        """Call the functions of the blocks for which `is_left` is true, and forget these blocks."""
        entered, self.this_pass.blocks = self.this_pass.blocks, []
        for block, functions in entered:
            if is_left(block):
                for on_left in functions:
                    on_left()
            else:
                self.this_pass.blocks.append((block, functions))

    # Writes and requests; called by the tree.

    def write(self, node: Node, name: str, value: Any) -> None:
        """Store a value that the flow assigned; a value of a work is also sent to its process."""
        before = node.stored(name)
        if node.store(name, value):
            self._add_write(node, name, before)
        if name in node.touched:
            self.touched[node] = None

    def touch(self, node: Node) -> None:
        """Register that the flow got a list or dict of the component, and may change it in place."""
        self.touched[node] = None

    def attached(self, node: Node) -> None:
        """Add the event that a component was attached, with its state at this moment."""
        component = node.owner
        if not isinstance(component, Component):
            return  # a list or dict of components has no state
        state = {name: node.encoded.get(name) or node.encode(name) for name in node.names}
        identity = class_identity(type(component))
        self.events.append(ComponentAttached(node.name, self.wall, component._travels, identity, state))

    def changed(self, reason: str, work: str = "") -> None:
        """Request another pass of the flow.

        Args:
            reason: The change, for the debug log.
            work: Name of the work that has changed; "" if it was the flow or a schedule.
        """
        self.reasons[reason] = work

    def request_removal(self, component: TreeMember) -> None:
        """Queue the request to end the processes of a component that is removed from the tree."""
        name = component.name
        self.requests.append(ComponentRemoved(component, name))
        self.events.append(ComponentDetached(name, self.wall))
        # Drop its writes: they are not events yet, and a later component may have the same name.
        self.writes = {other: written for other, written in self.writes.items() if not is_below(other, name)}
        self.changed(f"{name} was removed")

    def request_start(self, work: Work) -> None:
        """Queue the request for a process of a work, without a call."""
        self.requests.append(StartRequested(work))

    def request_stop(self, work: Work, timeout: float) -> None:
        """Queue the request to end the process of a work; `timeout` 0 means at once."""
        self.requests.append(StopRequested(work, timeout))

    def request_restart(self, work: Work, timeout: float) -> None:
        """Queue the request for a new process of a work; a call that this interrupts is run again."""
        self.requests.append(RestartRequested(work, timeout))

    def request_stacks(self, work: Work) -> None:
        """Queue the request for the Python stacks of the process of a work."""
        self.requests.append(StacksRequested(work))

    # Calls of works.

    def call(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the value of a call that has ended, or request the call; see `LightningWork.run`.

        Args:
            work: The work.
            args: The positional arguments of the call.
            kwargs: The keyword arguments of the call.
        """
        name, policy, records = work._node.name, work._policy, work._records
        key = call_key(args, kwargs, name, policy.call_key)
        call = records.current.get(key)
        is_new = call is None or call.answered
        if call is None or is_new:
            if self.is_handling and not policy.parallel:
                raise HandlerError(CANNOT_WAIT.format(name))
            self._check_arguments(work, args, kwargs)
            try:
                packable = handed_on(args, kwargs) if loaded else (args, kwargs)
                arguments = pack(packable, folder=self.values, durable=self.durable)
            except PackingError as error:
                raise _packing_error(name, args, kwargs, error) from find_user_error(error)
            is_first = call is None and name not in self.this_pass.reached
            call = self._request_call(work, key, arguments, call)
            if is_first:
                self.runaway_calls.called(name, args, kwargs, call)
        if self.explain is not None:
            self.explain(name, call, is_new, args, kwargs)
        self.this_pass.reached[name] = call
        if not call.ended:
            if policy.parallel:
                self.this_pass.pending.setdefault(name, []).append(call)
                return None
            self.wait((call,), (name,))
        if not policy.parallel:
            self.note_waited(work)
        return self._answer(work, call)

    def _check_arguments(self, work: Work, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse a call with other arguments than `run` has, so that the error names the line of the flow.

        Raises:
            ArgumentError: `run` has other parameters.
        """
        form = (type(work), len(args), *kwargs)
        if form in self._fitting:
            return
        if why := mismatch(type(work), args, kwargs):
            raise ArgumentError(f"{work._node.name}.run: {why}. No call was made.")
        if len(self._fitting) < _MAX_FORMS:
            self._fitting.add(form)

    def pending_calls(self, work: Work) -> list[Call]:
        """Return the calls of a work that this pass has requested; if there are none, its newest call.

        An earlier pass, which was cut, may have made calls in later lines. This pass does not wait for them.

        Returns:
            Only calls that have not ended.
        """
        name, newest, pending = work._node.name, work._records.newest, self.this_pass.pending
        if name not in self.this_pass.reached:
            return [newest] if newest is not None and not newest.ended else []
        # Without those that have ended, so that a loop of n rounds costs n.
        requested = pending[name] = [call for call in pending.get(name, ()) if not call.ended]
        return requested

    def latest_value(self, work: Work) -> Any:
        """Return the value of the call that this pass has requested last, else of the newest call."""
        call = self.reached_call(work) or work._records.newest
        return None if call is None else self._answer(work, call)

    def reached_call(self, work: Work) -> Call | None:
        """Return the call that the pass has requested last from a work; `None` between passes, too."""
        return self.this_pass.reached.get(work._node.name)

    def note_waited(self, work: Work) -> None:
        """Register that the pass waits for the calls that it has requested from a work.

        If it has used an answer of a parallel work before, the next call of that follows when the pass has
        come to its end, as for other works.
        """
        name = work._node.name
        if not work._policy.cache_calls and name in self.this_pass.reached:
            self.this_pass.waited.add(name)
            if self.reasons.pop(_answered(name), None) is not None:
                self.this_pass.again = _answered(name)

    def _answer(self, work: Work, call: Call) -> Any:
        """Return the value of a call that has ended."""
        self.this_pass.num_answers += 1
        if not work._policy.cache_calls and not call.answered:
            self._use_answer(work, call)
        try:
            return call.value
        except (JournalError, ValueFileError):  # the value is in a file of the run, and the file is damaged
            raise
        except Exception as error:  # noqa: BLE001 - unpickling runs code of the user's class
            raise _unreadable(work._node.name, error) from find_user_error(error)

    def _request_call(self, work: Work, key: str, arguments: bytes, replaced: Call | None) -> Call:
        """Create the record of a new call, queue its request, and return the record.

        Args:
            work: The work.
            key: Key of the call.
            arguments: Pickled `(args, kwargs)`.
            replaced: The earlier call with this key, or `None`.
        """
        records, name = work._records, work._node.name
        if replaced is not None:
            self.release(replaced)
        journaled = arguments if len(arguments) <= _MAX_JOURNALED_ARGUMENTS else None
        # `run` may get the text that a `Secret` has revealed.
        if masking.byte_forms and journaled is not None:
            journaled = masking.mask_pickled(journaled)
        self.emit(work, CallAsked(name, key, self.wall, records.num_calls + 1, journaled))
        call: Call = records.current[key]
        call.arguments = arguments
        call.is_big = arguments.startswith(REFERENCE)
        self.requests.append(CallRequested(work, call))
        if records.was_read:
            self.changed(f"{name}: {WorkStageStatus.PENDING}", name)
        return call

    def release(self, call: Call) -> None:
        """Register that the big values of a call are not needed after the events of this step."""
        if call.is_big:
            self.unneeded += call.big_values

    def _use_answer(self, work: Work, call: Call) -> None:
        """Emit that the flow has used the answer of a call of a work with `cache_calls=False`."""
        name = work._node.name
        for unneeded in work._records.unneeded_after(call):
            self.release(unneeded)
        self.emit(work, AnswerUsed(name, call.key, self.wall))
        self.runaway_calls.answer_used(name)
        if work._policy.parallel:
            self.changed(_answered(name), name)  # so that it gets its next call while a later line waits
        else:
            self.this_pass.again = _answered(name)


def outbox_of(member: TreeMember) -> Outbox | None:
    """Return the outbox that a component or structure is connected to; `None` outside an app or in a work."""
    link = member._node.link
    return link if isinstance(link, Outbox) else None


def _unreadable(work: str, error: Exception) -> InvalidValue:
    return InvalidValue(
        f"The value of {work}.run can't be unpickled in the main process: {type(error).__name__}: "
        f"{error}. Its class has to exist there as well.",
        work=work,
        reason="invalid_value",
    )


def _packing_error(
    work: str, args: tuple[Any, ...], kwargs: dict[str, Any], error: PackingError
) -> ArgumentError:
    """Return the error that names the argument that can't be pickled."""
    named = [(f"argument {position}", value) for position, value in enumerate(args)]
    named += [(f"argument {name!r}", value) for name, value in kwargs.items()]
    for what, value in named:
        try:
            pack(value)
        except PackingError as reason:
            shown = shown_type(value)
            return ArgumentError(
                f"{work}.run: {what}: cannot send {shown} to another process: "
                f"{why_not(value, reason)}. No call was made.",
                found=shown,
            )
    return ArgumentError(f"{work}.run: the arguments can't be sent: {error}")


def _answered(work: str) -> str:
    return f"{work} has answered"
