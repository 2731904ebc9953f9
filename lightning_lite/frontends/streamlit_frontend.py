"""`StreamlitFrontend`: a page that a function draws with Streamlit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning_lite.frontends.process_frontend import ProcessFrontend, locate_function


class StreamlitFrontend(ProcessFrontend):
    """Shows a page that a function draws with Streamlit.

    The page is drawn again when an attribute of the state that the function has read has changed, within
    about half a second.

    The process of the page loads the file of the function again; `app.run()` in it does nothing there.

    Args:
        render_fn: A function at the top level of a file; Streamlit calls it each time it draws the page.

    Raises:
        ModuleNotFoundError: Streamlit is not installed.
        TypeError: `render_fn` is a method, or is not at the top level of a file.
    """

    _program = "lightning_lite.frontends.programs.streamlit_server"
    _packages = ("streamlit",)
    _extra = "lightning"

    def __init__(self, render_fn: Callable[..., Any]) -> None:
        self.render_fn = render_fn
        super().__init__(**locate_function(render_fn, "StreamlitFrontend"))
