"""The calls of a run as a list with filters and pages, and one call in detail.

CallList.page      filters, place in the list ─▶ rows, newest first
describe_call      work and number ─▶ arguments, value, statuses, attempts, error, files
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from lightning_lite.engine.history import CallHistory, RunHistory
from lightning_lite.errors import LightningLiteError
from lightning_lite.monitor.traceback_frames import frames_of, type_of_error
from lightning_lite.monitor.value_links import Link, links_in
from lightning_lite.monitor.value_text import describe, read_value, write
from lightning_lite.runs.journal_values import JournalValue
from lightning_lite.status import WorkStageStatus
from lightning_lite.storage.stores import drive_names, open_private_store, open_store
from lightning_lite.store_url import is_url

#: Maximum number of calls in one page.
MAX_LIMIT = 1000

#: Seconds for which one page searches arguments and messages for a text.
_SEARCH_TIME = 0.3

#: Maximum number of characters of arguments, value and traceback of one call.
_MAX_TEXT = 64 * 1024

_STAGES = frozenset(stage for name, stage in vars(WorkStageStatus).items() if name.isupper()) | {"lost"}
_UNFINISHED = frozenset({"pending", "running"})

#: Files of a call that are listed, entries of drives that are looked at, and seconds for that.
_MAX_FILES = 200
_MAX_ENTRIES = 50_000
_FILES_TIME = 0.5

#: Seconds by which the time of a file may be outside the call: a file system counts in ticks of the kernel.
_TICK = 0.02

_ARTIFACTS = {".paths": "@paths", ".payloads": "@payloads"}


class CallList:
    """The calls of one run, in the order in which the flow requested them.

    It must not be used by two threads at once, nor while another one changes the history. A call that has
    ended is read once.

    Args:
        history: The history, which may grow.

    Example:
        >>> CallList(RunHistory()).page(is_running=False)
        {'calls': [], 'total': 0, 'more': False, 'next': None, 'looked': 0}
    """

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._calls: list[CallHistory] = []
        self._taken: dict[str, int] = {}
        self._open: list[int] = []  # positions of the calls that have not ended
        self._of_work: dict[str, list[int]] = {}
        self._ended: dict[str, list[int]] = {}  # by stage
        self._ended_of_work: dict[tuple[str, str], list[int]] = {}

    def page(
        self,
        *,
        is_running: bool,
        works: Sequence[str] = (),
        outcome: str | None = None,
        text: str = "",
        before: str | None = None,
        limit: int = 100,
    ) -> dict[str, Any]:
        """Return calls, the newest first, ready for JSON.

        Args:
            is_running: Whether the app is still running: else its calls without an end are lost.
            works: Names of the works; none for all.
            outcome: Stage that the calls have: one of `WorkStageStatus`, or `lost`.
            text: Text that their arguments or their message must contain; case does not matter.
            before: `next` of the page before; by default the newest calls are returned.
            limit: Maximum number of calls; at most 1000.

        Returns:
            `calls`; `total`, the number of all that fit, or `None` if a `text` is searched; `more`, whether
            there may be further ones; `next`, the place from which on; `looked`, the number of calls of which
            the text was searched. A search gives up after 0.3 seconds, and then has fewer calls and `more`.

        Raises:
            ValueError: An argument is none of these.
            LookupError: The run has no such work.
        """
        if outcome is not None and outcome not in _STAGES:
            raise ValueError(f"invalid outcome {outcome!r}: use one of {', '.join(sorted(_STAGES))}")
        if not 1 <= limit <= MAX_LIMIT:
            raise ValueError(f"the limit must be from 1 to {MAX_LIMIT}, got {limit}")
        for work in works:
            if work not in self._history.works:
                raise LookupError(f"the run has no work {work!r}")
        self._update()
        positions = self._find(works, outcome, is_running=is_running)
        total: int | None = len(positions)
        end = len(positions) if before is None else bisect_left(positions, _place(before))
        if not text:
            begin = max(0, end - limit)
            rows = [self._row(position, is_running) for position in reversed(positions[begin:end])]
            looked = 0
        else:
            begin, rows = self._search(positions, end, text.casefold(), limit, is_running)
            total, looked = None, end - begin
        after = str(positions[begin]) if begin else None
        return {"calls": rows, "total": total, "more": begin > 0, "next": after, "looked": looked}

    def _search(
        self, positions: Sequence[int], end: int, text: str, limit: int, is_running: bool
    ) -> tuple[int, list[dict[str, Any]]]:
        """Return the position at which the search ended, and the rows that contain a text."""
        rows: list[dict[str, Any]] = []
        due = time.monotonic() + _SEARCH_TIME
        while end and len(rows) < limit and time.monotonic() < due:
            end -= 1
            call = self._calls[positions[end]]
            if text in call.message.casefold() or text in call.arguments.casefold():
                rows.append(row_of(call, is_running=is_running))
        return end, rows

    def _row(self, position: int, is_running: bool) -> dict[str, Any]:
        return row_of(self._calls[position], is_running=is_running)

    def _update(self) -> None:
        """Read the calls that were requested or have ended since the last update."""
        new: list[CallHistory] = []
        for name, work in self._history.works.items():
            new += work.calls[self._taken.get(name, 0) :]
            self._taken[name] = len(work.calls)
        new.sort(key=lambda call: call.asked)
        for position, call in enumerate(new, len(self._calls)):
            self._of_work.setdefault(call.work, []).append(position)
            self._open.append(position)
        self._calls += new
        still_open: list[int] = []
        for position in self._open:
            call = self._calls[position]
            if not call.is_final:
                still_open.append(position)
                continue
            insort(self._ended.setdefault(call.stage, []), position)
            insort(self._ended_of_work.setdefault((call.work, call.stage), []), position)
        self._open = still_open

    def _find(self, works: Sequence[str], outcome: str | None, *, is_running: bool) -> Sequence[int]:
        """Return the positions of the calls of works with an outcome, sorted."""
        if outcome is None:
            if not works:
                return range(len(self._calls))
            return _merged(self._of_work.get(work, ()) for work in dict.fromkeys(works))
        if works:
            known = _merged(self._ended_of_work.get((work, outcome), ()) for work in dict.fromkeys(works))
        else:
            known = self._ended.get(outcome, ())
        unended = [
            position
            for position in self._open
            if (not works or self._calls[position].work in works)
            and stage_of(self._calls[position], is_running=is_running) == outcome
        ]
        return _merged((known, unended)) if unended else known


def stage_of(call: CallHistory, *, is_running: bool) -> str:
    """Return the stage of a call; a call without an end is lost if its app is not running."""
    stage = call.stage
    return "lost" if not is_running and stage in _UNFINISHED else stage


def row_of(call: CallHistory, *, is_running: bool) -> dict[str, Any]:
    """Return a call as a row of a list, ready for JSON.

    Args:
        call: The call.
        is_running: Whether its app is still running.
    """
    attempts = call.attempts
    is_over = call.is_final or call.stage not in _UNFINISHED
    ended = call.lost_at if call.lost_at is not None else call.statuses[-1].timestamp
    return {
        "work": call.work,
        "number": call.number,
        "key": call.key,
        "stage": stage_of(call, is_running=is_running),
        "asked": call.asked,
        "began": attempts[0].began if attempts else None,
        "ended": ended if is_over else None,
        "attempts": len(attempts),
        "arguments": call.arguments,
        "message": call.message,
    }


def find_call(history: RunHistory, work: str, number: int) -> CallHistory:
    """Return a call; the newest one if several have the number.

    Raises:
        LookupError: There is none; the text says why.
    """
    known = history.works.get(work)
    if known is None:
        raise LookupError(f"the run has no work {work!r}")
    for call in reversed(known.calls):
        if call.number == number:
            return call
    if 1 <= number <= known.num_calls:
        raise LookupError(f"call {number} of {work} is no longer listed: the journal keeps only newer ones")
    raise LookupError(f"{work} has made {known.num_calls} calls, so there is no call {number}")


def describe_call(
    history: RunHistory, work: str, number: int, *, root: str | None, is_running: bool
) -> dict[str, Any]:
    """Return one call in detail, ready for JSON.

    Args:
        history: The history of the run.
        work: Name of the work.
        number: Number of the call.
        root: Absolute folder or url of the drives, to find files of the call; `None` to not look for them.
        is_running: Whether the app is still running.

    Returns:
        The fields of a row; `arguments` as a long text, and `is_known` whether the journal has them; `value`
        (text, type, size and truncated, or `None`); `statuses`; `attempts`; `error` (type, message, traceback
        and frames, or `None`); `links`, the drives, paths and payloads in arguments and value; `files` that
        the work has put while the call ran, and `files_are_all`; `log`, the times of its output.

    Raises:
        LookupError: There is no such call.
    """
    call = find_call(history, work, number)
    packed, value = call.packed_arguments, call.record.stored_value
    attempts = call.attempts
    row = row_of(call, is_running=is_running)
    began = attempts[0].began if attempts else None
    ended = row["ended"] if row["ended"] is not None else (None if is_running else history.last_time)
    files: list[dict[str, Any]] = []
    are_all = True
    if root is not None and began is not None:
        files, are_all = find_files(root, work, began, ended)
    return {
        **row,
        "arguments": "..." if packed is None else _arguments(packed),
        "is_known": packed is not None,
        "value": _value(value),
        "statuses": [
            {
                "stage": status.stage,
                "time": status.timestamp,
                "reason": status.reason,
                "message": status.message,
                "attempt": status.count,
            }
            for status in call.statuses
        ],
        "attempts": [
            {
                **attempt._asdict(),
                "outcome": "lost" if attempt.outcome == "running" and not is_running else attempt.outcome,
            }
            for attempt in attempts
        ],
        "error": _error(call),
        "links": _links(packed, value),
        "files": files,
        "files_are_all": are_all,
        "log": {"from": began, "to": ended},
    }


def _arguments(packed: bytes) -> str:
    """Return the arguments as the flow would write them, on several lines if they are long."""
    try:
        args, kwargs = read_value(packed)
    except Exception:  # noqa: BLE001 - odd data fail in many ways; the text says so
        return describe(packed, _MAX_TEXT).text
    parts = [_part(value) for value in args]
    parts += [f"{name}={_part(value)}" for name, value in kwargs.items()]
    text = ", ".join(parts)
    if len(text) > 100 or "\n" in text:
        text = ",\n".join(parts)
    return text[:_MAX_TEXT]


def _part(value: Any) -> str:
    return write(value, _MAX_TEXT, is_long=not isinstance(value, str))[0]


def _value(packed: Any) -> dict[str, Any] | None:
    """Return the answer as text; `None` if there is none, or if it is no longer known."""
    if not isinstance(packed, bytes | JournalValue):
        return None
    return describe(packed, _MAX_TEXT, is_long=True).to_dict()


def _error(call: CallHistory) -> dict[str, Any] | None:
    """Return why a call has failed, or why its last attempt that failed did."""
    failure = call.record.failure
    if failure is not None:
        reason, message, text = failure.reason, failure.message, failure.traceback
    else:
        failed = [status for status in call.statuses if status.stage == WorkStageStatus.FAILED]
        if not failed:
            return None
        reason, message, text = failed[-1].reason or "", failed[-1].message, failed[-1].traceback
    frames = [
        {
            "file": frame.file,
            "line": frame.line,
            "function": frame.function,
            "source": frame.source,
            "user": frame.is_user,
        }
        for frame in frames_of(text)
    ]
    return {
        "type": type_of_error(text),
        "reason": reason,
        "message": message,
        "traceback": text[-_MAX_TEXT:],
        "frames": frames,
    }


def _links(arguments: bytes | None, value: Any) -> list[dict[str, Any]]:
    found: dict[tuple[str, Link], None] = {}
    for where, packed in (("arguments", arguments), ("value", value)):
        if isinstance(packed, bytes | JournalValue):
            with suppress(Exception):  # odd data: their text says what is wrong
                found.update(((where, link), None) for link in links_in(read_value(packed)))
    return [
        {"kind": link.kind, "name": link.name, "origin": link.origin, "where": where} for where, link in found
    ]


# Files.


def find_files(root: str, work: str, began: float, ended: float | None) -> tuple[list[dict[str, Any]], bool]:
    """Return the files in the drives of a root that a work has put in a range of time.

    A put keeps the time of the content of a file, so the time at which the file came to its place counts. A
    file that a later put has replaced is not found. An object store does not know this time, so that no files
    are found there.

    Args:
        root: Absolute folder or url of the drives.
        work: Name of the work.
        began: Begin of the range in seconds since 1970.
        ended: End of the range, or `None` for now.

    Returns:
        The newest 200 files, the newest first, and whether these are all.
    """
    if is_url(root):
        return [], False
    found: list[tuple[float, str, str, int]] = []
    due = time.monotonic() + _FILES_TIME
    num_seen = 0
    is_complete = True
    for drive, folder in _folders(root, work):
        for path, size, moment in _files_below(folder):
            num_seen += 1
            if began - _TICK <= moment and (ended is None or moment <= ended + _TICK):
                found.append((moment, drive, path, size))
            if num_seen > _MAX_ENTRIES or (num_seen % 100 == 0 and time.monotonic() > due):
                is_complete = False
                break
        if not is_complete:
            break
    found.sort(reverse=True)
    files = [
        {
            "drive": drive,
            "path": path,
            "component": work,
            "size": size,
            "time": moment,
            "kind": "file",
        }
        for moment, drive, path, size in found[:_MAX_FILES]
    ]
    return files, is_complete and len(found) <= _MAX_FILES


def _folders(root: str, work: str) -> Iterator[tuple[str, str]]:
    """Yield the drives of a root and the folder of a work in each, which may be missing."""
    if not work or "/" in work or work in (".", ".."):
        return
    with suppress(LightningLiteError, OSError):
        for name in drive_names(root):
            with suppress(LightningLiteError, OSError):
                yield name, open_store(root, name).local_path(work, ())
    for name, shown in _ARTIFACTS.items():
        with suppress(LightningLiteError, OSError):
            yield shown, open_private_store(root, name, make=False).local_path(work, ())


def _files_below(folder: str) -> Iterator[tuple[str, int, float]]:
    """Yield path, size and time of arrival of each file below a folder; links are not followed."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            with os.scandir(os.path.join(folder, prefix)) as entries:
                for entry in entries:
                    path = f"{prefix}/{entry.name}" if prefix else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(path)
                        continue
                    with suppress(OSError):  # just removed
                        info = entry.stat(follow_symlinks=False)
                        yield path, info.st_size, info.st_ctime
        except OSError:
            continue  # removed, or of another user


def _merged(lists: Iterable[Sequence[int]]) -> Sequence[int]:
    found = [positions for positions in lists if positions]
    if len(found) == 1:
        return found[0]
    return sorted(position for positions in found for position in positions)


def _place(before: str) -> int:
    if not before.isdecimal() or len(before) > 15:
        raise ValueError(f"invalid place {before!r} in the list of calls: use `next` of an earlier page")
    return int(before)
