"""How an exception that kept a work from starting becomes a `Failure` that travels."""

from __future__ import annotations

from lightning_lite.messages import Failure
from lightning_lite.packing import pack_error


def start_failure(work: str, error: BaseException) -> Failure:
    """Return what `error`, raised while `work` was loaded or in its `on_start`, means for the flow."""
    import traceback  # noqa: PLC0415 - 10 ms that only a failure has to pay

    lines = str(error).splitlines()
    what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    text = "".join(traceback.format_exception(error))
    return Failure("start_failed", f"{work} could not start: {what}", text, pack_error(error))
