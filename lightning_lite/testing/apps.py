"""`LightningTestApp`: an app with hooks before and after each turn."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from lightning_lite.app.app import F, LightningApp
from lightning_lite.app_state import AppState
from lightning_lite.main_messages import KillWork


class LightningTestApp(LightningApp[F]):
    """An app that a test observes and controls with two hooks; override them.

    Attributes:
        counter: Number of completed turns of the loop.

    Example:
        >>> from lightning_lite import LightningFlow
        >>> class Count(LightningFlow):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.counter = 0
        ...     def run(self):
        ...         self.counter += 1
        >>> class EndAfterThree(LightningTestApp):
        ...     def on_after_run_once(self):
        ...         return self.root.counter == 3 or None
        >>> app = EndAfterThree(Count())
        >>> app.run(runner="inline")
        >>> app.root.counter
        3
    """

    counter: int = 0

    def on_before_run_once(self) -> bool | None:
        """Return whether to end the app before this turn; `None` means no."""
        return None

    def on_after_run_once(self) -> bool | None:
        """Return whether to end the app after this turn; `None` lets the flow decide."""
        return None

    def run_once(self) -> bool:
        """Run one turn of the loop, with the hooks before and after it."""
        if self.on_before_run_once():
            return True
        done = super().run_once()
        if self._session is not None and self._session.loop_ended:
            return True  # a hook has ended the app in a turn within a pass
        self.counter += 1
        external = self.on_after_run_once()
        return done if external is None else external

    def kill_work(self, name: str) -> None:
        """Kill the process of a work; for the app this is a crash."""
        self.get_component_by_name(name)
        assert self._session is not None
        self._session.runner.send(KillWork(name))

    def make_request(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call a function with the state of the app, which it may change as a page does.

        Args:
            function: Its first argument is an `AppState`.
            *args: Its further arguments.
            **kwargs: Its named arguments.

        Raises:
            AttributeError: The app does not run.
        """
        assert self._session is not None
        root = os.path.dirname(os.path.dirname(self._session.folder))
        function(AppState(run=self._session.run_id, root_dir=root), *args, **kwargs)

    def restart_work(self, name: str) -> None:
        """Stop the process of a work and start a new one, as `work.restart()` in the flow does."""
        self.get_component_by_name(name).restart()
