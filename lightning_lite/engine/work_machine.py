"""State machine of one work in its process: takes requests, runs the user's method, sends reports.

    RunCall ──▶ perform ──▶ work.run(...) ──▶ RunEnded
                              │ self.loss = 0.3 ──▶ write ──▶ StateChanged   at once, or merged while the
                              │ self.curve.append(0.3)                       last one is not acknowledged
                              │          report_changes ────▶ StateChanged   in the helper thread
    WriteState ─▶ receive ──▶ self.rate                                      in the helper thread

It is pickled and sent to the process of the work. The runner carries its messages.
"""

from __future__ import annotations

import os
from _thread import RLock, get_ident  # threading would cost each work 1 ms
from collections.abc import Callable
from operator import is_
from types import TracebackType

from lightning_lite import timeouts
from lightning_lite.context import current_caller
from lightning_lite.engine.failure_messages import make_failure
from lightning_lite.errors import StateError, StopRun
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.messages import AcknowledgeState, Failure, RunCall, RunEnded, StateChanged, WriteState
from lightning_lite.sockets import PortWatch, bracketed, node_address
from lightning_lite.tracebacks import find_user_error
from lightning_lite.tree.node import UNSET, Node, differ
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.codec import ATOMS, SCALARS, is_container
from lightning_lite.values.pickling import PackingError, explain, pack, remove_files_of, shown_type, unpack
from lightning_lite.values.secret_texts import add_texts, texts_in
from lightning_lite.values.transferable import Carrier, Transferable, receiving

if TYPE_CHECKING:
    from typing import Any, ClassVar

    from lightning_lite.main_messages import Report


class WorkMachine(Carrier):
    """Runs the calls of one work and reports the changes of its state.

    Args:
        work: The work; its state is that at the moment of pickling.
    """

    outbox: ClassVar[None] = None

    def __init__(self, work: LightningWork) -> None:
        self._work = work

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkMachine, (self._work,)

    @property
    def carried(self) -> LightningWork:
        """The work, which may travel in this object only."""
        return self._work

    def open(self, send: Callable[[Report], None], request_report: Callable[[], None]) -> None:
        """Run `on_start` of the work; from now on changes are reported.

        Args:
            send: Sends a report to the main process.
            request_report: Makes the helper thread call `report_changes` soon.
        """
        self._send = send
        self._request_report = request_report
        self._pid = os.getpid()
        self._stop_lock = StopDeferringLock()
        self._dirty: dict[str, None] = {}
        self._unacknowledged = False
        self._applied = 0
        self._owes_applied = False
        self._in_call = False
        self._is_report_requested = False
        self._is_stopped = False
        self._port_watch: PortWatch | None = None
        self._work._node.link = self
        self._work._node_address = node_address()
        self._work._node.clear_touched()
        self._work.on_start()

    def perform(self, call: RunCall) -> None:
        """Run one attempt of a call, and send its result."""
        value: bytes | None = None
        failure: Failure | None = None
        with self._stop_lock:
            self._apply(call.changes, call.written)
            self._in_call = True
            self._is_report_requested = False
        self._request_report_if_touched()
        self._watch_port()
        try:
            value = self._run(call)
            self._find_last_changes()
        except StopRun:
            raise
        except BaseException as error:  # every exception that ends the run is reported to the flow
            if os.getpid() != self._pid:
                raise  # in a process that `run` has forked, as in any forked process
            if self._is_stopped:
                raise StopRun from error  # the user's code has replaced StopRun by another exception
            value, failure = None, make_failure(error, self._work, call)
            try:
                self._find_last_changes()
            except StateError:  # the call has failed already, and its failure is reported
                pass
        finally:
            self._in_call = False
            self._unwatch_port()
        with self._stop_lock:
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
            raise StopRun  # the user's code has caught it

    def receive(self, message: WriteState | AcknowledgeState) -> None:
        """Handle a message that arrived while a call runs; called in the helper thread."""
        with self._stop_lock:
            if isinstance(message, WriteState):
                self._apply(message.changes, message.written)
                self._owes_applied = True
            else:
                self._unacknowledged = False
            self._report()
        if isinstance(message, WriteState):
            self._work._state_written()

    def report_changes(self) -> float | None:
        """Report changes inside lists and dicts; called in the helper thread.

        Returns:
            Seconds until the next check, or `None` if no list or dict can change.
        """
        with self._stop_lock:
            # Before the test, so that a container accessed from now on requests again.
            self._is_report_requested = False
            if not self._in_call or not self._work._node.touched:
                return None
            self._is_report_requested = True
            # StateError: not raised here, because the check at the end of the call raises it in the call.
            # RuntimeError: the work changes a dict at this moment; the next check sees the change.
            try:
                self._find_changes()
            except (StateError, RuntimeError):
                pass
            self._report()
        return timeouts.LOOK_INTERVAL

    def interrupt(self) -> None:
        """Raise `StopRun` in the main thread of the work, as soon as the lock is released."""
        self._is_stopped = True
        self._stop_lock.interrupt()

    def close(self) -> None:
        """Run `on_exit` of the work and send the last changes."""
        try:
            self._work.on_exit()
        finally:
            with self._stop_lock:
                try:
                    self._find_last_changes()
                except StateError:  # leave out a value that can't be sent
                    pass
                changes = self._take_changes()
                if changes or self._owes_applied:
                    self._send(StateChanged(self._work.name, changes, self._applied))

    def after_fork(self) -> None:
        """Replace the lock: the helper thread, which is not in the forked process, may have held it."""
        self._stop_lock = StopDeferringLock()

    # The link of the work, called by `Component.__setattr__` and `__getattr__`.

    def write(self, node: Node, name: str, value: Any) -> None:
        """Store a value that the work assigned, and report it."""
        if type(value) in ATOMS and name not in node.containers:
            self._write_atom(node.owner.__dict__, name, value)
        else:
            with self._stop_lock:
                if node.store(name, value):
                    self._dirty[name] = None
                    self._report()
            self._request_report_if_touched()
        if name == "_port":
            self._watch_port()

    def _write_atom(self, attributes: dict[str, Any], name: str, value: Any) -> None:
        """Store and report a number or another atom; without the lock, which would take most of the time.

        The name is marked as changed after the value is stored, and unmarked before the value is reported, so
        in the worst case a value is reported twice. It is marked before the store as well, because `StopRun`
        may be raised before the second mark.
        """
        if differ(attributes.get(name, UNSET), value):
            dirty = self._dirty
            dirty[name] = None
            attributes[name] = value
            dirty[name] = None
        if self._is_stopped or (self._dirty and not self._unacknowledged):
            with self._stop_lock:  # an inline work raises StopRun when this is released
                self._report()

    def touch(self, node: Node) -> None:
        """Register that the work got one of its lists or dicts, and may change it in place."""
        self._request_report_if_touched()

    def attached(self, node: Node) -> None:
        """Do nothing: no component is attached in the process of a work."""

    def _request_report_if_touched(self) -> None:
        if self._in_call and not self._is_report_requested and self._work._node.touched:
            self._is_report_requested = True
            self._request_report()

    # Calls.

    def _run(self, call: RunCall) -> bytes:
        work = self._work
        add_texts(call.secrets)
        with receiving(work.name) as received:
            args, kwargs = unpack(call.arguments)
        for name, value in self._transferables().items():
            result = value.before_run(work.name)
            if result is not value:
                self.write(work._node, name, result)
        args = _receive_all(args, work.name, received)
        kwargs = _receive_all(kwargs, work.name, received)
        answer = work.run(*args, **kwargs)
        # Read the attributes again, because `run` may have assigned others.
        for transferable in (*received.values(), *self._transferables().values()):
            transferable.after_run(work.name)
        caller = current_caller()
        try:
            packed = pack(answer, to_main=True, folder=caller.values, durable=caller.durable)
        except PackingError as error:
            advice = "Return plain data, or write it to a file."
            explained = explain(answer, error, advice, lambda part: pack(part, to_main=True))
            raise PackingError(
                f"run() returned {shown_type(answer)}, which can't be sent to the flow: {explained}"
            ) from find_user_error(error)
        if texts_in(packed) is not None:
            if caller.values is not None:
                remove_files_of(packed, caller.values)
            raise PackingError(
                "run() returned a value that holds a Secret. Answers are stored, so that a resumed run has "
                "them, and a secret must not be. Keep it in a private attribute of the work, or return "
                "Secret.from_env(...), which holds only a name."
            )
        return packed

    def _transferables(self) -> dict[str, Transferable]:
        """Return the attributes that are `Transferable`, by name."""
        found, attributes = {}, self._work.__dict__
        for name in self._work._node.names:
            value = attributes.get(name)
            if type(value) not in SCALARS and isinstance(value, Transferable):
                found[name] = value
        return found

    # State. All of these are called with the lock held.

    def _report(self) -> None:
        """Send the changes, unless the flow has not acknowledged the last message yet."""
        if not self._unacknowledged and (self._dirty or self._owes_applied):
            self._unacknowledged = True
            self._send(StateChanged(self._work.name, self._take_changes(), self._applied))

    def _take_changes(self) -> dict[str, bytes]:
        self._owes_applied = False
        if not self._dirty:
            return {}
        node = self._work._node
        changes = {}
        for name in list(self._dirty):
            del self._dirty[name]
            # A list or dict may hold an invalid value by now, so send the one of the last check.
            is_seen = is_container(node.value(name))
            changes[name] = node.encoded[name] if is_seen else node.encode(name)
        return changes

    def _apply(self, changes: dict[str, tuple[int, bytes]], written: int) -> None:
        """Apply writes of the flow; messages repeat unconfirmed writes, so none is lost."""
        for name, (number, encoded) in changes.items():
            if number > self._applied:
                self._dirty.pop(name, None)
                self._work._node.store_encoded(name, encoded)
        self._applied = max(self._applied, written)

    def _find_last_changes(self) -> None:
        if not self._work._node.touched:
            return
        with self._stop_lock:
            try:
                self._find_changes()
            finally:
                self._work._node.clear_touched()

    def _find_changes(self) -> None:
        for name, _ in self._work._node.changed_containers():
            self._dirty[name] = None

    def _watch_port(self) -> None:
        work = self._work
        is_sought = self._in_call and work._holds_port and not work._url and self._port_watch is None
        if is_sought and work._port is not None:
            self._port_watch = PortWatch(work.host, work._port, self._port_answered)

    def _port_answered(self) -> None:
        if not self._work._url:
            self._work._url = f"http://{bracketed(self._work._reachable_host())}:{self._work._port}"

    def _unwatch_port(self) -> None:
        if self._port_watch is not None:
            self._port_watch.close()
            self._port_watch = None


def _receive_all(value: Any, work: str, received: dict[int, Transferable]) -> Any:
    """Call `before_run` of each `Transferable` in `value`, at any depth of lists, tuples and dicts.

    A `Path` in any object has called it while it was unpickled.

    Args:
        value: The value.
        work: Name of the work.
        received: The results of `before_run` up to now, by their `id`; gets the others.

    Returns:
        `value`, with each `Transferable` replaced by the result of its `before_run`.
    """
    kind = type(value)
    if kind in SCALARS:
        return value
    if isinstance(value, Transferable):
        if id(value) in received:
            return value
        result = value.before_run(work)
        received[id(result)] = result
        return result
    if kind is list or kind is tuple:
        # Fast path for lists of numbers and texts: one loop in C.
        if set(map(type, value)) <= SCALARS:
            return value
        items = [_receive_all(item, work, received) for item in value]
        return value if all(map(is_, items, value)) else kind(items)
    if kind is dict:
        if set(map(type, value.values())) <= SCALARS:
            return value
        pairs = {key: _receive_all(item, work, received) for key, item in value.items()}
        return value if all(pairs[key] is value[key] for key in value) else pairs
    return value


class StopDeferringLock:
    """Re-entrant lock that defers `StopRun` until it is released.

    A work is stopped by an exception that a signal handler raises in its main thread, between any two
    instructions. The lock defers it, so that no message is sent partially, and no change is registered
    without being stored.
    """

    def __init__(self) -> None:
        self._lock = RLock()
        self._main = get_ident()
        self._depth = 0
        self._interrupted = False

    def __enter__(self) -> None:
        # Count before locking: an exception between the two would keep the lock forever.
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
        """Raise `StopRun`: now in the main thread without the lock, else when the lock is released."""
        if get_ident() == self._main and self._depth == 0:
            raise StopRun
        self._interrupted = True
