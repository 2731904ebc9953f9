"""What the doctor has found about one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from lightning_lite.errors import LightningLiteError

OK = "ok"
WARNING = "warning"
FAILURE = "failure"


class Finding(NamedTuple):
    """One line of the page.

    Attributes:
        about: What it is about, in a word or two.
        value: What was found.
        state: `ok`, `warning` for what works but not as well as it could, or `failure`.
        advice: What to do, on one line; "" if there is nothing to do.
    """

    about: str
    value: str
    state: str = OK
    advice: str = ""


#: Looks at something and says what it has found.
Check = Callable[[], Finding]


def examine(checks: Iterator[tuple[str, Check]]) -> Iterator[Finding]:
    """Yield what checks find; one that can't even look is a failure, and the next ones go on.

    Args:
        checks: What each is about, and the check.
    """
    for about, check in checks:
        try:
            yield check()
        except (OSError, LightningLiteError, ImportError) as error:
            yield Finding(
                about, f"{type(error).__name__}: {error}", FAILURE, "this could not even be looked at"
            )
