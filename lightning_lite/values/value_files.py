"""Big values in files of the run: the process that has a value writes it, other processes map the file.

    Draft.store   pickle + buffers ─▶ <run>/values/<pid>-<random>.val    sections, each with a digest
                                  └─▶ reference: file, places, digests   travels in place of the value
    load          reference ─▶ check the file ─▶ map it ─▶ unpickle; arrays are views of the mapping

A buffer of a mapped file is not written again: the file gets a second name (a hard link), and the new
reference contains the known digest. So each file name belongs to one reference. The same goes for a value
without buffers that the flow hands on unchanged: its pickle becomes a buffer (`WrittenValue`). A file has no
name until it is complete (`O_TMPFILE`), so a killed writer leaves nothing.

Only processes that handle a big value load this module.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each work with a big value 5 ms
import errno
import mmap
import os
import stat
import sys
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

from xxhash import xxh3_128

from lightning_lite.context import current_caller
from lightning_lite.errors import ValueFileError
from lightning_lite.regular_files import (
    ACCESS_ADVICE,
    advice_for,
    describe_at,
    file_stamp,
    flush_folder,
    kind_of,
    open_folder,
)
from lightning_lite.trusted_roots import check_own_file, own_file_advice
from lightning_lite.values.array_views import MIN_BUFFER
from lightning_lite.values.secret_texts import tokens_in

if TYPE_CHECKING:
    from pickle import PickleBuffer

#: The last part of advice about a file or folder whose content may be lost.
_OR_BEGIN = ", or start a new run"

#: A pickle of this size in bytes is written to the file; a smaller one travels with the reference.
_MAX_INLINE_PICKLE = 64 * 1024

#: Size in bytes from which parts of a file keep all of it for an argument; smaller ones are written again.
_MIN_PART = 1024 * 1024

_ALIGNMENT = 64

#: Bytes that are digested and written at a time, while they are in the cache of the processor.
_CHUNK = 256 * 1024

_ENDING = ".val"
_STAGED = ".val.new"

#: Names of files that an earlier process of the app wrote. A file is checked against its digest before its
#: first use, because a loss of power can damage it without a change of its times.
_unverified: set[str] = set()


class Section(NamedTuple):
    """One part of a file: begin and size in bytes, and the digest of its content."""

    start: int
    size: int
    digest: str


class ValueFile(NamedTuple):
    """One file of a reference.

    Attributes:
        name: Its name in the folder of values.
        size: Size in bytes.
        stamp: See `file_stamp`. As long as it is the same, the content counts as unchanged.
        sections: Its parts.
    """

    name: str
    size: int
    stamp: tuple[int, int, int]
    sections: list[Section]


class Reference(NamedTuple):
    """The object that travels in place of a value.

    Attributes:
        folder: Absolute path of the folder in which the files were made.
        files: The files; each of their names belongs to this reference only.
        stream: Place of the pickle: index of its file, begin and size in bytes; `None`: it is in `pickled`.
        buffers: Places of its buffers.
        pickled: The pickle, if it is small.
        secrets: The tokens of the secrets in the pickle: the sender of the reference needs their texts.
    """

    folder: str
    files: list[ValueFile]
    stream: tuple[int, int, int] | None
    buffers: list[tuple[int, int, int]]
    pickled: bytes
    secrets: Sequence[str] = ()


class _Mapping(NamedTuple):
    """A mapped file of this process: its addresses, the file, and the digests of its sections by place."""

    start: int
    end: int
    alive: ref[mmap.mmap]
    folder: str
    file: ValueFile
    digests: dict[tuple[int, int], str]


#: The mapped files, in the order of their addresses.
_mappings: list[_Mapping] = []


class Draft:
    """A file object for a pickler; collects a pickle and its out-of-band buffers.

    Example:
        >>> import pickle, tempfile
        >>> draft = Draft()
        >>> pickle.Pickler(draft, 5, buffer_callback=draft.add).dump(b"x" * 100_000)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     reference = draft.store(folder)
        ...     len(load(reference))
        100000
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._buffers: list[memoryview] = []

    def write(self, data: Any) -> int:
        """Append to the pickle; `data` is bytes, or a `PickleBuffer`, which has no length."""
        piece = data if type(data) is bytes else bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def add(self, buffer: PickleBuffer) -> bool:
        """Add a buffer if it is big; return whether the pickle must contain it."""
        view = buffer.raw()
        if view.nbytes < MIN_BUFFER:
            return True
        self._buffers.append(view)
        return False

    def store(self, folder: str, *, durable: bool = False, is_argument: bool = False) -> bytes:
        """Write the value into a file, and return the reference that `load` takes.

        Args:
            folder: Absolute path of the folder of values; created if it is missing.
            durable: Whether the file must survive the loss of power.
            is_argument: Whether the value is needed only until a call has ended. Then small parts of big
                mapped files are not written again, although they keep these files on the disk.

        Raises:
            ValueFileError: The file can't be written, for example because the disk is full.
        """
        size = sum(map(len, self._pieces))
        is_inline = size < _MAX_INLINE_PICKLE
        stream = [] if is_inline else [memoryview(piece) for piece in _merge(self._pieces)]
        try:
            _create_folder(folder, durable=durable)
            with _opened(folder) as folder_fd, _kept_on_success(folder_fd) as files:
                places = _link_mapped(self._buffers, folder_fd, files, is_argument=is_argument)
                new = stream + [view for view in self._buffers if id(view) not in places]
                starts = _starts(new, len(stream))
                new_file = len(files)
                if new:
                    files.append(_write(folder_fd, new, starts, durable=durable))
                if durable:
                    os.fsync(folder_fd)
        except OSError as error:
            total = size + sum(view.nbytes for view in self._buffers)
            raise ValueFileError(
                f"a value of {total} bytes can't be written to {folder!r}: {error.strerror}; "
                + _advice(error),
                file=folder,
                what=error.strerror,
            ) from error
        for view, start in zip(new, starts, strict=True):
            places[id(view)] = new_file, start, view.nbytes
        return _pickle.dumps(
            Reference(
                folder,
                files,
                None if is_inline else (new_file, 0, size),
                [places[id(view)] for view in self._buffers],
                b"".join(self._pieces) if is_inline else b"",
                tokens_in(self._pieces),
            ),
            5,
        )


class WrittenValue:
    """Stands for a value that is in a file: pickles as a reference to it, and is unpickled as the value.

    The pickle of the value is a buffer of the new pickle, and a buffer of a mapped file is not written again.

    Attributes:
        stream: The pickle of the value, in the mapped file.
    """

    def __init__(self, stream: memoryview) -> None:
        self.stream = stream

    def __reduce__(self) -> tuple[Any, ...]:
        return unpickle, (_pickle.PickleBuffer(self.stream),)


def unpickle(stream: memoryview) -> Any:
    """Return the value that a `WrittenValue` stands for."""
    return _pickle.loads(stream)


class Comparison:
    """A file object for a pickler; raises `ValueError` if the pickle is not a given one.

    Example:
        >>> import pickle
        >>> given = memoryview(pickle.dumps([1, 2], 5))
        >>> pickle.Pickler(Comparison(given), 5).dump([1, 2])
        >>> pickle.Pickler(Comparison(given), 5).dump([1, 3])
        Traceback (most recent call last):
        ...
        ValueError: another pickle
    """

    def __init__(self, given: memoryview) -> None:
        self._rest = given

    def write(self, data: Any) -> None:
        """Compare the next bytes of the pickle; `data` is bytes, or a `PickleBuffer`, which has no length."""
        piece = data if type(data) is bytes else bytes(data)
        for first in range(0, len(piece), _CHUNK):
            part = piece[first : first + _CHUNK]
            if part != bytes(self._rest[: len(part)]):  # memory views would be compared item by item
                raise ValueError("another pickle")
            self._rest = self._rest[len(part) :]

    def add(self, buffer: PickleBuffer) -> bool:
        """Let the pickle contain a buffer: the given one has all of its buffers in it."""
        return True


def load(packed: bytes) -> Any:
    """Return the value of a reference; buffers are read-only views of the mapped file.

    Raises:
        ValueFileError: A file is missing, damaged or of another owner; nothing was unpickled.
        Exception: Any error of unpickling the value.
    """
    reference: Reference = _pickle.loads(packed)
    views = [_map(reference.folder, file) for file in reference.files]
    pickled = reference.pickled if reference.stream is None else _part(views, *reference.stream)
    return _pickle.loads(pickled, buffers=[_part(views, *place) for place in reference.buffers])


def written_value(packed: bytes) -> WrittenValue | None:
    """Return the object that stands for the value of a reference.

    It is `None` if the pickle is not in a file or has buffers outside of it (these are not written again
    anyway), if the file can't be used, or if the value has secrets: only their pickling lets them travel.
    """
    reference: Reference = _pickle.loads(packed)
    if reference.stream is None or reference.buffers or reference.secrets:
        return None
    try:
        views = [_map(reference.folder, file) for file in reference.files]
    except ValueFileError:
        return None
    return WrittenValue(_part(views, *reference.stream))


def pickle_size(packed: bytes) -> int:
    """Return the size in bytes of the pickle of a reference, without its buffers."""
    reference: Reference = _pickle.loads(packed)
    return len(reference.pickled) if reference.stream is None else reference.stream[2]


def names_in(packed: bytes) -> list[str]:
    """Return the names of the files that a reference needs."""
    reference: Reference = _pickle.loads(packed)
    return [file.name for file in reference.files]


def remove(folder: str, names: Collection[str]) -> None:
    """Remove files; processes that have mapped them keep their content."""
    with suppress(OSError), _opened(folder) as folder_fd:
        for name in names:
            with suppress(OSError):  # it is removed with the other unreferenced files later
                os.unlink(name, dir_fd=folder_fd)


def remove_unreferenced(folder: str, referenced: Collection[str], writers: Collection[int] = ()) -> None:
    """Remove the files that no reference needs.

    Args:
        folder: Absolute path of the folder of values; it may be missing.
        referenced: Names of the files to keep.
        writers: Ids, on their hosts, of the processes that may have written a file whose reference has not
            arrived yet; all their files are kept.

    Example:
        >>> remove_unreferenced("/missing", set())
    """
    for name in list_files(folder):
        if name not in referenced and int(name.partition("-")[0]) not in writers:
            remove(folder, (name,))


def list_files(folder: str) -> list[str]:
    """Return the names of all files of values, complete or not; none if there is no such folder.

    Raises:
        ValueFileError: It is not a folder of this user, or can't be read.
    """
    try:
        with _opened(folder) as folder_fd:
            names = os.listdir(folder_fd)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _folder_refused(folder, error) from None
    return [
        name for name in names if name.endswith((_ENDING, _STAGED)) and name.partition("-")[0].isdecimal()
    ]


def mark_unverified(folder: str) -> None:
    """Let `load` compare each file that is in a folder now with its digests, once."""
    _unverified.update(list_files(folder))


def digest_of(view: memoryview) -> str:
    """Return the digest of a buffer; if it is a section of a mapped file, its content is not read.

    Args:
        view: Bytes, contiguous.
    """
    mapping = _mapping_of(view) if view.nbytes >= MIN_BUFFER else None
    if mapping is not None:
        known = mapping.digests.get((_address(view) - mapping.start, view.nbytes))
        if known is not None:
            return known
    return xxh3_128(view).hexdigest()


# Write.


def _merge(pieces: Sequence[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a pickle with small ones joined; big ones are not copied."""
    small: list[bytes] = []
    for piece in pieces:
        if len(piece) < MIN_BUFFER:
            small.append(piece)
            continue
        if small:
            yield b"".join(small)
            small = []
        yield piece
    if small:
        yield b"".join(small)


@contextmanager
def _kept_on_success(folder_fd: int) -> Iterator[list[ValueFile]]:
    """Give a list for new files; they are removed if the `with` block fails."""
    files: list[ValueFile] = []
    try:
        yield files
    except BaseException:
        for file in files:
            os.unlink(file.name, dir_fd=folder_fd)
        raise


def _link_mapped(
    buffers: Sequence[memoryview], folder_fd: int, files: list[ValueFile], *, is_argument: bool
) -> dict[int, tuple[int, int, int]]:
    """Give new names to the mapped files that contain buffers.

    An answer stays for long, so a file of which its buffers are less than half is not kept for them: they are
    written again. An argument is needed only until its call has ended, and mostly as long as the answer in
    the same file.

    Args:
        buffers: The buffers.
        folder_fd: The folder of values.
        files: Gets the files.
        is_argument: Whether the buffers belong to an argument.

    Returns:
        The place of each buffer that is in one of `files`, by its id.
    """
    found: dict[int, tuple[_Mapping, list[memoryview]]] = {}
    for view in buffers:
        mapping = _mapping_of(view)
        if mapping is not None:
            found.setdefault(mapping.start, (mapping, []))[1].append(view)
    places: dict[int, tuple[int, int, int]] = {}
    for mapping, views in found.values():
        size = sum(view.nbytes for view in views)
        if 2 * size < mapping.file.size and not (is_argument and size >= _MIN_PART):
            continue
        name = _new_name()
        try:
            os.link(os.path.join(mapping.folder, mapping.file.name), name, dst_dir_fd=folder_fd)
        except OSError:
            continue  # the file was removed, or the file system has no links: written again
        sections = list(mapping.file.sections)
        for view in views:
            start = _address(view) - mapping.start
            places[id(view)] = len(files), start, view.nbytes
            if (start, view.nbytes) not in mapping.digests:
                sections.append(Section(start, view.nbytes, digest_of(view)))
        files.append(mapping.file._replace(name=name, sections=sections))
    return places


def _starts(sections: Sequence[memoryview], num_stream: int) -> list[int]:
    """Return where each section begins in a new file.

    Args:
        sections: The sections.
        num_stream: Number of the first sections that follow each other without a gap: those of the pickle.
    """
    starts, end = [], 0
    for number, view in enumerate(sections):
        start = end if number < num_stream else -(-end // _ALIGNMENT) * _ALIGNMENT
        starts.append(start)
        end = start + view.nbytes
    return starts


def _write(
    folder_fd: int, sections: Sequence[memoryview], starts: Sequence[int], *, durable: bool
) -> ValueFile:
    """Write a new file, and return it.

    Args:
        folder_fd: The folder of values.
        sections: Its sections.
        starts: Where each of them begins.
        durable: Whether the file must survive the loss of power.

    Raises:
        OSError: The file can't be written.
    """
    name = _new_name()
    fd, is_staged = _create(folder_fd, name)
    try:
        digests = [_write_section(fd, *section) for section in zip(starts, sections, strict=True)]
        if durable:
            os.fsync(fd)
        found = os.fstat(fd)
        if is_staged:
            os.rename(f"{name}.new", name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
        else:
            os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=folder_fd, follow_symlinks=True)
    except BaseException:
        if is_staged:
            with suppress(OSError):
                os.unlink(f"{name}.new", dir_fd=folder_fd)
        raise
    finally:
        os.close(fd)
    parts = [
        Section(start, view.nbytes, digest)
        for start, view, digest in zip(starts, sections, digests, strict=True)
    ]
    return ValueFile(name, found.st_size, file_stamp(found), parts)


def _create(folder_fd: int, name: str) -> tuple[int, bool]:
    """Create a file without a name, or a staged one where the system can't; return it, and which it is."""
    if os.path.isdir("/proc/self/fd"):
        with suppress(OSError):  # many file systems, and kernels before 3.11, can't
            return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=folder_fd), False
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(f"{name}.new", flags, 0o600, dir_fd=folder_fd), True


def _new_name() -> str:
    return f"{os.getpid()}-{os.urandom(8).hex()}{_ENDING}"


def _write_section(fd: int, start: int, view: memoryview) -> str:
    """Write one section, and return the digest of the bytes that were written."""
    digest = xxh3_128()
    for first in range(0, view.nbytes, _CHUNK):
        # A copy: another thread may change the buffer, and the digest has to fit the written bytes.
        data = bytes(view[first : first + _CHUNK])
        digest.update(data)
        rest, place = memoryview(data), start + first
        while rest:
            num_written = os.pwrite(fd, rest, place)
            rest, place = rest[num_written:], place + num_written
    return digest.hexdigest()


# Load.


def _part(views: Sequence[memoryview], file: int, start: int, size: int) -> memoryview:
    return views[file][start : start + size]


def _map(folder: str, file: ValueFile) -> memoryview:
    """Check a file and map it.

    Raises:
        ValueFileError: It is missing, damaged or of another owner.
    """
    # First the folder of the present run: the run may have been moved since the reference was made.
    folders = [path for path in (current_caller().values, folder) if path is not None]
    for path in folders:
        if os.path.lexists(os.path.join(path, file.name)):
            folder = path
            break
    path = os.path.join(folder, file.name)
    try:
        with _opened(folder) as folder_fd:
            # O_NONBLOCK: opening a FIFO would block.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                fd = os.open(file.name, flags, dir_fd=folder_fd)
            except OSError as error:
                what = describe_at(error, file.name, dir_fd=folder_fd)
                raise _refused(path, what, _file_advice(error)) from None
            try:
                found = os.fstat(fd)
                if not stat.S_ISREG(found.st_mode):
                    raise _refused(path, f"it is {kind_of(found.st_mode)}, not a regular file")
                if reason := check_own_file(found, path):
                    raise _refused(path, reason, f"{own_file_advice(found, path)}{_OR_BEGIN}")
                if found.st_size != file.size:
                    raise _refused(path, f"its size in bytes is {found.st_size}, not {file.size}")
                if file.name in _unverified or file_stamp(found) != file.stamp:
                    _verify(fd, file, path)
                # The mapping needs no open file, and a process may have few of them.
                options = {"trackfd": False} if sys.version_info >= (3, 13) else {}
                mapped = mmap.mmap(fd, file.size, mmap.MAP_SHARED, mmap.PROT_READ, **options)
            finally:
                os.close(fd)
    except OSError as error:
        if error.filename == folder:
            raise _folder_refused(folder, error, path) from None
        raise _refused(path, error.strerror or str(error), _file_advice(error)) from None
    view = memoryview(mapped)
    _register(_address(view), mapped, folder, file._replace(stamp=file_stamp(found)))
    return view


def _verify(fd: int, file: ValueFile, path: str) -> None:
    """Compare a file with its digests.

    Raises:
        ValueFileError: They differ.
    """
    sections = file.sections
    if [_read_digest(fd, section) for section in sections] != [section.digest for section in sections]:
        raise _refused(path, "its content does not match its digest")
    _unverified.discard(file.name)


def _read_digest(fd: int, section: Section) -> str:
    """Return the digest of a section; it is read, because mapped pages count as memory of this process."""
    digest, end = xxh3_128(), section.start + section.size
    for start in range(section.start, end, _CHUNK):
        digest.update(os.pread(fd, min(_CHUNK, end - start), start))
    return digest.hexdigest()


def _refused(path: str, what: str, advice: str = f"restore the file{_OR_BEGIN}") -> ValueFileError:
    return ValueFileError(
        f"the file of a value {path!r} can't be used: {what}; {advice}",
        file=path,
        what=what,
    )


def _folder_refused(folder: str, error: OSError, file: str = "") -> ValueFileError:
    what = error.strerror or str(error)
    return ValueFileError(
        f"the folder of values {folder!r} can't be used: {what}; "
        + (_limit_advice(error) or f"{_advice(error)}{_OR_BEGIN}"),
        file=file or folder,
        what=what,
    )


class _FolderRefused(PermissionError):
    """Another user could have written into the folder of values."""

    advice = ""


def _file_advice(error: OSError) -> str:
    """Return what to do if a file of a value can't be opened or mapped."""
    advice = ACCESS_ADVICE if isinstance(error, PermissionError) else "restore the file"
    return _limit_advice(error) or f"{advice}{_OR_BEGIN}"


def _limit_advice(error: OSError) -> str:
    """Return what to do if there are too many open files, for example of mapped values; else ""."""
    if error.errno not in (errno.EMFILE, errno.ENFILE):
        return ""
    return f"{advice_for(error, '')}, or hold fewer values at a time"


def _advice(error: OSError) -> str:
    """Return what to do if the folder of values can't be used."""
    if isinstance(error, _FolderRefused):
        return error.advice
    if isinstance(error, PermissionError):
        return ACCESS_ADVICE
    return advice_for(error, "check what is at that path")


def _create_folder(folder: str, *, durable: bool) -> None:
    """Create the folder of values if it is missing.

    Raises:
        OSError: It can't be created.
    """
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return
    if durable:
        flush_folder(os.path.dirname(folder))


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    """Open the folder of values, which must be a folder of this user.

    Raises:
        OSError: It can't be opened, or another user could have written into it; `filename` is its path.
    """
    fd = open_folder(folder)
    try:
        found = os.fstat(fd)
        if reason := check_own_file(found, folder):
            refused = _FolderRefused(errno.EPERM, reason, folder)
            refused.advice = own_file_advice(found, folder)
            raise refused
        yield fd
    finally:
        os.close(fd)


# The mappings of this process.


def _register(start: int, mapped: mmap.mmap, folder: str, file: ValueFile) -> None:
    global _mappings
    digests = {(section.start, section.size): section.digest for section in file.sections}
    mapping = _Mapping(start, start + file.size, ref(mapped), folder, file, digests)
    # Drop the mappings that have ended; others may have got their addresses.
    known = [other for other in _mappings if other.alive() is not None]
    _mappings = sorted([*known, mapping], key=lambda mapping: mapping.start)


def _mapping_of(view: memoryview) -> _Mapping | None:
    """Return the mapped file that contains a buffer, or `None`."""
    if not _mappings or not view.readonly:
        return None
    address = _address(view)
    position = bisect_right(_mappings, address, key=lambda mapping: mapping.start) - 1
    if position < 0:
        return None
    mapping = _mappings[position]
    is_inside = address + view.nbytes <= mapping.end and mapping.alive() is not None
    return mapping if is_inside else None


@cache
def _buffer_class() -> Any:
    """Return the class for `Py_buffer` of the C API; to make it takes 0.1 ms."""
    import ctypes  # noqa: PLC0415 - 5 ms; only the C API returns the address of a read-only buffer

    class PyBuffer(ctypes.Structure):
        _fields_ = (
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.py_object),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_char_p),
            ("shape", ctypes.c_void_p),
            ("strides", ctypes.c_void_p),
            ("suboffsets", ctypes.c_void_p),
            ("internal", ctypes.c_void_p),
        )

    return PyBuffer


def _address(view: memoryview) -> int:
    """Return the address of the first byte of a buffer."""
    import ctypes  # noqa: PLC0415 - as above

    buffer = _buffer_class()()
    api = ctypes.pythonapi
    api.PyObject_GetBuffer(ctypes.py_object(view), ctypes.byref(buffer), 0)
    try:
        return int(buffer.buf or 0)
    finally:
        api.PyBuffer_Release(ctypes.byref(buffer))
