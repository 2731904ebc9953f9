"""Finds the part that makes a value impossible to send, and says where it is and what to do.

    global 'connection' (sqlite3.Connection), used in W.run, line 12: cannot pickle 'Connection' object

It pickles the parts of the value one by one, so it is used only after the whole value could not be pickled.
"""

from __future__ import annotations

import copyreg
import dis
import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from time import monotonic
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from lightning_lite.values.by_name import is_importable
from lightning_lite.values.code_names import names_of
from lightning_lite.values.transferable import NotShareable

#: Seconds after which the search ends with its results so far.
_LONGEST = 2.0


class Culprit(NamedTuple):
    """A part of a value that can't be sent.

    Attributes:
        where: A description of its place, as "global 'lock' (_thread.lock), used in W.run, line 12"; "" if it
            is the value itself.
        value: The object.
        error: The error of its pickling.
    """

    where: str
    value: Any
    error: Exception

    def explain(self) -> str:
        """Return in one line where it is, and why it can't be sent."""
        reason = str(self.error).partition("\n")[0]
        return f"{self.where}: {reason}" if self.where else reason


def find_culprit(value: Any, pack: Callable[[Any], object], error: Exception) -> Culprit:
    """Return the part of `value` that can't be pickled.

    Args:
        value: The value.
        pack: Pickles a part; raises if it can't.
        error: Why the whole can't be pickled.
    """
    return _Search(pack).narrow(Culprit("", value, error))


class _Search:
    def __init__(self, pack: Callable[[Any], object]) -> None:
        self._pack = pack
        self._seen: dict[int, Any] = {}
        self._end = monotonic() + _LONGEST

    def failure(self, value: Any) -> Exception | None:
        """Return why a value can't be pickled, or `None`."""
        try:
            self._pack(value)
        except Exception as error:  # noqa: BLE001 - classes decide which exceptions pickling raises
            # A reference to the work itself is not a failure; another work was named before the search.
            return None if isinstance(error.__cause__, NotShareable) else error
        return None

    def narrow(self, found: Culprit) -> Culprit:
        """Return the innermost part of a culprit that can't be pickled."""
        while monotonic() < self._end and not _is_too_deep(found):
            for where, part in _parts(found.value):
                if id(part) in self._seen:
                    continue
                self._seen[id(part)] = part  # keeps the id
                error = self.failure(part)
                if error is not None:
                    found = Culprit(_join(where, found.where), part, error)
                    break
            else:
                return found
        return found


def _is_too_deep(found: Culprit) -> bool:
    """Return whether a value is nested too deeply: its innermost part says nothing to the user."""
    return not isinstance(found.value, FunctionType | type) and "RecursionError" in str(found.error)


def _join(inner: str, outer: str) -> str:
    """Return the description of a part: a global says all, an attribute is one of something."""
    if not outer or inner.startswith(("global", "closure", "default")):
        return inner
    if " of the class " in inner:
        _, used, user = outer.partition(", used in ")
        return f"{inner}{used}{user}"
    return f"{inner} of {outer}"


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield descriptions and parts of a value, one level deep."""
    if isinstance(value, functools.partial):
        yield from (
            ("function of the partial", part) for part in (value.func, *value.args, *value.keywords.values())
        )
    elif isinstance(value, FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, type):
        yield from _parts_of_class(value)
    elif isinstance(value, Mapping):
        yield from ((f"key {key!r}"[:60], part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset | deque):
        yield from ((f"item {index}", part) for index, part in enumerate(value))
    else:
        function = getattr(value, "__func__", None) or getattr(value, "__wrapped__", None)
        if function is not None:
            yield _shown("function", function), function
        yield from _attributes(value)
        if not is_importable(type(value).__module__):
            yield _shown("class", type(value)), type(value)


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    slots = {name: getattr(value, name) for name in copyreg._slotnames(type(value)) if hasattr(value, name)}  # type: ignore[attr-defined]
    for name, part in [*getattr(value, "__dict__", {}).items(), *slots.items()]:
        yield f"attribute {name!r} ({_kind(part)})", part


def _parts_of_class(cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__bases__:
        if base is not object and not is_importable(base.__module__):
            yield _shown("class", base), base
    for name, part in list(vars(cls).items()):
        if name in ("__dict__", "__weakref__"):
            continue
        for function in _functions_of(part):
            yield _shown("function", function), function
        if not isinstance(part, FunctionType | property | classmethod | staticmethod):
            yield f"attribute {name!r} ({_kind(part)}) of the class {cls.__qualname__}", part


def _functions_of(part: Any) -> Iterator[FunctionType]:
    candidates = (
        (part.fget, part.fset, part.fdel)
        if isinstance(part, property)
        else (getattr(part, "__func__", part),)
    )
    yield from (one for one in candidates if isinstance(one, FunctionType))


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, Any]]:
    function_name = function.__qualname__.replace("<locals>.", "")
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            part = cell.cell_contents
        except ValueError:  # empty
            continue
        line = _line_of(function.__code__, name)
        yield f"closure variable {name!r} ({_kind(part)}), used in {function_name}{line}", part
    wrapped = getattr(function, "__wrapped__", None)
    if wrapped is not None:
        yield _shown("function", wrapped), wrapped
    globals_ = function.__globals__
    if not is_importable(globals_.get("__name__", "")):
        names = names_of(function.__code__)
        for name in (*sorted(names.used), *sorted(names.noted - names.used)):
            if name in globals_ and (name in names.used or isinstance(globals_[name], type)):
                line = _line_of(function.__code__, name)
                yield (
                    f"global {name!r} ({_kind(globals_[name])}), used in {function_name}{line}",
                    globals_[name],
                )
    for index, part in enumerate(function.__defaults__ or ()):
        yield f"default {index + 1} ({_kind(part)}) of {function_name}", part
    for name, part in (function.__kwdefaults__ or {}).items():
        yield f"default of {name!r} ({_kind(part)}) of {function_name}", part


def _shown(what: str, definition: Any) -> str:
    return f"{what} {getattr(definition, '__qualname__', definition)!s}"


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _line_of(code: CodeType, name: str) -> str:
    """Return ", line 12" for the first line of code that uses a name, also in functions inside it."""
    lines = [
        line
        for inner in _with_inner(code)
        for instruction in dis.get_instructions(inner)
        if instruction.argval == name
        and instruction.positions is not None
        and (line := instruction.positions.lineno) is not None
        and not instruction.opname.startswith(("COPY_FREE", "MAKE_CELL", "STORE_FAST"))
    ]
    return f", line {min(lines)}" if lines else ""


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
