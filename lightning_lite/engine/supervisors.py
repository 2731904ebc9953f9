"""The supervisors of all works of an app: who is there, who leaves, and who may send what now."""

from __future__ import annotations

from collections.abc import Iterable

from lightning_lite import settings
from lightning_lite.clock import Moment
from lightning_lite.engine.call_queue import Slots
from lightning_lite.engine.supervisor import Supervisor
from lightning_lite.engine.timers import Timers
from lightning_lite.messages import Request
from lightning_lite.tree.outbox import Outbox
from lightning_lite.tree.work import LightningWork


class Supervisors:
    """Keeps one supervisor for each work, and looks only at those to which something has happened.

    Args:
        outbox: Where the supervisors note what becomes of calls.
        timers: Where they are woken from, each under the name of its work.
        max_running: How many works run a call at once, or `None` for all.
    """

    def __init__(self, outbox: Outbox, timers: Timers, max_running: int | None) -> None:
        self._outbox = outbox
        self._timers = timers
        self._slots = Slots(max_running)
        self._supervisors: dict[str, Supervisor] = {}
        self._retiring: dict[str, Supervisor] = {}  # taken out of the tree, their processes not gone yet
        self._active: dict[Supervisor, None] = {}  # those to look at before the step ends
        self._held: dict[Supervisor, None] = {}  # those that wait for `max_running`, in their order
        self._busy: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way that will end by itself."""
        return bool(self._busy)

    @property
    def failed(self) -> Supervisor | None:
        """A supervisor whose error has to end the app, if there is one."""
        for supervisor in self._active:
            if supervisor.error is not None and self.has(supervisor):
                return supervisor
        return None

    def all(self) -> list[Supervisor]:
        """Return the supervisors of all works in the tree."""
        return list(self._supervisors.values())

    def find(self, name: str) -> Supervisor | None:
        """Return the supervisor of the work in the tree that is called `name`."""
        return self._supervisors.get(name)

    def of_process(self, name: str) -> Supervisor | None:
        """Return the supervisor of the process called `name`, which may belong to a work that has left."""
        if self._retiring and name in self._retiring:
            return self._retiring[name]
        return self._supervisors.get(name)

    def has(self, supervisor: Supervisor) -> bool:
        """Return whether its work is in the tree; another one may have its name."""
        return self._supervisors.get(supervisor.name) is supervisor

    def supervise(self, work: LightningWork) -> Supervisor:
        """Return the supervisor of a work; a work that is new gets one."""
        name = work.name
        supervisor = self._supervisors.get(name)
        if supervisor is None:
            supervisor = Supervisor(work, self._outbox, self._slots, blocked=name in self._retiring)
            self._supervisors[name] = supervisor
        self._active[supervisor] = None
        return supervisor

    def dismiss(self, detached: str, now: Moment) -> None:
        """End the processes of what was taken out of the tree; their names are free when they are gone."""
        for name in [name for name in self._supervisors if f"{name}.".startswith(f"{detached}.")]:
            supervisor = self._supervisors.pop(name)
            supervisor.ask_stop(settings.STOP_TIMEOUT, now)
            self._busy.discard(name)
            self._timers.set(name, None)
            if supervisor.has_process:
                self._retiring[name] = supervisor
                self._active[supervisor] = None

    def abandon(self, now: Moment) -> None:
        """Cut what has not ended: the app is over."""
        for supervisor in (*self._supervisors.values(), *self._retiring.values()):
            supervisor.abandon(now)

    def changed(self, supervisor: Supervisor) -> None:
        """Hear that something has happened to a work."""
        self._active[supervisor] = None

    def process_gone(self, name: str, now: Moment) -> None:
        """Hear that the process called `name` is gone: a work that waits for the name may have it."""
        if self._retiring.pop(name, None) is not None and name in self._supervisors:
            self._supervisors[name].unblock(now)
            self._active[self._supervisors[name]] = None

    def has_news(self, now: Moment) -> bool:
        """Return whether there is anything to send, or a failure that has to end the app."""
        if self._held:
            return True
        for supervisor in self._active:
            if supervisor.has_requests or supervisor.error is not None or supervisor.is_ready(now):
                return True
        return False

    def collect(self, now: Moment) -> list[Request]:
        """Let the works send what they have to, as far as `max_running` allows, and set their timers."""
        if not self._active:
            return []
        requests: list[Request] = []
        active, self._active = self._active, {}
        active |= self._dispatch(active, now)
        for supervisor in active:
            name = supervisor.name
            if supervisor.has_requests:
                requests += supervisor.take_requests()
            if self._supervisors.get(name) is not supervisor:
                continue
            self._timers.set(name, supervisor.wake_at if supervisor not in self._held else None)
            (self._busy.add if supervisor.is_busy else self._busy.discard)(name)
            if supervisor.take_noted():
                self._outbox.changed(f"{name}: {supervisor.work.status.stage}")
        return requests

    def _dispatch(self, active: Iterable[Supervisor], now: Moment) -> dict[Supervisor, None]:
        """Let works begin a call, first those that have waited for it longest; return which of those did."""
        begun: dict[Supervisor, None] = {}
        for supervisor in active:
            if not supervisor.is_ready(now):
                self._held.pop(supervisor, None)
            elif self._held or not self._slots.is_free:
                self._held.setdefault(supervisor)
            else:
                supervisor.dispatch(now)
        while self._held and self._slots.is_free:
            supervisor = next(iter(self._held))
            del self._held[supervisor]
            supervisor.dispatch(now)
            begun[supervisor] = None
        return begun
