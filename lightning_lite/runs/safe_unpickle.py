"""Unpickles data without importing the user's modules and without running the user's code.

A reader of a run may not have the modules of the app, and reading a run must not execute anything.
`unpack_plain` refuses classes and functions; `unpack_shown` replaces each one by a stand-in, which records
the data about it in the pickle. Stand-ins are only shown.
"""

from __future__ import annotations

import io
import pickle
import reprlib
from collections.abc import Callable
from functools import lru_cache
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

#: The errors that an unpickler raises for damaged data.
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


class StandIn:
    """Replaces an object of a class that is not imported; each subclass replaces one class or function.

    Attributes:
        stand_in_module: Class attribute: module of the class or function.
        stand_in_name: Class attribute: its name.
        stand_in_args: The arguments with which the pickle makes the object.
        stand_in_state: The state that the pickle gives the object, or `None`.
        stand_in_items: The items that the pickle adds to it; pairs if it is like a dict.
    """

    stand_in_module = ""
    stand_in_name = "?"
    stand_in_args: tuple[Any, ...]
    stand_in_state: Any
    stand_in_items: list[Any]

    def __new__(cls, *args: Any, **kwargs: Any) -> StandIn:
        """Make the object, as the class or the function would."""
        made = super().__new__(cls)
        made.stand_in_args = (*args, *kwargs.items())
        made.stand_in_state = None
        made.stand_in_items = []
        return made

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Accept the arguments of the constructor of the class."""

    def __call__(self, *args: Any) -> StandIn:
        """Return a stand-in for the result: a function may have returned a function or a class."""
        return type(self)(*args)

    def __setstate__(self, state: Any) -> None:
        """Record the state: only the class that was not imported can interpret it."""
        self.stand_in_state = state

    def append(self, item: Any) -> None:
        """Record an item."""
        self.stand_in_items.append(item)

    def extend(self, items: Any) -> None:
        """Record items."""
        self.stand_in_items.extend(items)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.stand_in_items.append((key, value))

    def __repr__(self) -> str:
        # Up to protocol 4, NumPy pickles an array as `_reconstruct(ndarray, ...)`: show its class.
        first = self.stand_in_args[0] if self.stand_in_args else None
        if isinstance(first, type) and issubclass(first, StandIn):
            return f"{first.stand_in_name}(...)"
        return f"{self.stand_in_name}(...)"


@lru_cache(1024)
def _stand_in(module: str, name: str) -> type[StandIn]:
    """Return the stand-in for a class or function."""
    name = name.rpartition(".")[2]
    names = {"stand_in_module": module, "stand_in_name": _MAKES.get(name, name)}
    return type("StandIn", (StandIn,), names)


# The functions that pickles of `values/by_value` and cloudpickle call for definitions of a script.


def _find_definition(_: Any, module: Any, name: Any) -> type[StandIn]:
    return _stand_in(str(module), str(name))


def _make_class(*args: Any) -> type[StandIn]:
    return _stand_in("__main__", str(args[5]["__qualname__"]))


def _make_skeleton_class(*args: Any) -> type[StandIn]:
    return _stand_in(str(args[3].get("__module__", "__main__")), str(args[1]))


def _make_function(*args: Any) -> Any:
    return _stand_in("__main__", str(args[3] or "function"))


def _first(value: Any = None, *_: Any) -> Any:
    return value


def _new_object(cls: Any, *_: Any) -> Any:
    return cls() if isinstance(cls, type) and issubclass(cls, StandIn) else cls


def _set_attributes(made: Any, state: Any) -> None:
    if isinstance(made, StandIn):
        made.__setstate__(state)


def _ignore(*_: Any) -> None:
    pass


def _big_value(*_: Any) -> StandIn:
    return _stand_in("", "BigValue")()


_BY_VALUE: dict[tuple[str, str], Callable[..., Any]] = {
    ("lightning_lite.values.namespaces", "find_definition"): _find_definition,
    ("lightning_lite.values.namespaces", "with_waiting"): _first,
    ("lightning_lite.values.value_files", "unpickle"): _big_value,
    ("lightning_lite.values.definitions", "make_class"): _make_class,
    ("lightning_lite.values.definitions", "make_function"): _make_function,
    ("lightning_lite.values.definitions", "new_object"): _new_object,
    ("lightning_lite.values.definitions", "set_attributes"): _set_attributes,
    ("lightning_lite.values.definitions", "set_class"): _ignore,
    ("lightning_lite.values.definitions", "set_function"): _ignore,
    ("cloudpickle.cloudpickle", "_make_skeleton_class"): _make_skeleton_class,
    ("cloudpickle.cloudpickle", "_class_setstate"): _ignore,
}


class _StandInUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name in _KNOWN.get(module, ()):
            return super().find_class(module, name)
        return _BY_VALUE.get((module, name)) or _stand_in(module, name)


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


def unpack_shown(data: bytes, num_buffers: int = 0) -> Any:
    """Unpickle data with stand-ins in place of the classes and functions that it refers to.

    Args:
        data: The pickle.
        num_buffers: Number of its buffers that are outside of it; they are replaced by empty ones.

    Raises:
        Exception: The data is damaged, or a stand-in can't be used like the class.

    Example:
        >>> import pickle
        >>> found = unpack_shown(pickle.dumps([1, ValueError("odd")]))
        >>> found[0], found[1].stand_in_name, found[1].stand_in_args
        (1, 'ValueError', ('odd',))
    """
    return _StandInUnpickler(io.BytesIO(data), buffers=[b""] * num_buffers).load()


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
        args, kwargs = unpack_shown(packed)
        parts = [shortener.repr(value) for value in args]
        parts += [f"{name}={shortener.repr(value)}" for name, value in kwargs.items()]
    except Exception:  # noqa: BLE001 - the text is only shown, so no failure matters
        return "..."
    return " ".join(", ".join(parts).split())
