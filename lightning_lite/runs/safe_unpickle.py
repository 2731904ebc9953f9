"""Unpickles data without importing the user's modules and without running the user's code.

A reader of a run may not have the modules of the app, and reading a run must not execute anything.
`unpack_plain` refuses classes and functions; `show_arguments` replaces each one by a stand-in with its name.
"""

from __future__ import annotations

import io
import pickle
import reprlib
from typing import Any

#: Classes of the standard library that run no code of the user when they are made.
_KNOWN = {
    "builtins": {"bytearray", "complex", "frozenset", "range", "set", "slice"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "fractions": {"Fraction"},
    "pathlib": {"PosixPath", "PurePosixPath"},
    "pathlib._local": {"PosixPath", "PurePosixPath"},  # from Python 3.13 on
    "uuid": {"UUID"},
}


#: Functions that make an object in a pickle, and its class, which is shown.
_MAKES = {"_frombuffer": "ndarray"}  # NumPy's, since protocol 5

#: What an unpickler raises for damaged data.
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
    """Pickled data refers to a class or a function, although it should be plain."""


class _StandIn:
    """Replaces an object, a class or a function that is not imported."""

    _name = "?"

    def __new__(cls, *args: Any, **kwargs: Any) -> _StandIn:
        made = super().__new__(cls)
        made._args = args
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._args = args

    def __setstate__(self, state: Any) -> None:
        """Ignore the state: only the class that was not imported can interpret it."""

    def append(self, item: Any) -> None:
        """Ignore the items."""

    def extend(self, items: Any) -> None:
        """Ignore the items."""

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __repr__(self) -> str:
        # Up to protocol 4, NumPy pickles an array as `_reconstruct(ndarray, ...)`: show its class.
        first = self._args[0] if self._args else None
        if isinstance(first, type) and issubclass(first, _StandIn):
            return f"{first._name}(...)"
        return f"{self._name}(...)"


class _StandInPickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _KNOWN.get(module, ()):
            return super().find_class(module, name)
        name = name.rpartition(".")[2]
        return type("_StandIn", (_StandIn,), {"_name": _MAKES.get(name, name)})


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise NotPlain(f"{module}.{name} is not plain data")


def unpack_plain(data: bytes) -> Any:
    """Unpickle data that consists of numbers, texts, bytes, lists, dicts and tuples.

    Raises:
        NotPlain: The data refers to a class or a function.
        Exception: The data is damaged; one of `UNPICKLING_FAILURES`.

    Example:
        >>> import pickle
        >>> unpack_plain(pickle.dumps([1, {"a": b"x"}]))
        [1, {'a': b'x'}]
    """
    return _PlainUnpickler(io.BytesIO(data)).load()


def show_arguments(packed: bytes) -> str:
    """Return the pickled `(args, kwargs)` of a call as the flow would write them, shortened; or `...`.

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
    except Exception:  # noqa: BLE001 - the text is only shown, so no failure matters
        return "..."
    return " ".join(", ".join(parts).split())
