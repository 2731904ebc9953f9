"""`lightning-lite status`: the flows and works of a run, or the calls of some of its works."""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Any

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json, say_table, show_bytes, show_moment, show_share
from lightning_lite.cli.targets import find_named_works, find_target
from lightning_lite.engine.history import CallHistory
from lightning_lite.monitor.run_status import RunStatus, describe_work, read_status, tree_order
from lightning_lite.process_places import Place
from lightning_lite.quantity_text import format_seconds
from lightning_lite.work_row import WorkRow

_HEADINGS = ["NAME", "STATE", "CALL", "CALLS", "PROGRESS", "SINCE", "PID", "CPU", "MEMORY"]


@click.command(
    "status",
    cls=Command,
    epilog=examples("status", "status 9f3ac2 --json", "status train          (its calls)"),
)
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@root_option
@json_option
@plain_option
def command(root: str, target: tuple[str, ...], as_json: bool) -> None:
    """Show the flows and works of a run, or the calls of some of its works."""
    run, words = find_target(root, target)
    status = read_status(run, usage=run.state == "running")
    names = find_named_works(run, words, target, [work.name for work in status.works])
    if as_json:
        say_json(_describe(status, names))
        return
    _say_head(status)
    if names:
        _say_calls(status, names)
    else:
        say_table(_HEADINGS, _tree(status))
    for name, message in _failures(status, names):
        say(f"{name}: {message}", "red")


def _say_head(status: RunStatus) -> None:
    run, details = status.run, status.run.details
    when = f"started {show_moment(run.started) if run.started is not None else '?'}"
    if run.state == "running" and run.started is not None:
        when += f", {format_seconds(time() - run.started)} ago"
    elif run.ended is not None:
        when += f", ended {show_moment(run.ended)}"
    place = run.holder.place if run.holder is not None else None
    process = f", {place}" if place is not None else ""
    name = f" ({run.name})" if run.name else ""
    say(f"{run.app}, run {run.id}{name}: {run.state}{process}, {when}")
    say(f"{' '.join(map(str, details.get('command') or ['?']))}   in {details.get('cwd') or '?'}")
    if run.tags:
        say(f"tags: {', '.join(run.tags)}")
    if run.error:
        say(run.error, "red")
    if status.trouble:
        say(f"The status is incomplete: {status.trouble}", "yellow")
    say()


def _tree(status: RunStatus) -> Iterator[tuple[object, ...]]:
    works = {work.name: work for work in status.works}
    names = sorted({*works, *status.flows}, key=tree_order)
    for name in names:
        label = _branch(name, names)
        if name in works:
            yield label, *_cells(status, works[name])
        else:
            busy = (
                f"busy for {format_seconds(status.busy)}"
                if name == "root" and status.busy is not None
                else ""
            )
            yield label, busy, *[""] * (len(_HEADINGS) - 2)


def _branch(name: str, names: list[str]) -> str:
    """Return the last part of a name, with the branches of the drawn tree before it."""
    parts = name.split(".")
    drawn = ""
    for depth in range(1, len(parts)):
        top = ".".join(parts[: depth + 1])
        parent = ".".join(parts[:depth])
        siblings = [other for other in names if other.rpartition(".")[0] == parent]
        is_last = not siblings or top == siblings[-1]
        if depth == len(parts) - 1:
            drawn += "└─ " if is_last else "├─ "
        else:
            drawn += "   " if is_last else "│  "
    return drawn + parts[-1]


def _cells(status: RunStatus, work: WorkRow) -> tuple[object, ...]:
    history = status.history.works.get(work.name)
    return (
        work.state,
        f"{work.call} (attempt {work.attempt})" if work.call and work.attempt > 1 else work.call or None,
        history.num_calls if history is not None else None,
        show_share(work.progress),
        show_moment(work.since),
        _show_place(work.place),
        show_share(work.cpu),
        show_bytes(work.memory),
    )


def _show_place(place: Place | None) -> object:
    """Return the process id, with the name of the host if it is another host."""
    if place is None or place.is_here():
        return place.pid if place is not None else None
    return f"{place.pid} on {place.host}"


def _say_calls(status: RunStatus, names: list[str]) -> None:
    rows = [
        (
            name,
            call.number,
            call.stage,
            len(call.attempts),
            show_moment(call.asked),
            _took(call),
            call.arguments,
        )
        for name in names
        for call in _calls(status, name)
    ]
    say_table(["WORK", "CALL", "STATE", "ATTEMPTS", "ASKED", "TOOK", "ARGUMENTS"], rows)


def _took(call: CallHistory) -> str:
    attempts = call.attempts
    if not attempts:
        return ""
    end = attempts[-1].ended
    if end is None:
        return "" if call.ended else f"{format_seconds(time() - attempts[0].began)} so far"
    return format_seconds(end - attempts[0].began)


def _calls(status: RunStatus, name: str) -> list[CallHistory]:
    history = status.history.works.get(name)
    return history.calls if history is not None else []


def _failures(status: RunStatus, names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and message of each work whose newest call has failed."""
    for work in status.works:
        if names and work.name not in names:
            continue
        history = status.history.works.get(work.name)
        if work.state == "failed" and history is not None and history.last.message:
            yield work.name, history.last.message


def _describe(status: RunStatus, names: list[str]) -> dict[str, Any]:
    run, details = status.run, status.run.details
    kept = ("id", "app", "identity", "started", "resumed", "command", "cwd", "user", "host", "python")
    return {
        **{name: details.get(name) for name in kept},
        "id": run.id,
        "name": run.name,
        "tags": run.tags,
        "folder": run.path,
        "state": run.state,
        "ended": details.get("ended") if run.state != "running" else None,
        "pid": run.holder.pid if run.holder is not None else None,
        "error": run.error,
        "is_answering": status.is_answering,
        "busy": status.busy,
        "trouble": status.trouble,
        "flows": status.flows,
        "works": [_describe_work(status, work) for work in status.works if not names or work.name in names],
    }


def _describe_work(status: RunStatus, work: WorkRow) -> dict[str, Any]:
    return {
        **describe_work(work, status.history),
        "calls": [
            {
                "number": call.number,
                "key": call.key,
                "arguments": call.arguments,
                "state": call.stage,
                "asked": call.asked,
                "attempts": [attempt._asdict() for attempt in call.attempts],
            }
            for call in _calls(status, work.name)
        ],
    }
