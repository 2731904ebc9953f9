"""The server of `StaticWebFrontend`; its argument has the settings."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lightning_lite.frontends.programs.parent import end_with_parent


def create_app(folder: str, path: str, hosts: list[str]) -> Starlette:
    """Return the application.

    Args:
        folder: Absolute path of the folder.
        path: The path in addresses below which its files are.
        hosts: The names of this server: another name that leads here (DNS rebinding) is refused.
    """

    async def say_health(_: Request) -> Response:
        return PlainTextResponse("ok")

    async def say_missing(_: Request, error: Exception) -> Response:
        if not os.path.isdir(folder):
            return PlainTextResponse(f"The folder {folder} does not exist now.", 404)
        return PlainTextResponse("There is no such file.", getattr(error, "status_code", 404))

    return Starlette(
        routes=[
            Route(f"{path}/healthz", say_health),
            # It follows no links out of the folder.
            Mount(path, StaticFiles(directory=folder, html=True, check_dir=False)),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)],
        exception_handlers={404: say_missing, RuntimeError: say_missing},
    )


def main(settings: dict[str, Any]) -> None:
    """Serve until the app ends."""
    end_with_parent()
    app = create_app(settings["folder"], settings["path"], [settings["host"], "localhost"])
    uvicorn.run(
        app,
        host=settings["host"],
        port=settings["port"],
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="off",
    )


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
