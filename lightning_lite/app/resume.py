"""How a run begins: as a new one, or as the one that an earlier process has left."""

from __future__ import annotations

import os
from typing import Any

from lightning_lite.app.reporting import print_notice
from lightning_lite.engine.replay import Replay
from lightning_lite.runs.catalog import find_resumable, run_path
from lightning_lite.runs.event_codec import decode_events
from lightning_lite.runs.folder import RunFolder
from lightning_lite.runs.journal import Journal
from lightning_lite.settings import RunOptions
from lightning_lite.tree.flow import LightningFlow, RootFlow
from lightning_lite.tree.identity import class_identity


def find_run(root: LightningFlow, root_dir: str, resume: bool | str) -> str | None:
    """Return the folder of the run that is to be resumed, or `None` if there is none."""
    if isinstance(resume, str):
        return run_path(root_dir, resume)
    path = find_resumable(root_dir, _identity(root))
    if path is None:
        print_notice(f"There is nothing to resume for {name_of_app(root)} in {root_dir}: a new run begins.")
    return path


def open_run(root: LightningFlow, options: RunOptions, path: str | None) -> tuple[RunFolder, Journal]:
    """Return the folder and the journal of the run in `path`, its past handed over; or of a new run."""
    identity = _identity(root)
    if path is None:
        folder = RunFolder.create(options.root_dir, app=name_of_app(root), identity=identity)
        return folder, Journal.create(folder.path, identity, durable=options.durable)
    journal = Journal.open(path, identity, durable=options.durable)
    try:
        # First, because a run that is refused stays as it was.
        events = decode_events(journal.records(), journal.path)
        _hand_over(Replay(os.path.basename(path), events), root, options.retry_failed)
        return RunFolder.reopen(path), journal
    except BaseException:
        journal.close()
        raise


def name_of_app(root: LightningFlow) -> str:
    """Return how people call an app: by the class of its root."""
    return _top(root).__qualname__


def _top(root: LightningFlow) -> type[Any]:
    """Return the class that the user calls the root of the app."""
    return type(root.work if isinstance(root, RootFlow) else root)


def _identity(root: LightningFlow) -> str:
    return ":".join(class_identity(_top(root)))


def _hand_over(past: Replay, root: LightningFlow, retry_failed: bool) -> None:
    if retry_failed:
        past.forget_failures()
    else:
        past.check_poison()
    print_notice(
        f"Run {past.run} goes on: calls that are taken over: {past.num_completed}, "
        f"calls that are run again when the flow asks for them: {past.num_unfinished}."
    )
    past.hand_over(root)
