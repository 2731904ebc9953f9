"""What a flow does again and again: schedules and loops, whose place is part of the state."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from lightning_lite.core.component import Component
from lightning_lite.core.schedule import next_event

_MEMORIES = ("_schedules", "_iterators")


class Recurring(Component):
    """Base of flows: schedules, and loops that go on where a pass was cut."""

    def __init__(self) -> None:
        super().__init__()
        self._node.names |= dict.fromkeys(_MEMORIES)
        self._schedules: dict[str, dict[str, Any]] = {}
        self._iterators: dict[str, int | None] = {}

    def schedule(
        self,
        cron_pattern: str,
        start_time: datetime | None = None,
        user_key: str | None = None,
        timezone: str | None = None,
    ) -> bool:
        """Return whether an event of a schedule has come: at once, then in one pass for each event.

        The flow is woken for it. Events that were missed, because the flow was busy or the app was not
        running, count once. Outside an app it works as well.

        Args:
            cron_pattern: Five cron fields, six with the seconds last, or an alias: `hourly`, `daily`, …
            start_time: Events begin after it; `None` for now.
            user_key: Name of the schedule, needed where a flow has the same pattern twice.
            timezone: Name of a time zone, `Europe/Prague`; `None` for that of this computer.

        Raises:
            ScheduleError: The pattern has no meaning, or the same one was used before in this pass.

        Example:
            >>> from lightning_lite.testing import EmptyFlow
            >>> flow = EmptyFlow()
            >>> flow.schedule("daily"), flow.schedule("daily")
            (True, False)
        """
        key = user_key or cron_pattern
        outbox = self._node.link
        what = f"{self.name}: schedule {key!r}"
        if outbox is not None:
            outbox.use(what)
        now = time.time() if outbox is None else outbox.wall
        known = self._schedules.get(key)
        is_same = known is not None and known["pattern"] == cron_pattern
        has_come = known is None or (is_same and now >= known["due"])
        if has_come or not is_same:
            begin = now if start_time is None else max(now, start_time.timestamp())
            due = next_event(cron_pattern, begin, timezone)
            self._schedules = {**self._schedules, key: {"pattern": cron_pattern, "due": due}}
        if outbox is not None:
            outbox.wakes[what] = self._schedules[key]["due"]
        return has_come

    def experimental_iterate(
        self, iterable: Iterable[Any], run_once: bool = True, user_key: str = ""
    ) -> Iterator[Any]:
        """Go through `iterable`, and go on at the same item in the next pass if this one is cut.

        The item at which a pass was cut is given again, so the body of the loop may run works.

        Args:
            iterable: The same items in each pass.
            run_once: Whether it stays finished once it is; if not, the next pass begins anew.
            user_key: Name of the loop, needed where a flow has two.

        Raises:
            TypeError: It is not iterable.
            ScheduleError: A loop of the same name was begun before in this pass.

        Example:
            >>> from lightning_lite.testing import EmptyFlow
            >>> flow = EmptyFlow()
            >>> list(flow.experimental_iterate("ab")), list(flow.experimental_iterate("ab"))
            (['a', 'b'], [])
        """
        if not hasattr(iterable, "__iter__"):
            raise TypeError(f"An iterable should be provided to self.iterate method. Found {iterable!r}")
        if self._node.link is not None:
            self._node.link.use(f"{self.name}: loop {user_key!r}")
        position = self._iterators.get(user_key, 0)
        if position is None:
            return
        for index, item in enumerate(iterable):
            if index >= position:
                self._iterators = {**self._iterators, user_key: index}
                yield item
        self._iterators = {**self._iterators, user_key: None if run_once else 0}

    def _values(self) -> dict[str, Any]:
        return {name: value for name, value in super()._values().items() if value or name not in _MEMORIES}
