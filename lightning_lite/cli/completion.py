"""Shell completion of runs and of works of a run, for `shell_complete=`.

It only lists folders and reads `run.json`, so it is fast.
"""

from __future__ import annotations

import os
from typing import Any

import click
from click.shell_completion import CompletionItem

from lightning_lite.runs.catalog import list_runs, read_details, runs_folder


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return names and ids of runs that begin with `incomplete`, or ids that end so, with the app as help.

    The names are the first, then the ids, the latest first.
    """
    runs = _runs(ctx)
    ids = list_runs(runs)[::-1]
    details = {run_id: read_details(os.path.join(runs, run_id)) for run_id in ids}
    names = {name: details[run_id] for run_id in ids[::-1] if (name := details[run_id].get("name"))}
    found = {name: about for name, about in names.items() if name.startswith(incomplete)}
    found |= {run_id: details[run_id] for run_id in ids if _matches(run_id, incomplete)}
    return [CompletionItem(word, help=_describe(about)) for word, about in found.items()]


def complete_targets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete `[RUN] [WORK]...`: runs for the first word, and works of the selected run."""
    words = ctx.params.get(param.name or "") or ()
    runs = [] if words else complete_runs(ctx, param, incomplete)
    return [*complete_works(_runs(ctx), words[0] if words else "", incomplete), *runs]


def complete_works(runs: str, run: str, incomplete: str) -> list[CompletionItem]:
    """Return the works that have a log and whose name begins with `incomplete`, with or without `root.`.

    Args:
        runs: Folder of the runs.
        run: The typed part of the id of a run; if no run matches, the latest one is used.
        incomplete: The typed part of the name of a work.
    """
    ids = list_runs(runs)
    logs = os.path.join(
        runs, next((name for name in ids if run and _matches(name, run)), (ids or [""])[-1]), "logs"
    )
    try:
        works = sorted(name.removesuffix(".log") for name in os.listdir(logs) if name.endswith(".log"))
        works = [work for work in works if work != "root"]  # the flow: only `logs` takes it
    except OSError:  # the run has no logs
        return []
    full = [CompletionItem(work) for work in works if work.startswith(incomplete)]
    short = [work.removeprefix("root.") for work in works]
    return full or [CompletionItem(work) for work in short if work.startswith(incomplete)]


def _runs(ctx: click.Context) -> str:
    try:
        return runs_folder(ctx.params.get("root") or "")
    except OSError:  # completion shows no errors: the verb itself does
        return ""


def _matches(name: str, text: str) -> bool:
    return name.startswith(text) or name.endswith(text)


def _describe(details: dict[str, Any]) -> str:
    return f"{details.get('app', '?')}, {details.get('started', '?')}"
