"""The journal of a run: one file to which each step of the app is appended before a pass sees its effect.

An entry is written with one system call, so it survives the death of the process as soon as `write` returns;
with `durable` it is flushed to the disk too. `runs.journal_format` describes the form on
disk and the damage that is refused.

While the app runs, `Rewrite` replaces the file by a shorter one: the new file is written under another
name, gets the entries that were written in the meantime, is flushed to the disk, and is renamed over the old
one. So at each moment the journal is whole, for a reader, after a crash and after a loss of power. To copy a
journal, copy the folder of its run.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from hashlib import blake2b
from io import FileIO
from time import monotonic
from typing import Any, Self
from zlib import crc32

from lightning_lite.errors import JournalError, JournalGone
from lightning_lite.process_places import boot_id
from lightning_lite.regular_files import advice_for, flush_folder, kind_of
from lightning_lite.runs.journal_format import (
    CHECKSUM_SIZE,
    ENTRY_HEAD,
    ENTRY_START,
    FILE_NAME,
    MARK,
    End,
    Header,
    check_permissions,
    check_writers,
    corrupt,
    has_journal,
    iterate_journal,
    make_header,
    parse,
    refuse,
)
from lightning_lite.runs.journal_values import JournalValue, remove_unneeded
from lightning_lite.runs.lock import RunLock

_CREATE_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FLAGS = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: Seconds between two checks that the file was not removed. In each write, they took 7 % of a small call.
_CHECK_INTERVAL = 0.01


class Journal:
    """The journal of one run: `create` makes a new one, `open` continues one.

    Only the thread that opened it may use it. It holds the lock of the run until `close`.

    Attributes:
        path: Absolute path of the file.
        folder: Absolute path of the folder of the run.
        size_of_new_values: Bytes in the files of big values written since the start of the last rewrite.
        writer_has_died: Whether the last process that wrote it has died, and has not closed it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     journal = Journal.create(folder, "app.py:Root")
        ...     size = journal.write(b"what happened")
        ...     journal.close()
        ...     journal = Journal.open(folder, "app.py:Root")
        ...     list(journal.entries())
        ...     journal.close()
        [b'what happened']
    """

    def __init__(self, folder: str, identity: str, lock: RunLock, log: _LogFile, durable: bool) -> None:
        self.path = os.path.join(folder, FILE_NAME)
        self.folder = folder
        self._identity = identity
        self._lock = lock
        self._log = log
        self._durable = durable
        self._waiting: list[bytes] = []
        self._found: list[bytes] | None = None
        self._has_written = False
        self._has_appended = False
        self.writer_has_died = not lock.was_released
        self._new_values: set[str] = set()  # files written since the start of the last rewrite
        self.size_of_new_values = 0
        self._pid = os.getpid()
        self._check_at = 0.0  # when a write checks that the file exists, in monotonic seconds
        self._is_closed = False
        self._is_gone = False

    @classmethod
    def create(cls, folder: str, identity: str, *, durable: bool = False) -> Self:
        """Create the journal of a new run; a crash before the end leaves none.

        Args:
            folder: Absolute path of the folder of the run, which exists.
            identity: Identity of the app; `open` refuses another one.
            durable: Whether written entries must survive the loss of power.

        Raises:
            JournalInUse: Another process holds the lock of this run.
            JournalError: The run has a journal already, or the journal can't be written.
        """
        path = os.path.join(folder, FILE_NAME)
        with _locked(folder) as lock:
            if has_journal(folder):
                raise JournalError(f"the run has a journal already: {path!r}; open that one", file=path)
            log = _LogFile.create(path, identity, durable=durable)
            try:
                if durable:
                    log.flush()
                log.rename(path)
            except BaseException:
                log.close()
                raise
            return cls(folder, identity, lock, log, durable)

    @classmethod
    def open(cls, folder: str, identity: str, *, durable: bool = False) -> Self:
        """Open the journal of a run that has ended, after a check of every entry.

        A journal that is refused is not changed. An incomplete last entry is cut off by the first `write`.

        Args:
            folder: Absolute path of the folder of the run.
            identity: Identity of the app.
            durable: Whether entries written from now on must survive the loss of power.

        Raises:
            NothingToResume: The run has no journal.
            JournalInUse: Another process holds the lock of this run; the error names it.
            JournalCorrupt: The journal is damaged, or the file is not a journal.
            JournalVersion: Another version of this package wrote the journal.
            JournalMismatch: Another app wrote the journal.
            JournalError: The journal belongs to another user, or can't be read or written.
        """
        check_permissions(folder)
        with _locked(folder) as lock:
            path = os.path.join(folder, FILE_NAME)
            file = _open(path, _OPEN_FLAGS)
            try:
                # The open file, not its path: another file could be at the path since `check_permissions`.
                check_writers(os.fstat(file.fileno()), path)
                content = parse(file, path, identity)
            except BaseException:
                file.close()
                raise
            log = _LogFile(file, content.header, content.end, durable)
            log.has_torn_end = content.is_torn
            journal = cls(folder, identity, lock, log, durable)
            journal._found = content.entries
            return journal

    @property
    def size(self) -> int:
        """Size of the file in bytes."""
        return self._log.end.offset

    @property
    def has_unwritten(self) -> bool:
        """Whether an entry could not be written yet."""
        return bool(self._waiting)

    @property
    def is_gone(self) -> bool:
        """Whether it was removed, and a method has raised `JournalGone`."""
        return self._is_gone

    def check_end(self, noted: Mapping[str, Any]) -> None:
        """Refuse a journal that has lost its end, or whose last entry was changed, also in a copy.

        A longer journal is accepted, and one that was rewritten more often: then `run.json` is older than the
        journal.

        Args:
            noted: The end that `close` has given to `note_end`. It is empty if the last process that wrote
                the journal did not get that far: then an incomplete write may be at its end.

        Raises:
            JournalCorrupt: Entries are missing, or the last one was changed.
        """
        header, end = self._log.header, self._log.end
        if not noted or noted.get("boot") not in (None, boot_id()):
            return
        num_rewrites, number = noted.get("rewrites"), noted.get("entries")
        if type(num_rewrites) is not int or type(number) is not int:
            raise corrupt(self.path, None, "the end that run.json knows of is damaged")
        if header.checksum.hex() != noted.get("header"):  # a copy has the same header, a rewrite another one
            lacks_end = header.num_rewrites <= num_rewrites
        elif end.number == number:
            lacks_end = end.checksum.hex() != noted.get("checksum")
        else:
            lacks_end = end.number < number
        if lacks_end:
            what = "entries that run.json knows of are missing there, or the last one was changed"
            raise corrupt(self.path, end.number + 1, what)

    def entries(self) -> Iterator[bytes]:
        """Yield the data of all written entries, in order."""
        found, self._found = self._found, None
        yield from iterate_journal(self.folder) if found is None else found

    def write(self, entry: bytes) -> int:
        """Append an entry, which may not be empty.

        When this returns, the entry survives the death of any process, and with `durable` the loss of power.
        An entry that could not be written is written by the next call, before the new one.

        Returns:
            The size of the file in bytes.

        Raises:
            JournalGone: It was removed.
            JournalError: It can't be written: no space, for example.
        """
        self._waiting.append(entry)
        self._found = None
        self._has_written = True
        self._flush()
        return self._log.end.offset

    def keep_value(self, data: bytes) -> JournalValue:
        """Write a big value to a file of its own; the entry that refers to it is written after that.

        Raises:
            JournalGone: The journal was removed.
            JournalError: It can't be written: no space, for example. The error names the file of the value.
        """
        try:
            value = JournalValue.write(self.folder, data, durable=self._durable)
        except OSError as error:
            try:
                self.check_existence()
            except JournalGone as gone:
                raise gone from None
            raise JournalError(
                f"the file of a value in the journal, {error.filename!r}, can't be read or written: "
                f"{error.strerror}; {advice_for(error, 'check what is at that path')}",
                file=error.filename,
            ) from error
        if value.name not in self._new_values:
            self._new_values.add(value.name)
            self.size_of_new_values += value.size
        return value

    def rewrite(self) -> Rewrite:
        """Return the object that replaces the file by another one; see `Rewrite`.

        Raises:
            JournalGone: The journal was removed.
            JournalError: The new file can't be written.
        """
        self._check_process()
        self.check_existence()
        self._flush()  # later, the values of waiting entries would not be among the new ones
        self._new_values.clear()
        self.size_of_new_values = 0
        try:
            num_rewrites = self._log.header.num_rewrites + 1
            log = _LogFile.create(self.path, self._identity, num_rewrites, durable=self._durable)
            return Rewrite(self, log)
        except OSError as error:
            refuse(error, self.path)

    def close(self, note_end: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Write the entries that could not be written before, and release the lock of the run.

        An empty entry marks the end, so that later damage of the last entry is not taken for an incomplete
        write. A second call has no effect.

        Args:
            note_end: Called with the end for `check_end`, before the lock is released.

        Raises:
            JournalGone: The journal was removed, and no earlier call has reported that.
            JournalError: The entries can't be written; the lock is released in this case too.
        """
        if self._is_closed:
            return
        try:
            # The file belongs to the parent of a forked process.
            if self._pid == os.getpid() and not self._is_gone:
                if self._has_written:
                    self._waiting.append(b"")
                self._check_at = 0.0
                self._flush()
                if note_end is not None and (end := self._secured_end()) is not None:
                    note_end(end)
        finally:
            self._is_closed = True
            self._waiting.clear()
            self._log.close()
            self._lock.release(has_written=self._has_appended)

    def _secured_end(self) -> dict[str, Any] | None:
        """Return the present end for `check_end`, or `None` if it is not known how long it stays.

        A loss of power can take the end. With `durable`, it is flushed to the disk, so `check_end` expects it
        in each boot of the machine. Else it expects it in the present boot only: to flush it would take long,
        because some file systems would write the big files of works first.
        """
        boot = None
        if self._durable:
            try:
                self._log.flush()
                flush_folder(self.folder)  # a rewrite has given the file its name
            except OSError:
                return None
        elif (boot := boot_id()) is None:
            return None
        header, end = self._log.header, self._log.end
        return {
            "boot": boot,
            "header": header.checksum.hex(),
            "rewrites": header.num_rewrites,
            "entries": end.number,
            "checksum": end.checksum.hex(),
        }

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise JournalError(
                f"only process {self._pid} may write the journal {self.path!r}, "
                "not a process that was forked from it",
                file=self.path,
            )

    def check_existence(self) -> None:
        """Refuse to continue if the file was removed: its later entries would be lost with the process.

        Raises:
            JournalGone: It was removed.
        """
        self._check_at = monotonic() + _CHECK_INTERVAL
        if self._log.is_removed(self.path):
            self._is_gone = True
            self._check_at = 0.0
            there = ""
            with suppress(OSError):
                there = f"{kind_of(os.lstat(self.path).st_mode)} is in its place, and "
            raise JournalGone(
                f"the journal {self.path!r} was removed while the app was running: {there}later events are "
                "not recorded; start a new run, with a root that no other program removes",
                file=self.path,
            )

    def _flush(self) -> None:
        """Append the waiting entries with one system call: all of them or none, and each once."""
        if not self._waiting:
            return
        self._check_process()
        if monotonic() >= self._check_at:
            self.check_existence()
        log = self._log
        data, end = log.seal(self._waiting)
        try:
            log.append(data, end)
            self._waiting.clear()
            self._has_appended = True
        except OSError as error:
            refuse(error, self.path)
        except BaseException:  # Ctrl-C may interrupt between any two lines
            if log.recover_append(end):
                self._waiting.clear()
            raise


class Rewrite:
    """A new file that replaces a journal while the app runs; `Journal.rewrite` makes it.

    A new file that was not finished is removed by the next one.

    Args:
        journal: The journal.
        log: The new file.
    """

    def __init__(self, journal: Journal, log: _LogFile) -> None:
        self._journal = journal
        self._log = log
        self._start = journal._log.end

    @property
    def size(self) -> int:
        """Size of the new file in bytes."""
        return self._log.end.offset

    def write(self, entry: bytes) -> None:
        """Append an entry to the new file.

        Raises:
            JournalError: It can't be written: no space, for example.
        """
        try:
            self._log.append(*self._log.seal([entry]), flush=False)
        except OSError as error:
            refuse(error, self._journal.path)

    def finish(self, values: Set[str]) -> None:
        """Append the entries since the start of the rewrite, and let the new file replace the old one.

        Then the files of other values are removed.

        Args:
            values: Names of the files of values to which the new file refers.

        Raises:
            JournalError: The new file can't be written; the journal is unchanged.
        """
        journal, old, new = self._journal, self._journal._log, self._log
        try:
            tail = old.read_after(self._start)
            new.append(*new.seal([*tail, b""]), flush=False)  # readers refuse the file without this mark
            # Else a loss of power could leave an empty file under the name of the journal. The folder needs
            # no flush for that: until the rename is on the disk, the old file has the name.
            new.flush()
            new.rename(journal.path)
            journal._log = new
        except BaseException as error:  # Ctrl-C may interrupt between any two lines
            if new.is_at(journal.path):
                journal._log = new
            if isinstance(error, OSError):
                refuse(error, journal.path)
            raise
        finally:
            if journal._log is new:
                old.close()
        with suppress(OSError):  # the next rewrite removes them
            remove_unneeded(journal.folder, values | journal._new_values)

    def abandon(self) -> None:
        """Remove the new file; without effect after `finish`."""
        if self._log is not self._journal._log:
            self._log.close()
            with suppress(OSError):
                os.unlink(_new_path(self._journal.path))


class _LogFile:
    """A file of entries, open for appending.

    Attributes:
        header: Its header.
        end: The end of its last entry.
        has_torn_end: Whether incomplete bytes follow that end.
    """

    def __init__(self, file: FileIO, header: Header, end: End, durable: bool) -> None:
        self._file = file  # an object, so that it is closed if Ctrl-C comes before it is assigned
        self._fd = file.fileno()
        self._salt = header.salt
        self._durable = durable
        self.header = header
        self.end = end
        self.has_torn_end = False

    @classmethod
    def create(cls, path: str, identity: str, num_rewrites: int = 0, *, durable: bool) -> Self:
        """Create an empty file under the temporary name for `path`; `rename` gives it that name.

        Args:
            path: Absolute path of the journal.
            identity: Identity of the app.
            num_rewrites: As in `Header`.
            durable: Whether `append` flushes to the disk.

        Raises:
            OSError: The file can't be written.
        """
        new, (data, header) = _new_path(path), make_header(identity, num_rewrites)
        with suppress(FileNotFoundError):
            os.unlink(new)
        checksum = header.checksum
        log = cls(_open(new, _CREATE_FLAGS), header, End(0, checksum, 0), durable)
        try:
            log.append(data, End(0, checksum, len(data)), flush=False)
        except BaseException:
            log.close()
            with suppress(OSError):
                os.unlink(new)
            raise
        return log

    def seal(self, entries: Iterable[bytes]) -> tuple[bytes, End]:
        """Return the bytes of entries, numbered and with their checksums, and the end after them."""
        number, checksum, offset = self.end
        parts: list[bytes] = []
        for entry in entries:
            number += 1
            start = ENTRY_START.pack(MARK, number, len(entry))
            framed = start + crc32(start, self._salt).to_bytes(4, "little") + entry
            checksum = blake2b(checksum + framed, digest_size=CHECKSUM_SIZE).digest()
            parts += framed, checksum
        data = b"".join(parts)
        return data, End(number, checksum, offset + len(data))

    def append(self, data: bytes, end: End, *, flush: bool = True) -> None:
        """Append sealed bytes, all or none.

        Raises:
            OSError: They can't be written.
        """
        if self.has_torn_end:
            os.ftruncate(self._fd, self.end.offset)
            self.has_torn_end = False
        written = os.write(self._fd, data)
        try:
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if flush and self._durable:
                os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self.end.offset)
            raise
        self.end = end

    def recover_append(self, end: End) -> bool:
        """Return whether an interrupted `append` up to `end` was made; else remove its incomplete bytes."""
        if self.end != end:
            size = os.fstat(self._fd).st_size
            if size == end.offset:
                self.end = end
            else:
                self.has_torn_end = size > self.end.offset
        return self.end == end

    def read_after(self, start: End) -> list[bytes]:
        """Return the data of the entries after an earlier end.

        Raises:
            OSError: They can't be read.
        """
        data = b""
        while len(data) < self.end.offset - start.offset:
            part = os.pread(self._fd, self.end.offset - start.offset - len(data), start.offset + len(data))
            if not part:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            data += part
        entries, offset = [], 0
        while offset < len(data):
            begin = offset + ENTRY_HEAD.size
            _, _, size, _ = ENTRY_HEAD.unpack_from(data, offset)
            entries.append(data[begin : begin + size])
            offset = begin + size + CHECKSUM_SIZE
        return entries

    def flush(self) -> None:
        """Flush the content to the disk."""
        os.fsync(self._fd)

    def rename(self, path: str) -> None:
        """Give the file its final name, and with `durable` flush that name to the disk."""
        os.rename(_new_path(path), path)
        if self._durable:
            flush_folder(os.path.dirname(path))

    def is_at(self, path: str) -> bool:
        """Return whether this file has the name `path`."""
        with suppress(FileNotFoundError, NotADirectoryError):
            return os.path.samestat(os.fstat(self._fd), os.lstat(path))
        return False

    def is_removed(self, path: str) -> bool:
        """Return whether the file has no name any more; some file systems do not count the names."""
        return os.fstat(self._fd).st_nlink == 0 and not self.is_at(path)

    def close(self) -> None:
        """Close the file; a second call has no effect."""
        self._file.close()


def _open(path: str, flags: int) -> FileIO:
    return FileIO(path, "r+", opener=lambda path, _: os.open(path, flags, 0o600))


def _new_path(path: str) -> str:
    return f"{path}.new"


@contextmanager
def _locked(folder: str) -> Iterator[RunLock]:
    """Take the lock of a run, and release it if the block fails; `OSError` becomes `JournalError`."""
    lock = RunLock(folder)
    lock.acquire()
    try:
        yield lock
    except BaseException as error:
        lock.release()
        if isinstance(error, OSError):
            refuse(error, os.path.join(folder, FILE_NAME))
        raise
