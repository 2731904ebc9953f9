"""The interface of a store of drives: puts, gets, deletes and names files and folders, and waits for them.

A store keeps the files of one drive. It knows components and paths; callers, working directories and the
rules for names belong to `Drive`. This module imports no implementation, so that a second store (for example
an object store) can be written from it alone; `tests/storage/test_store_conformance.py` says what each store
must do.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, NamedTuple, Protocol

#: The parts of a path in a drive, below the folder of the component that owns it.
Parts = tuple[str, ...]

#: Called with the number of bytes after each piece of a transfer.
OnProgress = Callable[[int], None]


class Entry(NamedTuple):
    """One file or folder in a drive.

    Attributes:
        name: Path in the drive.
        size: Bytes; 0 for a folder.
        time: Time of the last change of its content, in seconds since 1970.
        owner: Component that put it.
        is_folder: Whether it is a folder.
    """

    name: str
    size: int
    time: float
    owner: str
    is_folder: bool


class Page(NamedTuple):
    """A part of the entries in a folder.

    Attributes:
        entries: The entries, sorted by name, then by owner.
        total: Number of all entries in the folder.
    """

    entries: list[Entry]
    total: int


class Source(NamedTuple):
    """A file or folder of the user that is put into a drive.

    Attributes:
        path: Its absolute path.
        folder: Absolute folder; symbolic links may not lead out of it.
        follow_symlinks: Whether symbolic links may lead out of `folder` all the same.
        check: Raises an error if a drive may not contain these names; called with the names in each folder
            and with the path of that folder below `path`.
        portable: Whether the store refuses a name that differs from an existing one only in case or Unicode
            form.
        keep_links: Whether symbolic links that stay inside the folder at `path` are stored as links.
        others: Absolute paths that the same `put` of the user stores as well.
    """

    path: str
    folder: str
    follow_symlinks: bool
    check: Callable[[list[str], str], None]
    portable: bool = False
    keep_links: bool = False
    others: Collection[str] = ()


class Destination(NamedTuple):
    """The place in the user's folders to which a `get` copies.

    Attributes:
        folder: Absolute folder that exists; symbolic links in `parts` may not lead out of it.
        parts: Path below `folder`; the store creates missing parent folders.
        overwrite: Whether an existing folder may be replaced; an existing file always is.
        follow_symlinks: Whether symbolic links in `parts` may lead out of `folder` all the same.
    """

    folder: str
    parts: Parts
    overwrite: bool = False
    follow_symlinks: bool = False


class Problem(NamedTuple):
    """A promise of drives that a drive does not keep.

    Attributes:
        path: Path below the folder of the drive; its first part is a component, or the store's own folder.
        what: The problem, as a main clause.
        advice: How to repair it.
    """

    path: str
    what: str
    advice: str


class CheckedFile(NamedTuple):
    """A file that `Store.verify` has read.

    Attributes:
        path: Path below the folder of the drive, as in `Problem`.
        size: Bytes.
        digest: SHA-256 of its content in hexadecimal digits, or "" if it was not requested.
    """

    path: str
    size: int
    digest: str


class Store(Protocol):
    """Keeps the files of one drive.

    `owner` is the component that put a path. Where it may be `None`, that means any component. `durable` says
    that the change must survive a loss of power once the method has returned.
    """

    def put(
        self,
        owner: str,
        parts: Parts,
        source: Source,
        *,
        exclusive: bool,
        move: bool,
        durable: bool,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Store a file or a folder as a whole, and replace the one that `owner` had there.

        Args:
            owner: Component that puts it.
            parts: Path in the drive.
            source: File or folder of the user.
            exclusive: Refuse if another component has something there.
            move: The source may be removed, so that the store need not copy it. If it can't be removed, or a
                process has it open for writing, it is copied and stays as it is, with a `DriveWarning`.
            durable: See the class.
            on_progress: Called after each piece.
        """

    def get(
        self,
        parts: Parts,
        destination: Destination,
        *,
        owner: str | None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Copy one version of a file or a folder to `destination`."""

    def delete(self, owner: str, parts: Parts, *, durable: bool) -> None:
        """Remove a file or folder that `owner` has put."""

    def names(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[str]:
        """Return the paths at and directly below `parts`, sorted and unique; only files if `recursive`."""

    def entries(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[Entry]:
        """Return the same with sizes, times and owners, sorted; one for each component that has a path."""

    def page(self, parts: Parts, *, owner: str | None, after: tuple[str, str], limit: int) -> Page:
        """Return some of the entries at and directly below `parts`, without reading the sizes of the others.

        Args:
            parts: Path in the drive.
            owner: See the class.
            after: Name and owner of the last entry of the page before, ("", "") for the first page.
            limit: Maximum number of entries.
        """

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`, sorted."""

    def is_folder(self, parts: Parts, *, owner: str | None) -> bool:
        """Return whether a folder is at `parts`."""

    def open(self, parts: Parts, *, owner: str | None) -> BinaryIO:
        """Open one version of a file for reading."""

    def wait(self, is_there: Callable[[], bool], timeout: float) -> bool:
        """Wait until `is_there()` is true, at most `timeout` seconds.

        Returns:
            Whether it became true.
        """

    def draft(self) -> AbstractContextManager[str]:
        """Give a free local path, from which a `put` with `move` is cheap.

        A file that is still there at the end of the `with` block is removed, or later if the process dies.
        """

    def local_path(self, owner: str, parts: Parts) -> str:
        """Return a path of this machine at which the file or folder can be read, but not changed.

        A store of another machine copies it there first. If `owner` has put nothing, the path does not exist.
        """

    def verify(self, *, hashes: bool) -> Iterator[Problem | CheckedFile]:
        """Compare the drive with the promises of drives, without changing it.

        Args:
            hashes: Whether to read all files and give their digests.

        Yields:
            Each file, and each problem, in the order of their paths.
        """
