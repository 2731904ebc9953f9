"""Classes, functions and globals of the script, which another process can't import; they arrive by value.

A definition has a token from the process that created it (`values/tokens`). It arrives once in a process: a
later arrival gives the same object. It is placed in the module of its name (`values/namespaces`).

The pickles of `values/by_value` call these functions. The functions `make_…` create definitions empty,
because they may refer to themselves.
"""

from __future__ import annotations

from types import CellType, FunctionType, new_class, resolve_bases

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values import namespaces, tokens
from lightning_lite.values.namespaces import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_ABSENT = object()


def _start(
    token: str, space: dict[str, Any] | None, name: str | None, kind: type, make: Callable[[], Any]
) -> Any:
    """Return the object of a token, created with `make` if this process has none.

    Args:
        token: Its token.
        space: The namespace of its module.
        name: Its name in that namespace, or `None`.
        kind: Its class.
        make: Creates it.
    """
    found = tokens.find(token)
    if found is not None:
        return found
    if name is not None and space is not None and not namespaces.is_of_another(space):
        own = space.get(name, _ABSENT)
        if own is not _ABSENT and isinstance(own, kind):  # the script itself runs in this process
            tokens.register(token, own)
            tokens.finished.add(token)
            return own
    made = make()
    tokens.register(token, made)
    if name is not None and space is not None:
        place(space, {name: made})
    return made


def make_function(token: str, code: Any, space: dict[str, Any], name: str | None, num_cells: int) -> Any:
    """Return a function that `set_function` completes.

    Args:
        token: Its token.
        code: Its code object.
        space: Its globals.
        name: Its name in the globals, or `None` if it has none there.
        num_cells: How many variables of enclosing functions it uses.
    """

    def make() -> FunctionType:
        space.setdefault("__builtins__", __builtins__)
        return FunctionType(code, space, code.co_name, None, tuple(CellType() for _ in range(num_cells)))

    return _start(token, space, name, FunctionType, make)


def set_function(function: Any, state: Any) -> None:
    """Complete a function, unless it was complete already.

    Args:
        function: The result of `make_function`.
        state: Its token, the globals that it uses, its cells, its own and its other attributes, and the names
            of modules that it needs loaded; the last element has registered its lines of code.
    """
    token, names, cells, fields, attributes, modules, _ = state
    if token in tokens.finished:
        return
    for module in modules:
        __import__(module)
    place(function.__globals__, names)
    for mine, cell in zip(function.__closure__ or (), cells, strict=True):
        try:
            mine.cell_contents = cell.cell_contents
        except ValueError:  # empty there, too
            pass
    for name, value in fields.items():
        setattr(function, name, value)
    function.__dict__.update(attributes)
    tokens.finished.add(token)


def make_class(
    token: str,
    space: dict[str, Any] | None,
    name: str | None,
    metaclass: Any,
    bases: tuple[Any, ...],
    contents: dict[str, Any],
    members: dict[str, Any] | None,
) -> Any:
    """Return a class that `set_class` completes.

    Args:
        token: Its token.
        space: The namespace of its module.
        name: Its name in that namespace, or `None` if it has none there.
        metaclass: Its metaclass.
        bases: Its bases.
        contents: What must be in its body from the beginning, as `__slots__`.
        members: Of an enumeration, the values of its members by name; else `None`.
    """
    title = contents["__qualname__"].rpartition(".")[2]

    def make() -> Any:
        if members is None:
            return new_class(
                title, resolve_bases(bases), {"metaclass": metaclass}, lambda body: body.update(contents)
            )
        body = metaclass.__prepare__(title, bases)
        for key, value in (contents | members).items():
            body[key] = value  # one by one: the body of an enumeration takes note of each
        return metaclass.__new__(metaclass, title, bases, body)

    return _start(token, space, name, type, make)


def set_class(cls: Any, state: Any) -> None:
    """Complete a class, unless it was complete already.

    Args:
        cls: The result of `make_class`.
        state: Its token, its attributes, the classes registered with it as an abstract class, the attributes
            of its members, its namespace, and the globals that its annotations name.
    """
    token, attributes, subclasses, members, space, names = state
    if token in tokens.finished:
        return
    if space is not None:
        place(space, names)
    for name, value in attributes.items():
        setattr(cls, name, value)
    for member, values in members.items():
        cls[member].__dict__.update(values)
    for subclass in subclasses:
        cls.register(subclass)
    tokens.finished.add(token)


def make_object(
    token: str, space: dict[str, Any] | None, name: str | None, make: Callable[..., Any], *args: Any
) -> Any:
    """Return `make(*args)`, an object that exists once: it is a global, or has an identity."""
    return _start(token, space, name, object, lambda: make(*args))


def new_object(cls: Any) -> Any:
    """Return an instance of `cls` without a state."""
    return cls.__new__(cls)


def set_attributes(obj: Any, state: Any) -> None:
    """Set the attributes of an object as its class would without methods of the user."""
    for name, value in state.items():
        object.__setattr__(obj, name, value)


def make_cached(function: Any, maxsize: int | None, typed: bool) -> Any:
    """Return a function with a cache of its own, as `functools.lru_cache` makes it."""
    from functools import lru_cache  # noqa: PLC0415 - only works with such a function need it

    return lru_cache(maxsize, typed)(function)


def set_cached(cached: Any, state: tuple[Any, dict[str, Any]]) -> None:
    """Complete a function with a cache: its function is complete by now."""
    from functools import update_wrapper  # noqa: PLC0415 - as above

    function, attributes = state
    update_wrapper(cached, function).__dict__.update(attributes)


def make_cached_property(cls: Any, function: Any, attributes: dict[str, Any]) -> Any:
    """Return a `functools.cached_property`; before Python 3.12 it holds a lock, which can't travel."""
    made = cls(function)
    made.__dict__.update(attributes)
    return made


def make_weak_dict(cls: Any, pairs: Iterable[tuple[Any, Any]]) -> Any:
    """Return a `weakref.WeakKeyDictionary` or another dict of weak references."""
    return cls(dict(pairs))


def make_cell(*contents: Any) -> CellType:
    """Return the cell of a variable of an enclosing function."""
    return CellType(*contents)


def add_source(file: str, lines: list[str]) -> None:
    """Register the lines of code of a notebook cell or of an archive, which no file has."""
    import linecache  # noqa: PLC0415 - only such code needs it

    linecache.cache.setdefault(file, (sum(map(len, lines)), None, lines, file))
