"""The content of the drives at a place: the drives, their folders page by page, and their files.

`Path`, `Payload` and `FileSystem` keep their files in stores of their own. They are shown likewise, with
the ids `@paths`, `@payloads` and `@files`: no drive has such an id.

A path of the user passes the rules of the drives (`path_parts`) and is opened by the store, part by part and
without following links that lead out. Nothing is opened by a joined path.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import BinaryIO, NamedTuple

from lightning_lite.errors import LightningLiteError
from lightning_lite.monitor.file_previews import Preview, preview_of, probable_kind
from lightning_lite.root_access import opened
from lightning_lite.settings import resolve_root_mode
from lightning_lite.storage.base import Entry, Parts, Store
from lightning_lite.storage.errors import DriveNotFound, DrivePathError, shown, translate_errors
from lightning_lite.storage.fs.files import check_storable
from lightning_lite.storage.names import PROTOCOL, component_folder, path_parts
from lightning_lite.storage.stores import drive_names, open_private_store, open_store
from lightning_lite.store_url import is_url
from lightning_lite.trusted_roots import TRUSTED, is_trusted

#: The stores that are not drives, by id: the name of the store, and of its content.
ARTIFACTS = {
    "@paths": (".paths", "Files of Path"),
    "@payloads": (".payloads", "Objects of Payload"),
    "@files": (".files", "Files of FileSystem"),
}

#: The id of the objects of `Payload`. They are pickles, and reading a pickle can run code in it.
PAYLOADS = "@payloads"

#: Maximum of entries in one page of a folder.
LONGEST_PAGE = 5_000

#: Seconds that one answer may take to count the files of drives; the next answer continues.
COUNTING_TIME = 0.2

#: Entries that are counted in one piece.
_PIECE = 10_000

#: A count is repeated after this time in seconds, or after this multiple of the time that it took.
_SHORTEST_PERIOD = 5.0
_PERIOD_FACTOR = 20


class Totals:
    """Sums over the files of a drive.

    Args:
        entries: The entries to begin with.

    Attributes:
        files: Number of files.
        size: Bytes in them.
        changed: Time of the newest one, in seconds since 1970, or `None` if there is none.
        owners: The components that put them.

    Example:
        >>> totals = Totals([Entry("a.txt", 3, 10.0, "main", False)])
        >>> totals.files, totals.size, totals.owners
        (1, 3, {'main'})
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.files = self.size = 0
        self.changed: float | None = None
        self.owners: set[str] = set()
        self.add(entries)

    def add(self, entries: Iterable[Entry]) -> None:
        """Count the files among some entries."""
        for entry in entries:
            if not entry.is_folder:
                self.files += 1
                self.size += entry.size
                self.changed = entry.time if self.changed is None else max(self.changed, entry.time)
                self.owners.add(entry.owner)


class DriveSummary(NamedTuple):
    """One drive in the list of drives.

    Attributes:
        id: Its name, or one of `ARTIFACTS`.
        name: Its name for people: `lit://name`.
        entries: Number of files; `None` until they are counted.
        size: Bytes in them; `None` until they are counted.
        components: The components that put files.
        changed: Time of the newest file, in seconds since 1970, or `None`.
        trouble: Why the drive can't be read, or `None`.
    """

    id: str
    name: str
    entries: int | None = None
    size: int | None = None
    components: tuple[str, ...] = ()
    changed: float | None = None
    trouble: str | None = None


class DriveList(NamedTuple):
    """The drives of a root.

    Attributes:
        drives: The drives, sorted by name, then the stores of artifacts that are not empty.
        trouble: Why the root can't be read, or `None`.
    """

    drives: list[DriveSummary]
    trouble: str | None


class ShownEntry(NamedTuple):
    """One file or folder in a page of a folder.

    Attributes:
        name: Last part of its path.
        path: Path in the drive.
        component: Component that put it.
        kind: `file` or `folder`.
        size: Bytes; 0 for a folder.
        time: Time of the last change of its content, in seconds since 1970.
        preview: Probable kind of its preview, from its name, or `None`.
    """

    name: str
    path: str
    component: str
    kind: str
    size: int
    time: float
    preview: str | None


class FolderPage(NamedTuple):
    """A part of the entries of a folder.

    Attributes:
        path: Path of the folder, "" for the top.
        entries: The entries, sorted by name.
        total: Number of all entries of the folder.
        more: Whether entries follow.
        next: Argument `after` for the next page, or `None`.
    """

    path: str
    entries: list[ShownEntry]
    total: int
    more: bool
    next: str | None


class OpenDriveFile(NamedTuple):
    """A file of a drive that is open for reading; it stays the same version until it is closed.

    Attributes:
        file: The open file.
        name: Last part of its path.
        size: Bytes.
    """

    file: BinaryIO
    name: str
    size: int


class DriveContents:
    """Reads the drives of a root, or of an object store; several threads may use it at once.

    Args:
        root: Absolute folder or url that holds all drives.

    Example:
        >>> DriveContents("/no/such/root").drives()
        DriveList(drives=[], trouble=None)
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._listed: tuple[float, list[str]] = float("-inf"), []
        self._counts: dict[str, _Count] = {}
        self._counting = threading.Lock()

    def drives(self) -> DriveList:
        """Return the drives, with their sizes, as far as they are known.

        Big drives are counted piece by piece, so a call takes little more than `COUNTING_TIME` seconds.
        """
        try:
            names = {name: PROTOCOL + name for name in self._names()}
        except (LightningLiteError, OSError) as error:
            what = "object store" if is_url(self._root) else "root"
            return DriveList([], f"The {what} {shown(self._root)} can't be read: {sentence(error)}")
        names |= {drive: title for drive, (_, title) in ARTIFACTS.items()}
        if self._counting.acquire(blocking=False):  # else another thread counts
            try:
                self._count(names)
            finally:
                self._counting.release()
        counts = self._counts
        found = (counts[drive].summary(drive, name) for drive, name in names.items() if drive in counts)
        return DriveList(
            [one for one in found if one.id not in ARTIFACTS or one.entries or one.trouble], None
        )

    def folder(
        self,
        drive: str,
        path: str = "",
        component: str | None = None,
        after: str | None = None,
        limit: int = 500,
    ) -> FolderPage:
        """Return a part of the entries of a folder.

        Args:
            drive: Id of the drive.
            path: Path of the folder in the drive, "" for the top.
            component: Name of a component, to get only its files.
            after: Where the page begins: `next` of the page before.
            limit: Maximum number of entries, at most `LONGEST_PAGE`.

        Raises:
            DriveNotFound: There is no such drive, or no such path in it.
            DriveError: The path is not allowed, or it can't be read.
        """
        parts, owner = path_parts(path, portable=False), _owner(component)
        store = self._store(drive)
        with translate_errors("list", path):
            limit = max(1, min(limit, LONGEST_PAGE))
            page = store.page(parts, owner=owner, after=_parsed(after), limit=limit + 1)
            if parts and not page.total and not store.owners(parts):
                raise DriveNotFound(
                    f"{shown(path)} is not in the drive {shown(drive)}; it may just have been deleted."
                )
        entries, more = page.entries[:limit], len(page.entries) > limit
        following = json.dumps([entries[-1].name, entries[-1].owner]) if more else None
        return FolderPage("/".join(parts), [_shown(entry) for entry in entries], page.total, more, following)

    def open(self, drive: str, path: str, component: str | None = None) -> OpenDriveFile:
        """Open a file; the caller closes it.

        Args:
            drive: Id of the drive.
            path: Path of the file in the drive.
            component: Component that put it; needed if several have put this path.

        Raises:
            DriveNotFound: There is no such drive, or no such file in it.
            DriveError: The path is not allowed, or it is not a file, or it can't be read.
        """
        parts, owner = path_parts(path, portable=False), _owner(component)
        if not parts:
            raise DrivePathError("The path is empty; name a file in the drive.")
        store = self._store(drive)
        with translate_errors("open", path):
            file = store.open(parts, owner=owner)
            try:
                status = os.fstat(file.fileno())
                check_storable(status.st_mode, path)
            except BaseException:
                file.close()
                raise
        return OpenDriveFile(file, parts[-1], status.st_size)

    def preview(self, drive: str, path: str, component: str | None = None) -> Preview:
        """Return the preview of a file; see `open` for arguments and errors."""
        found = self.open(drive, path, component)
        with found.file, translate_errors("read", path):
            if drive == PAYLOADS:
                note = "The object is a pickle. It is not shown: reading a pickle can run code in it."
                return Preview(found.size, note=note)
            return preview_of(found.file, found.name, found.size)

    def _names(self) -> list[str]:
        """Return the names of the drives; an object store is not asked at each call."""
        if not is_url(self._root):
            with opened(self._root):
                return drive_names(self._root)
        read, names = self._listed
        if time.monotonic() - read > _SHORTEST_PERIOD:
            names = drive_names(self._root)
            self._listed = time.monotonic(), names
        return names

    def _store(self, drive: str) -> Store:
        """Return the store of a drive.

        Raises:
            DriveNotFound: There is no such drive.
            DriveRefused: Another user could have written into the root.
        """
        if drive not in ARTIFACTS and drive not in drive_names(self._root):
            raise DriveNotFound(
                f"There is no drive {shown(drive)} in this root; the list of drives has all of them."
            )
        return self._open_store(drive)

    def _open_store(self, drive: str) -> Store:
        if drive in ARTIFACTS:
            return open_private_store(self._root, ARTIFACTS[drive][0], make=False)
        if is_url(self._root):
            return open_store(self._root, drive)
        mode = resolve_root_mode(TRUSTED if is_trusted(self._root) else None, is_named=True)
        return open_store(self._root, drive, mode)

    def _count(self, drives: Iterable[str]) -> None:
        """Continue the counts of drives, and forget the counts of other drives."""
        self._counts = {
            drive: self._counts.get(drive) or _Count(partial(self._open_store, drive)) for drive in drives
        }
        deadline = time.monotonic() + COUNTING_TIME
        # The oldest result first: else drives that are counted again might keep others from a first count.
        for count in sorted(self._counts.values(), key=lambda count: count.due):
            count.advance(deadline)
            if time.monotonic() > deadline:
                return


class _Count:
    """Counts the files of a drive piece by piece, and again when the result is old.

    Only the folders that are still to be read are kept: no list of the files, and no open folder.

    Args:
        open_drive: Returns the store of the drive.

    Attributes:
        due: Time of the monotonic clock from which the files are counted again.
    """

    def __init__(self, open_drive: Callable[[], Store]) -> None:
        self.due = 0.0
        self._open = open_drive
        self._totals = Totals()
        self._folders: list[_Piece] = []
        self._spent = 0.0
        self._result: Totals | None = None
        self._trouble: str | None = None

    def summary(self, drive: str, name: str) -> DriveSummary:
        """Return the summary of the drive, as far as it was read."""
        if self._result is None or self._trouble is not None:
            return DriveSummary(drive, name, trouble=self._trouble)
        found = self._result
        return DriveSummary(
            drive, name, found.files, found.size, tuple(sorted(found.owners)), found.changed, trouble=None
        )

    def advance(self, deadline: float) -> None:
        """Count until a time of the monotonic clock, but at least one piece, if the result is old."""
        began = now = time.monotonic()
        if not self._folders:
            if now < self.due:
                return
            self._totals, self._spent, self._folders = Totals(), 0.0, [_Piece((), None)]
        self._trouble = None
        try:
            store = self._open()
            while self._folders and (now <= deadline or now == began):
                self._read(store, self._folders.pop())
                now = time.monotonic()
        except (LightningLiteError, OSError) as error:
            self._trouble = sentence(error)
            self._folders = []
        self._spent += now - began
        if not self._folders:
            self._result = self._totals
            self.due = now + max(_SHORTEST_PERIOD, _PERIOD_FACTOR * self._spent)

    def _read(self, store: Store, piece: _Piece) -> None:
        entries = store.page(piece.parts, owner=piece.owner, after=piece.after, limit=_PIECE).entries
        if len(entries) == _PIECE:
            self._folders.append(piece._replace(after=(entries[-1].name, entries[-1].owner)))
        self._totals.add(entries)
        self._folders += [
            _Piece(tuple(entry.name.split("/")), entry.owner) for entry in entries if entry.is_folder
        ]


class _Piece(NamedTuple):
    """A part of a folder that is still to be counted: its path, its owner, and the entry before the part."""

    parts: Parts
    owner: str | None
    after: tuple[str, str] = "", ""


def sentence(error: LightningLiteError | OSError) -> str:
    """Return the message of an error for people."""
    text = error.message if isinstance(error, LightningLiteError) else str(error.strerror or error)
    return text if text.endswith(".") else f"{text}."


def _owner(component: str | None) -> str | None:
    return component_folder(component) if component else None


def _shown(entry: Entry) -> ShownEntry:
    path = _encodable(entry.name)
    name = path.rpartition("/")[2]
    if entry.is_folder:
        return ShownEntry(name, path, entry.owner, "folder", 0, entry.time, None)
    return ShownEntry(name, path, entry.owner, "file", entry.size, entry.time, probable_kind(name))


def _encodable(name: str) -> str:
    """Return a name without bytes that are not UTF-8; in a drive, only names made by hand have some."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _parsed(after: str | None) -> tuple[str, str]:
    """Return the place at which a page begins, from the text in `FolderPage.next`."""
    if after is None:
        return "", ""
    try:
        match json.loads(after):
            case [str(name), str(owner)]:
                return name, owner
    except (ValueError, RecursionError):
        pass
    raise DrivePathError(f"The place {shown(after)} is not known; use `next` of the page before.")
