"""The folder of one run, and its `run.json`: who started it, when, with which command, and how it ended.

<root>/runs/20261122-035501123-9f3ac2/       in a group root: <root>/users/<uid>/runs/...
    run.json         replaced atomically, so a reader never sees a part of it
    logs/<work>.log  the output of a work; <work>.times has the time of its lines
    values/          the files of big values
"""

from __future__ import annotations

import json
import os
import pwd
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Self

from lightning_lite import settings
from lightning_lite.errors import RootRefused, RunnerError
from lightning_lite.places import this_host
from lightning_lite.root_access import ANY, PRIVATE, opened, own_root
from lightning_lite.runs.catalog import read_details


class RunFolder:
    """The folder of one run; `create` makes it.

    Attributes:
        id: Id of the run; ids sort by the time of the start.
        path: Absolute path of the folder.
        logs: Absolute path of the folder for the output of works.
        values: Absolute path of the folder for big values, which may be missing.
    """

    def __init__(self, path: str, details: dict[str, Any]) -> None:
        self.id = os.path.basename(path)
        self.path = path
        self.logs = os.path.join(path, "logs")
        self.values = os.path.join(path, "values")
        self._details = details

    @classmethod
    def create(
        cls,
        root: str,
        *,
        app: str,
        identity: str = "",
        command: Sequence[str] | None = None,
        root_mode: str = ANY,
    ) -> Self:
        """Make the folder of a new run, with permission for its user only.

        Args:
            root: Absolute folder that holds everything; made if it is missing.
            app: Name of the app, to be shown.
            identity: Identity of the app; a later run of the same app can resume this one.
            command: Command line of the program; the default is `sys.orig_argv`.
            root_mode: With whom the root may be shared, see `root_access.opened`.

        Raises:
            RootRefused: Another user could have written into the root.
            RunnerError: The folder can't be made or written to.
        """
        now = time.time()
        try:
            path = _make_folder(root, root_mode, now)
            run = cls(
                path,
                {
                    "id": os.path.basename(path),
                    "app": app,
                    "identity": identity,
                    **_describe_process(command, now),
                },
            )
            os.mkdir(run.logs, 0o700)
            run._write()
        except RootRefused:
            raise
        except OSError as error:
            raise RunnerError(
                f"the app can't write to its root folder {root!r}: {error.strerror} ({error.filename}); "
                f"set another one with root_dir= or {settings.ROOT_VARIABLE}",
                root=root,
            ) from error
        return run

    @classmethod
    def reopen(cls, path: str) -> Self:
        """Return the folder of a run that this process resumes, and record that in its `run.json`.

        Args:
            path: Absolute path of its folder.

        Raises:
            RunnerError: Its `run.json` can't be read or written.
        """
        try:
            with open(os.path.join(path, "run.json"), encoding="ascii") as file:
                details = json.load(file)
            details.pop("works", None)  # both describe the end of the earlier process
            details.pop("error", None)
            begun = {"started": details["started"], "resumed": _iso(time.time())}
            run = cls(path, {**details, **_describe_process(None, time.time()), **begun})
            os.makedirs(run.logs, mode=0o700, exist_ok=True)
            run._write()
        except (OSError, ValueError, KeyError) as error:
            raise RunnerError(
                f"the run in {path!r} can't be resumed: its run.json can't be read or written ({error})",
                path=path,
            ) from error
        return run

    def note_works(self, works: Mapping[str, int]) -> None:
        """Record the states of the works while the run goes on, for the case that its process dies.

        Args:
            works: Number of works in each state.
        """
        self._details["works"] = dict(works)
        with suppress(OSError):  # only `ps` shows it
            self._write()

    def ended(self, state: str, works: Mapping[str, int] | None = None, error: str | None = None) -> None:
        """Record how the run ended.

        Args:
            state: `stopped` by the flow, `failed`, or `interrupted` by a signal.
            works: Number of works in each state.
            error: The error of a failed run, in one line.

        Raises:
            RunnerError: `run.json` can't be written.
        """
        self._details |= {"state": state, "ended": _iso(time.time())}
        if works is not None:
            self._details["works"] = dict(works)
        if error is not None:
            self._details["error"] = error
        try:
            self._write()
        except OSError as error:
            raise RunnerError(
                f"the end of the run can't be recorded in {self.path!r}: {error.strerror}", path=self.path
            ) from error

    def _write(self) -> None:
        """Replace `run.json` atomically: a reader sees the old content or the new one."""
        path = os.path.join(self.path, "run.json")
        data = json.dumps(self._details, indent=2, ensure_ascii=True) + "\n"
        fd = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(fd, "w", encoding="ascii") as file:
            file.write(data)
        os.replace(f"{path}.new", path)


def note_end(path: str, state: str) -> None:
    """Record how a run ended whose process could not do it; the caller holds the lock of the run.

    Args:
        path: Absolute path of the folder of the run.
        state: `killed`.

    Raises:
        RunnerError: `run.json` can't be written.
    """
    RunFolder(path, read_details(path)).ended(state)


def _make_folder(root: str, root_mode: str, now: float) -> str:
    os.makedirs(os.path.dirname(root), exist_ok=True)
    with opened(root, mode=root_mode, make=os.mkdir):
        own = own_root(root, make=os.mkdir)
    with opened(own, ("runs",), mode=PRIVATE, make=os.mkdir):
        runs = os.path.join(own, "runs")
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + f"{int(now * 1000) % 1000:03}"
    while True:
        path = os.path.join(runs, f"{moment}-{os.urandom(3).hex()}")
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue  # another run drew the same random id in the same millisecond
        return path


def _describe_process(command: Sequence[str] | None, now: float) -> dict[str, Any]:
    return {
        "state": "running",
        "started": _iso(now),
        "ended": None,
        "executable": sys.executable,
        "command": list(sys.orig_argv if command is None else command),
        "cwd": os.getcwd(),
        "user": _user(),
        "host": this_host(),
        "pid": os.getpid(),
        "python": sys.version.split()[0],
        "lightning_lite": settings.VERSION,
    }


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, the user may have a number and no name
        return str(os.getuid())


def _iso(seconds: float) -> str:
    """Return a time in ISO 8601: local time with its offset from UTC."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")
