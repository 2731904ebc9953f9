"""The server of `PanelFrontend`; its argument has the settings."""

from __future__ import annotations

import json
import sys
from typing import Any

from lightning_lite.frontends.programs.parent import end_with_parent
from lightning_lite.frontends.programs.user_code import find_function, prepare


def main(settings: dict[str, Any]) -> None:
    """Serve until the app ends."""
    end_with_parent()
    import panel  # noqa: PLC0415 - its own modules before the user's

    prepare(settings)
    page = find_function() if "function" in settings else settings["file"]
    panel.serve(
        {settings["path"].strip("/"): page},
        address=settings["host"],
        port=settings["port"],
        websocket_origin=[f"{name}:{settings['port']}" for name in (settings["host"], "localhost")],
        show=False,
        verbose=False,
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
