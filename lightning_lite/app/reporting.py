"""Reports of failures and notices on standard error."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from lightning_lite.errors import PauseSwallowed
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


def note_caught_pause(error: BaseException, pause: BaseException | None) -> None:
    """Add a note to an error that the flow has raised in place of the exception that cuts a pass.

    Args:
        error: The exception that ends the app.
        pause: The exception that has cut the last pass of the flow, or `None`.
    """
    if pause is None or not isinstance(error, Exception) or isinstance(error, PauseSwallowed):
        return
    one, seen = error.__context__, {id(error)}
    while one is not None and one is not pause and id(one) not in seen:
        seen.add(id(one))
        one = one.__context__
    trace = pause.__traceback__
    if one is pause and trace is not None:
        line = f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
        add_note(
            error,
            f"The pass was cut while a call of a work had not ended yet ({line}), and the flow raised this "
            "in place of the exception that cuts it. A bare `except:`, `except BaseException:`, `finally:` "
            "or the end of a `with` block does that; use `except Exception:`.",
        )


def print_notice(line: str) -> None:
    """Write a line to standard error, unless there is none, or it is full or closed."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):  # a notice must not end the app
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def _read_last_output(work: str, logs: str, began: float | None) -> str:
    text = without_own_fault_frames(read_tail(os.path.join(logs, f"{work}.log"), _SEARCHED_LINES, began))
    return "".join(text.splitlines(keepends=True)[-_LAST_LINES:])
