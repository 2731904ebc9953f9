"""Converts exceptions of works to `Failure` messages; `tree.calls.error_of` converts these back."""

from __future__ import annotations

import reprlib

from lightning_lite.errors import StateError
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.masking import mask, mask_failure
from lightning_lite.messages import Failure, RunCall
from lightning_lite.status import WorkFailureReasons
from lightning_lite.tracebacks import find_user_error, format_user_frames, text_of
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.pickling import PackingError, is_reference, pack_error, unpack

if TYPE_CHECKING:
    from typing import Any


def make_failure(error: BaseException, work: LightningWork, call: RunCall) -> Failure:
    """Let `on_exception` of `work` handle the `error` of a call, and return the failure for the flow."""
    captured: bool | None = None
    reason = WorkFailureReasons.USER_EXCEPTION
    if isinstance(error, Exception):
        is_invalid = isinstance(error, PackingError | StateError)
        error, captured = _call_on_exception(error, work)
        what, kind = text_of(error), type(error).__name__
        if not is_invalid:
            what = f"{kind}: {what}" if what else kind
        reason = WorkFailureReasons.INVALID_VALUE if is_invalid else reason
    else:
        # Not as `user_exception`: SystemExit, raised again in the flow, would end the app without a message.
        reason = WorkFailureReasons.CRASHED
        code = f"({error.code!r})" if isinstance(error, SystemExit) else f"({error})"
        what = f"sys.exit{code}" if isinstance(error, SystemExit) else f"{type(error).__name__}{code}"
    headline = what.splitlines()[0] if what else what
    # The call would seem to belong to the last of several sentences, so it is separated from them.
    place = f"{headline.removesuffix('.')}; in" if headline.endswith(".") else f"{headline} in"
    message = f"{place} {describe_call(work.name, call.arguments)}"
    # An error that this package has raised after `run` would repeat the message, and has no line of the user.
    shown = find_user_error(error) if reason == WorkFailureReasons.INVALID_VALUE else error
    trace = format_user_frames(shown) if shown is not None else ""
    return mask_failure(Failure(reason, message, trace, pack_error(error), captured))


def describe_call(work: str, arguments: bytes) -> str:
    """Return a call with pickled arguments as source code, shortened: `root.train.run(lr=0.1)`."""
    if is_reference(arguments):
        return f"{work}.run(...)"  # to read a big value only for a message would take too much memory
    try:
        args, kwargs = unpack(arguments)
    except Exception:  # noqa: BLE001 - must not replace the failure that is being described
        return f"{work}.run(...)"
    return show_call(work, args, kwargs)


def show_call(work: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return a call as source code, shortened: `root.train.run(lr=0.1)`."""
    shortener = _Shortener()
    shortener.maxstring = shortener.maxother = 60
    try:
        parts = [shortener.repr(value) for value in args]
        parts += [f"{name}={shortener.repr(value)}" for name, value in kwargs.items()]
    except Exception:  # noqa: BLE001 - a broken repr of the user must not hide the message
        parts = ["..."]
    return mask(" ".join(f"{work}.run({', '.join(parts)})".split()))


class _Shortener(reprlib.Repr):
    """Masks secrets before it shortens a text: a part of one would not be found later."""

    def repr_str(self, x: str, level: int) -> str:
        return super().repr_str(mask(x), level)

    def repr_instance(self, x: object, level: int) -> str:
        try:
            shown = mask(repr(x))
        except Exception:  # noqa: BLE001 - the user's `__repr__` may raise anything
            return super().repr_instance(x, level)
        if len(shown) <= self.maxother:
            return shown
        half = (self.maxother - 3) // 2
        return f"{shown[:half]}...{shown[half + 3 - self.maxother :]}"


def _call_on_exception(error: Exception, work: LightningWork) -> tuple[Exception, bool]:
    """Call `on_exception` of the work; return the exception, and whether the app continues."""
    try:
        work.on_exception(error)
    except Exception as raised_again:  # noqa: BLE001 - `on_exception` raises to say that the failure counts
        return raised_again, False
    return error, True
