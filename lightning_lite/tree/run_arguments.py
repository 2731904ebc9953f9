"""Checks whether the `run` of a work takes the arguments of a call, before the call is requested."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from lightning_lite.tree.component import MethodOfComponent

_EMPTY = (lambda: None).__code__
_TAKES_MORE = 0x4 | 0x8  # CO_VARARGS, CO_VARKEYWORDS of `inspect`


def argument_check(cls: type[Any]) -> Callable[..., None] | None:
    """Return a function that has the parameters of `run`, and no code: a call of it checks the arguments.

    So Python itself applies its rules and writes the message, in a tenth of a microsecond.

    Args:
        cls: The class of a work.

    Returns:
        A function of the work and the arguments, which raises `TypeError`. `None` if the parameters are not
        known, for example of a compiled `run`.
    """
    definition: Any = next(vars(base)["run"] for base in cls.__mro__ if "run" in vars(base))
    is_static_or_class = isinstance(definition, MethodOfComponent)
    function: Any = definition.__func__ if is_static_or_class else getattr(definition, "__wrapped__", None)
    # A decorator around the `run` of a base class has copied the mark, and its function has other arguments.
    if type(function) is not FunctionType or hasattr(function, "_requests_calls"):
        return None
    check = _without_code(function)
    if is_static_or_class and definition.is_static:
        return lambda _, *args, **kwargs: check(*args, **kwargs)
    return check


def _without_code(function: FunctionType) -> FunctionType:
    code = function.__code__
    num = code.co_argcount + code.co_kwonlyargcount + (code.co_flags & _TAKES_MORE).bit_count()
    empty = _EMPTY.replace(
        co_argcount=code.co_argcount,
        co_posonlyargcount=code.co_posonlyargcount,
        co_kwonlyargcount=code.co_kwonlyargcount,
        co_varnames=code.co_varnames[:num],
        co_nlocals=num,
        co_flags=_EMPTY.co_flags | (code.co_flags & _TAKES_MORE),
    )
    check = FunctionType(empty, {}, function.__name__, function.__defaults__)
    check.__kwdefaults__ = function.__kwdefaults__
    check.__qualname__ = function.__qualname__  # it is in the messages
    return check
