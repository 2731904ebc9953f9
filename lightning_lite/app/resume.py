"""Opens the folder and the journal of a run: of a new run, or of an earlier run that is resumed."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lightning_lite.app.reporting import print_notice
from lightning_lite.engine.history import fold_entries
from lightning_lite.engine.replay import Replay
from lightning_lite.events import CallSurvived
from lightning_lite.harmless_text import one_line
from lightning_lite.root_access import opened
from lightning_lite.run_options import RunOptions
from lightning_lite.runs.catalog import check_own_run, find_renamed, find_resumable, read_details, run_path
from lightning_lite.runs.folder import RunFolder, creating_run
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_values import remove_unneeded
from lightning_lite.tree.class_identity import class_identity
from lightning_lite.tree.flow import LightningFlow, RootFlow
from lightning_lite.values.pickling import value_files


class OpenedRun(NamedTuple):
    """A run that this process has begun or resumed.

    Attributes:
        folder: Its folder.
        journal: Its journal, open for writing.
        is_resumed: Whether it is an earlier run.
        survived: Calls that the process before has survived, which the journal does not say.
    """

    folder: RunFolder
    journal: Journal
    is_resumed: bool
    survived: Sequence[CallSurvived] = ()


def open_run(root: LightningFlow, options: RunOptions) -> OpenedRun:
    """Begin or resume the run of an app.

    Args:
        root: The root flow; that of a resumed run is restored.
        options: Options of the run.

    Raises:
        RootRefused: Another user could have written into the root, or it has another mode.
        JournalError: The run can't be resumed; the error says why.
        PoisonCall: The flow of that run died several times of the same call.
    """
    path = _find_run(root, options) if options.resume else None
    if path is None:
        return _create(root, options)
    return _reopen(root, options, path)


def _find_run(root: LightningFlow, options: RunOptions) -> str | None:
    """Return the folder of the run to resume, or `None` if there is none, which a line says."""
    root_dir, resume = options.root_dir, options.resume
    with suppress(NotADirectoryError), opened(root_dir, mode=options.root_mode):
        pass  # checks it
    if isinstance(resume, str):
        named = run_path(root_dir, resume)
        check_own_run(named)
        return named
    identity = _identity(root)
    path = find_resumable(root_dir, identity)
    if path is None:
        print_notice(f"There is nothing to resume for {name_of_app(root)} in {root_dir}: a new run starts.")
        if (renamed := find_renamed(root_dir, identity)) is not None:
            run, found = renamed
            print_notice(
                f"The run {run} there is of {one_line(found, limit=200)}, and this app is "
                f"{identity}. If it is the same app, restore the name of the class or the path of the "
                "script to resume it."
            )
    return path


def _create(root: LightningFlow, options: RunOptions) -> OpenedRun:
    identity = _identity(root)
    with creating_run(options.root_dir, options.root_mode) as runs:
        folder = RunFolder.create(
            options.root_dir,
            runs,
            app=name_of_app(root),
            identity=identity,
            name=options.name,
            tags=options.tags,
            drives=options.drives,
        )
        journal = Journal.create(folder.path, identity, durable=options.durable)
        folder.note_begin()
        return OpenedRun(folder, journal, is_resumed=False)


def _reopen(root: LightningFlow, options: RunOptions, path: str) -> OpenedRun:
    journal = Journal.open(path, _identity(root), durable=options.durable)
    try:
        journal.check_end(read_details(path).get("journal_end", {}))
        # Before the folder is reopened, so that a refused run stays unchanged.
        history = fold_entries(journal.entries(), journal.path)
        replay = Replay(os.path.basename(path), history, has_died=journal.writer_has_died)
        _restore(replay, root, options.retry_failed)
        replay.history.check_values()
        needed = replay.history.value_files()
        with suppress(OSError):  # the next resume removes them
            remove_unneeded(path, needed)
        _tidy_values(os.path.join(path, "values"), needed)
        folder = RunFolder.reopen(path, options.name, options.tags, options.drives)
        if folder.earlier_drives != options.drives:
            print_notice(
                f"The drives of run {folder.id} were {folder.earlier_drives or 'in the root'}, and are now "
                f"{options.drives or 'in the root'}: files that completed calls have put are not there."
            )
        return OpenedRun(folder, journal, is_resumed=True, survived=replay.survived)
    except BaseException:
        journal.close()
        raise


def _tidy_values(folder: str, needed: Collection[str]) -> None:
    """Remove the files of big values that no remembered call needs; the others are verified when read."""
    if os.path.lexists(folder):
        value_files().remove_unreferenced(folder, needed)
        value_files().mark_unverified(folder)


def name_of_app(root: LightningFlow) -> str:
    """Return the name of an app: the name of the class of its root."""
    return _root_class(root).__qualname__


def _root_class(root: LightningFlow) -> type[Any]:
    """Return the class of the flow or work that the user gave as root."""
    return type(root.work if isinstance(root, RootFlow) else root)


def _identity(root: LightningFlow) -> str:
    return ":".join(class_identity(_root_class(root)))


def _restore(replay: Replay, root: LightningFlow, retry_failed: bool) -> None:
    """Restore the tree from an earlier run, and print how many calls are completed."""
    if retry_failed:
        replay.forget_failures()
    else:
        replay.check_poison()
    print_notice(
        f"Run {replay.run} is resumed: completed calls: {replay.num_completed}, "
        f"calls that run again when the flow requests them: {replay.num_unfinished}."
    )
    replay.restore(root)
