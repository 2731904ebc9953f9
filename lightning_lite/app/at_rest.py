"""An app at rest: whether it is kept until its user ends it, and the error that ends it if not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from lightning_lite.errors import AppIdle
from lightning_lite.harmless_text import one_line
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.calls import Call
from lightning_lite.tree.work import LightningWork

#: Number of calls or works of each kind that the error names.
_MAX_NAMED = 3

#: Maximum number of characters for each of them.
_NAMED_LIMIT = 200


def is_kept(on_idle: str) -> bool:
    """Return whether an app at rest stays until its user ends it.

    Args:
        on_idle: `wait`, `fail`, or `auto`: whether a terminal is attached, or a prompt or notebook runs the
            app.
    """
    if on_idle != "auto":
        return on_idle == "wait"
    return any(map(os.isatty, (0, 1, 2))) or hasattr(sys, "ps1")  # a prompt, IPython and Jupyter set `ps1`


def rest_notice(on_idle: str) -> str:
    """Return the line about an app at rest for standard error."""
    line = "Nothing can change any more: no call is running and the flow has nothing to do."
    if is_kept(on_idle):
        return f"{line} Press Ctrl-C to end the app, or let the flow call self.stop()."
    why = "no terminal is attached" if on_idle == "auto" else "it is run with on_idle='fail'"
    return f"{line} The app ends as failed, because {why}; on_idle='wait' keeps it."


def idle_error(works: Iterable[LightningWork]) -> AppIdle:
    """Return the error that ends an app at rest.

    Args:
        works: All works of the app.
    """
    failed: list[str] = []
    stopped: list[str] = []
    uncalled: list[str] = []
    for work in works:
        records = work._records
        if not records.num_calls:
            uncalled.append(work.name)
        for call in records.current.values():
            if call.stage == WorkStageStatus.FAILED:
                failed.append(_describe(work.name, call))
            elif call.stage == WorkStageStatus.STOPPED:
                stopped.append(work.name)
    parts = [
        f"{title}: {_listed(names, separator)}."
        for title, names, separator in (
            ("Failed calls", failed, "; "),
            ("Stopped calls of", stopped, ", "),
            ("Never called", uncalled, ", "),
        )
        if names
    ]
    what = (
        "The flow waits for a change that can't come: no call is running, and its last pass ended without "
        "self.stop()."
    )
    advice = (
        "Let the flow end with self.stop() or self.fail() in this case, too (work.has_failed says whether a "
        "call failed), or keep the app with app.run(on_idle='wait')."
    )
    return AppIdle(" ".join([what, *parts, advice]), failed=failed)


def _describe(work: str, call: Call) -> str:
    message = call.failure.message if call.failure is not None else ""
    return one_line(f"{work}: {message}", _NAMED_LIMIT)


def _listed(names: list[str], separator: str) -> str:
    more = len(names) - _MAX_NAMED
    return separator.join([*names[:_MAX_NAMED], *([f"{more} more"] if more > 0 else [])])
