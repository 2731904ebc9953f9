"""Flows whose `run` is a function of the test, and such functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Steps(LightningFlow):
    """Runs a function with itself as the argument, keeps the answer in `_answer`, and stops the app.

    Args:
        steps: The function.
        works: Works to add, by the name of their attribute.
    """

    def __init__(self, steps: Callable[[Any], Any], **works: LightningWork) -> None:
        super().__init__()
        for name, work in works.items():
            setattr(self, name, work)
        self._steps = steps
        self._answer: Any = None

    def run(self) -> None:
        self._answer = self._steps(self)
        self.stop()


def run_steps(steps: Callable[[Any], Any], runner: str = "processes", **works: LightningWork) -> Steps:
    """Run `Steps` as an app until its end; return the flow."""
    root = Steps(steps, **works)
    LightningApp(root).run(runner)
    return root


def run_inline(root: LightningFlow, root_dir: Path, resume: bool | str = False, **options: Any) -> None:
    """Run an app in this process, with neither a command channel nor a view.

    Args:
        root: The root flow.
        root_dir: The root of the runs and drives.
        resume: Whether to resume the last run, or the id of a run.
        options: Options of `LightningApp`.
    """
    app = LightningApp(root, root_dir=root_dir, **options)
    app.run("inline", resume=resume, command_channel=False, view=False)


class OneWork(LightningFlow):
    """Calls the method `run` of its one work without arguments, and stops the app when that has ended.

    Args:
        work: The work.
    """

    def __init__(self, work: LightningWork) -> None:
        super().__init__()
        self.work = work

    def run(self) -> None:
        self.work.run()
        self.stop()


def do_nothing(flow: Any) -> None:
    """Ask for no call; a pass for `Steps`."""


def run_once(flow: Any) -> None:
    """Ask the work `work` for the call `run(1)`; a pass for `Steps`."""
    flow.work.run(1)
