"""Pickles objects for other processes: classes and functions by reference if importable, else by value.

Classes and functions of the user's script, of a REPL or of a notebook exist only in the main process. They
are sent to a work by value. On the way back only their names are sent, and the main process looks up its own
class: an answer is an instance of the script's class, also after a resume.
"""

from __future__ import annotations

import _pickle  # importing pickle would cost each work another 8 ms
import io
import sys
from types import FunctionType, ModuleType

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.definitions import find_global as find_global
from lightning_lite.values.exceptions import reduce_error, reduce_error_by_parts
from lightning_lite.values.protocol import NotShareable, check_travels
from lightning_lite.values.protocol import PackingError as PackingError
from lightning_lite.values.references import check_arrival, name_for_main, name_of_single
from lightning_lite.values.references import is_importable as is_importable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PROTOCOL = 5

#: Imported by name, when a value needs it.
_BY_VALUE = "lightning_lite.values.by_value"
_UNPICKLABLE = "lightning_lite.values.unpicklable"

_DEFINITIONS = (type, FunctionType)

#: Modules of classes whose objects pickle as the name of a global: cached functions, types that have a name.
_NAMING = frozenset({"functools", "typing"})


_SCALARS = frozenset({type(None), bool, int, float, str, bytes})


class _NeedsValue(Exception):
    """A class or function must be pickled by value, with cloudpickle."""


def pack(
    value: Any,
    *,
    to_main: bool = False,
    reduce: Callable[[Any], Any] | None = None,
    with_script: bool = False,
) -> bytes:
    """Return `value` as bytes.

    Args:
        value: Any object that pickle or cloudpickle can handle.
        to_main: Whether the receiver is the main process, which has the script loaded.
        reduce: Called first with each object; its result is that of `reducer_override` of a pickler.
        with_script: Whether the other classes and functions of the script travel, too, if `value` uses some.

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
    except (Exception, SystemExit):  # noqa: BLE001 - by value it may be possible, or the error has the reason
        try:
            __import__(_BY_VALUE)  # takes 30 to 50 ms, and most works never pickle by value
        except OSError as error:  # this process may not open more files
            raise PackingError(f"{_BY_VALUE} can't be imported: {error}. Look at 'ulimit -n'") from error
        packed: bytes = sys.modules[_BY_VALUE].pack_by_value(value, to_main, reduce, with_script)
        return packed
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


def why_not(value: Any, error: Exception, pack_part: Callable[[Any], object] = pack) -> str:
    """Return why a value can't be pickled, with the part of it that can't: a global, an attribute, an item.

    Args:
        value: The value.
        error: What its pickling has raised.
        pack_part: Pickles a part of it.
    """
    if isinstance(error.__cause__, NotShareable):
        return str(error.__cause__)
    if isinstance(error.__cause__, OSError):
        return str(error)
    __import__(_UNPICKLABLE)
    explained: str = sys.modules[_UNPICKLABLE].find_culprit(value, pack_part, error).explain()
    return explained


def pack_error(error: BaseException) -> bytes | None:
    """Return an exception as bytes for the main process; `None` if that can't or must not raise it.

    What its class does when it is unpickled is tried here. If it fails, the exception travels without help of
    its class. Attributes that can't be pickled are left out; arguments that can't be are replaced by their
    `repr`.
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

    def __init__(self, buffer: io.BytesIO, to_main: bool, reduce: Callable[[Any], Any] | None) -> None:
        super().__init__(buffer, _PROTOCOL)
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
        single = name_of_single(obj, kind)
        if single is None:
            return NotImplemented
        if self._to_main or is_importable(single[0]):
            return find_global, single
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
