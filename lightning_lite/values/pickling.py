"""Pickles objects for other processes: by reference if they can import them, else by value.

Classes and functions of the user's script, of a REPL or of a notebook exist in the main process
only. Going down to a work they travel by value. Coming back they are named, and the main process
finds its own class again: an answer is an instance of the script's class, also after a resume.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each child another 8 ms
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
    """A value can't be turned into bytes, or not back into a value."""


class _NeedsValue(Exception):
    """A class or function has to travel by value; cloudpickle is needed."""


def pack(value: Any, *, to_main: bool = False, reduce: Callable[[Any], Any] | None = None) -> bytes:
    """Return `value` as bytes.

    Args:
        value: Any object that pickle or cloudpickle can handle.
        to_main: Whether the receiver has the modules of the main process, its script included.
        reduce: Asked first about each object; its result is that of `reducer_override` of a pickler.

    Raises:
        PackingError: It can't travel; the reason is in the message.

    Example:
        >>> unpack(pack({"a": (1, 2.5)}))
        {'a': (1, 2.5)}
    """
    if _is_plain(value):
        return _pickle.dumps(value, _PROTOCOL)
    buffer = io.BytesIO()
    try:
        _ReferencePickler(buffer, to_main, reduce).dump(value)
    except (Exception, SystemExit):  # noqa: BLE001 - an object that pickle refuses is tried by value, which names the reason
        return _pack_by_value(value, to_main, reduce)
    return buffer.getvalue()


def _is_plain(value: Any) -> bool:
    """Return whether a look shows that nothing in it has to be named, as in most arguments and answers."""
    if type(value) is tuple:
        for item in value:  # noqa: SIM110 - a generator would cost more than what it saves
            if type(item) not in _SCALARS and not _is_plain(item):
                return False
        return True
    return type(value) in _SCALARS or (type(value) is dict and not value)


def pack_plain(value: Any) -> bytes:
    """Return `value` as bytes, at half the cost of `pack`: plain data alone, no object of a user's."""
    return _pickle.dumps(value, _PROTOCOL)


def pack_error(error: BaseException) -> bytes | None:
    """Return an exception as bytes for the main process; `None` if it can't or must not be raised there."""
    if not isinstance(error, Exception):
        return None  # SystemExit and its like would end the app without a word
    try:
        return pack(error, to_main=True)
    except PackingError:
        return None


def unpack(data: bytes) -> Any:
    """Return the value that `pack` turned into `data`.

    Raises:
        Exception: Any error of the value's own unpickling.
    """
    return _pickle.loads(data)


def find_global(module: str, qualname: str) -> Any:
    """Return the class or function `qualname` of `module`; the way back of what is named, not copied."""
    __import__(module)
    found: Any = sys.modules[module]
    for name in qualname.split("."):
        found = getattr(found, name)
    return found


class _ReferencePickler(_pickle.Pickler):
    """Plain pickle, as long as all classes and functions can be named."""

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
    """Return how a definition is named, `NotImplemented` for pickle's own way, or ask for cloudpickle."""
    module = getattr(obj, "__module__", None)
    if module is None or is_importable(module):
        return NotImplemented
    if to_main and "<" not in obj.__qualname__:
        return find_global, (module, obj.__qualname__)
    raise _NeedsValue


def _pack_by_value(value: Any, to_main: bool, reduce: Callable[[Any], Any] | None) -> bytes:
    import cloudpickle  # noqa: PLC0415 - 30 to 50 ms, and most children never send a definition

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
                # cloudpickle forgets it; without it the class could not be named on its way back.
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
        return NotImplemented  # cloudpickle's own way, which keeps all but the name of the file


_importable: dict[str, bool] = {}


def is_importable(name: str) -> bool:
    """Return whether another process with the same `sys.path` can import the module `name`.

    A module that was made by hand, or loaded from a file outside the path, is in `sys.modules`
    all the same; so the finders are asked.
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
        find_spec = getattr(finder, "find_spec", None)  # some programs put other things there
        found = find_spec(name, path) if find_spec is not None else None
        if found is not None:
            return bool(found.origin == spec.origin)
    return False
