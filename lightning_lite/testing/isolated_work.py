"""Runs one work without an app of the user, in a process of its own."""

from __future__ import annotations

from typing import Any

from lightning_lite.app.app import LightningApp
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.work import LightningWork


class _OneCall(LightningFlow):
    def __init__(self, work: LightningWork) -> None:
        super().__init__()
        self.work = work
        self._arguments: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})
        self._value: Any = None

    def run(self) -> None:
        args, kwargs = self._arguments
        self._value = self.work.run(*args, **kwargs)
        call = self.work.call(*args, **kwargs)
        if call is not None and call.ended:
            self.stop()


def run_work_isolated(
    work: LightningWork, *args: Any, start_server: bool = False, runner: str | None = None, **kwargs: Any
) -> Any:
    """Run one call of a work with the real runner and return its value.

    Afterwards the work has the status, the state and the record of the call.

    Args:
        work: A work that is not part of a flow. It may be run several times, one after the other; its state
            stays.
        *args: Arguments of the call.
        start_server: With `True`, the run has a page.
        runner: As for `LightningApp.run`.
        **kwargs: Keyword arguments of the call.

    Raises:
        Exception: The exception of the work, if it has `raise_exception=True`.

    Example:
        >>> from lightning_lite.testing import EmptyWork
        >>> work = EmptyWork()
        >>> run_work_isolated(work, runner="inline")
        >>> work.has_succeeded
        True
    """
    # A work has one place in one tree, so the next call is one of the same flow.
    parent = work._node.parent
    flow = parent if isinstance(parent, _OneCall) else _OneCall(work)
    flow._arguments, flow._value = (args, kwargs), None
    LightningApp(flow).run(runner, ui=True if start_server else None)
    return flow._value
