"""Finds a line of the flow that calls a work with new arguments in each pass: such a flow never ends."""

from __future__ import annotations

import sys
from reprlib import repr as shortened

from lightning_lite.errors import LightningFlowWarning
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.masking import mask
from lightning_lite.values.call_key import call_key

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

#: Number of passes in a row with new arguments after which a warning is given.
_MANY = 300

_PACKAGE = __name__.partition(".")[0]


class ArgumentWatch:
    """Counts for each line of the flow in how many passes in a row it made a new call.

    A flow should make a new call after a change of the state. So is a loop that reaches its earlier calls
    again before it makes a new one. Only if neither is so, the arguments come from outside: a random number,
    the time, a new id.
    """

    def __init__(self) -> None:
        self._pass = 0
        self._num_changes = 0
        self._answers: dict[str, int] = {}  # which a pass has used, of works with `cache_calls=False`
        self._lines: dict[tuple[str, str, int], _Line] = {}
        self._warned: set[tuple[str, int]] = set()

    def begin_pass(self) -> None:
        """Register that a pass begins at the first line of the flow."""
        self._pass += 1

    def state_changed(self) -> None:
        """Register that a state has changed, or that a schedule has fired."""
        self._num_changes += 1

    def answer_used(self, work: str) -> None:
        """Register that the flow has used an answer of a work with `cache_calls=False`."""
        self._num_changes += 1
        self._answers[work] = self._answers.get(work, 0) + 1

    def called(self, work: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Register the first call of a work in a pass, if its arguments are new; warn after many in a row.

        Args:
            work: Name of the work.
            args: The positional arguments of the call.
            kwargs: The keyword arguments of the call.
        """
        frame = _frame_of_user()
        if frame is None:
            return
        place = frame.f_code.co_filename, frame.f_lineno
        line = self._lines.setdefault((work, *place), _Line())
        num_changes = self._num_changes - self._answers.get(work, 0)
        is_next = line.last_pass < self._pass and line.num_changes == num_changes
        line.num_passes = line.num_passes + 1 if is_next else 0
        line.last_pass, line.num_changes = self._pass, num_changes
        if line.num_passes == _MANY - 1:
            line.keys = _keys(args, kwargs)
        elif line.num_passes == _MANY and place not in self._warned:
            self._warned.add(place)
            _warn(frame, work, _first_changed(line.keys, args, kwargs))


class _Line:
    """The record of one line that calls one work."""

    def __init__(self) -> None:
        self.last_pass = 0
        self.num_changes = -1
        self.num_passes = 0
        self.keys: dict[int | str, str] = {}


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
    return "its arguments are new each time"


def _warn(frame: FrameType, work: str, what: str) -> None:
    import warnings  # noqa: PLC0415 - 1 ms for each child, and only flows call it

    warnings.warn_explicit(
        f"{work}.run(...) makes a new call in each pass, {_MANY} by now, and no state has changed: {what}. "
        f"So the flow never ends. Compute such a value once: in __init__ of the flow, as an attribute, or in "
        f"a work.",
        LightningFlowWarning,
        frame.f_code.co_filename,
        frame.f_lineno,
    )
