"""Sizes, durations, times and counts as text for people."""

from __future__ import annotations

import time


def format_bytes(nbytes: float) -> str:
    """Return a size for people, in two or three digits.

    Example:
        >>> format_bytes(900), format_bytes(1_500_000), format_bytes(120 * 2**20), format_bytes(5 * 2**40)
        ('900 B', '1.4 MiB', '120 MiB', '5.0 TiB')
    """
    if nbytes < 1024:
        return f"{nbytes:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        nbytes /= 1024
        if nbytes < 1000 or unit == "TiB":
            break
    return f"{nbytes:.1f} {unit}" if nbytes < 10 else f"{nbytes:.0f} {unit}"


def format_seconds(seconds: float) -> str:
    """Return a duration for people.

    Example:
        >>> format_seconds(0.25), format_seconds(75), format_seconds(7290), format_seconds(200_000)
        ('0.2 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds < 59.95:  # larger values would be rounded to "60.0 s"
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


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
    from datetime import datetime  # noqa: PLC0415 - takes 2 ms, and the process of a work does not need it

    return datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")


def count(number: int, noun: str) -> str:
    """Return a number with its noun, which gets an "s" in the plural.

    Example:
        >>> count(1, "run"), count(0, "run")
        ('1 run', '0 runs')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
