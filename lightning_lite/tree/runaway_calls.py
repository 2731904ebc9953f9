"""Finds a line of the flow that makes a new call in each pass: such a flow may never end."""

from __future__ import annotations

import sys
import warnings
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, NamedTuple

from lightning_lite.errors import LightningFlowWarning
from lightning_lite.masking import mask
from lightning_lite.values.call_key import call_key

if TYPE_CHECKING:
    from types import FrameType

    from lightning_lite.tree.calls import Call

#: Number of passes in a row with a new call after which a warning is given.
_MANY = 300

#: The same if the flow itself has changed the state or the work: some flows make hundreds of calls so.
_MANY_CHANGED = 1000

_PACKAGE = __name__.partition(".")[0]


class RunawayCalls:
    """Counts for each line of the flow in how many passes in a row it made a new call.

    A flow should make a new call after a change of the state. A loop that reaches its earlier calls again
    before it makes a new one is right, too. Only if neither is so, the arguments come from outside: a random
    number, the time, a new id. While the last call of that line has not ended, a change by the flow or a new
    work is no reason for a new call. Each pass then adds a call to the waiting ones.
    """

    def __init__(self) -> None:
        self._pass = 0
        self._num_written = 0  # changes of the state by the flow
        self._num_outside = 0  # other changes: by works and handlers, and schedules
        self._answers: dict[str, int] = {}  # which a pass has used, of works with `cache_calls=False`
        self._lines: dict[tuple[str, int], _Line] = {}

    def begin_pass(self) -> None:
        """Register that a pass begins at the first line of the flow."""
        self._pass += 1

    def flow_wrote(self) -> None:
        """Register that the flow has changed the state."""
        self._num_written += 1

    def state_changed(self) -> None:
        """Register that other code has changed the state, or that a schedule has fired."""
        self._num_outside += 1

    def answer_used(self, work: str) -> None:
        """Register that the flow has used an answer of a work with `cache_calls=False`."""
        self._num_outside += 1
        self._answers[work] = self._answers.get(work, 0) + 1

    def called(self, work: str, args: tuple[Any, ...], kwargs: dict[str, Any], call: Call) -> None:
        """Register the first call of a work in a pass, if it is new; warn after many in a row.

        Args:
            work: Name of the work.
            args: The positional arguments of the call.
            kwargs: The keyword arguments of the call.
            call: The record of the call.
        """
        frame = _frame_of_user()
        if frame is None:
            return
        line = self._lines.setdefault((frame.f_code.co_filename, frame.f_lineno), _Line())
        num_outside = self._num_outside - self._answers.get(work, 0)
        last, line.last = line.last, _Last(self._pass, call, work, self._num_written, num_outside)
        if last is None or last.number == self._pass or last.num_outside != num_outside:
            line.num_passes = 0
            return
        waits = not last.call.ended
        is_same = (last.work, last.num_written) == (work, self._num_written)
        line.num_passes = line.num_passes + 1 if waits or is_same else 0
        limit = _MANY if is_same else _MANY_CHANGED
        if line.num_passes == limit - 1:
            line.keys = _keys(args, kwargs)
        elif line.num_passes == limit and not line.is_reported:
            line.is_reported = True
            _warn(frame, work, limit, _first_changed(line.keys, args, kwargs), waits=waits)


class _Last(NamedTuple):
    """The last new call of a line, with the number of the pass and the numbers of changes up to then."""

    number: int
    call: Call
    work: str
    num_written: int
    num_outside: int


class _Line:
    """The record of one line that calls works."""

    def __init__(self) -> None:
        self.last: _Last | None = None
        self.num_passes = 0
        self.keys: dict[int | str, str] = {}
        self.is_reported = False


def _frame_of_user() -> FrameType | None:
    """Return the innermost frame that is not of this package."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return frame


def _named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[int | str, Any]:
    named: dict[int | str, Any] = dict(enumerate(args))
    named.update(kwargs)
    return named


def _keys(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[int | str, str]:
    """Return the keys of the arguments that have one; with `call_key=`, not all need one."""
    keys = {}
    for name, value in _named(args, kwargs).items():
        try:
            keys[name] = call_key((value,), {}, "")
        except Exception:  # noqa: BLE001 - it runs code of the user's classes, and only a warning needs it
            continue
    return keys


def _first_changed(keys: dict[int | str, str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return in words which argument differs from those with `keys`."""
    now = _keys(args, kwargs)
    for name, value in _named(args, kwargs).items():
        if now.get(name) != keys.get(name):
            try:
                shown = mask(" ".join(shortened(value).split()))
            except Exception:  # noqa: BLE001 - a broken repr of the user must not end the pass
                shown = type(value).__qualname__
            return f"argument {name!r}, now {shown}, is new each time"
    return "the work is a new one each time" if now == keys else "its arguments are new each time"


def _warn(frame: FrameType, work: str, num_passes: int, what: str, *, waits: bool) -> None:
    if waits:
        why = "and the last one has not ended"
        end = "If nothing limits these calls, the flow never ends."
        advice = "Make the next call, or create the next work, when the last call has ended."
    else:
        why = "and no state has changed"
        end = "So the flow never ends."
        advice = "Compute such a value once: in __init__ of the flow, as an attribute, or in a work."
    warnings.warn_explicit(
        f"{work}.run(...) makes a new call in each pass, {num_passes} by now, {why}: {what}. {end} {advice}",
        LightningFlowWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
    )
