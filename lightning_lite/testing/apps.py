"""`LightningTestApp`: an app with hooks before and after each turn."""

from __future__ import annotations

from typing import Any

from lightning_lite.app.app import LightningApp
from lightning_lite.messages import KillWork


class LightningTestApp(LightningApp):
    """An app that can be watched and steered from a test; override the two hooks.

    Attributes:
        counter: How many turns of the loop there were.

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

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counter = 0

    def on_before_run_once(self) -> bool | None:
        """Return whether to end the app here; `None` to go on as it likes."""
        return None

    def on_after_run_once(self) -> bool | None:
        """Return whether to end the app here, or not to; `None` to leave that to the flow."""
        return None

    def run_once(self) -> bool:
        """Run one turn of the loop between the hooks."""
        if self.on_before_run_once():
            return True
        done = super().run_once()
        self.counter += 1
        external = self.on_after_run_once()
        return done if external is None else external

    def kill_work(self, name: str) -> None:
        """Kill the process of a work, unasked as far as the app knows."""
        self.get_component_by_name(name)
        assert self._session is not None
        self._session.runner.send(KillWork(name))

    def restart_work(self, name: str) -> None:
        """Let the process of a work be stopped and started again, as the flow can by `work.restart()`."""
        self.get_component_by_name(name).restart()
