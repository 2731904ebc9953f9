"""The server of `StreamlitFrontend` and `ServeStreamlit`; its argument has the settings."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from lightning_lite.frontends.programs.parent import end_with_parent
from lightning_lite.frontends.programs.user_code import prepare

#: The script that Streamlit runs each time it draws the page.
_PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "streamlit_page.py")


def main(settings: dict[str, Any]) -> None:
    """Serve until the app ends."""
    end_with_parent()
    from streamlit.web.cli import main as run_streamlit  # noqa: PLC0415 - its own modules before the user's

    prepare(settings)
    # No option: versions that do not have it yet refuse an unknown option, and ignore the variable.
    os.environ.setdefault("STREAMLIT_LOGGER_HIDE_WELCOME_MESSAGE", "true")
    options = {
        "server.address": settings["host"],
        "server.port": settings["port"],
        "server.baseUrlPath": settings["path"].strip("/"),
        "server.headless": "true",
        "logger.level": "warning",
        "browser.gatherUsageStats": "false",
    }
    sys.argv = [
        "streamlit",
        "run",
        _PAGE,
        *(f"--{name}={value}" for name, value in options.items()),
        "--",
        json.dumps(settings),
    ]
    run_streamlit()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
