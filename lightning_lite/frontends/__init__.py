"""Frontends: servers of the pages that flows show, each in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.frontends.app_state_watcher import AppStateWatcher
    from lightning_lite.frontends.base import Frontend
    from lightning_lite.frontends.panel_frontend import PanelFrontend
    from lightning_lite.frontends.static_frontend import StaticWebFrontend
    from lightning_lite.frontends.streamlit_frontend import StreamlitFrontend

__all__ = ["AppStateWatcher", "Frontend", "PanelFrontend", "StaticWebFrontend", "StreamlitFrontend"]

#: The module of each name. They are loaded on first use, because each app imports the base class.
_MODULES = {
    "AppStateWatcher": "lightning_lite.frontends.app_state_watcher",
    "Frontend": "lightning_lite.frontends.base",
    "PanelFrontend": "lightning_lite.frontends.panel_frontend",
    "StaticWebFrontend": "lightning_lite.frontends.static_frontend",
    "StreamlitFrontend": "lightning_lite.frontends.streamlit_frontend",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(late_import(_MODULES[name]), name)
