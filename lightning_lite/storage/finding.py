"""Finding and opening what is in a drive, without its lock wherever folders are replaced in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveAmbiguous, DriveNotFound, shown
from lightning_lite.storage.layout import Layout
from lightning_lite.storage.pinning import open_pinned
from lightning_lite.storage.store import Parts
from lightning_lite.storage.swapping import reads_need_lock

T = TypeVar("T")


class Finder:
    """Reads in the folders of one drive.

    Args:
        layout: These folders.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`, sorted."""
        if not self._layout.exists():
            return []
        owners = self._layout.owners(parts)
        if owners or not reads_need_lock(self._layout.aside):
            return owners
        with self._layout.changing():
            return self._layout.owners(parts)

    @contextmanager
    def opened(self, parts: Parts, owner: str | None) -> Iterator[int]:
        """Open what is at `parts`: one version of it, for the `with` block.

        Raises:
            DriveNotFound: Nothing is there.
            DriveAmbiguous: Several components have it, and `owner` does not say which one.
        """
        path = "/".join(parts)
        owners = [owner] if owner else self.owners(parts)
        if len(owners) > 1:
            raise DriveAmbiguous(
                f"We found several matching files created by multiples components: {owners}. "
                f"Pass component_name=... to choose one for {shown(path)}.",
                owners=owners,
            )
        fd = self._open(self._layout.space(owners[0]), parts) if self._layout.exists() and owners else None
        if fd is None:
            whose = f" of the component {shown(owner)}" if owner else ""
            raise DriveNotFound(
                f"We didn't find any match for the associated {shown(path)}{whose}; list() says what is."
            )
        try:
            yield fd
        finally:
            disk.close(fd)

    def read(
        self, parts: Parts, owner: str | None, reader: Callable[[int, str, str], list[T]], *, deep: bool
    ) -> list[list[T]]:
        """Return what `reader` finds at `parts`, for each component that has something there.

        Args:
            parts: Path in the drive.
            owner: Only this component.
            reader: Gets the open file or folder, its path, and the component.
            deep: Whether the reader goes down into folders. It then gets what is at the top one by one,
                because only folders below that can be pinned.
        """
        if not self._layout.exists():
            return []
        found = self._read(parts, owner, reader, deep)
        if not reads_need_lock(self._layout.aside):
            return found
        with self._layout.changing():
            return self._read(parts, owner, reader, deep)

    def _open(self, space: str, parts: Parts) -> int | None:
        with suppress(FileNotFoundError):
            return open_pinned(space, parts, self._layout.lock.path)
        if reads_need_lock(self._layout.aside):
            with self._layout.changing(), suppress(FileNotFoundError):
                return open_pinned(space, parts, self._layout.lock.path)
        return None

    def _read(
        self, parts: Parts, owner: str | None, reader: Callable[[int, str, str], list[T]], deep: bool
    ) -> list[list[T]]:
        found = []
        for name in [owner] if owner else self._layout.components():
            space = self._layout.space(name)
            for path in [parts] if parts or not deep else _children(space):
                try:
                    fd = open_pinned(space, path, self._layout.lock.path)
                except FileNotFoundError:
                    continue
                try:
                    found.append(reader(fd, "/".join(path), name))
                finally:
                    disk.close(fd)
        return found


def _children(space: str) -> list[Parts]:
    try:
        return [(name,) for name in disk.listdir(space)]
    except (FileNotFoundError, NotADirectoryError):
        return []
