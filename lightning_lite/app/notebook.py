"""HTML of flows, works and apps for notebooks: tables of their state and calls."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

from lightning_lite.html_tables import html_table, html_title
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.component import Component
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.outbox import outbox_of
from lightning_lite.tree.work import LightningWork

#: Number of the newest calls of a work that are shown.
_MAX_CALLS = 20


def show_component(component: Component) -> str:
    """Return a component as HTML: its state, and its calls or the works below it."""
    if isinstance(component, LightningWork):
        return _show_work(component)
    works = show_works(component.named_works()) if isinstance(component, LightningFlow) else ""
    return html_title(_title(component)) + _show_state(component) + works


def _show_work(work: LightningWork) -> str:
    records = work._records
    calls = sorted(records.current.values(), key=lambda call: call.number)[-_MAX_CALLS:]
    rows = [
        (call.number, call.statuses[-1].stage, call.attempt, call.statuses[-1].message)
        for call in calls
        if call.statuses
    ]
    return (
        html_title(f"{_title(work)}: {_format_stage(work)}")
        + _show_state(work)
        + html_table(["call", "status", "attempt", ""], rows)
    )


def show_works(works: Iterable[tuple[str, LightningWork]]) -> str:
    """Return works, given with their names, as an HTML table with one row for each work."""
    rows = [
        (
            name,
            type(work).__qualname__,
            _format_stage(work),
            work._records.status.message,
        )
        for name, work in works
    ]
    return html_table(["work", "class", "status", ""], rows)


def _show_state(component: Component) -> str:
    node = component._node
    names = [name for name in node.names if not name.startswith("_")]
    return html_table(["state", "value"], [(name, _repr(node.value(name))) for name in names])


def _repr(value: Any) -> str:
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 80
    return shortener.repr(value)


def _title(component: Component) -> str:
    kind = type(component).__qualname__
    return f"{component.name} ({kind})" if component.name else kind


def _format_stage(work: LightningWork) -> str:
    stage = work._records.status.stage
    if stage == WorkStageStatus.STARTED and outbox_of(work) is None:
        stage = WorkStageStatus.STOPPED  # the app has ended, and all processes with it
    return stage.replace("_", " ")


Component._render_html = show_component
