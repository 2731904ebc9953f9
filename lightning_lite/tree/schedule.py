"""Schedules and loops of flows, and the times of cron patterns.

Source of the rules: five fields as in cron, or six with the seconds *last*; aliases such as `hourly`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, tzinfo
from typing import Any

from lightning_lite.errors import ScheduleError
from lightning_lite.tree.component import Component
from lightning_lite.tree.outbox import outbox_of

_MEMORIES = ("_schedules", "_iterators")


class RecurringFlow(Component):
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
        outbox = outbox_of(self)
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
            run_once: Whether it stays finished once it is; if not, the next pass starts again from the first
                item.
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
        return {name: value for name, value in super()._values().items() if value or name not in _MEMORIES}


_ALIASES = {
    "midnight": "0 0 * * *",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 0",
    "monthly": "0 0 1 * *",
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
}


def next_event(pattern: str, after: float, timezone: str | None = None) -> float:
    """Return the time of the first event of `pattern` later than `after`.

    In the night in which the clocks go back, an event at a fixed hour happens once; in the one in which
    they go forward, one that falls into the gap happens right after it.

    Args:
        pattern: Five cron fields, or six with the seconds last, or an alias (`hourly`, `@daily`).
        after: Seconds since 1970.
        timezone: Name of a time zone, `Europe/Prague`; `None` for that of this computer.

    Returns:
        Seconds since 1970.

    Raises:
        ScheduleError: The pattern has no meaning, or no event; or there is no such time zone.

    Example:
        >>> next_event("*/5 * * * *", 1_700_000_000.0, "UTC")
        1700000100.0
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - 23 ms that only flows with a schedule have to pay

    moment = datetime.fromtimestamp(after, _zone(timezone))
    try:
        event: datetime = next(CronSim(_translated(pattern), moment))
    except CronSimError as error:
        raise ScheduleError(
            f"The schedule {pattern!r} has no meaning: {error}. Expected five cron fields (minute hour day "
            f"month weekday), six with the seconds last, or one of {', '.join(_ALIASES)}.",
            pattern=pattern,
        ) from error
    except StopIteration:
        raise ScheduleError(
            f"The schedule {pattern!r} has no event within 50 years.", pattern=pattern
        ) from None
    return event.timestamp()


def _translated(pattern: str) -> str:
    """Return the pattern as cronsim reads it: with the seconds first."""
    if not isinstance(pattern, str):
        raise ScheduleError(f"A schedule is a text, found {pattern!r}.", pattern=pattern)
    fields = _ALIASES.get(pattern.strip().removeprefix("@").lower(), pattern).split()
    return " ".join([fields[-1], *fields[:-1]] if len(fields) == 6 else fields)


def _zone(name: str | None) -> tzinfo:
    if name is None:
        return _local_zone()
    try:
        return _zone_named(name)
    except (KeyError, ValueError, OSError) as error:
        raise ScheduleError(f"There is no time zone {name!r} on this computer.", timezone=name) from error


def _local_zone() -> tzinfo:
    """Return the zone of this computer with its rules, not just its offset of today."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    try:
        return _zone_named(name) if name else _fixed_zone()
    except (KeyError, ValueError, OSError):
        return _fixed_zone()


def _zone_named(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - 7 ms for each process that loads a flow's class

    return ZoneInfo(name)


def _fixed_zone() -> tzinfo:
    return datetime.now().astimezone().tzinfo or UTC
