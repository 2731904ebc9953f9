"""`PanelFrontend`: a page of Panel, from a file or a function."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from lightning_lite.frontends.process_frontend import ProcessFrontend, locate_function


class PanelFrontend(ProcessFrontend):
    """Shows a page of Panel; with `AppStateWatcher`, it is drawn again after each change of the state.

    Args:
        entry_point: A function at the top level of a file, which Panel calls for each visitor; or the file of
            a page, relative to the working directory.

    Raises:
        ModuleNotFoundError: Panel is not installed.
        TypeError: `entry_point` is a method, or is not at the top level of a file.
    """

    _program = "lightning_lite.frontends.programs.panel_server"
    _packages = ("panel",)
    _extra = "lightning"

    def __init__(self, entry_point: Callable[..., Any] | str | os.PathLike[str]) -> None:
        self.entry_point = entry_point
        if isinstance(entry_point, str | os.PathLike):
            super().__init__(file=os.path.abspath(entry_point))
        else:
            super().__init__(**locate_function(entry_point, "PanelFrontend"))
