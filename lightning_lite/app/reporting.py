"""Reports of failures and notices on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from lightning_lite.messages import Failure
from lightning_lite.runners.output.log_reader import read_tail
from lightning_lite.tracebacks import add_note, fill_in_source, without_own_fault_frames
from lightning_lite.ui.failure_text import describe_output, show_failure

#: Number of the last lines of a work's output that are shown with its failure.
_LAST_LINES = 5

#: Number of lines among which they are found: after a crash, some of them are frames of this package.
_SEARCHED_LINES = 50


def report_failure(work: str, failure: Failure, logs: str, began: float | None) -> None:
    """Print a failure after which the app continues, with the last output of the call.

    Args:
        work: Name of the work.
        failure: The failure of its call.
        logs: Folder of the logs of works.
        began: When the last attempt of the call began, in seconds since 1970; `None` if there was none.
    """
    failure = failure._replace(traceback=fill_in_source(failure.traceback))
    show_failure(work, failure, printed=_read_last_output(work, logs, began))


def add_last_output(error: BaseException, work: str, logs: str, began: float | None) -> None:
    """Add the last output of a work as a note to the exception that ends the app.

    Args:
        error: The exception.
        work: Name of the work that failed.
        logs: Folder of the logs of works.
        began: When the last attempt of its call began, in seconds since 1970; `None` if there was none.
    """
    printed = _read_last_output(work, logs, began)
    if printed:
        add_note(error, describe_output(work, printed))


def print_notice(line: str) -> None:
    """Write a line to standard error, unless there is none, or it is full or closed."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a notice must not end the app
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def _read_last_output(work: str, logs: str, began: float | None) -> str:
    text = without_own_fault_frames(read_tail(os.path.join(logs, f"{work}.log"), _SEARCHED_LINES, began))
    return "".join(text.splitlines(keepends=True)[-_LAST_LINES:])
