"""The report of a work's failure: one line with the reason and the call, then its traceback."""

from __future__ import annotations

import sys
from typing import TextIO

from lightning_lite.messages import Failure
from lightning_lite.text import harmless, one_line
from lightning_lite.ui.colors import in_colour

#: Characters of the first line: the message names the error and the call.
_HEADLINE = 500


def describe_failure(work: str, failure: Failure, printed: str = "") -> str:
    r"""Return the report of a failure as harmless text that ends in a newline.

    Args:
        work: Name of the work.
        failure: What became of its call or its start.
        printed: The last lines that it printed.

    Example:
        >>> failure = Failure("crashed", "its process died: SIGKILL (signal 9) in root.train.run(lr=0.1)")
        >>> print(describe_failure("root.train", failure), end="")
        root.train failed (crashed): its process died: SIGKILL (signal 9) in root.train.run(lr=0.1)
    """
    kind = "" if failure.reason == "user_exception" else f" ({failure.reason})"
    headline = one_line(f"{work} failed{kind}: {failure.message}", _HEADLINE)
    parts = [harmless(failure.traceback), describe_output(work, printed)]
    return "\n".join([headline, *(_indent(part.rstrip("\n")) for part in parts if part)]) + "\n"


def describe_output(work: str, printed: str) -> str:
    r"""Return what a work printed last as harmless text, "" if that is nothing.

    Args:
        work: Name of the work.
        printed: The last lines that it printed.

    Example:
        >>> print(describe_output("root.train", "epoch 3\nepoch 4\n"))
        root.train printed last:
            epoch 3
            epoch 4
    """
    lines = [one_line(line, _HEADLINE) for line in printed.splitlines()]
    return _indent("\n".join(lines), f"{work} printed last:\n") if lines else ""


def show_failure(work: str, failure: Failure, stream: TextIO | None = None, *, printed: str = "") -> None:
    """Write the report of a failure, on a terminal with its first line in red.

    Args:
        work: Name of the work.
        failure: What became of its call or its start.
        printed: The last lines that it printed.
        stream: Where to; `sys.stderr` if not given.
    """
    stream = stream or sys.stderr
    if stream is None:  # a program without a console
        return
    headline, newline, rest = describe_failure(work, failure, printed).partition("\n")
    stream.write(in_colour(stream, headline, "bold red") + newline + rest)
    stream.flush()


def _indent(text: str, head: str = "") -> str:
    return head + "\n".join(f"    {line}" if line else line for line in text.split("\n"))
