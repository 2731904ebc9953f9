"""Flows, works and apps in a notebook: their state and what became of their calls, as tables."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

from lightning_lite.html_tables import html_table, html_title
from lightning_lite.tree.component import Component
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.work import LightningWork

#: Calls of a work that are shown, the newest.
_MOST_CALLS = 20


def show_component(component: Component) -> str:
    """Return a component as HTML: its state, and what became of its calls or of the works below it."""
    if isinstance(component, LightningWork):
        return _show_work(component)
    works = show_works(component.named_works()) if isinstance(component, LightningFlow) else ""
    return html_title(_title(component)) + _show_state(component) + works


def _show_work(work: LightningWork) -> str:
    book = work._book
    calls = sorted(book.current.values(), key=lambda call: call.number)[-_MOST_CALLS:]
    rows = [
        (call.number, call.statuses[-1].stage, call.attempt, call.statuses[-1].message)
        for call in calls
        if call.statuses
    ]
    return (
        html_title(f"{_title(work)}: {_readable(book.status.stage)}")
        + _show_state(work)
        + html_table(["call", "status", "attempt", ""], rows)
    )


def show_works(works: Iterable[tuple[str, LightningWork]]) -> str:
    """Return works, given with their names, as HTML: one row for each."""
    rows = [
        (name, type(work).__qualname__, _readable(work._book.status.stage), work._book.status.message)
        for name, work in works
    ]
    return html_table(["work", "class", "status", ""], rows)


def _show_state(component: Component) -> str:
    node = component._node
    names = [name for name in node.names if not name.startswith("_")]
    return html_table(["state", "value"], [(name, _repr(node.value(component, name))) for name in names])


def _repr(value: Any) -> str:
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 80
    return shortener.repr(value)


def _title(component: Component) -> str:
    kind = type(component).__qualname__
    return f"{component.name} ({kind})" if component.name else kind


def _readable(stage: str) -> str:
    return stage.replace("_", " ")
