"""What packed arguments look like, without loading a single class of the user's.

Whoever looks at a run need not have its modules, and looking must run nobody's code: a class or
function that is no plain value becomes a stand-in with its name.
"""

from __future__ import annotations

import io
import pickle
import reprlib
from typing import Any

#: What is built as it is: nothing in it runs code of a user's.
_KNOWN = {
    "builtins": {"bytearray", "complex", "frozenset", "range", "set", "slice"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "uuid": {"UUID"},
}


#: What an unpickler may raise for data that is damaged or that something else wrote.
UNPICKLING_FAILURES = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class NotPlain(pickle.UnpicklingError):
    """Packed data that should be plain names a class or a function."""


class _StandIn:
    """Stands for an object, a class or a function that is not loaded."""

    _name = "?"

    def __new__(cls, *args: Any, **kwargs: Any) -> _StandIn:
        made = super().__new__(cls)
        made._args = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._args = args

    def __setstate__(self, state: Any) -> None:
        """Take no state: what it means is for its class to know."""

    def append(self, item: Any) -> None:
        """Take no items."""

    def extend(self, items: Any) -> None:
        """Take no items."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __repr__(self) -> str:
        # `_reconstruct(ndarray, ...)` and its like are ways to say `ndarray`.
        first = self._args[0] if self._args else None
        if isinstance(first, type) and issubclass(first, _StandIn):
            return f"{first._name}(...)"
        return f"{self._name}(...)"


class _StandInPickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _KNOWN.get(module, ()):
            return super().find_class(module, name)
        return type("_StandIn", (_StandIn,), {"_name": name.rpartition(".")[2]})


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise NotPlain(f"{module}.{name} stands in what should be plain data")


def unpack_plain(data: bytes) -> Any:
    """Return packed data that consists of numbers, texts, bytes, lists, dicts and tuples.

    Raises:
        pickle.UnpicklingError: It is something else, or damaged.

    Example:
        >>> import pickle
        >>> unpack_plain(pickle.dumps([1, {"a": b"x"}]))
        [1, {'a': b'x'}]
    """
    return _PlainUnpickler(io.BytesIO(data)).load()


def show_arguments(packed: bytes) -> str:
    """Return the packed `(args, kwargs)` of a call as it stands in the flow, shortened; or `...`.

    Example:
        >>> import pickle
        >>> show_arguments(pickle.dumps(((1, "a"), {"lr": 0.1})))
        "1, 'a', lr=0.1"
    """
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = 60
    try:
        args, kwargs = _StandInPickler(io.BytesIO(packed)).load()
        parts = [shortener.repr(value) for value in args]
        parts += [f"{name}={shortener.repr(value)}" for name, value in kwargs.items()]
    except Exception:  # noqa: BLE001 - whatever is in there, it is only shown
        return "..."
    return " ".join(", ".join(parts).split())
