"""The form of a journal on disk, and its reader, which takes no lock and changes nothing.

    header   magic, version, size of the identity, number of rewrites, nonce, identity, checksum
    entry    mark, number, size, check of these three; data; checksum

An entry holds the events of one step. Its checksum includes the checksum of the entry before, and the first
one includes the header with its random nonce. So an entry that was changed, moved, or copied from another
journal does not fit.

The process may die while it writes, so the last entry may be incomplete: a reader ignores it. Any other
damage is refused. The mark and the check in front of each entry distinguish the two: if a readable entry
follows, the damage is not at the end. After the normal end of a run, `Journal.check_end` refuses a
journal that lacks its end.

An empty entry is a mark. `Journal.close` writes one at the end. A rewrite writes one after all other entries
of the new file, before this file replaces the old one. So if the header of a file counts a rewrite and the
file has no mark, it was cut later: it is refused, because a part of a snapshot gives a wrong history.
"""

from __future__ import annotations

import os
import shlex
import stat
import struct
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import BinaryIO, NamedTuple, NoReturn
from zlib import crc32

from lightning_lite.errors import (
    JournalCorrupt,
    JournalError,
    JournalMismatch,
    JournalVersion,
    NothingToResume,
)
from lightning_lite.harmless_text import one_line
from lightning_lite.regular_files import advice_for, kind_of, open_regular
from lightning_lite.trusted_roots import check_own_file

#: Version of the format of a journal.
VERSION = 5

FILE_NAME = "journal.log"

#: The journal of version 3 and earlier, a SQLite database.
OLD_FILE_NAME = "journal.db"

CHECKSUM_SIZE = 16
NONCE_SIZE = 16
MARK = b"\xabLLe"

_MAGIC = b"LLjournal\r\n\x1a"
#: Magic, version, size of the identity, number of rewrites, nonce.
_HEADER = struct.Struct(f"<{len(_MAGIC)}sIII{NONCE_SIZE}s")
ENTRY_HEAD = struct.Struct("<4sIII")  # mark, number, size of the data, check
ENTRY_START = struct.Struct("<4sII")  # the part of the head for which the check is made

#: Bytes that are read at once.
_PIECE = 1024 * 1024

#: Maximum of bytes of an identity.
_MAX_IDENTITY = 1024 * 1024

#: Maximum of bytes of an incomplete write at the end. A longer end was not written by this package: a program
#: has made the file longer, for example.
_MAX_TORN = 1024 * 1024 * 1024


class Header(NamedTuple):
    """The header of a journal.

    Attributes:
        identity: Identity of the app that wrote the journal.
        num_rewrites: How often a rewrite has replaced the file. If not 0, the file begins with a snapshot.
        checksum: Checksum of the header. A copy of the file has the same one, a rewritten file another one.
    """

    identity: str
    num_rewrites: int
    checksum: bytes

    @property
    def salt(self) -> int:
        """Start value for the check in the head of each entry."""
        return crc32(self.checksum)


class End(NamedTuple):
    """The end of a journal.

    Attributes:
        number: Number of the last entry, 0 if there is none.
        checksum: Checksum of the last entry, or of the header if there is none.
        offset: Where the next entry begins, in bytes.
    """

    number: int
    checksum: bytes
    offset: int


class Content(NamedTuple):
    """A journal that was read and checked.

    Attributes:
        entries: The data of all entries, in order.
        header: Its header.
        end: Its end.
        is_torn: Whether incomplete bytes follow the end.
    """

    entries: list[bytes]
    header: Header
    end: End
    is_torn: bool


def read_entries(folder: str) -> list[bytes]:
    """Return the data of all complete entries of a run, after checking each.

    Args:
        folder: Absolute path of the folder of the run.

    Raises:
        NothingToResume: The run has no journal.
        JournalError: The journal is damaged, of another version, or can't be read.
    """
    with _opened(folder) as (file, path):
        return parse(file, path).entries


def parse(file: BinaryIO, path: str, identity: str | None = None) -> Content:
    """Check all of a journal, and return its entries.

    Args:
        file: The journal, open for reading at its start.
        path: Its absolute path, for errors.
        identity: The journal must belong to the app with this identity; `None` accepts every app.

    Raises:
        JournalCorrupt: The journal is damaged, or the file is not a journal.
        JournalVersion: Another version of this package wrote the journal.
        JournalMismatch: Another app wrote the journal.
        JournalError: The journal can't be read.
    """
    found = _Entries(file, path, identity)
    entries = list(found)
    return Content(entries, found.header, found.end, found.end.offset < found.size)


def read_identity(folder: str) -> str:
    """Return the identity of the app that wrote the journal of a run; only its header is read.

    Raises:
        NothingToResume: The run has no journal.
        JournalError: The header is damaged, of another version, or can't be read.
    """
    with _opened(folder) as (file, path):
        return _Entries(file, path, None).header.identity


def iterate_journal(folder: str) -> Iterator[bytes]:
    """Yield the data of all complete entries of a run, each as soon as it is checked.

    Raises:
        NothingToResume: The run has no journal.
        JournalError: The journal is damaged, of another version, or can't be read.
    """
    return JournalReader(folder).read_on()


class JournalReplaced(Exception):
    """The journal is no longer the one that was read so far: it was compacted, or its end was cut off."""


class JournalReader:
    """Reads a journal while it grows: each entry once, and no file stays open between two readings.

    Args:
        folder: Absolute path of the folder of the run.

    Attributes:
        size: Size of the file in bytes when it was read last.
        offset: Number of the bytes that were read and checked.

    Example:
        >>> import tempfile
        >>> from lightning_lite.runs.journal import Journal
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     journal, reader = Journal.create(folder, "app.py:Root"), JournalReader(folder)
        ...     _ = journal.write(b"first")
        ...     print(list(reader.read_on()))
        ...     _ = journal.write(b"second")
        ...     print(list(reader.read_on()))
        ...     journal.close()
        [b'first']
        [b'second']
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._entries: _Entries | None = None  # of the last call

    @property
    def size(self) -> int:  # noqa: D102 - see the attributes of the class
        return 0 if self._entries is None else self._entries.size

    @property
    def offset(self) -> int:  # noqa: D102 - see the attributes of the class
        return 0 if self._entries is None else self._entries.end.offset

    def read_on(self) -> Generator[bytes]:
        """Yield the data of the complete entries after those read before, each as soon as it is checked.

        An incomplete last entry is read by a later call. If the iteration is closed early, the next call goes
        on after the last entry that was yielded.

        Raises:
            JournalReplaced: It is no longer the journal that was read before; begin again, with a new reader.
            NothingToResume: The run has no journal.
            JournalError: The journal is damaged, of another version, or can't be read.
        """
        with _opened(self._folder) as (file, path):
            self._entries = self._entries_in(file, path)
            yield from self._entries

    def check(self) -> None:
        """Check that the journal is still the one that was read.

        Raises:
            JournalReplaced: It is not.
            NothingToResume: The run has no journal.
            JournalError: The journal is damaged, of another version, or can't be read.
        """
        with _opened(self._folder) as (file, path):
            self._entries_in(file, path)

    def _entries_in(self, file: BinaryIO, path: str) -> _Entries:
        return _Entries(file, path, None, self._entries)


@contextmanager
def _opened(folder: str) -> Iterator[tuple[BinaryIO, str]]:
    path = os.path.join(folder, FILE_NAME)
    checked_status(folder)
    try:
        with open(open_regular(path), "rb") as file:
            yield file, path
    except OSError as error:
        refuse(error, path)


def checked_status(folder: str) -> os.stat_result:
    """Return the status of the journal of a run, without opening it: opening a FIFO would block.

    Raises:
        NothingToResume: There is no journal.
        JournalVersion: There is a journal of version 3 or earlier.
        JournalError: It is not a regular file, its status can't be read, or the folder is a link.
    """
    path = os.path.join(folder, FILE_NAME)
    if os.path.islink(folder):
        raise _refusal(path, "its folder is a symbolic link; move the folder of the run back to its place")
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        _refuse_old(folder)
        raise NothingToResume(f"there is no journal {path!r}: start a new run", file=path) from None
    except OSError as error:
        refuse(error, path)
    if not stat.S_ISREG(found.st_mode):
        raise corrupt(path, None, f"it is {kind_of(found.st_mode)}, not a regular file")
    return found


def check_permissions(folder: str) -> None:
    """Refuse a journal that this user does not own or may not write, or that `checked_status` refuses."""
    found, path = checked_status(folder), os.path.join(folder, FILE_NAME)
    check_writers(found, path)
    if not found.st_mode & stat.S_IWUSR:
        raise _refusal(path, "it is read-only; give it write permission")


def check_writers(found: os.stat_result, path: str) -> None:
    """Refuse a journal that another user could have written: its content is unpickled.

    Args:
        found: Status of the file.
        path: Absolute path of the file, for the error.
    """
    if reason := check_own_file(found, path):
        folder = shlex.quote(os.path.dirname(path))
        is_own = found.st_uid == os.geteuid()
        advice = f"if you trust its content, run chmod -R go-w {folder}" if is_own else "resume as that user"
        raise _refusal(path, f"{reason}; {advice}")


def has_journal(folder: str) -> bool:
    """Return whether a run has a journal, of this version or of an earlier one."""
    return any(os.path.lexists(os.path.join(folder, name)) for name in (FILE_NAME, OLD_FILE_NAME))


def journal_size(folder: str) -> int:
    """Return the size of the journal of a run in bytes; 0 if there is none."""
    try:
        return os.lstat(os.path.join(folder, FILE_NAME)).st_size
    except OSError:
        return 0


def make_header(identity: str, num_rewrites: int) -> tuple[bytes, Header]:
    """Return the bytes of the header of a new file, and the header; see `Header`."""
    name = os.fsencode(identity)
    head = _HEADER.pack(_MAGIC, VERSION, len(name), num_rewrites, os.urandom(NONCE_SIZE)) + name
    checksum = blake2b(head, digest_size=CHECKSUM_SIZE).digest()
    return head + checksum, Header(identity, num_rewrites, checksum)


class _Entries:
    """The entries of a journal, each checked when it is iterated over; the empty ones are left out.

    The file is read in pieces, so that the memory does not depend on its size, which another program may have
    changed. Entries that are appended after the creation of this object are not read.

    Args:
        file: The journal, open for reading at its start.
        path: Its absolute path, for errors.
        identity: As for `parse`.
        before: The entries that were read before, so that only those after them are read; `None` to read all.

    Attributes:
        size: Size of the file in bytes.
        header: Its header.
        end: The end of the last entry that was checked.
        is_whole: Whether all that a rewrite has written is before that end.

    Raises:
        JournalReplaced: The last entry that was read before is no longer in its place.
    """

    def __init__(
        self, file: BinaryIO, path: str, identity: str | None, before: _Entries | None = None
    ) -> None:
        self._file = file
        self._path = path
        self._data = b""  # the bytes of the file from `_base` on that were read last
        self._base = 0
        self.size = os.fstat(file.fileno()).st_size
        if before is None:
            self.header, offset = self._read_header(identity)
            self.end = End(0, self.header.checksum, offset)
            self.is_whole = self.header.num_rewrites == 0
        else:
            self.header, self.end, self.is_whole = before.header, before.end, before.is_whole
            # Each checksum includes all before it, so the last one proves that all is as it was.
            place = self.end.offset - CHECKSUM_SIZE
            if self._read(place, CHECKSUM_SIZE) != self.end.checksum:
                raise JournalReplaced
        self._salt = self.header.salt

    def __iter__(self) -> Iterator[bytes]:
        while (entry := self._entry_after(self.end)) is not None:
            data, self.end = entry
            if data:
                yield data
            else:
                self.is_whole = True
        if self.end.offset < self.size:
            self._check_torn()
        if not self.is_whole:
            raise corrupt(self._path, self.end.number + 1, "the end of its snapshot is missing")

    def _entry_after(self, before: End) -> tuple[bytes, End] | None:
        """Return the data of the entry that begins at an end, and its own end; `None` if none is complete.

        Raises:
            JournalCorrupt: Another entry is in its place.
        """
        head = self._read(before.offset, ENTRY_HEAD.size)
        if len(head) < ENTRY_HEAD.size:
            return None
        mark, number, size, check = ENTRY_HEAD.unpack(head)
        if mark != MARK or check != crc32(head[: ENTRY_START.size], self._salt):
            return None
        if number != before.number + 1:
            raise corrupt(
                self._path, before.number + 1, f"entry {number} is in its place at byte {before.offset}"
            )
        start = before.offset + ENTRY_HEAD.size
        end = start + size + CHECKSUM_SIZE
        if end > self.size:
            return None
        rest = self._read(start, size + CHECKSUM_SIZE)
        data = rest[:size]
        checksum = blake2b(before.checksum + head + data, digest_size=CHECKSUM_SIZE).digest()
        return (data, End(number, checksum, end)) if rest[size:] == checksum else None

    def _read(self, offset: int, nbytes: int) -> bytes:
        """Return `nbytes` of the file from an offset on, or fewer at its end."""
        begin = offset - self._base
        if begin + nbytes > len(self._data):
            kept = self._data[begin:]
            place = offset + len(kept)
            self._file.seek(place)
            kept += self._file.read(max(0, min(max(_PIECE, nbytes - len(kept)), self.size - place)))
            self._data, self._base, begin = kept, offset, 0
        return self._data[begin : begin + nbytes]

    def _read_header(self, identity: str | None) -> tuple[Header, int]:
        """Check the header, and return it and its size."""
        path, data = self._path, self._read(0, _HEADER.size)
        if not data:
            raise corrupt(path, None, "it is empty")
        if not data.startswith(_MAGIC[: len(data)]):
            raise corrupt(path, None, "it is not a journal")
        if len(data) < _HEADER.size:
            raise corrupt(path, None, f"its size in bytes is only {len(data)}")
        _, version, size, num_rewrites, _ = _HEADER.unpack_from(data)
        if version != VERSION:
            raise wrong_version(path, version)
        end = _HEADER.size + size
        if size <= _MAX_IDENTITY:
            data = self._read(0, end + CHECKSUM_SIZE)
        checksum = blake2b(data[:end], digest_size=CHECKSUM_SIZE).digest()
        if data[end : end + CHECKSUM_SIZE] != checksum:
            raise corrupt(path, None, "the checksum of its header is wrong")
        found = os.fsdecode(data[_HEADER.size : end])
        if identity is not None and found != identity:
            raise JournalMismatch(
                f"the journal {path!r} belongs to the app {one_line(os.fsencode(found))}, "
                f"not to {one_line(os.fsencode(identity))}; resume it with that app",
                file=path,
                found=found,
                asked=identity,
            )
        return Header(found, num_rewrites, checksum), end + CHECKSUM_SIZE

    def _check_torn(self) -> None:
        """Refuse the bytes after the last good entry if an entry follows in them: the process wrote on."""
        number, _, start = self.end
        if self.size - start > _MAX_TORN:
            raise corrupt(
                self._path, number + 1, f"the {self.size - start} bytes from byte {start} are not an entry"
            )
        head = ENTRY_HEAD.size
        for offset in range(start + 1, self.size, _PIECE):
            self._data = b""  # which may begin behind this offset
            data = self._read(offset, _PIECE + head - 1)
            for place in _find_marks(data):
                _, found, _, check = ENTRY_HEAD.unpack_from(data, place)
                if found > number and check == crc32(data[place : place + head - 4], self._salt):
                    raise corrupt(
                        self._path, number + 1, f"the bytes from {start} to {offset + place} are not an entry"
                    )


def _find_marks(data: bytes) -> Iterator[int]:
    start, last = 0, len(data) - ENTRY_HEAD.size
    while 0 <= (start := data.find(MARK, start)) <= last:
        yield start
        start += 1


def _refuse_old(folder: str) -> None:
    """Refuse a journal of version 3 or earlier; SQLite stores the version in its header."""
    path = os.path.join(folder, OLD_FILE_NAME)
    try:
        found = os.lstat(path)
    except OSError:
        return
    version = 3
    if stat.S_ISREG(found.st_mode):
        try:
            with open(open_regular(path), "rb") as file:
                version = int.from_bytes(file.read(64)[60:64]) or version
        except OSError as error:
            refuse(error, path)
    raise wrong_version(path, version)


def wrong_version(path: str, version: int) -> JournalVersion:
    """Return the error for a journal of another version."""
    return JournalVersion(
        f"the journal {path!r} has version {version}, this lightning_lite knows {VERSION}; "
        "resume with the lightning_lite that wrote it, or start a new run",
        file=path,
        found=version,
        known=VERSION,
    )


def corrupt(path: str, number: int | None, what: str) -> JournalCorrupt:
    """Return the error for a damaged journal.

    Args:
        path: Absolute path of the file.
        number: Number of the damaged entry, or `None` for the file as a whole.
        what: The damage, as a main clause.
    """
    where = "" if number is None else f" at entry {number}"
    return JournalCorrupt(
        f"the journal {path!r} is damaged{where}: {what}; start a new run, or restore this one from a copy",
        file=path,
        sequence=number,
        what=what,
    )


def refuse(error: OSError, path: str) -> NoReturn:
    """Raise the `JournalError` for an error of the system."""
    parts = error.strerror or str(error), advice_for(error, ""), "its content is unchanged"
    raise JournalError(
        f"the journal {path!r} can't be read or written: {'; '.join(filter(None, parts))}",
        file=path,
    ) from error


def _refusal(path: str, what: str) -> JournalError:
    return JournalError(f"the journal {path!r} can't be resumed: {what}", file=path)
