"""Messages between a work and its runner about the terminal; the engine never sees them.

work → runner   TerminalRequested, TerminalReleased
runner → work   TerminalGranted
"""

from __future__ import annotations

from lightning_lite.light_typing import NamedTuple
from lightning_lite.messages import AcknowledgeState, StopWork, WriteState


class TerminalRequested(NamedTuple):
    """A debugger in a work needs the terminal.

    Attributes:
        work: Name of the work.
        number: Number of this request; the answer has the same.
    """

    work: str
    number: int


class TerminalGranted(NamedTuple):
    """A work may use the terminal until it releases it, unless there is a refusal.

    Attributes:
        work: Name of the work.
        number: Number of the request.
        refusal: Why the work does not get the terminal, or "".
    """

    work: str
    number: int
    refusal: str


class TerminalReleased(NamedTuple):
    """A work no longer uses the terminal.

    Attributes:
        work: Name of the work.
        is_done: Whether other works may get it now; if not, a debugger that steps asks again before them.
    """

    work: str
    is_done: bool


#: Messages on the control pipe of a work, which its helper thread reads.
ControlMessage = StopWork | WriteState | AcknowledgeState | TerminalGranted
