"""The summary at the end of an app: calls, durations and failures of its works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lightning_lite.harmless_text import one_line
from lightning_lite.quantity_text import count, format_seconds
from lightning_lite.ui.terminal import Terminal

# Without rich, because its import takes longer than a short app runs.
_BOLD, _BOLD_RED, _PLAIN = "\x1b[1m", "\x1b[1;31m", "\x1b[0m"

#: Maximum number of works, and of failures, that are named; the others are counted.
_MOST_LINES = 10


class WorkSummary(NamedTuple):
    """The summary of one work.

    Attributes:
        name: Full name of the work.
        num_calls: Number of its calls that have started.
        seconds: Duration of all their attempts in seconds, or `None` if unknown.
        failures: One line for each failed call, with the error and the call.
    """

    name: str
    num_calls: int
    seconds: float | None
    failures: tuple[str, ...] = ()


class EndSummary(NamedTuple):
    """The summary of a run.

    Attributes:
        app: Name of the app.
        ending: `stopped`, `failed` or `interrupted`.
        seconds: Duration of the run in seconds.
        works: The summaries of its works.
    """

    app: str
    ending: str
    seconds: float
    works: Sequence[WorkSummary]


def describe_run(summary: EndSummary) -> str:
    """Return the summary as harmless text that ends with a newline.

    Example:
        >>> works = [
        ...     WorkSummary("root.train", 12, 70.0),
        ...     WorkSummary("root.eval", 1, 0.3, ("ZeroDivisionError: no in root.eval.run(0)",)),
        ... ]
        >>> print(describe_run(EndSummary("Flow", "stopped", 75.2, works)), end="")
        Flow ended after 1 min 15 s: 13 calls, 1 failed.
          root.train  12 calls  1 min 10 s
          root.eval   1 call    300 ms
          root.eval failed: ZeroDivisionError: no in root.eval.run(0)
    """
    works = [work for work in summary.works if work.num_calls or work.failures]
    failures = [f"{work.name} failed: {failure}" for work in works for failure in work.failures]
    num_calls = sum(work.num_calls for work in works)
    counts = f"{count(num_calls, 'call')}{f', {len(failures)} failed' if failures else ''}"
    how = {"stopped": "ended", "interrupted": "was interrupted"}.get(summary.ending, summary.ending)
    lines = [f"{summary.app} {how} after {format_seconds(summary.seconds)}: {counts}."]
    shown, rest = works[:_MOST_LINES], works[_MOST_LINES:]
    width = max((len(work.name) for work in shown), default=0)
    lines += [
        f"{work.name:{width}}  {count(work.num_calls, 'call'):8}  {_seconds(work)}".rstrip() for work in shown
    ]
    if rest:
        num_calls = sum(work.num_calls for work in rest)
        lines.append(f"... and {count(len(rest), 'work')} more with {count(num_calls, 'call')}")
    lines += failures[:_MOST_LINES]
    if failures[_MOST_LINES:]:
        lines.append(f"... and {count(len(failures) - _MOST_LINES, 'failure')} more")
    return "\n  ".join(one_line(line, 500) for line in lines) + "\n"


def show_run(summary: EndSummary, terminal: Terminal) -> None:
    """Print the summary on a terminal with colours, its first line in bold."""
    headline, newline, rest = describe_run(summary).partition("\n")
    before = "\r" if summary.ending == "interrupted" else ""  # overwrites the "^C" of the terminal
    style = _BOLD_RED if summary.ending == "failed" else _BOLD
    terminal.write(f"{before}{style}{headline}{_PLAIN}{newline}{rest}")


def _seconds(work: WorkSummary) -> str:
    return "" if work.seconds is None else format_seconds(work.seconds)
