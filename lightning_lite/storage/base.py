"""The interface of a store of drives: put, list, get and delete of files and folders.

A store knows components and paths, not callers, working directories or rules for names: those are the
drive's. `local.LocalStore` keeps plain files; one conformance suite holds for every store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO, NamedTuple, Protocol

from lightning_lite.storage.fs.copy import Told
from lightning_lite.storage.fs.symlinks import Bounds
from lightning_lite.storage.local.delivery import Destination

#: A path in a drive, below the component that put it.
Parts = tuple[str, ...]


class Entry(NamedTuple):
    """One file or folder in a drive.

    Attributes:
        name: Path in the drive.
        size: Bytes; 0 for a folder.
        time: When its content was written, in seconds since 1970.
        owner: Component that put it.
        is_folder: Whether it is a folder.
    """

    name: str
    size: int
    time: float
    owner: str
    is_folder: bool


class Source(NamedTuple):
    """What is to be put.

    Attributes:
        path: Absolute path of a file or folder.
        bounds: Opens it and what links in it point to.
        admit: Refuses a folder with names that no drive may have; gets them, and its path below `path`.
        portable: Whether a name is refused that is another spelling of one which is there.
    """

    path: str
    bounds: Bounds
    admit: Callable[[list[str], str], None]
    portable: bool = False


class Store(Protocol):
    """Where the files of one drive are.

    `told` is told the number of bytes after each piece of a transfer; `durable` means that what a
    verb did survives the loss of power when it returns.
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
        told: Told,
    ) -> None:
        """Store a file or a folder, all of it or nothing, in the place of what `owner` had there.

        Args:
            owner: Component that puts it.
            parts: Where.
            source: What.
            exclusive: Refuse if another component has something there.
            move: The source may be used up.
            durable: See above.
            told: See above.
        """

    def get(self, parts: Parts, destination: Destination, *, owner: str | None, told: Told) -> None:
        """Bring one version of a file or a folder to `destination`."""

    def delete(self, owner: str, parts: Parts, *, durable: bool) -> None:
        """Remove what `owner` has put there."""

    def names(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[str]:
        """Return the paths at and just below `parts`, sorted, each once; only files if `recursive`."""

    def entries(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[Entry]:
        """Return the same with sizes, times and owners, sorted; one for each component that has it."""

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`, sorted."""

    def open(self, parts: Parts, *, owner: str | None) -> BinaryIO:
        """Open a file where it is, for reading."""

    def wait(self, is_there: Callable[[], bool], timeout: float) -> bool:
        """Wait at most `timeout` seconds until something new lets `is_there()` be true; say whether it is."""
