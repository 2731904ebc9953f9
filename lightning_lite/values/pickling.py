"""Pickles objects for other processes: classes and functions by reference if importable, else by value.

Classes and functions of the user's script, of a REPL or of a notebook exist only in the main process. They
are sent to a work by value. On the way back only their names are sent, and the main process looks up its own
class: an answer is an instance of the script's class, also after a resume.

A big value is written to a file of the run, and its bytes are a reference to that file (`value_files`).
"""

from __future__ import annotations

import _pickle  # importing pickle would cost each work another 8 ms
from types import FunctionType, ModuleType

from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.by_name import (
    check_arrival,
    name_for_main,
    name_of_single,
    reduce_in_own_way,
    single_for_main,
)
from lightning_lite.values.by_name import is_importable as is_importable
from lightning_lite.values.exceptions import reduce_error, reduce_error_by_parts
from lightning_lite.values.namespaces import find_global as find_global
from lightning_lite.values.namespaces import find_single
from lightning_lite.values.transferable import NotShareable, PickleTooLarge, check_travels
from lightning_lite.values.transferable import PackingError as PackingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Size in bytes from which the pickle of a value is written to a file.
BIG = 1024 * 1024

_PROTOCOL = 5

#: Imported by name, when a value needs it.
_BY_VALUE = "lightning_lite.values.by_value"
_UNPICKLABLE = "lightning_lite.values.unpicklable"

_DEFINITIONS = (type, FunctionType)

#: Modules of classes whose objects pickle as the name of a global: cached functions, types that have a name.
_NAMING = frozenset({"functools", "typing"})
_SMALL = frozenset({type(None), bool, int, float})

#: Types of one object each, without parts that could change.
UNCHANGEABLE = frozenset({bytes, str})

#: How many times more memory than its pickle a value takes: a list of numbers takes 4 to 7 times as much.
_GROWTH = 8

#: Imported by name, when this process handles the first big value.
_VALUE_FILES = "lightning_lite.values.value_files"

#: Imported by name, when this process pickles the first object of NumPy.
_ARRAY_VIEWS = "lightning_lite.values.array_views"

#: Begin of the bytes of a big value: a pickle that calls `value_files.load(reference)`. It is followed by the
#: size of the reference, the reference and `_END`.
REFERENCE = b"\x80\x05c" + _VALUE_FILES.encode() + b"\nload\nB"
_END = b"\x85R."


class _NeedsValue(Exception):
    """A class or function must be pickled by value, with cloudpickle."""


class _Message:
    """A file object for a pickler, for the bytes of a message.

    Args:
        limit: Size in bytes from which on `PickleTooLarge` is raised, or `None`.
    """

    def __init__(self, limit: int | None) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._limit = limit

    def write(self, data: Any) -> None:
        """Append to the pickle; `data` is bytes, or a `PickleBuffer`, which has no length."""
        part = data if type(data) is bytes else bytes(data)
        self._size += len(part)
        if self._limit is not None and self._size >= self._limit:
            raise PickleTooLarge
        self._parts.append(part)

    def add(self, buffer: Any) -> bool:
        """Let the pickle contain a buffer, unless it is too large."""
        if self._limit is not None and buffer.raw().nbytes >= self._limit:
            raise PickleTooLarge
        return True

    def getvalue(self) -> bytes:
        """Return the pickle."""
        return b"".join(self._parts)


def value_files() -> Any:
    """Return the module `value_files`, which only processes that handle a big value load."""
    return late_import(_VALUE_FILES)


def pack(
    value: Any,
    *,
    to_main: bool = False,
    reduce: Callable[[Any], Any] | None = None,
    folder: str | None = None,
    durable: bool = False,
    with_script: bool = False,
) -> bytes:
    """Return `value` as bytes.

    Args:
        value: Any object that pickle or cloudpickle can handle.
        to_main: Whether the receiver is the main process, which has the script loaded.
        reduce: Called first with each object; its result is that of `reducer_override` of a pickler.
        folder: Folder for big values: the bytes of such a value are a reference to a file in it. `None`: all
            of the value is in the bytes.
        durable: Whether that file must survive the loss of power.
        with_script: Whether the other classes and functions of the script travel, too, if `value` uses some.

    Raises:
        PackingError: `value` can't be pickled; the message has the reason.
        ValueFileError: The file can't be written, for example because the disk is full.

    Example:
        >>> unpack(pack({"a": (1, 2.5)}))
        {'a': (1, 2.5)}
    """
    if _is_plain(value):
        data = _pickle.dumps(value, _PROTOCOL)
        if folder is None or len(data) < BIG:
            return data
    try:
        message: _Message = _dump(
            value, lambda: _Message(None if folder is None else BIG), to_main, reduce, with_script
        )
    except PickleTooLarge:
        assert folder is not None
        draft = _dump(value, value_files().Draft, to_main, reduce, with_script)
        reference: bytes = draft.store(folder, durable=durable, is_argument=not to_main)
        return REFERENCE + len(reference).to_bytes(4, "little") + reference + _END
    return message.getvalue()


def _dump(
    value: Any,
    make_file: Callable[[], Any],
    to_main: bool,
    reduce: Callable[[Any], Any] | None,
    with_script: bool,
) -> Any:
    """Pickle `value` into a new file object of `make_file`, and return that.

    Raises:
        PackingError: `value` can't be pickled.
        PickleTooLarge: The file object refuses its size.
    """
    file = make_file()
    try:
        _ReferencePickler(file, to_main, reduce).dump(value)
        return file
    except PickleTooLarge:
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - by value it may be possible, or the error has the reason
        pass
    # Not in the `except` block: the error of the first attempt would be part of the error of the second.
    try:
        by_value = late_import(_BY_VALUE)  # takes 30 to 50 ms, and most works never pickle by value
    except OSError as error:  # this process may not open more files
        raise PackingError(f"{_BY_VALUE} can't be imported: {error}. Look at 'ulimit -n'") from error
    return by_value.dump_by_value(value, make_file, to_main, reduce, with_script)


def is_reference(data: bytes) -> bool:
    """Return whether bytes of `pack` are a reference to files, and not the value itself."""
    return data.startswith(REFERENCE)


def in_place_of(value: Any, data: bytes) -> Any:
    """Return what to pickle in place of a value that was unpickled from bytes of `pack`.

    It is the value itself, unless `data` is a reference to a pickle in a file, and the value has not changed
    since. Then it is an object that pickles as a reference to that file, and is unpickled as the value.

    Args:
        value: The value.
        data: The bytes.
    """
    written = value_files().written_value(_reference_in(data)) if is_reference(data) else None
    if written is None:
        return value
    if type(value) not in UNCHANGEABLE:
        try:
            _ReferencePickler(value_files().Comparison(written.stream), to_main=False, reduce=None).dump(
                value
            )
        except Exception:  # noqa: BLE001 - it has changed or needs its class; else `pack` finds the error again
            return value
    return written


def unmapped_size(value: Any, data: bytes) -> int:
    """Return about how much memory a value takes, in bytes, without the parts that are mapped from its file.

    Args:
        value: The value.
        data: The bytes of `pack` that it was unpickled from, a reference.
    """
    if type(value) in UNCHANGEABLE:
        return int(value.__sizeof__())
    size: int = value_files().pickle_size(_reference_in(data))
    return size * _GROWTH


def _reference_in(data: bytes) -> bytes:
    return data[len(REFERENCE) + 4 : -len(_END)]


def files_of(data: bytes) -> list[str]:
    """Return the names of the files that bytes of `pack` refer to; none for a small value.

    Example:
        >>> files_of(pack([1, 2]))
        []
    """
    if not is_reference(data):
        return []
    names: list[str] = value_files().names_in(_reference_in(data))
    return names


def remove_files_of(data: bytes, folder: str) -> None:
    """Remove the files that bytes of `pack` refer to; processes that have mapped them keep the content.

    Args:
        data: The bytes.
        folder: Folder for big values.
    """
    if is_reference(data):
        value_files().remove(folder, files_of(data))


def _is_plain(value: Any) -> bool:
    """Return whether `value` obviously contains no class or function, as most arguments and answers."""
    kind = type(value)
    if kind is tuple:
        for item in value:  # noqa: SIM110 - a generator would be slower
            if type(item) not in _SMALL and not _is_plain(item):
                return False
        return True
    if kind is str or kind is bytes:
        return len(value) < BIG
    return kind in _SMALL or (kind is dict and not value)


def why_not(value: Any, error: Exception, pack_part: Callable[[Any], object] = pack) -> str:
    """Return why a value can't be pickled, with the part of it that can't: a global, an attribute, an item.

    Args:
        value: The value.
        error: The exception that its pickling has raised.
        pack_part: Pickles a part of it.
    """
    if isinstance(error.__cause__, NotShareable):
        return str(error.__cause__)
    if isinstance(error.__cause__, OSError):
        return str(error)
    explained: str = late_import(_UNPICKLABLE).find_culprit(value, pack_part, error).explain()
    return explained


def explain(value: Any, error: Exception, advice: str, pack_part: Callable[[Any], object] = pack) -> str:
    """Return in sentences why a value can't be pickled, and what to do.

    Args:
        value: The value.
        error: The exception that its pickling has raised.
        advice: A sentence, which is left out if the reason itself says what to do.
        pack_part: Pickles a part of the value.
    """
    why = why_not(value, error, pack_part)
    return f"{why}." if isinstance(error.__cause__, NotShareable) else f"{why}. {advice}"


def shown_type(value: Any) -> str:
    """Return the type of a value for an error: `<_thread.lock>`."""
    return f"<{type(value).__module__}.{type(value).__qualname__}>"


def pack_error(error: BaseException) -> bytes | None:
    """Return an exception as bytes for the main process; `None` if that can't or must not raise it.

    Its unpickling is tried here. If it fails, the exception travels without help of its class. Attributes
    that can't be pickled are left out; arguments that can't be are replaced by their `repr`.
    """
    if not isinstance(error, Exception):
        return None  # SystemExit, for example, would end the app without a message
    for reduce in (None, _reduce_error_by_parts):
        try:
            packed = pack(error, to_main=True, reduce=reduce)
            unpack(packed)
        except Exception:  # noqa: BLE001 - the class of the user may raise anything
            continue
        return packed
    return None


def unpack(data: bytes) -> Any:
    """Return the value that `pack` encoded as `data`.

    Raises:
        Exception: Any error of unpickling the value.
    """
    return _pickle.loads(data)


class _ReferencePickler(_pickle.Pickler):
    """Pickles by reference only; raises `_NeedsValue` for a class or function without an importable name."""

    def __init__(self, file: Any, to_main: bool, reduce: Callable[[Any], Any] | None) -> None:
        super().__init__(file, _PROTOCOL, buffer_callback=file.add)
        self._to_main = to_main
        self._reduce = reduce
        self._carried: Any = None

    def reducer_override(self, obj: Any) -> Any:
        if self._reduce is not None and (reduced := self._reduce(obj)) is not NotImplemented:
            return reduced
        if isinstance(obj, _DEFINITIONS):
            return _reduce_definition(obj, self._to_main)
        if isinstance(obj, BaseException):
            return reduce_error(obj)
        self._carried = check_travels(obj, self._carried)
        kind = type(obj)
        if kind is ModuleType or (kind.__module__ in _NAMING and not is_importable(obj.__module__ or "")):
            raise _NeedsValue
        check_arrival(kind)
        if kind.__module__ == "numpy":
            reduced = late_import(_ARRAY_VIEWS).reduce_array(obj)
            if reduced is not NotImplemented:
                return reduced
        single = name_of_single(obj, kind)
        if single is None:
            reduced = reduce_in_own_way(obj, kind)
            if isinstance(reduced, str):
                raise _NeedsValue
            return reduced
        if is_importable(single[0]):
            return find_single, (*single, kind)
        if self._to_main and (named := single_for_main(obj, *single)) is not None:
            return named
        raise _NeedsValue


def _reduce_definition(obj: Any, to_main: bool) -> Any:
    """Return the reference to a class or function, or `NotImplemented` for the default of pickle.

    Raises:
        _NeedsValue: The receiver can't import it.
    """
    module = getattr(obj, "__module__", None)
    if module is None or is_importable(module):
        return NotImplemented
    if to_main and (named := name_for_main(obj)) is not None:
        return named
    raise _NeedsValue


def _reduce_error_by_parts(obj: Any) -> Any:
    return reduce_error_by_parts(obj, _is_packable) if isinstance(obj, BaseException) else NotImplemented


def _is_packable(value: Any) -> bool:
    try:
        pack(value, to_main=True, reduce=_reduce_error_by_parts)
    except PackingError:
        return False
    return True
