"""Draws the page of a `ServeStreamlit` in the process of Streamlit, with a copy of the work."""

from __future__ import annotations

from copy import copy
from threading import Lock
from typing import Any

import streamlit

from lightning_lite.app_state import AppState
from lightning_lite.frontends.programs.user_code import setting
from lightning_lite.values.pickling import unpack
from lightning_lite.values.transferable import Transferable

#: Streamlit draws the page for each visitor in a thread of its own.
_lock = Lock()

#: The work, when it has arrived and its model is built.
_served: list[Any] = []


def render(state: AppState) -> None:
    """Draw the page of a work of an app.

    Args:
        state: The state of that work.
    """
    work = copy(_work())
    work.__class__ = _with_state(work, state)
    work.render()


def render_alone() -> None:
    """Draw the page of a work without an app, whose attributes nothing else changes."""
    copy(_work()).render()


def _with_state(work: Any, state: AppState) -> Any:
    """Return a class for a copy of a work: its public attributes have the values of the running work."""
    kind: Any = type(work)
    values = {name: work._node.value(name) for name in work._node.names if name[:1] != "_"}
    # A drive or a path is a text in `state`; as a value of its class, it belongs to the copy.
    shared = frozenset(name for name, value in values.items() if not isinstance(value, Transferable))

    def get(self: Any, name: str) -> Any:
        # An item, because `items`, `keys` and `values` are methods of an `AppState`.
        return state[name] if name in shared else kind.__getattribute__(self, name)

    def set_(self: Any, name: str, value: Any) -> None:
        if name in shared:
            setattr(state, name, value)
        else:
            kind.__setattr__(self, name, value)

    # Without slots, Python would not let it become the class of an object that is there.
    names = {"__slots__": (), "__module__": kind.__module__, "__getattribute__": get, "__setattr__": set_}
    return type(kind)(kind.__name__, (kind,), names)


def _work() -> Any:
    """Return the `ServeStreamlit` with its model, which all visitors share."""
    with _lock:
        if not _served:
            with open(setting("work"), "rb", closefd=False) as file:
                file.seek(0)
                work = unpack(file.read()).carried
            if work._has_model():
                with streamlit.spinner("Building model..."):
                    work._model = work.build_model()
            _served.append(work)
    return _served[0]
