"""Exceptions of the user in pickles: rebuilt without their `__init__`, which may want other arguments."""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Bit of `type.__flags__`: the class was created by a class statement.
HEAP_TYPE = 1 << 9

#: Methods of a class of the user that say how it is pickled.
_PICKLING_METHODS = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")


def builtin_base(cls: type) -> Any:
    """Return the base that decides the layout of the objects of a class, and that is written in C."""
    base: Any = cls
    while base.__flags__ & HEAP_TYPE:
        base = base.__base__
    return base


def reduce_error(error: BaseException) -> Any:
    """Return how an exception is rebuilt, also if its `__init__` wants other arguments than `args`."""
    kind = type(error)
    own = [vars(base) for base in kind.__mro__ if base.__flags__ & HEAP_TYPE]
    if any(name in space for space in own for name in _PICKLING_METHODS):
        return NotImplemented
    if not any(
        name in space for space in own for name in ("__init__", "__new__", "__setattr__", "__slots__")
    ):
        return NotImplemented
    return _take_apart(error)


def _take_apart(error: BaseException) -> Any:
    reduce = builtin_base(type(error)).__reduce__
    _, args, *state = reduce(error)
    attributes = dict(state[0]) if state and isinstance(state[0], dict) else {}
    for base in type(error).__mro__:
        if base.__flags__ & HEAP_TYPE:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if hasattr(error, name):
                    attributes.setdefault(name, getattr(error, name))
    attributes.pop("__dict__", None)
    return make_error, (type(error), args), attributes, None, None, set_error


def reduce_error_by_parts(error: BaseException, is_packable: Callable[[Any], bool]) -> Any:
    """Return how an exception is rebuilt from its parts that can be pickled.

    Args:
        error: The exception.
        is_packable: Returns whether a part can be pickled.
    """
    make, (kind, args), attributes, *others = _take_apart(error)
    if not isinstance(error, BaseExceptionGroup):
        args = tuple(value if is_packable(value) else repr(value) for value in args)
    attributes = {name: value for name, value in attributes.items() if is_packable(value)}
    return make, (kind, args), attributes, *others


def make_error(cls: Any, args: tuple[Any, ...]) -> Any:
    """Return an exception with `args`, without a call of the user's `__init__`, which may want others."""
    builtin = builtin_base(cls)
    error = builtin.__new__(cls, *args)
    builtin.__init__(error, *args)
    return error


def set_error(error: BaseException, attributes: dict[str, Any]) -> None:
    """Set the attributes of an exception, also if its class refuses assignments."""
    for name, value in attributes.items():
        try:
            object.__setattr__(error, name, value)
        except AttributeError:  # a property of the class that can't be set
            error.__dict__[name] = value
