"""Encodes state values as bytes: checked, copied and comparable in one step.

The bytes are equal exactly if the values are equal, with their types and their order. So they are used as
snapshots, to detect changes, and as the content of messages.
"""

from __future__ import annotations

import _pickle  # importing pickle would cost each work another 8 ms
import io
from collections import Counter, OrderedDict, defaultdict

from lightning_lite.errors import StateError
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.transferable import Confidential, Stationary, Transferable

if TYPE_CHECKING:
    from typing import Any

_PROTOCOL = 5
#: A pickle begins with two bytes for the protocol, mostly nine for a frame, and the code of the object.
_FRAME = b"\x95"
_NUMBERS = frozenset({b"K", b"M", b"J", b"\x8a", b"\x8b", b"G"})
#: Types whose values can't change in place and need no check.
SCALARS = frozenset({type(None), bool, int, float, str})
#: Scalars that need no conversion; a text that begins with `lit://` becomes a `Path`.
ATOMS = SCALARS - {str}


#: Dicts that a state may have; `_pickle` has loaded `collections` already.
_DICTS = frozenset({dict, Counter, OrderedDict, defaultdict})
_CONTAINERS = _DICTS | {list, tuple}
#: The factories that a `defaultdict` may have: types of plain data, which each process has.
_FACTORIES = (bool, int, float, str, list, dict, tuple)


def is_container(value: Any) -> bool:
    """Return whether `value` can be changed in place."""
    return type(value) in _CONTAINERS


def encode(value: Any, where: str) -> bytes:
    """Return `value` as bytes that are equal exactly for equal values.

    Args:
        value: A scalar; a list, tuple or dict of allowed values with scalars as keys, also a `Counter`, an
            `OrderedDict` or a `defaultdict` of a built-in type; or a `Transferable`.
        where: Name of the value, for the message: `root.train.metrics`.

    Raises:
        StateError: A part is not allowed; the message names it and says what to do instead.

    Example:
        >>> encode([1, {"a": 2.0}], "root.x") == encode([1, {"a": 2}], "root.x")
        False
    """
    if type(value) in ATOMS:
        return _pickle.dumps(value, _PROTOCOL)
    buffer = io.BytesIO()
    pickler = _pickle.Pickler(buffer, _PROTOCOL)
    if not isinstance(value, Transferable):
        # Without the memo, bytes depend only on the value, not on which parts are the same object.
        pickler.fast = True
        _check(value, where)
    try:
        pickler.dump(value)
    except RecursionError:
        raise _too_deep(where) from None
    return buffer.getvalue()


def decode_number(encoded: bytes) -> float | None:
    """Return the number that an encoded value is; `None` for every other value, also for a truth value.

    An integer beyond the range of a float becomes infinite.

    Example:
        >>> [decode_number(encode(value, "root.x")) for value in (2, 0.5, -(10**400), True, "2", [2])]
        [2.0, 0.5, -inf, None, None, None]
    """
    start = 11 if encoded[2:3] == _FRAME else 2
    if encoded[start : start + 1] not in _NUMBERS:
        return None
    value = decode(encoded)
    if type(value) is not int and type(value) is not float:
        return None  # a tuple that begins with a number
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def decode(encoded: bytes) -> Any:
    """Return a new copy of the value that was encoded."""
    return _pickle.loads(encoded)


def _check(value: Any, where: str) -> None:
    try:
        _check_part(value, where)
    except RecursionError:
        raise _too_deep(where) from None


def _check_part(value: Any, where: str) -> None:
    kind = type(value)
    if kind is list or kind is tuple:
        # For a list of scalars, this one pass in C is the whole check.
        if not set(map(type, value)) <= SCALARS:
            for position, item in enumerate(value):
                if type(item) not in SCALARS:
                    _check_part(item, f"{where}[{position}]")
    elif kind in _DICTS:
        if getattr(value, "__dict__", None):  # pickle drops them or, for an `OrderedDict`, keeps any object
            name = next(iter(value.__dict__))
            advice = f"A {kind.__name__} in the state has no attributes of its own: make it an item."
            raise _refusal(f"{where}.{name}", value.__dict__[name], advice)
        factory = getattr(value, "default_factory", None)
        if factory is not None and factory not in _FACTORIES:
            advice = "Use a built-in type: defaultdict(int), defaultdict(list)."
            raise _refusal(f"{where}.default_factory", factory, advice)
        # Copies, because another thread may change the dict during the encoding.
        if set(map(type, list(value))) <= SCALARS and set(map(type, list(value.values()))) <= SCALARS:
            return
        for key, item in list(value.items()):
            if type(key) not in SCALARS:
                raise _refusal(f"{where} with the key {_shown(key)}", key)
            if type(item) not in SCALARS:
                _check_part(item, f"{where}[{key!r}]")
    elif kind not in SCALARS:
        raise _refusal(where, value)


def _too_deep(where: str) -> StateError:
    return StateError(
        f"{where} is nested too deeply or contains itself, so it can't be part of the state. "
        "Flatten it, or keep it in a private attribute (self._x = y), which is not shared.",
        where=where,
    )


def _refusal(where: str, value: Any, advice: str = "") -> StateError:
    return StateError(
        "Only JSON-serializable attributes are currently supported (str, int, float, bool, tuple, list, "
        f"dict etc.) to be part of the state. Found {where} with {_shown(value)} "
        f"of type {type(value).__module__}.{type(value).__qualname__} instead. {advice or _advice(value)}\n"
        "HINT: Private attributes defined as follows self._x = y won't be shared between processes and can "
        "hold anything.",
        where=where,
        found=type(value).__qualname__,
    )


def _advice(value: Any) -> str:
    """Return what to use instead of `value`."""
    kind = type(value)
    mro = {f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__}
    if "numpy.generic" in mro:
        return "Use value.item()."
    if "numpy.ndarray" in mro:
        return "Use value.tolist(), or return the array from run()."
    if "enum.Enum" in mro:
        return "Use its value or its name."
    if isinstance(value, Transferable):
        return "Assign it directly to an attribute: inside a list, tuple or dict it can't be sent."
    if isinstance(value, Stationary):
        return "Hold components in a structures.List or structures.Dict."
    if isinstance(value, Confidential):
        return "The state is stored, and a secret must not be: keep it in a private attribute (self._x = y)."
    if hasattr(kind, "__fspath__"):
        return "Use str(path)."
    if "pydantic.main.BaseModel" in mro:
        return "Use model.model_dump(mode='json')."
    if hasattr(kind, "__dataclass_fields__"):
        return "Use dataclasses.asdict(value)."
    if kind in (set, frozenset):
        return "Use sorted(value)."
    if kind in (bytes, bytearray):
        return "Use value.hex(), or return it from run()."
    for plain in (bool, int, float, str, list, tuple, dict):
        if isinstance(value, plain):
            return f"Use {plain.__name__}(value)."
    return "Use plain data, or return the object from run()."


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__ that raises must not hide our message
        text = f"<{type(value).__qualname__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= 200 else text[:197] + "..."
