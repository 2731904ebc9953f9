"""`lightning-lite status`: the tree of one run, or the calls of some of its works."""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Any

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json, say_table, show_moment
from lightning_lite.cli.run_reader import Sight, look, natural
from lightning_lite.cli.targets import find_target, find_work
from lightning_lite.engine.history import CallHistory
from lightning_lite.text import format_bytes, format_seconds
from lightning_lite.ui.live_table import WorkRow

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
    sight = look(run, usage=run.state == "running")
    names = [find_work(run.id, word, [work.name for work in sight.works]) for word in words]
    if as_json:
        say_json(_describe(sight, names))
        return
    _say_head(sight)
    if names:
        _say_calls(sight, names)
    else:
        say_table(_HEADINGS, _tree(sight))
    for name, message in _failures(sight, names):
        say(f"{name}: {message}", "red")


def _say_head(sight: Sight) -> None:
    run, facts = sight.run, sight.run.details
    when = f"started {show_moment(run.started)}"
    if run.state == "running" and run.started is not None:
        when += f", {format_seconds(time() - run.started)} ago"
    elif run.ended is not None:
        when += f", ended {show_moment(run.ended)}"
    process = f", process {run.holder.pid}" if run.holder is not None and run.holder.pid else ""
    say(f"{run.app}, run {run.id}: {run.state}{process}, {when}")
    say(f"{' '.join(map(str, facts.get('command') or ['?']))}   in {facts.get('cwd', '?')}")
    if run.error:
        say(run.error, "red")
    if sight.trouble:
        say(f"Not all can be seen: {sight.trouble}", "yellow")
    say()


def _tree(sight: Sight) -> Iterator[tuple[object, ...]]:
    works = {work.name: work for work in sight.works}
    names = sorted({*works, *sight.flows}, key=natural)
    for name in names:
        label = _branch(name, names)
        if name in works:
            yield label, *_cells(sight, works[name])
        else:
            busy = (
                f"busy for {format_seconds(sight.busy)}" if name == "root" and sight.busy is not None else ""
            )
            yield label, busy, *[""] * (len(_HEADINGS) - 2)


def _branch(name: str, names: list[str]) -> str:
    """Return the last part of a name behind the branches of the tree that lead to it."""
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


def _cells(sight: Sight, work: WorkRow) -> tuple[object, ...]:
    history = sight.history.works.get(work.name)
    return (
        work.state,
        f"{work.call} (attempt {work.attempt})" if work.call and work.attempt > 1 else work.call or None,
        history.num_calls if history is not None else None,
        f"{work.progress:.0%}" if work.progress is not None else None,
        show_moment(work.since),
        work.pid,
        f"{work.cpu:.0%}" if work.cpu is not None else None,
        format_bytes(work.memory) if work.memory is not None else None,
    )


def _say_calls(sight: Sight, names: list[str]) -> None:
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
        for call in _calls(sight, name)
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


def _calls(sight: Sight, name: str) -> list[CallHistory]:
    history = sight.history.works.get(name)
    return history.calls if history is not None else []


def _failures(sight: Sight, names: list[str]) -> Iterator[tuple[str, str]]:
    """Yield what has failed and not been made good by a later call."""
    for work in sight.works:
        if names and work.name not in names:
            continue
        history = sight.history.works.get(work.name)
        if work.state == "failed" and history is not None and history.last.message:
            yield work.name, history.last.message


def _describe(sight: Sight, names: list[str]) -> dict[str, Any]:
    run, facts = sight.run, sight.run.details
    kept = ("id", "app", "identity", "started", "resumed", "command", "cwd", "user", "host", "python")
    return {
        **{name: facts.get(name) for name in kept},
        "id": run.id,
        "folder": run.path,
        "state": run.state,
        "ended": facts.get("ended") if run.state != "running" else None,
        "pid": run.holder.pid if run.holder is not None else None,
        "error": run.error,
        "is_answering": sight.is_answering,
        "busy": sight.busy,
        "trouble": sight.trouble,
        "flows": sight.flows,
        "works": [_describe_work(sight, work) for work in sight.works if not names or work.name in names],
    }


def _describe_work(sight: Sight, work: WorkRow) -> dict[str, Any]:
    history = sight.history.works.get(work.name)
    return {
        "name": work.name,
        "class": ".".join(history.identity) if history is not None and history.identity else None,
        "state": work.state,
        "since": work.since,
        "call": work.call or None,
        "attempt": work.attempt or None,
        "progress": work.progress,
        "pid": work.pid,
        "cpu": work.cpu,
        "memory": work.memory,
        "message": history.last.message if history is not None else "",
        "calls": [
            {
                "number": call.number,
                "key": call.key,
                "arguments": call.arguments,
                "state": call.stage,
                "asked": call.asked,
                "attempts": [attempt._asdict() for attempt in call.attempts],
            }
            for call in _calls(sight, work.name)
        ],
    }
