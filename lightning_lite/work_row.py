"""One row of a list of works: state, newest call, progress and process of a work.

Apps answer other processes with such rows, and the terminal and the page show them.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeGuard

from lightning_lite.process_places import Place


class WorkRow(NamedTuple):
    """The row of one work.

    Attributes:
        name: Full name of the work.
        state: Its stage, as in `WorkStageStatus` with spaces in place of underscores.
        call: Number of its newest call; 0 if there was none.
        attempt: Number of the attempt of that call; shown from the second attempt on.
        progress: Completed part of the call, from 0 to 1, or `None` if the work does not report it.
        since: Time of the last change of `state`, in seconds since 1970, or `None` if unknown.
        place: Host and id of its process, or `None`; not shown.
        cpu: Use of one CPU by its process and all that it has started, 1.0 for all of it; `None` without one.
        memory: Main memory of these in bytes, or `None` without a process.
        last_line: The last line that it printed, as harmless text.
    """

    name: str
    state: str
    call: int = 0
    attempt: int = 0
    progress: float | None = None
    since: float | None = None
    place: Place | None = None
    cpu: float | None = None
    memory: int | None = None
    last_line: str = ""


def read_progress(value: object) -> float | None:
    """Return the progress from 0 to 1 that the attribute `progress` of a work means; `None` if it is invalid.

    Example:
        >>> read_progress(0.5), read_progress((30, 120)), read_progress("soon")
        (0.5, 0.25, None)
    """
    if isinstance(value, tuple | list) and len(value) == 2 and all(map(_is_number, value)):
        done, total = value
        value = done / total if total > 0 else None
    return min(max(0.0, float(value)), 1.0) if _is_number(value) else None


def _is_number(value: object) -> TypeGuard[float]:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]
