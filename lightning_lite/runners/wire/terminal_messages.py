"""Messages between a work and its runner about the terminal; the engine never sees them.

work → runner   TerminalWanted, TerminalReturned
runner → work   TerminalLent
"""

from __future__ import annotations

from lightning_lite.light_typing import NamedTuple


class TerminalWanted(NamedTuple):
    """A debugger in a work wants to ask on the terminal.

    Attributes:
        work: Name of the work.
        number: Number of this request; the answer carries it.
    """

    work: str
    number: int


class TerminalLent(NamedTuple):
    """The terminal is the work's until it gives it back, unless there is a refusal.

    Attributes:
        work: Name of the work.
        number: Number of the request that is answered.
        refusal: Why the work does not get the terminal, or "".
    """

    work: str
    number: int
    refusal: str


class TerminalReturned(NamedTuple):
    """A work does not use the terminal any more.

    Attributes:
        work: Name of the work.
        is_done: Whether it is the turn of others now; a debugger that steps asks again before them.
    """

    work: str
    is_done: bool
