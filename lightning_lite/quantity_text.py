"""Sizes, durations, times and counts as text for people.

`web/static/format.js` has the same rules for the page; one table of cases tests both.
"""

from __future__ import annotations

import time
from datetime import datetime


def format_bytes(nbytes: float) -> str:
    """Return a size for people, in one to three digits.

    Example:
        >>> format_bytes(900), format_bytes(1_500_000), format_bytes(120 * 2**20), format_bytes(5 * 2**40)
        ('900 B', '1.4 MiB', '120 MiB', '5.0 TiB')
    """
    if nbytes < 999.5:  # larger values would be rounded to four digits
        return f"{_round(nbytes)} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        nbytes /= 1024
        if nbytes < 999.5 or unit == "TiB":
            break
    return f"{_tenths(nbytes)} {unit}" if nbytes < 9.95 else f"{_round(nbytes)} {unit}"


def format_seconds(seconds: float) -> str:
    """Return a duration for people, in one or two units. A negative one, of two clocks that differ, is 0.

    Example:
        >>> format_seconds(0.25), format_seconds(75), format_seconds(7290), format_seconds(200_000)
        ('250 ms', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    seconds = max(0.0, seconds)
    if seconds < 0.9995:  # larger values would be rounded to "1000 ms"
        return f"{_round(seconds * 1000)} ms"
    if seconds < 59.95:  # larger values would be rounded to "60.0 s"
        return f"{_tenths(seconds)} s"
    minutes, rest = divmod(_round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _round(value: float) -> int:
    """Round a half up, as the page does; `round` rounds it to the even neighbour."""
    return int(value + 0.5)


def _tenths(value: float) -> str:
    """Return a number with one decimal, rounded like the others."""
    return f"{_round(value * 10) / 10:.1f}"


def format_clock(seconds: float) -> str:
    """Return a running duration like a clock: hours, minutes and seconds.

    Example:
        >>> format_clock(7.9), format_clock(125), format_clock(90_061)
        ('0:07', '2:05', '25:01:01')
    """
    minutes, seconds = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def format_time(moment: float) -> str:
    """Return a time for people: date and time of day, in local time.

    Args:
        moment: Seconds since the epoch.
    """
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))


def iso_time(moment: float) -> str:
    """Return a time in ISO 8601: local time with its offset from UTC.

    Args:
        moment: Seconds since the epoch.
    """
    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")


def count(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an "s" in the plural.

    Example:
        >>> count(1, "run"), count(0, "run")
        ('1 run', '0 runs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
