"""Lists the runs below a root, describes each one, and finds the run to resume.

Nothing here opens a journal: `run.json` and the lock of a run are enough. If one of them can't be read, the
summary of the run says so, and the other runs are listed all the same.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from errno import EACCES
from time import time
from typing import Any, NamedTuple

from lightning_lite.errors import JournalError, NothingToResume, RootRefused
from lightning_lite.harmless_text import one_line
from lightning_lite.regular_files import read_regular
from lightning_lite.root_access import UNSHARED, USERS, opened, own_root
from lightning_lite.runs.journal_format import FILE_NAME, check_permissions, has_journal, read_identity
from lightning_lite.runs.lock import Holder, find_holder
from lightning_lite.trusted_roots import check_own_file

#: Why a run is refused whose folder is a link: the target may belong to another user, or be missing.
LINK_TROUBLE = "it is a symbolic link; move the folder of the run back to that place, or remove the link"

#: Why a run without `run.json` and journal can't be shown: its process died when it had just created the
#: folder, or is about to write both.
START_TROUBLE = "it has no run.json: its start was cut short, or has not ended yet"

#: The states of runs, see `RunSummary`.
RUN_STATES = ("running", "stopped", "failed", "interrupted", "killed", "died", "unknown")

#: Why a run is refused whose `run.json` is JSON without the field that each has.
_NAMELESS_TROUBLE = "its run.json does not name its app"

_ADVICE_IF_DENIED = "resume it as a user who may read it"
_ADVICE_IF_DAMAGED = "restore it from a copy"

#: Names in the folder of a run whose process was killed while it began the run.
_NAMES_AT_START = {"logs", "run.json", "run.json.new", "journal.lock", f"{FILE_NAME}.new"}

_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{9}-[0-9a-f]{6}")

#: Seconds within which a new run takes its lock.
_GRACE = 5.0

#: Maximum of bytes of a `run.json`: it has the command line, which the system limits to some MiB.
_MAX_DETAILS = 16 * 1024 * 1024

#: The types of the fields of `run.json`; a field of another type was not written by this package.
_FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(
        ("id", "app", "identity", "state", "started", "executable", "cwd", "user", "host", "python"), (str,)
    ),
    **dict.fromkeys(("ended", "resumed", "error", "name"), (str, type(None))),
    **dict.fromkeys(("command", "tags"), (list,)),
    "works": (dict,),
    "has_journal": (bool,),
    "journal_end": (dict,),
    "pid": (int,),
}


class RunSummary(NamedTuple):
    """The state of one run, as `run.json` and its lock say.

    Attributes:
        id: Id of the run.
        path: Absolute path of its folder.
        details: The content of its `run.json`; empty if that can't be read.
        state: `running`; `stopped` by its flow; `failed`; `interrupted` by a signal or from another terminal;
            `killed` from another terminal; `died` if its process ended without a note; `unknown`.
        holder: The process that runs it, or `None`.
        trouble: The files that could not be read, and why; "" if all could be read.
    """

    id: str
    path: str
    details: dict[str, Any]
    state: str
    holder: Holder | None
    trouble: str = ""

    @property
    def app(self) -> str:
        """Name of the app."""
        return str(self.details.get("app", "?"))

    @property
    def name(self) -> str | None:
        """Name of the run, if it has one."""
        return self.details.get("name")

    @property
    def tags(self) -> list[str]:
        """Tags of the run."""
        return tags_of(self.details)

    @property
    def started(self) -> float | None:
        """Time of the start, in seconds since 1970."""
        return _seconds(self.details.get("started"))

    @property
    def resumed(self) -> float | None:
        """Time of the last resume, in seconds since 1970; `None` if it was never resumed."""
        return _seconds(self.details.get("resumed"))

    @property
    def ended(self) -> float | None:
        """Time of the end, in seconds since 1970; `None` if it is not known."""
        return _seconds(self.details.get("ended"))

    @property
    def error(self) -> str | None:
        """The error of a failed run, in one line, if the run recorded it."""
        error = self.details.get("error")
        return error if self.state == "failed" and isinstance(error, str) else None


def read_runs(root: str) -> list[RunSummary]:
    """Return the summaries of all runs of a root, the oldest first.

    Args:
        root: Absolute folder that holds everything.

    Raises:
        RootRefused: Another user could have written into the root.
    """
    runs = runs_folder(root)
    found = [read_run(os.path.join(runs, name)) for name in list_runs(runs)]
    return [run for run in found if not run.trouble or os.path.lexists(run.path)]  # not those just removed


def read_run(path: str) -> RunSummary:
    """Return the summary of a run.

    The lock says whether a run is still running. Its pid does not: the system may have given that number to
    another process. If the lock or `run.json` can't be read, the state of a running app is `unknown`. If
    the folder is a link, nothing in it is read.

    Args:
        path: Absolute path of the folder of the run.
    """
    if os.path.islink(path):
        return RunSummary(os.path.basename(path), path, {}, "unknown", None, LINK_TROUBLE)
    holder, troubles = None, []
    try:
        holder = find_holder(path)
    except OSError as error:
        if isinstance(error, PermissionError) and error.filename == path:
            trouble = f"its folder can't be read: {error.strerror}"
            return RunSummary(os.path.basename(path), path, {}, "unknown", None, trouble)
        troubles.append(f"its lock can't be read: {_describe(error)}")
    # Read after the lock: a process writes how its run ended before it releases the lock.
    try:
        details = load_details(path)
    except (OSError, ValueError) as error:
        details = {}
        is_begun = not isinstance(error, FileNotFoundError) or has_begun(path)
        troubles.append(f"its run.json can't be read: {_describe(error)}" if is_begun else START_TROUBLE)
    state = str(details.get("state", "unknown"))
    if holder is not None:
        state = "running"
    elif state == "running" and troubles:
        state = "unknown"
    elif state == "running":
        begun = _seconds(details.get("resumed") or details.get("started"))
        is_starting = begun is not None and 0 <= time() - begun < _GRACE and not has_journal(path)
        state = "running" if is_starting else "died"
    return RunSummary(os.path.basename(path), path, details, state, holder, "; ".join(troubles))


def runs_folder(root: str) -> str:
    """Return the folder of the runs of this user, after a check of all folders above it; it may be missing.

    In a group root each user has one: <root>/users/<uid>/runs.

    Args:
        root: Absolute folder that holds everything.

    Raises:
        RootRefused: Another user could have written into one of these folders.
        OSError: One of them can't be opened.
    """
    own = root
    with suppress(NotADirectoryError):  # there are no runs in a file
        own = own_root(root)
        with opened(own, ("runs",), mode=UNSHARED):
            pass
    return os.path.join(own, "runs")


def drives_of(path: str) -> str:
    """Return where the drives of a run are: an absolute folder, or the url of an object store.

    Args:
        path: Absolute path of the folder of the run.
    """
    # Not from `read_run`, which may wait for the lock of the run.
    drives = None if os.path.islink(path) else read_details(path).get("drives")
    return drives if isinstance(drives, str) else _root_of(path)


def _root_of(path: str) -> str:
    """Return the root of a run, which is above the folder of its user if it is a group root."""
    own = os.path.dirname(os.path.dirname(path))
    users = os.path.dirname(own)
    root = os.path.dirname(users)
    if os.path.basename(users) == USERS:
        with suppress(OSError, RootRefused):
            return root if own_root(root) == own else own
    return own


def list_runs(runs: str) -> list[str]:
    """Return the ids of the runs in a folder, the oldest first; a file is not a run.

    A link with the id of a run is listed, also a broken one, so that its user learns why it is refused.
    """
    try:
        with os.scandir(runs) as entries:
            return sorted(
                entry.name
                for entry in entries
                if _RUN_ID.fullmatch(entry.name)
                and (entry.is_symlink() or entry.is_dir(follow_symlinks=False))
            )
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_run_id(text: str) -> bool:
    """Return whether a text has the form of the id of a run.

    Example:
        >>> is_run_id("20261122-035501123-9f3ac2"), is_run_id("9f3ac2")
        (True, False)
    """
    return _RUN_ID.fullmatch(text) is not None


def is_run(runs: str, run_id: str) -> bool:
    """Return whether a folder has a run with an id, or a link in its place.

    Args:
        runs: The folder of the runs.
        run_id: Any text.
    """
    if not is_run_id(run_id):
        return False
    try:
        mode = os.lstat(os.path.join(runs, run_id)).st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def tags_of(details: Mapping[str, Any]) -> list[str]:
    """Return the tags in the content of a `run.json`; a user may have edited it.

    Example:
        >>> tags_of({"tags": ["nightly", 7]}), tags_of({})
        (['nightly'], [])
    """
    return [tag for tag in details.get("tags", ()) if isinstance(tag, str)]


def list_named(runs: str, name: str) -> list[str]:
    """Return the ids of the runs in a folder that have a name, the oldest first."""
    return [
        run_id for run_id in list_runs(runs) if read_details(os.path.join(runs, run_id)).get("name") == name
    ]


def run_path(root: str, run_id: str) -> str:
    """Return the folder of a run.

    Args:
        root: Absolute folder that holds everything.
        run_id: Id of the run, as in `RunFolder.id`, or its name.

    Raises:
        NothingToResume: There is no such run, or there are several with this name.
        JournalError: This user may not read its folder.
        RootRefused: Another user could have written into the root or into the run, or that is a link.
    """
    runs = runs_folder(root)
    named = [] if is_run_id(run_id) else list_named(runs, run_id)
    if len(named) > 1:
        raise NothingToResume(
            f"{len(named)} runs have the name {run_id!r}: {', '.join(named[::-1])}; give the id of one",
            run_id=run_id,
            root=root,
        )
    run_id = named[0] if named else run_id
    if not is_run(runs, run_id):
        raise NothingToResume(
            f"there is no run {one_line(run_id)!r}; the runs are named like the folders in {runs!r}",
            run_id=run_id,
            root=root,
        )
    path = os.path.join(runs, run_id)
    _check_run(path)
    return path


def find_resumable(root: str, identity: str) -> str | None:
    """Return the folder of the latest run of an app that `flow.stop` did not end, or `None`.

    A run that is still running counts: `Journal.open` then refuses it and names its process. If it did not
    count, a second run would start next to it. A run whose folder is a link is refused and not passed over:
    a new run would run its completed calls again. If the link is broken, it may be a run of any app. The same
    goes for a run whose `run.json` or journal is damaged or missing, or can't be read.

    Args:
        root: Absolute folder that holds everything.
        identity: Identity of the app, as in `Journal.create`.

    Raises:
        JournalError: The latest run that may be of this app is damaged or can't be read.
        RootRefused: Another user could have written into the root or into the run, or that is a link.
    """
    runs = runs_folder(root)
    for run_id in reversed(list_runs(runs)):
        path = os.path.join(runs, run_id)
        if os.path.islink(path):
            is_asked = can_resume(path) and read_details(path).get("identity", identity) == identity
            if is_asked or _foreign_details(path) is not None:
                _check_run(path)
                return path
            continue
        _check_run(path)  # first: a folder of another user decides nothing
        if _may_resume_as(path, identity):
            return path
    return None


def _may_resume_as(path: str, identity: str) -> bool:
    """Return whether a run is of an app, has begun, and was not ended by its flow.

    Unlike `can_resume`, this does not pass over a damaged run, because that may be the one to resume.

    Args:
        path: Absolute path of the folder of the run, which is no link.
        identity: Identity of the app.

    Raises:
        JournalError: It may be a run of that app, and it is damaged or can't be read, or another user could
            have written its `run.json`.
    """
    details: dict[str, Any] | None = None
    trouble, is_denied = "", False
    for _ in range(2):  # again, because its process may write `run.json` and the journal before `has_begun`
        try:
            details = load_details(path, is_own=True)
            is_denied = False
            break
        except _ForeignDetails as error:
            with suppress(JournalError, NothingToResume):
                check_permissions(path)
                if read_identity(path) != identity:
                    return False
            raise _foreign(path, error) from None
        except (OSError, ValueError) as error:
            if not has_begun(path):
                return False
            trouble = f"its run.json can't be read: {_describe(error)}"
            is_denied = isinstance(error, PermissionError)
    if details is not None:
        found = details.get("identity")
        if details.get("state") == "stopped" or (found is not None and found != identity):
            return False
        trouble = "" if found is not None else _NAMELESS_TROUBLE
    if not has_journal(path):
        if not has_begun(path):
            return False
        trouble = trouble or f"its {FILE_NAME} is missing"
    if not trouble:
        return True
    with suppress(JournalError, NothingToResume):
        if read_identity(path) != identity:
            return False
    raise _unusable(path, trouble, _ADVICE_IF_DENIED if is_denied else _ADVICE_IF_DAMAGED)


def load_details_to_resume(path: str) -> dict[str, Any]:
    """Return the content of `run.json` of a run, after the checks of a resume.

    Args:
        path: Absolute path of the folder of the run.

    Raises:
        RootRefused: Another user could have written into the folder, or that is a link.
        JournalError: Another user could have written `run.json`, or it is damaged or can't be read.
    """
    _check_run(path)
    try:
        details = load_details(path, is_own=True)
    except _ForeignDetails as error:
        raise _foreign(path, error) from None
    except (OSError, ValueError) as error:
        is_denied = isinstance(error, PermissionError)
        advice = _ADVICE_IF_DENIED if is_denied else _ADVICE_IF_DAMAGED
        raise _unusable(path, f"its run.json can't be read: {_describe(error)}", advice) from None
    if "identity" not in details:
        raise _unusable(path, _NAMELESS_TROUBLE, _ADVICE_IF_DAMAGED)
    return details


def check_own_run(path: str) -> None:
    """Refuse a run whose folder or `run.json` another user could have written.

    Args:
        path: Absolute path of the folder of the run.

    Raises:
        RootRefused: Another user could have written into the folder, or that is a link.
        JournalError: Another user could have written `run.json`. One that can't be read is not refused here.
    """
    _check_run(path)
    if (error := _foreign_details(path)) is not None:
        raise _foreign(path, error)


def _foreign_details(path: str) -> _ForeignDetails | None:
    """Return the error that another user could have written the `run.json` of a run, or `None`."""
    try:
        load_details(path, is_own=True)
    except _ForeignDetails as error:
        return error
    except (OSError, ValueError):
        pass  # it is missing or damaged
    return None


def _foreign(path: str, error: _ForeignDetails) -> JournalError:
    """Return the error for a run whose `run.json` another user could have written."""
    return _unusable(path, f"its run.json can't be used: {error.strerror}", error.advice)


def _unusable(path: str, trouble: str, advice: str) -> JournalError:
    """Return the error for a run that is damaged, or that this user may not read."""
    return JournalError(
        f"the run {os.path.basename(path)!r} can't be resumed: {trouble}; {advice}, remove the folder "
        f"{path!r}, or start a new run with resume=False",
        file=os.path.join(path, FILE_NAME),
    )


def find_renamed(root: str, identity: str) -> tuple[str, str] | None:
    """Return the latest run that could be resumed, if only the class or only the script had not changed.

    Args:
        root: Absolute folder that holds everything.
        identity: Identity of the app, as in `Journal.create`: the script or module, `:`, the class.

    Returns:
        The id of the run and the identity of its app, or `None`.
    """
    runs = runs_folder(root)
    script, _, name = identity.rpartition(":")
    for run_id in reversed(list_runs(runs)):
        path = os.path.join(runs, run_id)
        found = str(read_details(path).get("identity", ""))
        if (found.startswith(f"{script}:") or found.endswith(f":{name}")) and can_resume(path):
            return run_id, found
    return None


def _check_run(path: str) -> None:
    if os.path.islink(path):
        raise RootRefused(
            f"the run {os.path.basename(path)!r} can't be resumed from {path!r}: {LINK_TROUBLE}", path=path
        )
    try:
        with opened(path, mode=UNSHARED):
            pass
    except PermissionError as error:
        if isinstance(error, RootRefused):
            raise
        trouble = f"its folder can't be read: {error.strerror}"
        raise _unusable(path, trouble, _ADVICE_IF_DENIED) from None


def has_begun(path: str) -> bool:
    """Return whether a run has had a journal; else its process is about to create it, or died before.

    If that can't be seen, it counts as begun, because a new run would run its completed calls again.

    Args:
        path: Absolute path of the folder of the run.
    """
    if has_journal(path):
        return True
    try:
        return load_details(path).get("has_journal") is not False
    except FileNotFoundError:
        pass  # `run.json` is written before the journal, so only one that was removed leaves traces
    except (OSError, ValueError):
        if not _is_empty(os.path.join(path, "run.json")):  # as a loss of power may leave it
            return True
    try:
        # NFS keeps files that were open when they were removed under names that begin with a dot.
        names = {name for name in os.listdir(path) if not name.startswith(".")}
        return bool(names - _NAMES_AT_START or ("logs" in names and os.listdir(os.path.join(path, "logs"))))
    except FileNotFoundError:  # the run was just removed
        return False
    except OSError:
        return True


def _is_empty(path: str) -> bool:
    try:
        return os.path.getsize(path) == 0
    except OSError:
        return False


def can_resume(path: str) -> bool:
    """Return whether a run has a journal and was not ended by its flow, with `stop` or `sys.exit(0)`.

    If its folder is a link, that may be broken for a while, so it counts as a run with a journal.
    """
    return (has_journal(path) or os.path.islink(path)) and read_details(path).get("state") != "stopped"


def read_details(path: str) -> dict[str, Any]:
    """Return the content of `run.json` of a run; an empty dict if it can't be read."""
    try:
        return load_details(path)
    except (OSError, ValueError):
        return {}


def load_details(path: str, *, is_own: bool = False) -> dict[str, Any]:
    """Return the content of `run.json` of a run, without fields of a wrong type.

    Args:
        path: Absolute path of the folder of the run.
        is_own: Whether a file is refused that another user could have written.

    Raises:
        OSError: It can't be read, or is not a regular file.
        ValueError: Its content is not a valid `run.json`.
    """
    data = read_regular(os.path.join(path, "run.json"), _MAX_DETAILS, _check_owner if is_own else None)
    if not data:
        raise ValueError("it is empty")
    try:
        details = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(details, dict):
        raise ValueError("it is not a JSON object")
    return {name: value for name, value in details.items() if isinstance(value, _FIELDS.get(name, (object,)))}


class _ForeignDetails(PermissionError):
    """Another user could have written a `run.json`."""

    advice = ""


def _check_owner(found: os.stat_result, path: str) -> None:
    if reason := check_own_file(found, path):
        error = _ForeignDetails(EACCES, reason, path)
        if found.st_uid != os.geteuid():
            error.advice = (
                f"resume it as that user, or, if you trust its content, run chown {os.geteuid()} "
                f"{shlex.quote(path)}"
            )
        else:
            error.advice = f"if you trust its content, run chmod -R go-w {shlex.quote(os.path.dirname(path))}"
        raise error


def _describe(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _seconds(iso: Any) -> float | None:
    try:
        seconds = datetime.fromisoformat(iso).timestamp()
        datetime.fromtimestamp(seconds)  # fails near the years 1 and 9999
        return seconds
    except (TypeError, ValueError, OverflowError):  # missing, or another program changed the file
        return None
