"""Completion of names that the root knows, for `shell_complete=`: runs, and works of a run.

It lists folders and reads nothing else, so that the shell need not wait.
"""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem

from lightning_lite.runs.catalog import list_runs, read_details


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the runs whose id begins or ends like this, the latest first, with their app as help."""
    runs = _runs(ctx)
    found = [name for name in list_runs(runs)[::-1] if _fits(name, incomplete)]
    return [CompletionItem(name, help=_describe(os.path.join(runs, name))) for name in found]


def complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return what can stand for `[RUN] [WORK]...`: runs for the first word, and works of the run meant."""
    words = ctx.params.get(param.name or "") or ()
    runs = [] if words else complete_runs(ctx, param, incomplete)
    return [*complete_works(_runs(ctx), words[0] if words else "", incomplete), *runs]


def complete_works(runs: str, run: str, incomplete: str) -> list[CompletionItem]:
    """Return the works that begin like this, with or without `root.`, and have a log.

    Args:
        runs: Folder of the runs.
        run: What was typed for the run; of what is none, the latest run is meant.
        incomplete: What was typed for the work.
    """
    ids = list_runs(runs)
    logs = os.path.join(
        runs, next((name for name in ids if run and _fits(name, run)), (ids or [""])[-1]), "logs"
    )
    try:
        works = sorted(name.removesuffix(".log") for name in os.listdir(logs) if name.endswith(".log"))
    except OSError:  # there is none, and completion says nothing
        return []
    full = [CompletionItem(work) for work in works if work.startswith(incomplete)]
    short = [work.removeprefix("root.") for work in works]
    return full or [CompletionItem(work) for work in short if work.startswith(incomplete)]


def _runs(ctx: click.Context) -> str:
    return os.path.join(ctx.params.get("root") or "", "runs")


def _fits(name: str, text: str) -> bool:
    return name.startswith(text) or name.endswith(text)


def _describe(path: str) -> str:
    facts = read_details(path)
    return f"{facts.get('app', '?')}, {facts.get('started', '?')}"
