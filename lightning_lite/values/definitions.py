"""Classes, functions and globals of the script, which another process can't import; they arrive by value.

A definition has a token from the process that created it (`values/object_tokens`). It arrives once in a
process: a later arrival gives the same object. It is placed in the module of its name (`values/namespaces`).

The pickles of `values/by_value` call these functions. The functions `make_…` create definitions empty,
because they may refer to themselves.
"""

from __future__ import annotations

from _thread import RLock  # threading would cost each work of a script 1 ms
from types import CellType, FunctionType, new_class, resolve_bases

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values import namespaces, object_tokens
from lightning_lite.values.by_name import is_importable
from lightning_lite.values.exceptions import builtin_base
from lightning_lite.values.namespaces import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

_ABSENT = object()

_HOOK = "__init_subclass__"

#: Held while attributes of classes are hidden.
_creating = RLock()


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
    found = object_tokens.find(token)
    if found is not None:
        return found
    if name is not None and space is not None and not namespaces.is_of_another(space):
        own = space.get(name, _ABSENT)
        if own is not _ABSENT and isinstance(own, kind):  # the script itself runs in this process
            object_tokens.register(token, own)
            object_tokens.finished.add(token)
            return own
    made = make()
    object_tokens.register(token, made)
    if name is not None and space is not None:
        place(space, {name: made})
    return made


def make_function(
    token: str, code: Any, space: dict[str, Any], name: str | None, cells: tuple[CellType, ...]
) -> Any:
    """Return a function that `set_function` completes.

    Args:
        token: Its token.
        code: Its code object.
        space: Its globals.
        name: Its name in the globals, or `None` if it has none there.
        cells: The variables of enclosing functions that it uses.
    """

    def make() -> FunctionType:
        space.setdefault("__builtins__", __builtins__)
        return FunctionType(code, space, code.co_name, None, cells)

    return _start(token, space, name, FunctionType, make)


def set_function(function: Any, state: Any) -> None:
    """Complete a function, unless it was complete already.

    Args:
        function: The result of `make_function`.
        state: Its token, the globals that it uses, its own and its other attributes, and the names of modules
            that it needs loaded; the last element has registered its lines of code.
    """
    token, names, fields, attributes, modules, _ = state
    if token in object_tokens.finished:
        return
    for module in modules:
        __import__(module)
    place(function.__globals__, names)
    for name, value in fields.items():
        setattr(function, name, value)
    function.__dict__.update(attributes)
    object_tokens.finished.add(token)


def make_class(
    token: str,
    space: dict[str, Any] | None,
    name: str | None,
    metaclass: Any,
    bases: tuple[Any, ...],
    contents: dict[str, Any],
    members: dict[str, tuple[Any, tuple[Any, ...]]] | None,
) -> Any:
    """Return a class that `set_class` completes.

    Args:
        token: Its token.
        space: The namespace of its module.
        name: Its name in that namespace, or `None` if it has none there.
        metaclass: Its metaclass.
        bases: Its bases.
        contents: The part of its body that its creation needs, as `__slots__`.
        members: Of an enumeration, by name the value of each member, and the arguments with which its builtin
            base makes it; else `None`.
    """
    title = contents["__qualname__"].rpartition(".")[2]

    def make() -> Any:
        resolved = resolve_bases(bases)
        with _Hidden((owner, _HOOK) for base in resolved for owner in base.__mro__):
            return _create(metaclass, title, resolved, contents, members)

    return _start(token, space, name, type, make)


def _create(
    metaclass: Any,
    title: str,
    bases: tuple[Any, ...],
    contents: dict[str, Any],
    members: dict[str, Any] | None,
) -> Any:
    """Return a new class; see `make_class`.

    Metaclasses and `__init_subclass__` of the script have done their work in the process that created the
    class: their results travel as its attributes. They may want arguments that are not known any more.
    """
    library = _library_metaclass(metaclass)
    if members is not None:
        return _create_enum(library, metaclass, title, bases, contents, members)
    if library is metaclass:
        return new_class(title, bases, {"metaclass": metaclass}, lambda body: body.update(contents))
    return library.__new__(metaclass, title, bases, dict(contents))


def _create_enum(
    library: Any,
    metaclass: Any,
    title: str,
    bases: tuple[Any, ...],
    contents: dict[str, Any],
    members: dict[str, Any],
) -> Any:
    """Return a new enumeration whose members are made without `__new__` and `__init__` of the script."""

    def new_member(cls: Any, *args: Any) -> Any:
        value, data = args if len(args) == 2 else args[0]  # an enumeration of tuples passes one tuple
        member = builtin_base(cls).__new__(cls, *data)
        member._value_ = value
        return member

    body = library.__prepare__(title, bases)
    helpers = {"__new__": new_member, "__init__": lambda *_: None}
    for key, value in (contents | helpers | members).items():
        body[key] = value  # one by one: the body of an enumeration takes note of each
    cls = library.__new__(metaclass, title, bases, body)
    for name in ("__init__", "__new_member__"):  # `set_class` sets those of the script
        if name in vars(cls):
            library.__delattr__(cls, name)
    return cls


def _library_metaclass(metaclass: Any) -> Any:
    """Return the metaclass, or its first base that no script has created."""
    return next(base for base in metaclass.__mro__ if is_importable(base.__module__))


def _owners_of_setter(metaclass: Any, name: str) -> list[Any]:
    """Return the bases of a metaclass that have a property or another data descriptor of that name."""
    return [base for base in metaclass.__mro__ if hasattr(type(vars(base).get(name)), "__set__")]


class _Hidden:
    """While it is entered, some attributes of classes are not there, if the classes are of the script.

    Args:
        attributes: The classes, each with the name of an attribute.
    """

    def __init__(self, attributes: Iterable[tuple[Any, str]]) -> None:
        self._values = [
            (owner, name, vars(owner)[name])
            for owner, name in dict.fromkeys(attributes)
            if name in vars(owner) and not is_importable(owner.__module__)
        ]

    def __enter__(self) -> None:
        _creating.acquire()
        for owner, name, _ in self._values:
            _library_metaclass(type(owner)).__delattr__(owner, name)

    def __exit__(self, *_: object) -> None:
        for owner, name, value in self._values:
            _library_metaclass(type(owner)).__setattr__(owner, name, value)
        _creating.release()


def set_class(cls: Any, state: Any) -> None:
    """Complete a class, unless it was complete already.

    Args:
        cls: The result of `make_class`.
        state: Its token, its attributes, the classes registered with it as an abstract class, the attributes
            of its members, its namespace, and the globals that its annotations name.
    """
    token, attributes, subclasses, members, space, names = state
    if token in object_tokens.finished:
        return
    if space is not None:
        place(space, names)
    library = _library_metaclass(type(cls))
    # A property of the metaclass would get the value, or refuse it.
    with _Hidden((owner, name) for name in attributes for owner in _owners_of_setter(type(cls), name)):
        for name, value in attributes.items():
            library.__setattr__(cls, name, value)
    for member, values in members.items():
        cls[member].__dict__.update(values)
    for subclass in subclasses:
        cls.register(subclass)
    object_tokens.finished.add(token)


def make_object(
    token: str,
    space: dict[str, Any] | None,
    name: str | None,
    kind: type,
    make: Callable[..., Any],
    *args: Any,
) -> Any:
    """Return `make(*args)`, an object of the class `kind` that exists once, as a global does."""
    return _start(token, space, name, kind, lambda: make(*args))


def new_object(cls: Any) -> Any:
    """Return an instance of `cls` without a state."""
    return cls.__new__(cls)


def set_attributes(obj: Any, state: Any) -> None:
    """Set the attributes of an object as its class would without methods of the user."""
    for name, value in state.items():
        object.__setattr__(obj, name, value)


def make_type_variable(kind: Any, module: str, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return a `TypeVar`, `ParamSpec` or `TypeVarTuple` of a module."""
    made = kind(*args, **options)
    made.__module__ = module
    return made


def make_type_alias(module: str, name: str, cell: CellType) -> Any:
    """Return the alias that the statement `type NAME = ...` makes; a cell will contain its value."""
    names = {"__name__": module, "cell": cell}
    exec(f"type {name} = cell.cell_contents", names)
    return names[name]


def make_generic_alias(module: str, kind: Any, name: str, value: Any, parameters: tuple[Any, ...]) -> Any:
    """Return the alias that the statement `type NAME[T] = ...` makes in a module."""
    names = {"__name__": module, "kind": kind, "parts": (name, value), "parameters": parameters}
    return eval("kind(*parts, type_params=parameters)", names)


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


def set_cell(cell: CellType, contents: tuple[Any]) -> None:
    """Fill the cell of a variable of an enclosing function."""
    (cell.cell_contents,) = contents


def add_source(file: str, lines: list[str]) -> None:
    """Register the lines of code of a notebook cell or of an archive, which no file has."""
    import linecache  # noqa: PLC0415 - only such code needs it

    linecache.cache.setdefault(file, (sum(map(len, lines)), None, lines, file))
