"""The report of a failure: one line with the reason and the call, then the traceback and the last output."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TextIO

from lightning_lite.harmless_text import harmless, one_line
from lightning_lite.messages import Failure
from lightning_lite.ui.terminal_colours import in_colour

#: Maximum number of characters in a line.
_LINE_LIMIT = 500


def describe_failure(work: str, failure: Failure, printed: str = "") -> str:
    r"""Return the report of a failure as harmless text that ends with a newline.

    Args:
        work: Name of the work.
        failure: The failure of its call or of its start.
        printed: The last lines that it printed.

    Example:
        >>> failure = Failure("crashed", "its process died: SIGKILL (signal 9) in root.train.run(lr=0.1)")
        >>> print(describe_failure("root.train", failure), end="")
        root.train failed (crashed): its process died: SIGKILL (signal 9) in root.train.run(lr=0.1)
    """
    kind = "" if failure.reason == "user_exception" else f" ({failure.reason})"
    headline = one_line(f"{work} failed{kind}: {failure.message}", _LINE_LIMIT)
    parts = [harmless(failure.traceback), describe_output(work, printed)]
    return "\n".join([headline, *(_indent(part.rstrip("\n")) for part in parts if part)]) + "\n"


def describe_output(work: str, printed: str) -> str:
    r"""Return the last lines of a work as harmless text with a title, or "" if there are none.

    Args:
        work: Name of the work.
        printed: The last lines that it printed.

    Example:
        >>> print(describe_output("root.train", "epoch 3\nepoch 4\n"))
        root.train printed last:
            epoch 3
            epoch 4
    """
    lines = [one_line(line, _LINE_LIMIT) for line in printed.splitlines()]
    return _indent("\n".join(lines), f"{work} printed last:\n") if lines else ""


def show_failure(work: str, failure: Failure, stream: TextIO | None = None, *, printed: str = "") -> None:
    """Write the report of a failure, its first line red on a terminal; a full or closed stream gets none.

    Args:
        work: Name of the work.
        failure: The failure of its call or of its start.
        stream: The stream to write to; the default is `sys.stderr`.
        printed: The last lines that it printed.
    """
    stream = stream or sys.stderr
    if stream is None:  # a program without a console
        return
    headline, newline, rest = describe_failure(work, failure, printed).partition("\n")
    with suppress(OSError, ValueError):  # the app goes on after this failure
        stream.write(in_colour(stream, headline, "bold red") + newline + rest)
        stream.flush()


def _indent(text: str, head: str = "") -> str:
    return head + "\n".join(f"    {line}" if line else line for line in text.split("\n"))
