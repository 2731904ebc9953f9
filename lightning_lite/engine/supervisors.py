"""The supervisors of all works of an app, and the order in which they send their calls."""

from __future__ import annotations

from collections.abc import Mapping

from lightning_lite import timeouts
from lightning_lite.clock import Moment
from lightning_lite.engine.supervisor import Slots, Supervisor
from lightning_lite.engine.timers import Timers
from lightning_lite.events import is_below
from lightning_lite.messages import Request
from lightning_lite.resources import Resources
from lightning_lite.tree.outbox import Outbox
from lightning_lite.tree.work import LightningWork


class Supervisors:
    """Holds one supervisor for each work, and in each step processes only those that have changed.

    Args:
        outbox: Receives the events of the supervisors.
        timers: Holds the timer of each supervisor, under the name of its work.
        requests: Receives the requests of the supervisors.
        max_running: Number of works that may run a call at the same time, or `None` for no limit.
        kinds: See `Machine`.
    """

    def __init__(
        self,
        outbox: Outbox,
        timers: Timers,
        requests: list[Request],
        max_running: int | None,
        kinds: Mapping[str, Resources] | None = None,
    ) -> None:
        self._outbox = outbox
        self._timers = timers
        self._requests = requests
        self._slots = Slots(max_running)
        self._kinds = kinds
        self._supervisors: dict[str, Supervisor] = {}
        self._retiring: dict[str, Supervisor] = {}  # their works are removed, their processes still run
        self._active: dict[Supervisor, None] = {}  # changed in this step
        self._held: dict[Supervisor, None] = {}  # ready, but waiting for `max_running`, oldest first
        self._busy: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a supervisor waits for a report."""
        return bool(self._busy)

    @property
    def may_serve(self) -> bool:
        """Whether a process may have a server that outlives its call: the work has a port."""
        return any(
            supervisor.has_process and supervisor.work._port is not None
            for supervisor in self._supervisors.values()
        )

    def all(self) -> list[Supervisor]:
        """Return the supervisors of all works in the tree."""
        return list(self._supervisors.values())

    def find(self, name: str) -> Supervisor | None:
        """Return the supervisor of the work `name` in the tree, or `None`."""
        return self._supervisors.get(name)

    def find_for_report(self, name: str) -> Supervisor | None:
        """Return the supervisor of the process `name`, also of a removed work; register that it changes."""
        supervisor = self._retiring.get(name) or self._supervisors.get(name)
        if supervisor is not None:
            self._active[supervisor] = None
        return supervisor

    def has(self, supervisor: Supervisor) -> bool:
        """Return whether its work is in the tree; after a removal, another work may have its name."""
        return self._supervisors.get(supervisor.name) is supervisor

    def supervise(self, work: LightningWork) -> Supervisor:
        """Return the supervisor of a work; create it for a new work."""
        name = work._node.name
        supervisor = self._supervisors.get(name)
        if supervisor is None:
            supervisor = Supervisor(
                work, self._outbox, self._requests, self._slots, self._kinds, blocked=name in self._retiring
            )
            self._supervisors[name] = supervisor
        self._active[supervisor] = None
        return supervisor

    def dismiss(self, removed: str, now: Moment) -> None:
        """End the processes of all works below a component that was removed from the tree.

        A later work of the same name gets a process only after the old one has exited.
        """
        for name in [name for name in self._supervisors if is_below(name, removed)]:
            supervisor = self._supervisors.pop(name)
            supervisor.ask_stop(timeouts.STOP_TIMEOUT, now)
            self._busy.discard(name)
            self._timers.set(name, None)
            if supervisor.has_process:
                self._retiring[name] = supervisor
                self._active[supervisor] = None

    def abandon(self, now: Moment) -> None:
        """Stop all calls that have not ended, because the app has ended."""
        for supervisor in (*self._supervisors.values(), *self._retiring.values()):
            supervisor.abandon(now)

    def changed(self, supervisor: Supervisor) -> None:
        """Register that a supervisor has changed in this step."""
        self._active[supervisor] = None

    def process_gone(self, name: str, now: Moment) -> None:
        """Register that the process `name` has exited; a new work of that name may start its own."""
        if self._retiring.pop(name, None) is not None and name in self._supervisors:
            self._supervisors[name].unblock(now)
            self._active[self._supervisors[name]] = None

    def advance(self, now: Moment) -> Supervisor | None:
        """Let the supervisors that have changed send their next calls, up to `max_running`, and set timers.

        Among the supervisors that are ready, those that have waited longest send their calls first.

        Returns:
            A supervisor whose error must end the app; then no call is sent. `None` if there is no such error.
        """
        active, self._active = self._active, {}
        held, slots = self._held, self._slots
        for supervisor in active:
            if supervisor.error is not None and self.has(supervisor):
                return supervisor
            if supervisor.is_ready(now):
                held.setdefault(supervisor)
            elif held:
                held.pop(supervisor, None)
        while held and slots.num_free > 0:
            supervisor = next(iter(held))
            del held[supervisor]
            supervisor.dispatch(now)
            active[supervisor] = None
        for supervisor in active:
            name = supervisor.name
            if self._supervisors.get(name) is not supervisor:
                continue
            due = supervisor.wake_at if supervisor not in held else None
            if due != supervisor.timer:
                supervisor.timer = due
                self._timers.set(name, due)
            (self._busy.add if supervisor.is_busy else self._busy.discard)(name)
        return None
