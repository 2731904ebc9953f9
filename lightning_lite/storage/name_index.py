"""An index of the names in each big folder of a drive, so that a new one is not compared with all of them.

It says of a name that no spelling of it is there, or that one may be: then all names are looked at. It
counts only while its folder is as it was told. Who holds the drive's lock tells it each change; one that
somebody else made, or did not live to tell, shows in the folder's time of change, and the next new name
lets it be built anew. So it may be lost or out of date at any time, and never lacks a name unnoticed.

Each folder has one file, called by its inode: what the folder was, then pages of hashes, 0 for none yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from zlib import crc32

from lightning_lite.storage import disk
from lightning_lite.storage.spelling import folded, has_one_spelling, is_there, refuse_other
from lightning_lite.storage.staging import Aside

#: Bytes of a folder's own, from which on it has an index: one or two hundred names on most file systems.
BIG = 4097

#: Indexes in a drive; all are removed when there would be more, so that none outlives its folder for long.
MOST = 64

_HEAD = 128
_PAGE = 4096
_HASH = 4

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NameIndex:
    """The names in the big folders of one drive.

    Args:
        folder: For the indexes; made when it is needed.
        aside: For one that is being built.
    """

    def __init__(self, folder: str, aside: Aside) -> None:
        self._folder = folder
        self._aside = aside

    def refuse_other_spelling(self, folder: str, parts: tuple[str, ...], *, is_locked: bool) -> None:
        """Refuse a path of which another spelling is there.

        Args:
            folder: Where the path begins; nothing is refused if it does not exist.
            parts: The path.
            is_locked: Whether the drive's lock is held, so that an index may be built.

        Raises:
            DriveNameClash: It is; the message says which.
        """
        for depth, part in enumerate(parts):
            place = "/".join((folder, *parts[:depth]))
            if has_one_spelling(part) or is_there(place, part):
                continue  # what is there was let in
            found = disk.look(place)
            if found is None:
                return
            if self._surely_lacks(found, part):
                continue
            try:
                names = disk.listdir(place)
            except (FileNotFoundError, NotADirectoryError):
                return
            refuse_other(part, names, "/".join(parts[:depth]))
            if is_locked and _has_index(found):
                with suppress(OSError):
                    self._build(found, names)

    @contextmanager
    def told(self, path: str) -> Iterator[None]:
        """Keep the index of a folder true while the name at `path` in it is changed in the `with` block.

        Called with the drive's lock held. Where that fails, the index is out of date, and the change goes on.
        """
        folder, _, name = path.rpartition("/")
        found = disk.look(folder)
        fd = None if found is None else self._open(found)
        if fd is None:
            yield
            return
        try:
            is_known = _add(fd, name)
            yield
            if is_known:
                with suppress(OSError):
                    disk.pwrite(fd, _head(disk.stat(folder)), 0)
        finally:
            disk.close(fd)

    def _surely_lacks(self, folder: os.stat_result, name: str) -> bool:
        fd = self._open(folder)
        if fd is None:
            return False
        try:
            with suppress(OSError):
                number = _hash(name)
                return not _has(_page(fd, number)[1], number)
            return False
        finally:
            disk.close(fd)

    def _open(self, folder: os.stat_result) -> int | None:
        """Return the open index of a folder, or `None` if it has none that is up to date."""
        if not _has_index(folder):
            return None
        try:
            fd = disk.open_file(self._path(folder), _OPEN)
        except OSError:
            return None
        with suppress(OSError):
            if disk.pread(fd, _HEAD, 0) == _head(folder) and disk.fstat(fd).st_size >= _HEAD + _PAGE:
                return fd
        disk.close(fd)
        return None

    def _build(self, folder: os.stat_result, names: list[str]) -> None:
        """Make the index of a folder in which these names were found after it was looked at."""
        content = _head(folder) + b"".join(_pages({_hash(name) for name in names}))
        self._make_room()
        with self._aside.new_file() as staged:
            if disk.write(staged.fd, content) == len(content):  # else the disk is full
                disk.rename(staged.path, self._path(folder))
                staged.is_placed = True

    def _make_room(self) -> None:
        with suppress(FileExistsError):
            disk.mkdir(self._folder, 0o700)
        names = disk.listdir(self._folder)
        for name in names if len(names) >= MOST else ():
            disk.unlink(f"{self._folder}/{name}")

    def _path(self, folder: os.stat_result) -> str:
        return f"{self._folder}/{folder.st_ino:x}"


def _has_index(folder: os.stat_result) -> bool:
    return folder.st_size >= BIG and disk.boot_id() is not None


def _head(folder: os.stat_result) -> bytes:
    """Return what an index begins with if it is true for a folder that is as it is now.

    The machine's start belongs to it: after a loss of power, parts of a file may be older than others.
    """
    text = f"1 {disk.boot_id()} {folder.st_dev:x} {folder.st_ctime_ns:x}\n"
    return text.encode().ljust(_HEAD)


def _hash(name: str) -> int:
    """Return what all spellings of a name have in common, and seldom two names; not 0."""
    return crc32(os.fsencode(folded(name))) or 1


def _packed(number: int) -> bytes:
    return number.to_bytes(_HASH, "little")


def _pages(numbers: set[int]) -> list[bytes]:
    """Return the pages of an index of these hashes, about half of them free."""
    count = 2 * _HASH * len(numbers) // _PAGE + 1
    while True:
        pages = [bytearray() for _ in range(count)]
        for number in numbers:
            pages[number % count] += _packed(number)
        if max(map(len, pages)) <= _PAGE:
            return [bytes(page).ljust(_PAGE, b"\0") for page in pages]
        count *= 2


def _page(fd: int, number: int) -> tuple[int, bytes]:
    """Return where in an index the page of a hash begins, and the page."""
    count = (disk.fstat(fd).st_size - _HEAD) // _PAGE
    start = _HEAD + number % count * _PAGE
    return start, disk.pread(fd, _PAGE, start)


def _has(page: bytes, number: int) -> bool:
    at = page.find(_packed(number))
    while at > 0 and at % _HASH:  # parts of two others
        at = page.find(_packed(number), at + 1)
    return at >= 0


def _add(fd: int, name: str) -> bool:
    """Add a name to an open index; return whether it has it, or there is no room on the page or the disk."""
    if has_one_spelling(name):
        return True  # nobody asks for it
    number = _hash(name)
    with suppress(OSError):
        start, page = _page(fd, number)
        if _has(page, number):
            return True
        end = -(-len(page.rstrip(b"\0")) // _HASH) * _HASH
        return end < _PAGE and disk.pwrite(fd, _packed(number), start + end) == _HASH
    return False
