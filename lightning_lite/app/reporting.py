"""How failures are told: with what the work printed last, and with the code that only this process knows."""

from __future__ import annotations

import os
import sys

from lightning_lite.engine.tracebacks import fill_in_source
from lightning_lite.messages import Failure
from lightning_lite.runners.output.log import read_tail
from lightning_lite.ui.report import describe_output, show_failure


def print_notice(line: str) -> None:
    """Write a line to standard error, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


#: Lines that a work printed last and that its failure is told with.
_LAST_LINES = 5


def report_failure(work: str, failure: Failure, logs: str) -> None:
    """Report a failure with which the app goes on.

    Args:
        work: Name of the work.
        failure: What became of its call.
        logs: Folder of the logs of works.
    """
    failure = failure._replace(traceback=fill_in_source(failure.traceback))
    show_failure(work, failure, printed=_read_last_output(work, logs))


def add_last_output(error: BaseException, work: str, logs: str) -> None:
    """Let the exception that ends the app carry what the work printed last.

    Args:
        error: The exception.
        work: Name of the work whose failure it is.
        logs: Folder of the logs of works.
    """
    printed = _read_last_output(work, logs)
    if printed:
        error.add_note(describe_output(work, printed))


def _read_last_output(work: str, logs: str) -> str:
    return read_tail(os.path.join(logs, f"{work}.log"), _LAST_LINES)
