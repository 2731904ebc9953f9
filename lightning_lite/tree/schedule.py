"""Schedules of flows, and loops that continue in the next pass."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from lightning_lite.errors import ScheduleError
from lightning_lite.tree.component import Component
from lightning_lite.tree.cron import next_event
from lightning_lite.tree.outbox import outbox_of
from lightning_lite.tree.schedule_block import find_block

#: Names of the state attributes that keep the schedules and loops between passes.
_STORAGE = ("_schedules", "_iterators")

#: Position of a completed loop that starts again later.
_COMPLETED = -1


class ScheduledFlow(Component):
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

        The first call returns `True`. After that, it is `True` once for each event; the app starts a pass at
        the time of the event. If the pass is cut in the block of the `if`, the event stays due until a later
        pass has left that block. Events that were missed, during that block or because the app was not
        running, count as one. It also works outside an app.

        Args:
            cron_pattern: Five cron fields (minute hour day month weekday), six with the seconds last, or an
                alias: `hourly`, `daily`, …
            start_time: Ignore events before this time; `None` means now.
            user_key: Name of the schedule; needed if a flow uses the same pattern twice.
            timezone: Name of a time zone, for example `Europe/Prague`; `None` means the local time zone.

        Returns:
            Whether an event is due.

        Raises:
            ScheduleError: An argument is invalid, or a schedule of this name was used before in this pass.

        Example:
            >>> from lightning_lite.testing import EmptyFlow
            >>> flow = EmptyFlow()
            >>> flow.schedule("daily"), flow.schedule("daily")
            (True, False)
        """
        if start_time is not None and not isinstance(start_time, datetime):
            raise ScheduleError(
                f"{self.name}: start_time must be a datetime, or None. Found {start_time!r}",
                start_time=start_time,
            )
        if timezone is not None and not isinstance(timezone, str):
            raise ScheduleError(
                f"{self.name}: timezone must be the name of a time zone, such as 'Europe/Prague', or None. "
                f"Found {timezone!r}",
                timezone=timezone,
            )
        key = user_key or cron_pattern
        outbox = outbox_of(self)
        what = f"{self.name}: schedule {key!r}"
        if outbox is not None:
            outbox.use(what)
        now = time.time() if outbox is None else outbox.wall
        begin = now if start_time is None else max(now, start_time.timestamp())
        known = self._schedules.get(key)
        if known is not None and known["pattern"] != cron_pattern:
            known = {"pattern": cron_pattern, "due": next_event(cron_pattern, begin, timezone)}
        elif known is None:
            known = {"pattern": cron_pattern, "due": now, "entered": begin}
        elif now >= known["due"] and "entered" not in known:
            known = {**known, "entered": begin}
        is_due = "entered" in known
        # From the time at which the event was first seen: a later one is not lost while its block runs.
        due = next_event(cron_pattern, known["entered"], timezone) if is_due else known["due"]
        if outbox is None:
            known = {"pattern": cron_pattern, "due": due}
        if known != self._schedules.get(key):
            self._schedules = {**self._schedules, key: known}
        if outbox is not None and is_due:
            outbox.enter(find_block(sys._getframe(1)), partial(self._end_event, key, due))
        if outbox is not None and due > now:
            outbox.wakes[what] = due
        return is_due

    def _end_event(self, key: str, due: float) -> None:
        """Let a schedule wait for its next event."""
        pattern = self._schedules[key]["pattern"]
        self._schedules = {**self._schedules, key: {"pattern": pattern, "due": due}}

    def experimental_iterate(
        self, iterable: Iterable[Any], run_once: bool = True, user_key: str = ""
    ) -> Iterator[Any]:
        """Iterate over `iterable`; if this pass ends in the loop, continue at the same item in the next one.

        The item at which a pass ended is yielded again, so the body of the loop may call works.

        Args:
            iterable: Must give the same items in each pass.
            run_once: Whether a completed loop yields nothing in later passes. If not, it starts again with
                the first item when a pass has come to its end, or has left the block of the schedule that
                the loop is in.
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
        if position != _COMPLETED:
            for index, item in enumerate(_items_from(iterable, position), position):
                self._iterators = {**self._iterators, user_key: index}
                yield item
            end = None if run_once else 0 if outbox is None else _COMPLETED
            self._iterators = {**self._iterators, user_key: end}
        if not run_once and outbox is not None:
            outbox.call_when_left(partial(self._restart_loop, user_key))

    def _restart_loop(self, key: str) -> None:
        self._iterators = {**self._iterators, key: 0}

    def _values(self) -> dict[str, Any]:
        return {name: value for name, value in super()._values().items() if value or name not in _STORAGE}


def _items_from(iterable: Iterable[Any], position: int) -> Iterator[Any]:
    """Yield the items from `position` on; without a step for each item before it, if the type allows that."""
    if type(iterable) not in (list, tuple, range):
        yield from islice(iterable, position, None)
        return
    while True:
        try:
            item = iterable[position]  # type: ignore[index] # mypy does not see the types above
        except IndexError:  # no `len`, which a big range does not have
            return
        yield item
        position += 1
