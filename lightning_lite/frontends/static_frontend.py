"""`StaticWebFrontend`: the files of a folder."""

from __future__ import annotations

import os

from lightning_lite.extras import UI_PACKAGES
from lightning_lite.frontends.process_frontend import ProcessFrontend


class StaticWebFrontend(ProcessFrontend):
    """Shows the web page in a folder, with its `index.html` and all that belongs to it.

    No file outside the folder is served, also not through a link. The folder may appear later.

    Args:
        serve_dir: The folder, relative to the working directory.

    Raises:
        ModuleNotFoundError: A package of the extra `ui` is not installed.

    Example:
        >>> frontend = StaticWebFrontend("build")
        >>> frontend.stop_server()
        Traceback (most recent call last):
            ...
        RuntimeError: Server is not running. Call `start_server` before `stop_server`.
    """

    _program = "lightning_lite.frontends.programs.static_server"
    _packages = UI_PACKAGES
    _extra = "ui"

    def __init__(self, serve_dir: str | os.PathLike[str]) -> None:
        self.serve_dir = os.path.abspath(serve_dir)
        super().__init__(folder=self.serve_dir)
