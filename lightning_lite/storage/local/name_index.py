"""Index of the names in a big folder of a drive, so that a new name is not compared with all others.

It says of a name that no spelling of it is there, or that one may be: then all names are looked at. It
counts only while its folder is as it was told. Who holds the drive's lock tells it each change; one that
somebody else made, or did not live to tell, shows in the folder's time of change, and the next new name
lets it be built anew. So it may be lost or out of date at any time; it lacks a name unnoticed only if that
came by hand in the very moment of a put. Where times of change are too coarse to tell, there is none.

Each folder has one file, called by its inode: what the folder was, then pages of hashes, 0 for none yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from sys import getfilesystemencoding
from unicodedata import unidata_version
from zlib import crc32

from lightning_lite.storage.case_folding import folded, has_one_spelling, is_there, refuse_other
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.probe import tells_changes
from lightning_lite.storage.local.staging import Aside

#: Bytes of a folder's own, from which on it has an index: one or two hundred names on most file systems.
BIG = 4097

#: Indexes in a drive; all are removed when there would be more, so that none outlives its folder for long.
MOST = 1024

_HEAD_SIZE = 128
_PAGE_SIZE = 4096
_HASH_SIZE = 4

#: What the hash of a name depends on.
_DIALECT = f"{unidata_version} {getfilesystemencoding()}"

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
        self._is_possible: bool | None = None  # nobody has tried yet

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
            found = syscalls.look(place)
            if found is None:
                return
            lacks = self._lacks(found, part)
            if lacks:
                continue
            try:
                names = syscalls.listdir(place)
            except (FileNotFoundError, NotADirectoryError):
                return
            refuse_other(part, names, "/".join(parts[:depth]))
            if is_locked and lacks is None and found.st_size >= BIG:
                with suppress(OSError):
                    self._build(found, names)

    @contextmanager
    def kept_current(self, path: str) -> Iterator[None]:
        """Keep the index of a folder true while the name at `path` in it is changed in the `with` block.

        Called with the drive's lock held. Where that fails, the index is void, and the change goes on.
        """
        folder, _, name = path.rpartition("/")
        found = syscalls.look(folder)
        if found is None or (fd := self._open(found)) is None:
            yield
            return
        try:
            if not _add(fd, name):
                with suppress(OSError):
                    syscalls.pwrite(fd, bytes(_HEAD_SIZE), 0)
            yield
            with suppress(OSError):
                if _is_true(fd, found):  # else it is void, or a signal handler has put here, too
                    syscalls.pwrite(fd, _head(syscalls.stat(folder)), 0)
        finally:
            syscalls.close(fd)

    def _lacks(self, folder: os.stat_result, name: str) -> bool | None:
        """Return whether no spelling of a name is there for sure, or `None` if no index can say."""
        fd = self._open(folder)
        if fd is None:
            return None
        try:
            with suppress(OSError):
                number = _hash(name)
                return not _holds(_page(fd, number)[1], number)
            return None
        finally:
            syscalls.close(fd)

    def _open(self, folder: os.stat_result) -> int | None:
        """Return the open index of a folder, or `None` if it has none that is up to date."""
        if folder.st_size < BIG:
            return None
        try:
            fd = syscalls.open_file(self._path(folder), _OPEN)
        except OSError:
            return None
        with suppress(OSError):
            if _is_true(fd, folder):
                return fd
        syscalls.close(fd)
        return None

    def _build(self, folder: os.stat_result, names: list[str]) -> None:
        """Make the index of a folder in which these names were found after it was looked at."""
        if self._is_possible is False:
            return
        with self._aside.new_file() as staged:
            if self._is_possible is None:
                is_told = tells_changes(self._aside.folder, staged.fd)
                self._is_possible = is_told and syscalls.boot_id() is not None
                if not self._is_possible:
                    return
            self._make_room()
            content = _head(folder) + b"".join(_pages({_hash(name) for name in names}))
            if syscalls.write(staged.fd, content) == len(content):  # else the disk is full
                syscalls.rename(staged.path, self._path(folder))
                staged.is_placed = True

    def _make_room(self) -> None:
        with suppress(FileExistsError):
            syscalls.mkdir(self._folder, 0o700)
        names = syscalls.listdir(self._folder)
        if len(names) >= MOST:
            for name in names:
                syscalls.unlink(f"{self._folder}/{name}")

    def _path(self, folder: os.stat_result) -> str:
        return f"{self._folder}/{folder.st_ino:x}"


def _head(folder: os.stat_result) -> bytes:
    """Return what an index begins with if it is true for a folder that is as it is now.

    The machine's start belongs to it, because after a loss of power parts of a file may be older than others.
    """
    text = f"1 {syscalls.boot_id()} {_DIALECT} {folder.st_dev:x} {folder.st_ctime_ns:x}\n"
    return text.encode().ljust(_HEAD_SIZE)


def _is_true(fd: int, folder: os.stat_result) -> bool:
    return (
        syscalls.pread(fd, _HEAD_SIZE, 0) == _head(folder)
        and syscalls.fstat(fd).st_size >= _HEAD_SIZE + _PAGE_SIZE
    )


def _hash(name: str) -> int:
    """Return what all spellings of a name have in common, and seldom two names; not 0."""
    return crc32(folded(name).encode(errors="surrogatepass")) or 1


def _packed(number: int) -> bytes:
    return number.to_bytes(_HASH_SIZE, "little")


def _pages(numbers: set[int]) -> list[bytes]:
    """Return the pages of an index of these hashes, about half of them free."""
    count = 2 * _HASH_SIZE * len(numbers) // _PAGE_SIZE + 1
    while True:
        pages = [bytearray() for _ in range(count)]
        for number in numbers:
            pages[number % count] += _packed(number)
        if max(map(len, pages)) <= _PAGE_SIZE:
            return [bytes(page).ljust(_PAGE_SIZE, b"\0") for page in pages]
        count *= 2


def _page(fd: int, number: int) -> tuple[int, bytes]:
    """Return where in an index the page of a hash begins, and the page."""
    count = (syscalls.fstat(fd).st_size - _HEAD_SIZE) // _PAGE_SIZE
    start = _HEAD_SIZE + number % count * _PAGE_SIZE
    return start, syscalls.pread(fd, _PAGE_SIZE, start)


def _holds(page: bytes, number: int) -> bool:
    at = page.find(_packed(number))
    while at > 0 and at % _HASH_SIZE:  # parts of two others
        at = page.find(_packed(number), at + 1)
    return at >= 0


def _add(fd: int, name: str) -> bool:
    """Add a name to an open index; return whether it is in it, not so if its page or the disk is full."""
    if has_one_spelling(name):
        return True  # nobody asks for it
    number = _hash(name)
    with suppress(OSError):
        start, page = _page(fd, number)
        if _holds(page, number):
            return True
        end = -(-len(page.rstrip(b"\0")) // _HASH_SIZE) * _HASH_SIZE
        return end < _PAGE_SIZE and syscalls.pwrite(fd, _packed(number), start + end) == _HASH_SIZE
    return False
