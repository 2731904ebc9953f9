"""The folder of one run, and its `run.json`: user, time and command of its start, and how it ended.

<root>/runs/20261122-035501123-9f3ac2/       in a group root: <root>/users/<uid>/runs/...
    run.json         replaced atomically, so a reader never sees a part of it
    journal.log      see `runs.journal`; journal.lock is the lock of the run
    numbers.log      see `runs.numbers_log`
    commands.sock    the socket for commands from other terminals, while the app runs
    layout.json      the layout of the flows, if they show something; replaced in the same way
    logs/<work>.log  the output of a work; <work>.times has the time of its lines
    values/          the files of big values
    frontends/       the output of the servers of frontends
"""

from __future__ import annotations

import json
import os
import pwd
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from errno import ENOTDIR
from typing import Any, Self

from lightning_lite import settings
from lightning_lite.distribution import __version__
from lightning_lite.errors import RootRefused, RunnerError
from lightning_lite.process_places import this_host
from lightning_lite.quantity_text import iso_time
from lightning_lite.regular_files import advice_for, kind_of
from lightning_lite.root_access import ANY, UNSHARED, opened, own_root
from lightning_lite.runs.catalog import list_runs, load_details, read_details, tags_of
from lightning_lite.runs.lock import BEGIN_TIMEOUT, lock_error, shared_access
from lightning_lite.runs.recorded_command import mask_command
from lightning_lite.working_directory import working_directory_if_there

#: Name of the file with the layout of a run.
LAYOUT = "layout.json"


class RunFolder:
    """The folder of one run; `create` makes it in a block of `creating_run`.

    Attributes:
        id: Id of the run; ids sort in the order in which the runs began, even if the clock was set back.
        path: Absolute path of the folder.
        logs: Absolute path of the folder for the output of works.
        values: Absolute path of the folder for big values, which may be missing.
        frontends: Absolute path of the folder for the output of frontends, which may be missing.
        earlier_drives: Folder or url of its drives before it was resumed, or `None` if they were in the root.
    """

    def __init__(self, path: str, details: dict[str, Any]) -> None:
        self.id = os.path.basename(path)
        self.path = path
        self.logs = os.path.join(path, "logs")
        self.values = os.path.join(path, "values")
        self.frontends = os.path.join(path, "frontends")
        self.earlier_drives: str | None = details.get("drives")
        self._details = details

    @classmethod
    def create(
        cls,
        root: str,
        runs: str,
        *,
        app: str,
        identity: str = "",
        command: Sequence[str] | None = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        drives: str | None = None,
    ) -> Self:
        """Make the folder of a new run, with permission for its user only.

        Args:
            root: Absolute folder that holds everything, for the error.
            runs: Folder of the runs, from `creating_run`.
            app: Name of the app, to be shown.
            identity: Identity of the app; a later run of the same app can resume this one.
            command: Command line of the program; the default is `sys.orig_argv`.
            name: Name of the run, or `None`.
            tags: Tags of the run.
            drives: Folder or url of its drives, or `None` if they are in the root.

        Raises:
            RunnerError: The folder can't be made or written to.
        """
        now = time.time()
        with _root_errors(root):
            path = _make_folder(runs, now)
            run = cls(
                path,
                {
                    "id": os.path.basename(path),
                    "app": app,
                    "identity": identity,
                    "name": name,
                    "tags": list(tags),
                    "drives": drives,
                    "has_journal": False,
                    **_describe_process(command, now),
                },
            )
            try:
                os.mkdir(run.logs, 0o700)
                run._write()
            except OSError:
                with suppress(OSError):  # each further attempt would leave an empty folder
                    os.rmdir(run.logs)
                    os.rmdir(path)
                raise
        return run

    @classmethod
    def reopen(
        cls, path: str, name: str | None = None, tags: Sequence[str] = (), drives: str | None = None
    ) -> Self:
        """Return the folder of a run that this process resumes, and record that in its `run.json`.

        It has a journal.

        Args:
            path: Absolute path of its folder.
            name: Its new name; `None` keeps the one that it has.
            tags: Its new tags; an empty list keeps those that it has.
            drives: Folder or url of its drives now, or `None` if they are in the root.

        Raises:
            RunnerError: Its `run.json` can't be read or written.
        """
        try:
            details = load_details(path, is_own=True)
            details.pop("works", None)  # both describe the end of the earlier process
            details.pop("error", None)
            details.pop("journal_end", None)  # before the journal gets further entries
            begun = {"started": details["started"], "resumed": iso_time(time.time())}
            if name is not None:
                details["name"] = name
            if tags:
                details["tags"] = list(tags)
            details["has_journal"] = True
            details["drives"], earlier = drives, details.get("drives")
            run = cls(path, {**details, **_describe_process(None, time.time()), **begun})
            run.earlier_drives = earlier
            run._open_logs()
            with suppress(FileNotFoundError):  # of the earlier process; the app may show nothing now
                os.unlink(os.path.join(path, LAYOUT))
            run._write()
        except (OSError, ValueError, KeyError) as error:
            what, advice = f"run.json: {error}", "restore it from a copy, or start a new run"
            if isinstance(error, OSError):
                what, advice = f"{error.filename!r}: {error.strerror}", advice_for(error, advice)
            raise RunnerError(f"the run in {path!r} can't be resumed: {what}; {advice}", path=path) from error
        return run

    @property
    def name(self) -> str | None:
        """Name of the run, or `None`."""
        return self._details.get("name")

    @property
    def tags(self) -> list[str]:
        """Tags of the run."""
        return tags_of(self._details)

    def note_begin(self) -> None:
        """Record that the run has its journal: if that is missing later, it was removed."""
        self._details["has_journal"] = True
        with suppress(OSError):  # then a missing journal is taken for one that was never created
            self._write()

    def note_works(self, works: Mapping[str, int]) -> None:
        """Record the states of the works while the app runs, for the case that its process dies.

        Args:
            works: Number of works in each state.
        """
        self._details["works"] = dict(works)
        with suppress(OSError):  # only `ps` shows it
            self._write()

    def note_layout(self, layout: Mapping[str, Any]) -> None:
        """Record the layout of the flows, for the page of the run.

        Args:
            layout: The layout as plain data.
        """
        with suppress(OSError):  # only the page shows it
            _replace(os.path.join(self.path, LAYOUT), layout)

    def note_end(self, state: str, works: Mapping[str, int] | None = None, error: str | None = None) -> None:
        """Record how the run ended.

        Args:
            state: `stopped` by the flow, `failed`, `interrupted` by a signal, or `killed` by a command.
            works: Number of works in each state.
            error: The error of a failed run, in one line.

        Raises:
            RunnerError: `run.json` can't be written.
        """
        self._details |= {"state": state, "ended": iso_time(time.time())}
        if works is not None:
            self._details["works"] = dict(works)
        if error is not None:
            self._details["error"] = error
        try:
            self._write()
        except OSError as refused:
            raise RunnerError(
                f"the end of the run can't be recorded in {self.path!r}: {refused.strerror}; "
                + advice_for(refused, "check what is at that path"),
                path=self.path,
            ) from refused

    def note_journal_end(self, end: dict[str, Any]) -> None:
        """Record where the journal ends: a part of it that is missing later was removed.

        This is not part of `note_end`, because the journal may get entries after the run has ended, and may
        take long to compact. If the process dies in between, the end of the run is known all the same.

        Args:
            end: From `Journal.close`.
        """
        self._details["journal_end"] = end
        with suppress(OSError):  # then an end that is missing is taken for an incomplete write
            self._write()

    def _open_logs(self) -> None:
        """Create the folder of the logs if it is missing.

        Raises:
            OSError: It can't be created, or something else has its name.
        """
        with suppress(FileExistsError):
            os.mkdir(self.logs, 0o700)
        mode = os.lstat(self.logs).st_mode
        if not stat.S_ISDIR(mode):
            raise NotADirectoryError(ENOTDIR, f"it is {kind_of(mode)}, not a folder", self.logs)

    def _write(self) -> None:
        """Replace `run.json` atomically: a reader sees the old content or the new one."""
        _replace(os.path.join(self.path, "run.json"), self._details)


def _replace(path: str, data: Mapping[str, Any]) -> None:
    """Replace a file of JSON atomically.

    Raises:
        OSError: It can't be written; `filename` of the error is never `None`.
    """
    text = json.dumps(data, indent=2, ensure_ascii=True) + "\n"
    with suppress(FileNotFoundError):  # of a process that died; opening it could wait for ever
        os.unlink(f"{path}.new")
    fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        error.filename = path  # a write and a close know no name
        with suppress(OSError):  # on a full disk, a part of it takes space
            os.unlink(f"{path}.new")
        raise
    os.replace(f"{path}.new", path)


@contextmanager
def creating_run(root: str, root_mode: str = ANY) -> Iterator[str]:
    """Let no other process remove a run during the block, in which a new run is created and takes its lock.

    Args:
        root: Absolute folder that holds everything; created if it is missing.
        root_mode: With whom the root may be shared, see `root_access.opened`.

    Yields:
        The folder of the runs of this user, for `RunFolder.create`.

    Raises:
        RootRefused: Another user could have written into the root.
        RunnerError: The folder can't be created.
        JournalError: The file system has no working locks, or another process keeps the folder locked.
    """
    with _root_errors(root):
        runs = _make_runs(root, root_mode)
    with ExitStack() as lock:
        try:
            # Shared, so that many apps that start at once do not wait for each other.
            lock.enter_context(shared_access(runs, BEGIN_TIMEOUT))
        except OSError as error:
            raise lock_error(error, runs) from error
        yield runs


def note_end(path: str, state: str) -> None:
    """Record how a run ended whose process could not do it; the caller holds the lock of the run.

    Args:
        path: Absolute path of the folder of the run.
        state: `killed`.

    Raises:
        RunnerError: `run.json` can't be written.
    """
    RunFolder(path, read_details(path)).note_end(state)


def _make_runs(root: str, root_mode: str) -> str:
    """Return the folder of the runs of this user, which is created if it is missing."""
    os.makedirs(os.path.dirname(root), exist_ok=True)
    with opened(root, mode=root_mode, make=os.mkdir):
        own = own_root(root, make=os.mkdir)
    with opened(own, ("runs",), mode=UNSHARED, make=os.mkdir):
        return os.path.join(own, "runs")


def _make_folder(runs: str, now: float) -> str:
    """Make the folder of a run, and return its path; its id sorts after the ids of all other runs."""
    moment = time.strftime("%Y%m%d%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03}"
    for latest in list_runs(runs)[-1:]:
        # The new id must sort last. If an earlier run started with a clock that was ahead, use its time
        # plus 1 ms.
        after = f"{int(latest[:8] + latest[9:18]) + 1:017}"
        if len(after) == len(moment):
            moment = max(moment, after)
    while True:
        path = os.path.join(runs, f"{moment[:8]}-{moment[8:]}-{os.urandom(3).hex()}")
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue  # another run drew the same random id in the same millisecond
        return path


@contextmanager
def _root_errors(root: str) -> Iterator[None]:
    """Raise an error of the system in the `with` block as a `RunnerError` that names the root."""
    try:
        yield
    except RootRefused:
        raise
    except OSError as error:
        advice = advice_for(error, ""), f"set another one with root_dir= or {settings.ROOT_VARIABLE}"
        raise RunnerError(
            f"the app can't write to its root folder {root!r}: {error.strerror} ({error.filename}); "
            f"{', or '.join(filter(None, advice))}",
            root=root,
        ) from error


def _describe_process(command: Sequence[str] | None, now: float) -> dict[str, Any]:
    shown, masked = mask_command(sys.orig_argv if command is None else command)
    return {
        "state": "running",
        "started": iso_time(now),
        "ended": None,
        "executable": sys.executable,
        "command": shown,
        "masked_arguments": masked,
        "cwd": working_directory_if_there(),  # the root is absolute, so the run needs none
        "user": _user(),
        "host": this_host(),
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "lightning_lite": __version__,
    }


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, the user may have a number and no name
        return str(os.getuid())
