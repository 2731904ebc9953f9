"""Pickles objects for other processes: classes and functions by reference if importable, else by value.

Classes and functions of the user's script, of a REPL or of a notebook exist only in the main process. They
are sent to a work by value. On the way back only their names are sent, and the main process looks up its own
class: an answer is an instance of the script's class, also after a resume.
"""

from __future__ import annotations

import _pickle  # importing pickle would cost each work another 8 ms
import io
import marshal
import sys
from types import CodeType, FunctionType

from lightning_lite.errors import LightningLiteError
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PROTOCOL = 5
_SCALARS = frozenset({type(None), bool, int, float, str, bytes})


class PackingError(LightningLiteError, TypeError):
    """A value can't be pickled, or its bytes can't be unpickled."""


class _NeedsValue(Exception):
    """A class or function must be pickled by value, with cloudpickle."""


def pack(value: Any, *, to_main: bool = False, reduce: Callable[[Any], Any] | None = None) -> bytes:
    """Return `value` as bytes.

    Args:
        value: Any object that pickle or cloudpickle can handle.
        to_main: Whether the receiver is the main process, which has the script loaded.
        reduce: Called first with each object; its result is that of `reducer_override` of a pickler.

    Raises:
        PackingError: `value` can't be pickled; the message has the reason.

    Example:
        >>> unpack(pack({"a": (1, 2.5)}))
        {'a': (1, 2.5)}
    """
    if _is_plain(value):
        return _pickle.dumps(value, _PROTOCOL)
    buffer = io.BytesIO()
    try:
        _ReferencePickler(buffer, to_main, reduce).dump(value)
    except (Exception, SystemExit):  # noqa: BLE001 - cloudpickle may accept the object, or raises the reason
        return _pack_by_value(value, to_main, reduce)
    return buffer.getvalue()


def _is_plain(value: Any) -> bool:
    """Return whether `value` obviously contains no class or function, as most arguments and answers."""
    if type(value) is tuple:
        for item in value:  # noqa: SIM110 - a generator would be slower
            if type(item) not in _SCALARS and not _is_plain(item):
                return False
        return True
    return type(value) in _SCALARS or (type(value) is dict and not value)


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

    def __init__(self, buffer: io.BytesIO, to_main: bool, reduce: Callable[[Any], Any] | None) -> None:
        super().__init__(buffer, _PROTOCOL)
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


def _pack_by_value(value: Any, to_main: bool, reduce: Callable[[Any], Any] | None) -> bytes:
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

    buffer = io.BytesIO()
    try:
        ValuePickler(buffer, protocol=_PROTOCOL).dump(value)
    except (Exception, SystemExit) as error:
        raise PackingError(f"{type(error).__name__}: {error}") from error
    return buffer.getvalue()


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
