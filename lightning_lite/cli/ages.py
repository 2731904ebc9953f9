"""How long ago something was, as people type it: `90s`, `10m`, `2h`, `7d`, `1w`."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def read_age(text: str) -> float | None:
    """Return the seconds, or `None` if `text` is no age.

    Example:
        >>> read_age("90s"), read_age("1.5h"), read_age("1 week")
        (90.0, 5400.0, None)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip(), re.ASCII)
    return float(match[1]) * _UNITS[match[2]] if match is not None else None
