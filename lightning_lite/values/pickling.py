"""Pickles objects for other processes: classes and functions by reference if importable, else by value.

Classes and functions of the user's script, of a REPL or of a notebook exist only in the main process. They
are sent to a work by value. On the way back only their names are sent, and the main process looks up its own
class: an answer is an instance of the script's class, also after a resume.

A big value is written to a file of the run, and its bytes are a reference to that file (`value_files`).
"""

from __future__ import annotations

import _pickle  # importing pickle would cost each work another 8 ms
import marshal
import sys
from types import CodeType, FunctionType

from lightning_lite.errors import LightningLiteError
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Size in bytes from which the pickle of a value is written to a file.
BIG = 1024 * 1024

_PROTOCOL = 5
_SMALL = frozenset({type(None), bool, int, float})

#: Imported by name, when this process handles the first big value.
_VALUE_FILES = "lightning_lite.values.value_files"

#: Begin of the bytes of a big value: a pickle that calls `value_files.load(reference)`. It is followed by the
#: size of the reference, the reference and `_END`.
REFERENCE = b"\x80\x05c" + _VALUE_FILES.encode() + b"\nload\nB"
_END = b"\x85R."


class PackingError(LightningLiteError, TypeError):
    """A value can't be pickled, or its bytes can't be unpickled."""


class _NeedsValue(Exception):
    """A class or function must be pickled by value, with cloudpickle."""


class _IsBig(Exception):
    """A pickle is too large for a message."""


class _Message:
    """A file object for a pickler, for the bytes of a message.

    Args:
        limit: Size in bytes from which on `_IsBig` is raised, or `None`.
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
            raise _IsBig
        self._parts.append(part)

    def add(self, buffer: Any) -> bool:
        """Let the pickle contain a buffer, unless it is too large."""
        if self._limit is not None and buffer.raw().nbytes >= self._limit:
            raise _IsBig
        return True

    def getvalue(self) -> bytes:
        """Return the pickle."""
        return b"".join(self._parts)


def value_files() -> Any:
    """Return the module `value_files`, which only processes that handle a big value load."""
    __import__(_VALUE_FILES)
    return sys.modules[_VALUE_FILES]


def pack(
    value: Any,
    *,
    to_main: bool = False,
    reduce: Callable[[Any], Any] | None = None,
    folder: str | None = None,
    durable: bool = False,
) -> bytes:
    """Return `value` as bytes.

    Args:
        value: Any object that pickle or cloudpickle can handle.
        to_main: Whether the receiver is the main process, which has the script loaded.
        reduce: Called first with each object; its result is that of `reducer_override` of a pickler.
        folder: Folder for big values: the bytes of such a value are a reference to a file in it. `None`: all
            of the value is in the bytes.
        durable: Whether that file must survive the loss of power.

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
        message: _Message = _dump(value, lambda: _Message(None if folder is None else BIG), to_main, reduce)
    except _IsBig:
        assert folder is not None
        draft = _dump(value, value_files().Draft, to_main, reduce)
        reference: bytes = draft.store(folder, durable=durable)
        return REFERENCE + len(reference).to_bytes(4, "little") + reference + _END
    return message.getvalue()


def _dump(
    value: Any, make_file: Callable[[], Any], to_main: bool, reduce: Callable[[Any], Any] | None
) -> Any:
    """Pickle `value` into a new file object of `make_file`, and return that.

    Raises:
        PackingError: `value` can't be pickled.
        _IsBig: The file object refuses its size.
    """
    file = make_file()
    try:
        _ReferencePickler(file, to_main, reduce).dump(value)
    except _IsBig:
        raise
    except (Exception, SystemExit):  # noqa: BLE001 - cloudpickle may accept the object, or raises the reason
        file = make_file()
        _dump_by_value(value, file, to_main, reduce)
    return file


def is_reference(data: bytes) -> bool:
    """Return whether bytes of `pack` are a reference to files, and not the value itself."""
    return data.startswith(REFERENCE)


def files_of(data: bytes) -> list[str]:
    """Return the names of the files that bytes of `pack` refer to; none for a small value.

    Example:
        >>> files_of(pack([1, 2]))
        []
    """
    if not is_reference(data):
        return []
    names: list[str] = value_files().names_in(data[len(REFERENCE) + 4 : -len(_END)])
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


def pack_plain(value: Any) -> bytes:
    """Return `value` as bytes, in half the time of `pack`; only for plain data without objects of a user."""
    return _pickle.dumps(value, _PROTOCOL)


def pack_error(error: BaseException) -> bytes | None:
    """Return an exception as bytes for the main process; `None` if that can't or must not raise it."""
    if not isinstance(error, Exception):
        return None  # SystemExit, for example, would end the app without a message
    try:
        return pack(error, to_main=True)
    except PackingError:
        return None


def unpack(data: bytes) -> Any:
    """Return the value that `pack` encoded as `data`.

    Raises:
        Exception: Any error of unpickling the value.
    """
    return _pickle.loads(data)


def find_global(module: str, qualname: str) -> Any:
    """Return the class or function `qualname` of `module`; pickles by reference call this."""
    __import__(module)
    found: Any = sys.modules[module]
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


class _ReferencePickler(_pickle.Pickler):
    """Pickles by reference only; raises `_NeedsValue` for a class or function without an importable name."""

    def __init__(self, file: Any, to_main: bool, reduce: Callable[[Any], Any] | None) -> None:
        super().__init__(file, _PROTOCOL, buffer_callback=file.add)
        self._to_main = to_main
        self._reduce = reduce

    def reducer_override(self, obj: Any) -> Any:
        if self._reduce is not None and (reduced := self._reduce(obj)) is not NotImplemented:
            return reduced
        if isinstance(obj, type | FunctionType):
            return _reduce_definition(obj, self._to_main)
        return NotImplemented


def _reduce_definition(obj: Any, to_main: bool) -> Any:
    """Return the reference to a class or function, or `NotImplemented` for the default of pickle.

    Raises:
        _NeedsValue: The receiver can't import it.
    """
    module = getattr(obj, "__module__", None)
    if module is None or is_importable(module):
        return NotImplemented
    if to_main and "<" not in obj.__qualname__:
        return find_global, (module, obj.__qualname__)
    raise _NeedsValue


def _dump_by_value(value: Any, file: Any, to_main: bool, reduce: Callable[[Any], Any] | None) -> None:
    import cloudpickle  # noqa: PLC0415 - takes 30 to 50 ms, and most works never pickle by value

    class ValuePickler(cloudpickle.CloudPickler):  # type: ignore[misc]
        def reducer_override(self, obj: Any) -> Any:
            if reduce is not None and (reduced := reduce(obj)) is not NotImplemented:
                return reduced
            if isinstance(obj, CodeType):
                return _reduce_code(obj)
            if isinstance(obj, type | FunctionType):
                try:
                    named = _reduce_definition(obj, to_main)
                except _NeedsValue:
                    module = sys.modules.get(obj.__module__)
                    if module is not None and obj.__module__ != "__main__":
                        cloudpickle.register_pickle_by_value(module)
                else:
                    if named is not NotImplemented:
                        return named
            reduced = super().reducer_override(obj)
            if isinstance(obj, type) and isinstance(reduced, tuple) and len(reduced) > 2:
                # cloudpickle omits it; without it, answers could not refer to the class by name.
                reduced[2][0]["__qualname__"] = obj.__qualname__
            return reduced

    try:
        ValuePickler(file, protocol=_PROTOCOL, buffer_callback=file.add).dump(value)
    except _IsBig:
        raise
    except (Exception, SystemExit) as error:
        raise PackingError(f"{type(error).__name__}: {error}") from error


def _reduce_code(code: CodeType) -> Any:
    """Return how a code object is rebuilt in the work, with the file name that the script gave it.

    From version 3.1.3 on, cloudpickle replaces the name of the file with `<dynamic-code>`. Tracebacks,
    debuggers, warnings and `inspect` would then show neither the file nor the line of code. `marshal` keeps
    the whole code object, as in a .pyc file; both processes run the same interpreter.
    """
    try:
        return marshal.loads, (marshal.dumps(code),)
    except ValueError:  # a tool that rewrites bytecode put in a constant that no .pyc file can hold
        return NotImplemented  # the default of cloudpickle, which keeps all but the name of the file


_importable: dict[str, bool] = {}


def is_importable(name: str) -> bool:
    """Return whether another process with the same `sys.path` can import the module `name`.

    `sys.modules` also contains modules that were created by code, or loaded from a file outside `sys.path`.
    So this asks the finders.
    """
    known = _importable.get(name)
    if known is None:
        known = _importable[name] = _find_importable(name)
    return known


def _find_importable(name: str) -> bool:
    if name == "__main__" or name == "__mp_main__":
        return False
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return name in sys.builtin_module_names
    parent, _, _ = name.rpartition(".")
    if parent and not is_importable(parent):
        return False
    path = getattr(sys.modules[parent], "__path__", None) if parent else None
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)  # some programs add objects without it
        found = find_spec(name, path) if find_spec is not None else None
        if found is not None:
            return bool(found.origin == spec.origin)
    return False
