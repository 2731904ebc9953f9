"""Classes, functions and globals of modules that this process can't import; they arrive by value.

    main process                                   process of a work
    sys.modules["__main__"]: Net, train, rate ──▶ sys.modules["__main__"]: Net, train, rate

A definition has a *token* from the process that created it. It arrives once in a process: a later arrival
gives the same object. It is placed in the module of its name, and the globals of its functions are that
module's. So everything that looks up a name in a module finds there what it would find in the script.

The sender is `values/by_value`. This module is light, because each work loads it.
"""

from __future__ import annotations

import _pickle
import os
import sys
from _weakref import ref
from contextlib import suppress
from types import CellType, FunctionType, ModuleType, new_class, resolve_bases

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

#: Objects without parts: a newer value of the sender replaces an earlier one.
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})

_ABSENT = object()

#: Bit of `type.__flags__`: the class was created by a class statement.
HEAP_TYPE = 1 << 9


# Tokens.

_objects: dict[str, Callable[[], Any]] = {}
_tokens: dict[int, str] = {}
_finished: set[str] = set()
_origin = ("", -1)


def token_of(obj: Any) -> str:
    """Return the token of an object, which gets one if it has none."""
    token = known_token(obj)
    if token is None:
        token = f"{origin()}-{len(_objects)}-{id(obj)}"
        _register(token, obj)
        _finished.add(token)
    return token


def known_token(obj: Any) -> str | None:
    """Return the token of an object, or `None` if it has none."""
    token = _tokens.get(id(obj))
    # The object that had this id may be gone.
    return token if token is not None and find(token) is obj else None


def find(token: str) -> Any:
    """Return the object of a token, or `None` if this process has none."""
    found = _objects.get(token)
    return None if found is None else found()


def origin() -> str:
    """Return what identifies this process among all, also after a fork."""
    global _origin
    if _origin[1] != os.getpid():
        _origin = os.urandom(8).hex(), os.getpid()
    return _origin[0]


def _register(token: str, obj: Any) -> None:
    def forget(_: ref[Any], objects: Any = _objects, finished: set[str] = _finished) -> None:
        objects.pop(token, None)
        finished.discard(token)

    try:
        _objects[token] = ref(obj, forget)
    except TypeError:  # an object() or the like, which is a global of the script
        _objects[token] = lambda: obj
    _tokens[id(obj)] = token


# Namespaces: the dicts of modules.


class Facts(NamedTuple):
    """What is known of a module besides its names.

    Attributes:
        name: Its `__name__`.
        file: Its `__file__` as an absolute path, or `None`.
        package: Its `__package__`.
        spec: The name in its `__spec__`, or `None`: that of `python -m pkg.app`.
        path: Its `__path__` if it is a package, else `None`.
        is_registered: Whether it is in `sys.modules`.
        origin: The process that has it.
    """

    name: str
    file: str | None
    package: str | None
    spec: str | None
    path: list[str] | None
    is_registered: bool
    origin: str


class ScriptModule(ModuleType):
    """A module of another process; a definition that no arrived one uses is unpickled on first use."""

    def __getattr__(self, name: str) -> Any:
        waiting = _waiting.get(self.__name__, {}).get(name)
        if waiting is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        if isinstance(waiting, str):
            raise AttributeError(
                f"{name!r} of module {self.__name__!r} did not travel to this process: {waiting}",
                name=name,
                obj=self,
            )
        value = _pickle.loads(waiting)
        return self.__dict__.setdefault(name, value)


#: The modules that were created here for another process, by name; `None` until facts have arrived.
_facts: dict[str, Facts | None] = {}
_modules: dict[str, ModuleType] = {}
_waiting: dict[str, dict[str, bytes | str]] = {}
#: The last arrived value of each name, by the id of the namespace.
_arrived: dict[int, dict[str, Any]] = {}
#: Namespaces of modules of this process that are not in `sys.modules` under their name.
_hidden: dict[str, dict[str, Any]] = {}
#: Namespaces of other scripts, by name and file or process.
_foreign: dict[tuple[str, str], dict[str, Any]] = {}


def expect_script() -> None:
    """Make `__main__` an empty module that takes what arrives; called in the process of a work."""
    module = ScriptModule("__main__")
    sys.modules["__main__"] = _modules["__main__"] = module
    _facts["__main__"] = None
    _arrived[id(module.__dict__)] = {}


def facts_of(name: str) -> Facts | None:
    """Return the facts of a module that this process has from another one, else `None`."""
    return _facts.get(name)


def is_arrived(name: str) -> bool:
    """Return whether this process has the module `name` from another one."""
    return name in _facts


def remember_namespace(name: str, space: dict[str, Any]) -> None:
    """Register the globals of code of the module `name` which `sys.modules` does not have.

    `python -m cProfile app.py` executes the script in such a dict: `__main__` is the profiler.
    """
    module = sys.modules.get(name)
    if module is None or module.__dict__ is not space:
        _hidden.setdefault(name, space)


def namespace_of(name: str) -> dict[str, Any] | None:
    """Return the dict of the module `name` as this process has it, or `None`."""
    hidden = _hidden.get(name)
    if hidden is not None:
        return hidden
    module = _modules.get(name) or sys.modules.get(name)
    return None if module is None else module.__dict__


def open_namespace(*fields: Any) -> dict[str, Any]:
    """Return the dict of a module of another process, which is created if there is none.

    Args:
        fields: The fields of its `Facts`.
    """
    facts = Facts(*fields)
    name = facts.name
    if name in _facts:
        known = _facts[name]
        if known is None:
            _settle(_modules[name], facts)
        elif not _is_same(known, facts.file, facts.origin):
            return _open_foreign(facts)
        return _modules[name].__dict__
    space = namespace_of(name)
    if space is None:
        module = ScriptModule(name)
        _arrived[id(module.__dict__)] = {}
        _modules[name] = module
        _settle(module, facts)
        if facts.is_registered:
            _enter(name, module)
        return module.__dict__
    if facts.origin != origin() and (facts.file is None or _file_of(space) != facts.file):
        return _open_foreign(facts)
    return space


def _is_same(known: Facts, file: str | None, process: str) -> bool:
    return known.origin == process or (known.file is not None and known.file == file)


def _file_of(space: dict[str, Any]) -> str | None:
    file = space.get("__file__")
    return os.path.abspath(file) if isinstance(file, str) else None


def _open_foreign(facts: Facts) -> dict[str, Any]:
    """Return a dict for code of another script, whose names must not mix with those of this one."""
    key = facts.name, facts.file or facts.origin
    if key not in _foreign:
        _foreign[key] = {"__name__": facts.name, "__file__": facts.file, "__package__": facts.package}
    return _foreign[key]


def _settle(module: ModuleType, facts: Facts) -> None:
    _facts[facts.name] = facts
    if facts.file is not None:
        module.__file__ = facts.file
    module.__package__ = facts.package
    if facts.path is not None:
        module.__path__ = facts.path
    if facts.spec is not None:
        from _frozen_importlib import ModuleSpec  # noqa: PLC0415 - typeshed has it elsewhere

        module.__spec__ = ModuleSpec(facts.spec, None, origin=facts.file)


def _enter(name: str, module: ModuleType) -> None:
    """Add a module to `sys.modules`, with the packages above it that can't be imported either."""
    sys.modules[name] = module
    above, _, last = name.rpartition(".")
    if not above:
        return
    try:
        __import__(above)
    except ImportError:
        parent = ScriptModule(above)
        parent.__path__ = []
        _enter(above, parent)
    setattr(sys.modules[above], last, module)


def with_waiting(value: Any, waiting: dict[str, dict[str, bytes | str]]) -> Any:
    """Return `value`, after the definitions that it does not use were registered.

    Args:
        value: The value.
        waiting: By module and name, a pickled definition, or why it can't travel.
    """
    for name, definitions in waiting.items():
        _waiting.setdefault(name, {}).update(definitions)
    return value


def place(space: dict[str, Any], names: dict[str, Any]) -> None:
    """Add globals that have arrived to a namespace.

    What the process has assigned itself stays, unless the sender has another number, text, class or function
    than the last time.
    """
    arrived = _arrived.get(id(space))
    for name, value in names.items():
        if name not in space or (arrived is not None and _is_newer(arrived.get(name, value), value)):
            space[name] = value
        if arrived is not None:
            arrived[name] = value


def _is_newer(earlier: Any, value: Any) -> bool:
    """Return whether the sender has another value than the last time; of lists it is not known."""
    if type(value) in _SCALARS:
        return type(earlier) is not type(value) or earlier != value
    return isinstance(value, type | FunctionType) and earlier is not value


def import_namespace(name: str) -> dict[str, Any]:
    """Return the dict of an importable module."""
    space: dict[str, Any] = import_module(name).__dict__
    return space


def import_module(name: str) -> Any:
    """Return the module `name`, also if it is in a package."""
    __import__(name)
    return sys.modules[name]


def open_module(space: dict[str, Any]) -> ModuleType:
    """Return the module of a namespace."""
    name = space["__name__"]
    module = _modules.get(name) or sys.modules.get(name)
    if module is None or module.__dict__ is not space:
        module = ScriptModule(name)
        module.__dict__.update(space)
    return module


# Definitions. The functions `make_…` create them empty, because they may refer to themselves.


def find_definition(token: str, module: str, qualname: str) -> Any:
    """Return a class or function that this process has sent to another one."""
    found = find(token)
    return find_global(module, qualname) if found is None else found


def find_global(module: str, qualname: str) -> Any:
    """Return the class or function `qualname` of `module`; pickles by reference call this."""
    first, *others = qualname.split(".")
    hidden = _hidden.get(module)
    found: Any = hidden[first] if hidden is not None and first in hidden else None
    if found is None:
        if module not in _modules:
            __import__(module)
        found = getattr(_modules.get(module) or sys.modules[module], first)
    for name in others:
        found = getattr(found, name)
    return found


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
    found = find(token)
    if found is not None:
        return found
    if name is not None and space is not None and id(space) not in _arrived:
        own = space.get(name, _ABSENT)
        if own is not _ABSENT and isinstance(own, kind):  # the script itself runs in this process
            _register(token, own)
            _finished.add(token)
            return own
    made = make()
    _register(token, made)
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
    if token in _finished:
        return
    for module in modules:
        __import__(module)
    place(function.__globals__, names)
    for mine, cell in zip(function.__closure__ or (), cells, strict=True):
        with suppress(ValueError):  # empty there, too
            mine.cell_contents = cell.cell_contents
    for name, value in fields.items():
        setattr(function, name, value)
    function.__dict__.update(attributes)
    _finished.add(token)


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
    if token in _finished:
        return
    if space is not None:
        place(space, names)
    for name, value in attributes.items():
        setattr(cls, name, value)
    for member, values in members.items():
        cls[member].__dict__.update(values)
    for subclass in subclasses:
        cls.register(subclass)
    _finished.add(token)


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


# Exceptions.


def builtin_base(cls: type) -> Any:
    """Return the first base of a class, or the class itself, that no class statement has created."""
    return next(base for base in cls.__mro__ if not base.__flags__ & HEAP_TYPE)


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
