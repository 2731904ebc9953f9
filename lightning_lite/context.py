"""The caller: which flow, work or plain script runs the present code.

`set_process_caller` sets the caller for all threads of a process; the process of a work does so. `acting_as`
sets another caller for one block of code: a pass of the flow, or the run of a work in the main process.
"""

from __future__ import annotations

from contextvars import ContextVar, Token

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal


class Caller(NamedTuple):
    """The flow, work or script that runs the present code.

    Attributes:
        kind: `script` outside any app, `flow` in a pass of the flow, `init` in the `__init__` of a
            component, `work` in the run of a work.
        component: Name of the component, `main` in a script.
        root: Absolute root folder of the app, or `None` outside any app.
        durable: Whether written data of that app must survive the loss of power.
        values: Absolute path of the folder for big values of the run, or `None` outside any app.
        project: In the process of a work: path and table of the file with the settings of its app, or `None`
            if the app has none.
        drives: Where the drives of the app are, a url or an absolute folder; `None` if they are in `root`.
        session: Identifier of this execution of the app, another one after a resume; `None` outside any app.
    """

    kind: Literal["script", "flow", "init", "work"]
    component: str
    root: str | None = None
    durable: bool = False
    values: str | None = None
    project: tuple[str, Mapping[str, Any]] | None = None
    drives: str | None = None
    session: str | None = None

    @property
    def drives_root(self) -> str | None:
        """The folder or the url that holds the drives of the app, or `None` outside any app."""
        return self.drives or self.root


SCRIPT = Caller("script", "main")

_process_caller = SCRIPT
_caller: ContextVar[Caller | None] = ContextVar("lightning_lite_caller", default=None)


def current_caller() -> Caller:
    """Return the caller of the present code."""
    return _caller.get() or _process_caller


def process_caller() -> Caller:
    """Return the caller of this process, also inside a block of `acting_as`."""
    return _process_caller


def set_process_caller(caller: Caller) -> None:
    """Set the caller for all threads of this process; a block of `acting_as` has priority."""
    global _process_caller
    _process_caller = caller


class acting_as:  # noqa: N801 - used like a function; a generator would take twice as long
    """Set the caller for the code of a `with` block; the object can be used again, but not nested in itself.

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
