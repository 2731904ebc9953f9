"""Computes the key of a call from its arguments.

Keys differ if types or order differ, and are the same in every process and every run: they do not depend on
addresses, the hash seed or the bytes of a pickle. Only the order of the keys of a dict and of the items of a
set does not count.
"""

from __future__ import annotations

import copyreg
from _blake2 import blake2b  # hashlib would load OpenSSL in each work whose module also defines a flow
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from lightning_lite.errors import ArgumentError
from lightning_lite.tracebacks import find_user_error
from lightning_lite.values.array_views import MIN_BUFFER, is_array
from lightning_lite.values.pickling import BIG, value_files
from lightning_lite.values.transferable import Confidential, NotShareable, Transferable, check_travels

#: Size in bytes; the probability of a collision among a million calls is below 1 in 10 million.
_DIGEST_SIZE = 8
_MAX_DEPTH = 200

_Above = frozenset[int]  # ids of the containers of a part; they detect a container that contains itself
_TOP: _Above = frozenset()


def call_key(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    work: str = "",
    custom: Callable[..., Any] | None = None,
) -> str:
    """Return the key of a call with these arguments, 16 hexadecimal digits.

    Args:
        args: Positional arguments.
        kwargs: Keyword arguments.
        work: Name of the work, for the message: `root.train`.
        custom: The user's function that returns plain data for the arguments, or `None`.

    Raises:
        ArgumentError: An argument, or the value that `custom` returned, has no key that is the same in every
            run; the message names it.

    Example:
        >>> call_key(([1, 2],), {}) == call_key(([2, 1],), {})
        False
        >>> call_key((), {"a": 1, "b": 2}) == call_key((), {"b": 2, "a": 1})
        True
    """
    if custom is not None:
        args, kwargs = (custom(*args, **kwargs),), {}
    parts: list[bytes] = [b"%d;" % len(args)]
    which: int | str = 0  # position or name of the argument
    try:
        for position, value in enumerate(args):
            which = position
            _ENCODERS.get(type(value), _encode_other)(value, parts, _TOP)
        for which in sorted(kwargs) if kwargs else ():
            parts.append(_text(which))
            _encode(kwargs[which], parts, _TOP)
    except ArgumentError:
        raise
    except NotShareable as error:
        where = _describe_place(work, which, custom)
        raise ArgumentError(f"{where} can't be sent to another process: {error}.", where=where) from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - `__reduce_ex__` of a user may raise anything
        where = _describe_place(work, which, custom)
        advice = "Pass plain data, or define the key with a function: LightningWork(call_key=...)."
        raise ArgumentError(
            f"{where} has no key that is the same in every run: {str(error).removesuffix('.')}. "
            + (advice if custom is None else "Let that function return plain data."),
            where=where,
        ) from find_user_error(error)
    return blake2b(b"".join(parts), digest_size=_DIGEST_SIZE).hexdigest()


def _describe_place(work: str, which: int | str, custom: Callable[..., Any] | None) -> str:
    """Return which value has no key, for a message."""
    what = f"argument {which!r}" if custom is None else "the value that call_key returned"
    return f"{work}.run: {what}" if work else f"run: {what}"


def _encode(value: Any, parts: list[bytes], above: _Above) -> None:
    """Append the parts of `value`: a letter for its kind, then its content; the encoding is unambiguous."""
    _ENCODERS.get(type(value), _encode_other)(value, parts, above)


def _encode_other(value: Any, parts: list[bytes], above: _Above) -> None:
    if isinstance(value, Transferable):
        parts.append(b"t" + _name(type(value)))
        _encode(value.call_key(), parts, above)
        return
    if isinstance(value, Confidential):
        parts.append(b"S" + _text(value._fingerprint()))
        return
    check_travels(value, None)
    if isinstance(value, type):
        _encode_named(value, parts)
    elif is_array(type(value)):
        _encode_array(value, parts, above)
    else:
        _encode_reduced(value, parts, above)


def _enter(value: Any, above: _Above) -> _Above:
    if id(value) in above or len(above) > _MAX_DEPTH:
        raise ValueError("it is nested too deeply or contains itself")
    return above | {id(value)}


def _encode_sequence(value: Any, parts: list[bytes], above: _Above) -> None:
    above = _enter(value, above)
    parts.append(b"%s%d;" % (b"l" if type(value) is list else b"u", len(value)))
    for item in value:
        _encode(item, parts, above)


def _encode_dict(value: dict[Any, Any], parts: list[bytes], above: _Above) -> None:
    above = _enter(value, above)
    items = sorted((_digest_of(key, above), _digest_of(item, above)) for key, item in value.items())
    parts.append(b"d%d;" % len(items))
    parts.extend(part for item in items for part in item)


def _encode_set(value: Any, parts: list[bytes], above: _Above) -> None:
    above = _enter(value, above)
    parts.append(b"%s%d;" % (b"z" if type(value) is set else b"Z", len(value)))
    parts.extend(sorted(_digest_of(item, above) for item in value))


def _encode_array(value: Any, parts: list[bytes], above: _Above) -> None:
    above = _enter(value, above)
    if value.dtype.hasobject:
        parts.append(b"A")
        _encode(value.tolist(), parts, above)
    else:
        parts.append(b"a" + _text(value.dtype.str + repr(value.dtype.descr)) + _text(repr(value.shape)))
        if value.nbytes < MIN_BUFFER:
            digest = blake2b(digest_size=_DIGEST_SIZE)
            digest.update(value.tobytes())
            parts.append(digest.digest())
            return
        if value.nbytes >= BIG and value.flags.f_contiguous and not value.flags.c_contiguous:
            parts.append(b"F")  # digested in the order that it has in memory, so that it is not copied
            value = value.T
        if value.flags.c_contiguous:
            parts.append(_content(memoryview(value.reshape(-1).view("u1"))))
        else:
            parts.append(_content(memoryview(value.tobytes())))


def _encode_bytes(value: bytes, parts: list[bytes], above: _Above) -> None:
    parts.append(b"y" + _bytes(value) if len(value) < BIG else b"B" + _content(memoryview(value)))


def _content(view: memoryview) -> bytes:
    """Return the digest of a big buffer; the digest of a value in a file of the run is known."""
    digest: str = value_files().digest_of(view)
    return _text(digest)


def _encode_function(value: FunctionType, parts: list[bytes], above: _Above) -> None:
    if "<" not in value.__qualname__:
        _encode_named(value, parts)
        return
    # A lambda or a local function has no unique name: its code and the values that it uses identify it.
    above = _enter(value, above)
    parts.append(b"f" + _text(value.__module__ or ""))
    _encode_code(value.__code__, parts, above)
    cells = [cell.cell_contents for cell in value.__closure__ or ()]
    _encode((value.__defaults__, value.__kwdefaults__, cells), parts, above)


def _encode_code(code: CodeType, parts: list[bytes], above: _Above) -> None:
    parts.append(b"c" + _bytes(code.co_code))
    _encode((code.co_names, code.co_varnames), parts, above)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _encode_code(constant, parts, above)
        else:
            _encode(constant, parts, above)


def _encode_named(value: Any, parts: list[bytes]) -> None:
    if "<" in value.__qualname__ and not isinstance(value, type):
        raise TypeError(f"{value!r} has no name that can be found again")
    parts.append(b"g" + _name(value))


def _encode_reduced(value: Any, parts: list[bytes], above: _Above) -> None:
    """Encode the parts from which pickle would rebuild an object."""
    above = _enter(value, above)
    reducer = copyreg.dispatch_table.get(type(value))
    reduced = reducer(value) if reducer else value.__reduce_ex__(4)
    if isinstance(reduced, str):
        parts.append(b"g" + _text(type(value).__module__) + _text(reduced))
        return
    parts.append(b"o" + _name(type(value)))
    build, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    _encode(build, parts, above)
    _encode(arguments, parts, above)
    _encode(state, parts, above)
    _encode(None if items is None else list(items), parts, above)
    _encode(None if pairs is None else dict(pairs), parts, above)


def _digest_of(value: Any, above: _Above) -> bytes:
    parts: list[bytes] = []
    _encode(value, parts, above)
    return _digest(parts)


def _digest(parts: list[bytes]) -> bytes:
    return blake2b(b"".join(parts), digest_size=_DIGEST_SIZE).digest()


def _bytes(value: bytes) -> bytes:
    return b"%d:%s" % (len(value), value)


def _text(value: str) -> bytes:
    return _bytes(value.encode("utf-8", "surrogatepass"))


def _name(value: Any) -> bytes:
    return _text(value.__module__ or "") + _text(value.__qualname__)


def _encode_module(value: ModuleType, parts: list[bytes], above: _Above) -> None:
    parts.append(b"m" + _text(value.__name__))


def _encode_builtin(value: BuiltinFunctionType, parts: list[bytes], above: _Above) -> None:
    owner = value.__self__
    parts.append(b"b" + _text(value.__qualname__))
    _encode(owner, parts, above)


_ENCODERS: dict[type, Callable[[Any, list[bytes], _Above], None]] = {
    type(None): lambda value, parts, above: parts.append(b"N"),
    type(Ellipsis): lambda value, parts, above: parts.append(b"E"),
    bool: lambda value, parts, above: parts.append(b"T" if value else b"F"),
    int: lambda value, parts, above: parts.append(b"i%x;" % value),
    float: lambda value, parts, above: parts.append(b"x" + _text(value.hex())),
    complex: lambda value, parts, above: parts.append(b"j" + _text(f"{value.real.hex()}{value.imag.hex()}")),
    str: lambda value, parts, above: parts.append(b"s" + _text(value)),
    bytes: _encode_bytes,
    bytearray: lambda value, parts, above: parts.append(b"Y" + _bytes(bytes(value))),
    list: _encode_sequence,
    tuple: _encode_sequence,
    dict: _encode_dict,
    set: _encode_set,
    frozenset: _encode_set,
    FunctionType: _encode_function,
    BuiltinFunctionType: _encode_builtin,
    ModuleType: _encode_module,
}
