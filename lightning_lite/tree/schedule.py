"""Schedules of flows, and loops that continue in the next pass."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from lightning_lite.tree.component import Component
from lightning_lite.tree.cron import next_event
from lightning_lite.tree.outbox import outbox_of

#: Names of the state attributes that keep the schedules and loops between passes.
_STORAGE = ("_schedules", "_iterators")


class RecurringFlow(Component):
    """Base of flows: schedules, and loops that continue where the last pass ended."""

    def __init__(self) -> None:
        super().__init__()
        self._node.names |= dict.fromkeys(_STORAGE)
        self._schedules: dict[str, dict[str, Any]] = {}
        self._iterators: dict[str, int | None] = {}

    def schedule(
        self,
        cron_pattern: str,
        start_time: datetime | None = None,
        user_key: str | None = None,
        timezone: str | None = None,
    ) -> bool:
        """Return whether an event of a schedule is due.

        The first call returns `True`. After that, one pass for each event gets `True`; the app starts a pass
        at the time of the event. Several missed events, because the flow was busy or the app was not running,
        count as one. It also works outside an app.

        Args:
            cron_pattern: Five cron fields (minute hour day month weekday), six with the seconds last, or an
                alias: `hourly`, `daily`, …
            start_time: Ignore events before this time; `None` means now.
            user_key: Name of the schedule; needed if a flow uses the same pattern twice.
            timezone: Name of a time zone, for example `Europe/Prague`; `None` means that of this computer.

        Returns:
            Whether an event is due.

        Raises:
            ScheduleError: The pattern is invalid, or a schedule of this name was used before in this pass.

        Example:
            >>> from lightning_lite.testing import EmptyFlow
            >>> flow = EmptyFlow()
            >>> flow.schedule("daily"), flow.schedule("daily")
            (True, False)
        """
        key = user_key or cron_pattern
        outbox = outbox_of(self)
        what = f"{self.name}: schedule {key!r}"
        if outbox is not None:
            outbox.use(what)
        now = time.time() if outbox is None else outbox.wall
        known = self._schedules.get(key)
        is_same = known is not None and known["pattern"] == cron_pattern
        is_due = known is None or (is_same and now >= known["due"])
        if is_due or not is_same:
            begin = now if start_time is None else max(now, start_time.timestamp())
            due = next_event(cron_pattern, begin, timezone)
            self._schedules = {**self._schedules, key: {"pattern": cron_pattern, "due": due}}
        if outbox is not None:
            outbox.wakes[what] = self._schedules[key]["due"]
        return is_due

    def experimental_iterate(
        self, iterable: Iterable[Any], run_once: bool = True, user_key: str = ""
    ) -> Iterator[Any]:
        """Iterate over `iterable`; if this pass ends in the loop, continue at the same item in the next one.

        The item at which a pass ended is yielded again, so the body of the loop may call works.

        Args:
            iterable: Must give the same items in each pass.
            run_once: Whether a completed loop yields nothing in later passes. If not, the next pass starts
                again with the first item.
            user_key: Name of the loop; needed if a flow has two loops.

        Yields:
            The items.

        Raises:
            TypeError: `iterable` is not iterable.
            ScheduleError: A loop of this name was begun before in this pass.

        Example:
            >>> from lightning_lite.testing import EmptyFlow
            >>> flow = EmptyFlow()
            >>> list(flow.experimental_iterate("ab")), list(flow.experimental_iterate("ab"))
            (['a', 'b'], [])
        """
        if not hasattr(iterable, "__iter__"):
            raise TypeError(f"An iterable should be provided to self.iterate method. Found {iterable!r}")
        outbox = outbox_of(self)
        if outbox is not None:
            outbox.use(f"{self.name}: loop {user_key!r}")
        position = self._iterators.get(user_key, 0)
        if position is None:
            return
        for index, item in enumerate(iterable):
            if index >= position:
                self._iterators = {**self._iterators, user_key: index}
                yield item
        self._iterators = {**self._iterators, user_key: None if run_once else 0}

    def _values(self) -> dict[str, Any]:
        return {name: value for name, value in super()._values().items() if value or name not in _STORAGE}
