"""The caller: which flow, work or plain script runs the present code.

A process has one answer for all its threads (`set_process_caller`: a work's own process), and a
block of code may have another (`acting_as`: a pass of the flow, a work run inline).
"""

from __future__ import annotations

from contextvars import ContextVar, Token

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Literal


class Caller(NamedTuple):
    """The flow, work or script that runs the present code.

    Attributes:
        kind: `script` outside any app, `flow` in a pass of the flow, `init` while a component is
            being built, `work` in the run of a work.
        component: Name of the component, `main` in a script.
        root: Absolute folder of the app that runs it, or `None` outside any app.
        durable: Whether that app asks for the disk's flush.
    """

    kind: Literal["script", "flow", "init", "work"]
    component: str
    root: str | None = None
    durable: bool = False


SCRIPT = Caller("script", "main")

_process_caller = SCRIPT
_caller: ContextVar[Caller | None] = ContextVar("lightning_lite_caller", default=None)


def current_caller() -> Caller:
    """Return the caller of the present code."""
    return _caller.get() or _process_caller


def set_process_caller(caller: Caller) -> None:
    """Let all threads of this process act as `caller`, where no block says otherwise."""
    global _process_caller
    _process_caller = caller


class acting_as:  # noqa: N801 - it reads as what it does, and a generator would cost twice as much
    """Let the code of a `with` block act as `caller`; may be entered again and again, but not within itself.

    Args:
        caller: The caller inside the block.
    """

    __slots__ = ("_caller", "_token")

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._token: Token[Caller | None]

    def __enter__(self) -> None:
        self._token = _caller.set(self._caller)

    def __exit__(self, *_: object) -> None:
        _caller.reset(self._token)
