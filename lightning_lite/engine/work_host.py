"""The child-side machine of one work: letters in, the user's method, letters out.

    RunCall ──▶ perform ──▶ work.run(...) ──▶ RunEnded
                              │ self.loss = 0.3 ──▶ write ──▶ StateChanged    at once, or merged while the
                              │ self.curve.append ─▶ look ──▶ StateChanged    last one is not acknowledged
    WriteState ─▶ receive ──▶ self.rate                                       in the helper thread

It travels to the work's process packed. What it sends and receives through is the runner's affair.
"""

from __future__ import annotations

from _operator import is_
from _thread import RLock, get_ident

from lightning_lite import settings
from lightning_lite.engine.failures import describe_exception
from lightning_lite.errors import ArgumentError, StateError, StopRun
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.messages import (
    AcknowledgeState,
    Failure,
    Report,
    RunCall,
    RunEnded,
    StateChanged,
    WriteState,
)
from lightning_lite.tree.component import Component
from lightning_lite.tree.node import UNSET, differ
from lightning_lite.tree.ports import PortWatch
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.codec import ATOMS, SCALARS, is_container
from lightning_lite.values.pickling import PackingError, pack, unpack
from lightning_lite.values.protocol import Transferable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any


class StopGuard:
    """Keeps what is under way whole: other threads wait, and `StopRun` is raised behind it.

    A work is stopped by an exception raised between two instructions of its main thread. Inside the
    guard it is held back, so that no letter is sent by half and no change is noted without being stored.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._main = get_ident()
        self._depth = 0
        self._interrupted = False

    def __enter__(self) -> None:
        # Counted before the lock is taken: an exception between the two would keep it for ever.
        if get_ident() == self._main:
            self._depth += 1
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
        if get_ident() == self._main:
            self._depth -= 1
            if self._interrupted and self._depth == 0:
                self._interrupted = False
                raise StopRun

    def interrupt(self) -> None:
        """Raise `StopRun`: here and now in the main thread and outside the guard, else at its next exit."""
        if get_ident() == self._main and self._depth == 0:
            raise StopRun
        self._interrupted = True


class WorkHost:
    """Runs the calls of one work and reports what becomes of its state.

    Args:
        work: The work; it is taken as it is at the moment of packing.
    """

    def __init__(self, work: LightningWork) -> None:
        self._work = work

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkHost, (self._work,)

    def open(self, send: Callable[[Report], None], nudge: Callable[[], None]) -> None:
        """Run the work's `on_start`; from now on its changes are reported.

        Args:
            send: Carries a letter to the main side.
            nudge: Lets the helper thread call `look` soon.
        """
        self._send = send
        self._nudge = nudge
        self._guard = StopGuard()
        self._dirty: dict[str, None] = {}
        self._unacknowledged = False
        self._applied = 0
        self._owes_applied = False
        self._in_call = False
        self._nudged = False
        self._is_stopped = False
        self._port_watch: PortWatch | None = None
        self._work._node.link = self
        self._work._node.settle(self._work)
        self._work.on_start()

    def perform(self, call: RunCall) -> None:
        """Run one attempt of a call and send how it ended."""
        value: bytes | None = None
        failure: Failure | None = None
        with self._guard:
            self._apply(call.changes, call.written)
            self._in_call = True
            self._nudged = False
        self._want_look()
        self._watch_port()
        try:
            value = self._run(call)
            self._look_inside()
        except StopRun:
            raise
        except BaseException as error:  # whatever ends the run is told to the flow
            if self._is_stopped:
                raise StopRun from error  # the user's code made another exception of it
            value, failure = None, describe_exception(error, self._work, call)
            try:  # noqa: SIM105 - contextlib costs each child 2 ms
                self._look_inside()
            except StateError:
                pass
        finally:
            self._in_call = False
            self._unwatch_port()
        with self._guard:
            self._send(
                RunEnded(
                    self._work.name,
                    call.key,
                    call.attempt,
                    self._take_changes(),
                    self._applied,
                    value,
                    failure,
                )
            )
        if self._is_stopped:
            raise StopRun  # the user's code has swallowed it

    def receive(self, message: WriteState | AcknowledgeState) -> None:
        """Apply what came while a call runs; called in the helper thread."""
        with self._guard:
            if isinstance(message, WriteState):
                self._apply(message.changes, message.written)
                self._owes_applied = True
            else:
                self._unacknowledged = False
            self._report()

    def look(self) -> float | None:
        """Report changes inside lists and dicts; called in the helper thread.

        Returns:
            Seconds until the next look, or `None` until there is something to look into.
        """
        with self._guard:
            self._nudged = False  # before the test: a container handed out meanwhile nudges again
            if not self._in_call or not self._work._node.touched:
                return None
            self._nudged = True
            # A refusal can't be raised here; the last look of the call raises it where the flow hears of it.
            # A dict that the work changes at this very moment is for the next look.
            try:  # noqa: SIM105
                self._note_changes()
            except (StateError, RuntimeError):
                pass
            self._report()
        return settings.LOOK_INTERVAL

    def interrupt(self) -> None:
        """Raise `StopRun` in the main thread of the work, as soon as what is under way is whole."""
        self._is_stopped = True
        self._guard.interrupt()

    def close(self) -> None:
        """Run the work's `on_exit` and send the last changes."""
        try:
            self._work.on_exit()
        finally:
            with self._guard:
                try:  # noqa: SIM105
                    self._look_inside()
                except StateError:
                    pass  # what can't travel is left out
                changes = self._take_changes()
                if changes or self._owes_applied:
                    self._send(StateChanged(self._work.name, changes, self._applied))

    # The link of the work: what `Component.__setattr__` and `__getattr__` report to.

    def write(self, component: Component, name: str, value: Any) -> None:
        """Store what the work assigned and report it."""
        if type(value) in ATOMS and name not in component._node.containers:
            self._write_atom(component.__dict__, name, value)
        else:
            with self._guard:
                if component._node.store(component, name, value):
                    self._dirty[name] = None
                    self._report()
            self._want_look()
        if name == "_port":
            self._watch_port()

    def _write_atom(self, attributes: dict[str, Any], name: str, value: Any) -> None:
        """Store a number or its like, and report it unless the helper thread will; the guard would cost most.

        Who stores marks last, who reports unmarks first: so at worst a value is reported twice. It is marked
        first as well, because a stop may come before the second.
        """
        if differ(attributes.get(name, UNSET), value):
            dirty = self._dirty
            dirty[name] = None
            attributes[name] = value
            dirty[name] = None
        if self._is_stopped or (self._dirty and not self._unacknowledged):
            with self._guard:  # behind which a stop is raised in a work that has no process of its own
                self._report()

    def touch(self, component: Component) -> None:
        """Note that the work holds one of its lists or dicts and may change it in place."""
        self._want_look()

    def _want_look(self) -> None:
        if self._in_call and not self._nudged and self._work._node.touched:
            self._nudged = True
            self._nudge()

    # How a call is run.

    def _run(self, call: RunCall) -> bytes:
        work = self._work
        args, kwargs = unpack(call.arguments)
        for name, value in self._transferables().items():
            received = value.before_run(work.name)
            if received is not value:
                self.write(work, name, received)
        guests: list[Transferable] = []
        args = _receive_all(args, work.name, guests)
        kwargs = _receive_all(kwargs, work.name, guests)
        answer = work.run(*args, **kwargs)
        for guest in (*guests, *self._transferables().values()):  # also what the run itself has assigned
            guest.after_run(work.name)
        try:
            return pack(answer, to_main=True)
        except PackingError as error:
            raise PackingError(
                f"run() returned <{type(answer).__module__}.{type(answer).__qualname__}>, which can't be "
                f"sent to the flow: {error}. Return plain data, or put it into a file."
            ) from error

    def _transferables(self) -> dict[str, Transferable]:
        """Return the travellers among the attributes, by name."""
        found, attributes = {}, self._work.__dict__
        for name in self._work._node.names:
            value = attributes.get(name)
            if type(value) not in SCALARS and isinstance(value, Transferable):
                found[name] = value
        return found

    # How state travels. The guard is held in all of them.

    def _report(self) -> None:
        """Send what changed, unless the flow has not taken the last letter yet."""
        if not self._unacknowledged and (self._dirty or self._owes_applied):
            self._unacknowledged = True
            self._send(StateChanged(self._work.name, self._take_changes(), self._applied))

    def _take_changes(self) -> dict[str, bytes]:
        self._owes_applied = False
        if not self._dirty:
            return {}
        work, node = self._work, self._work._node
        changes = {}
        for name in list(self._dirty):
            del self._dirty[name]
            # Of a list or dict what the last look has seen: by now it may hold what is refused.
            is_seen = is_container(node.value(work, name))
            changes[name] = node.encoded[name] if is_seen else node.encode(work, name)
        return changes

    def _apply(self, changes: dict[str, tuple[int, bytes]], written: int) -> None:
        """Take what the flow wrote; its letters repeat what is not confirmed, so none is missed."""
        for name, (number, encoded) in changes.items():
            if number > self._applied:
                self._dirty.pop(name, None)
                self._work._node.store_encoded(self._work, name, encoded)
        self._applied = max(self._applied, written)

    def _look_inside(self) -> None:
        if not self._work._node.touched:
            return
        with self._guard:
            try:
                self._note_changes()
            finally:
                self._work._node.settle(self._work)

    def _note_changes(self) -> None:
        for name in self._work._node.look(self._work):
            self._dirty[name] = None

    def _watch_port(self) -> None:
        work = self._work
        if self._in_call and work._port is not None and not work._url and self._port_watch is None:
            self._port_watch = PortWatch(work._host, work._port, self._port_answered)

    def _port_answered(self) -> None:
        if not self._work._url:
            self._work._url = f"http://{self._work._host}:{self._work._port}"

    def _unwatch_port(self) -> None:
        if self._port_watch is not None:
            self._port_watch.close()
            self._port_watch = None


def _receive_all(value: Any, work: str, guests: list[Transferable]) -> Any:
    """Return `value` with every traveller in it received, at any depth of lists, tuples and dicts."""
    kind = type(value)
    if kind in SCALARS:
        return value
    if isinstance(value, Transferable):
        return _receive_traveller(value, work, guests)
    if kind is list or kind is tuple:
        # One pass at the speed of C is all that numbers and texts need.
        if set(map(type, value)) <= SCALARS:
            return value
        items = [_receive_all(item, work, guests) for item in value]
        return value if all(map(is_, items, value)) else kind(items)
    if kind is dict:
        if set(map(type, value.values())) <= SCALARS:
            return value
        pairs = {key: _receive_all(item, work, guests) for key, item in value.items()}
        return value if all(pairs[key] is value[key] for key in value) else pairs
    return value


def _receive_traveller(value: Transferable, work: str, guests: list[Transferable]) -> Transferable:
    received = value.before_run(work)
    guests.append(received)
    return received


def pack_host(work: LightningWork) -> bytes:
    """Return the child-side machine of a work as it is now, packed.

    Raises:
        ArgumentError: An attribute can't travel; the message names it.
    """
    try:
        return pack(WorkHost(work))
    except PackingError as error:
        for name, value in work.__dict__.items():
            _try_attribute(work, name, value)
        raise ArgumentError(f"{work.name} can't be sent to its process: {error}", work=work.name) from error


def _try_attribute(work: LightningWork, name: str, value: Any) -> None:
    try:
        pack(value)
    except PackingError as error:
        raise ArgumentError(
            f"{work.name} can't be sent to its process: its attribute {name!r} holds "
            f"<{type(value).__module__}.{type(value).__qualname__}>: {error}. "
            "Create it in on_start() or run().",
            work=work.name,
            attribute=name,
        ) from error
