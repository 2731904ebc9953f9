"""The result of one check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from lightning_lite.errors import LightningLiteError

OK = "ok"
WARNING = "warning"
FAILURE = "failure"


class Finding(NamedTuple):
    """The result of one check, a line of the page.

    Attributes:
        about: The subject, in one or two words.
        value: The finding.
        state: `ok`, `warning` if it works with a limitation, or `failure`.
        advice: What to do, in one line, or "".
    """

    about: str
    value: str
    state: str = OK
    advice: str = ""


#: A check of one subject.
Check = Callable[[], Finding]


def examine(checks: Iterator[tuple[str, Check]]) -> Iterator[Finding]:
    """Yield the results of checks; the result of a check that raises an error is a failure.

    Args:
        checks: Subjects and checks.
    """
    for about, check in checks:
        try:
            yield check()
        except (OSError, LightningLiteError, ImportError) as error:
            yield Finding(about, f"{type(error).__name__}: {error}", FAILURE, "this check could not run")
