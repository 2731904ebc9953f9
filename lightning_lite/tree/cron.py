"""Times of the events of cron patterns: five fields, six with the seconds last, or an alias (`hourly`)."""

from __future__ import annotations

import os
from datetime import UTC, datetime, tzinfo

from lightning_lite.errors import ScheduleError

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

    When the clocks go back, an event at a fixed hour happens once. When they go forward, an event in the
    skipped hour happens right after it.

    Args:
        pattern: Five cron fields, or six with the seconds last, or an alias (`hourly`, `@daily`).
        after: Seconds since 1970.
        timezone: Name of a time zone, `Europe/Prague`; `None` means the time zone of this computer.

    Returns:
        Time of the event, in seconds since 1970.

    Raises:
        ScheduleError: The pattern is invalid, it has no event, or there is no such time zone.

    Example:
        >>> next_event("*/5 * * * *", 1_700_000_000.0, "UTC")
        1700000100.0
    """
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - it takes 23 ms, and only flows with a schedule need it

    moment = datetime.fromtimestamp(after, _zone(timezone))
    try:
        event: datetime = next(CronSim(_translated(pattern), moment))
    except CronSimError as error:
        raise ScheduleError(
            f"Invalid schedule {pattern!r}: {error}. Expected five cron fields (minute hour day "
            f"month weekday), six with the seconds last, or one of {', '.join(_ALIASES)}.",
            pattern=pattern,
        ) from error
    except StopIteration:
        raise ScheduleError(
            f"The schedule {pattern!r} has no event within 50 years.", pattern=pattern
        ) from None
    return event.timestamp()


def _translated(pattern: str) -> str:
    """Return the pattern in the order of cronsim: seconds first."""
    if not isinstance(pattern, str):
        raise ScheduleError(f"A schedule must be a string, found {pattern!r}.", pattern=pattern)
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
    """Return the time zone of this computer, with its rules if possible, else with its current offset."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        name = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    try:
        return _zone_named(name) if name else _fixed_zone()
    except (KeyError, ValueError, OSError):
        return _fixed_zone()


def _zone_named(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - it takes 7 ms, and only flows with a schedule need it

    return ZoneInfo(name)


def _fixed_zone() -> tzinfo:
    return datetime.now().astimezone().tzinfo or UTC
