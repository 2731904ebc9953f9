"""Index of the names in a big folder of a drive, so that a new name is not compared with all others.

For a name it answers that no other form of it (in case or Unicode) exists, or that one may exist; then all
names are compared. The index is valid only if its folder is unchanged since the last update. The holder of
the drive's lock records each change. A change by another program, or by a process that died, changes the
ctime of the folder, and the next new name rebuilds the index. So an index may be lost or out of date at any
time. It misses a name only if another program creates that name during a put. Where ctime is too coarse, no
index is made.

Each folder has one file, named by its inode: a header with the state of the folder, then pages of hashes, 0
for a free slot.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from sys import getfilesystemencoding
from unicodedata import unidata_version
from zlib import crc32

from lightning_lite.process_places import boot_id
from lightning_lite.root_access import CLOSED
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.probe import has_precise_ctime
from lightning_lite.storage.names import folded, refuse_other_form
from lightning_lite.storage.transfer.staging import StagingFolder

#: Size in bytes (`st_size`) of a folder that gets an index: it has one or two hundred names.
BIG = 4097

#: Most indexes in a drive; at this number all are removed, because some belong to deleted folders.
MOST = 1024

_HEAD_SIZE = 128
_PAGE_SIZE = 4096
_HASH_SIZE = 4

#: Everything else on which the hash of a name depends.
_DIALECT = f"{unidata_version} {getfilesystemencoding()}"

_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class NameIndex:
    """The names in the big folders of one drive.

    Args:
        folder: Folder of the indexes; created when needed.
        staging: Folder in which a new index is built.
    """

    def __init__(self, folder: str, staging: StagingFolder) -> None:
        self._folder = folder
        self._staging = staging
        self._is_possible: bool | None = None  # not tested yet

    def refuse_other_form(self, folder: str, parts: tuple[str, ...], *, is_locked: bool) -> None:
        """Refuse a path if another form of it, in case or Unicode, exists.

        Args:
            folder: Folder to which the path is relative; nothing is refused if it does not exist.
            parts: The path.
            is_locked: Whether the drive's lock is held, so that an index may be built.

        Raises:
            DriveNameClash: Another form exists; the message names it.
        """
        for depth, part in enumerate(parts):
            place = "/".join((folder, *parts[:depth]))
            if _has_one_form(part) or _is_there(place, part):
                continue  # it was checked when it was put
            found = syscalls.stat_if_exists(place)
            if found is None:
                return
            lacks = self._lacks(found, part)
            if lacks:
                continue
            try:
                names = syscalls.listdir(place)
            except (FileNotFoundError, NotADirectoryError):
                return
            refuse_other_form(part, names, "/".join(parts[:depth]))
            if is_locked and lacks is None and found.st_size >= BIG:
                with suppress(OSError):
                    self._build(found, names)

    @contextmanager
    def kept_current(self, path: str) -> Iterator[None]:
        """Update the index of a folder for the change of the name at `path` in the `with` block.

        The drive's lock is held. If the update fails, the index becomes invalid, and the change is made.
        """
        folder, _, name = path.rpartition("/")
        found = syscalls.stat(folder, follow_symlinks=False)
        index = self._open(found)
        if index is None:
            yield
            return
        try:
            if not index.add(name):
                index.invalidate()
            yield
            with suppress(OSError):
                if index.is_valid(found):  # else `add` failed, or a signal handler has put into this folder
                    index.validate(syscalls.stat(folder))
        finally:
            index.close()

    def _lacks(self, folder: os.stat_result, name: str) -> bool | None:
        """Return true if no form of a name exists, false if one may; `None` without a valid index."""
        index = self._open(folder)
        if index is None:
            return None
        try:
            with suppress(OSError):
                return not index.may_have(name)
            return None
        finally:
            index.close()

    def _open(self, folder: os.stat_result) -> _OpenIndex | None:
        """Return the valid index of a folder, or `None` if it has none."""
        if folder.st_size < BIG:
            return None
        try:
            index = _OpenIndex(syscalls.open_file(self._path(folder), _OPEN))
        except OSError:
            return None
        with suppress(OSError):
            if index.is_valid(folder):
                return index
        index.close()
        return None

    def _build(self, folder: os.stat_result, names: list[str]) -> None:
        """Write the index of a folder; `folder` is its status from before `names` were listed."""
        if self._is_possible is False:
            return
        with self._staging.new_file() as staged:
            if self._is_possible is None:
                is_precise = has_precise_ctime(self._staging.folder, staged.fd)
                self._is_possible = is_precise and boot_id() is not None
                if not self._is_possible:
                    return
            self._limit_count()
            content = _head(folder) + b"".join(_pages({_hash(name) for name in names}))
            if self._staging.is_shared:
                syscalls.fchmod(staged.fd, 0o660)  # each user of the group keeps it current
            if syscalls.write(staged.fd, content) == len(content):  # if less was written, the disk is full
                syscalls.rename(staged.path, self._path(folder))
                staged.is_placed = True

    def _limit_count(self) -> None:
        with suppress(FileExistsError):
            self._staging.make_parent(self._folder, CLOSED)
        names = syscalls.listdir(self._folder)
        if len(names) >= MOST:
            for name in names:
                syscalls.unlink(f"{self._folder}/{name}")

    def _path(self, folder: os.stat_result) -> str:
        return f"{self._folder}/{folder.st_ino:x}"


class _OpenIndex:
    """The file of one index.

    Args:
        fd: Its descriptor, which `close` closes.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._num_pages = (syscalls.fstat(fd).st_size - _HEAD_SIZE) // _PAGE_SIZE

    def close(self) -> None:
        """Close the file."""
        syscalls.close(self._fd)

    def is_valid(self, folder: os.stat_result) -> bool:
        """Return whether the index is valid for a folder with this status."""
        return self._num_pages > 0 and syscalls.pread(self._fd, _HEAD_SIZE, 0) == _head(folder)

    def validate(self, folder: os.stat_result) -> None:
        """Make the index valid for a folder with this status."""
        syscalls.pwrite(self._fd, _head(folder), 0)

    def invalidate(self) -> None:
        """Make the index invalid, if the disk accepts that."""
        with suppress(OSError):
            syscalls.pwrite(self._fd, bytes(_HEAD_SIZE), 0)

    def may_have(self, name: str) -> bool:
        """Return whether the index has the hash of a name."""
        number = _hash(name)
        return _holds(self._read_page(number)[1], number)

    def add(self, name: str) -> bool:
        """Add a name, and return whether the index has it; not if its page or the disk is full."""
        if _has_one_form(name):
            return True  # such a name is never looked up
        number = _hash(name)
        with suppress(OSError):
            start, page = self._read_page(number)
            if _holds(page, number):
                return True
            end = -(-len(page.rstrip(b"\0")) // _HASH_SIZE) * _HASH_SIZE
            return end < _PAGE_SIZE and syscalls.pwrite(self._fd, _packed(number), start + end) == _HASH_SIZE
        return False

    def _read_page(self, number: int) -> tuple[int, bytes]:
        """Return the position of the page of a hash, and its content."""
        start = _HEAD_SIZE + number % self._num_pages * _PAGE_SIZE
        return start, syscalls.pread(self._fd, _PAGE_SIZE, start)


def _has_one_form(name: str) -> bool:
    """Return whether a name has no other form on any system: it is ASCII without letters."""
    return name.isascii() and name.lower() == name.upper()


def _is_there(folder: str, name: str) -> bool:
    """Return whether a name exists exactly as given, not only because the file system ignores case."""
    return (
        syscalls.stat_if_exists(f"{folder}/{name}") is not None
        and syscalls.stat_if_exists(f"{folder}/{name.swapcase()}") is None
    )


def _head(folder: os.stat_result) -> bytes:
    """Return the header of an index that is valid for a folder with this status.

    It contains the identifier of the boot, because after a loss of power parts of the file may be old.
    """
    text = f"1 {boot_id()} {_DIALECT} {folder.st_dev:x} {folder.st_ctime_ns:x}\n"
    return text.encode().ljust(_HEAD_SIZE)


def _hash(name: str) -> int:
    """Return a number other than 0 that all forms of a name share, and that two names seldom share."""
    return crc32(folded(name).encode(errors="surrogatepass")) or 1


def _packed(number: int) -> bytes:
    return number.to_bytes(_HASH_SIZE, "little")


def _pages(numbers: set[int]) -> list[bytes]:
    """Return the pages of an index with these hashes; about half of the slots are free."""
    count = 2 * _HASH_SIZE * len(numbers) // _PAGE_SIZE + 1
    while True:
        pages = [bytearray() for _ in range(count)]
        for number in numbers:
            pages[number % count] += _packed(number)
        if max(map(len, pages)) <= _PAGE_SIZE:
            return [bytes(page).ljust(_PAGE_SIZE, b"\0") for page in pages]
        count *= 2


def _holds(page: bytes, number: int) -> bool:
    at = page.find(_packed(number))
    while at > 0 and at % _HASH_SIZE:  # the bytes span two slots
        at = page.find(_packed(number), at + 1)
    return at >= 0
