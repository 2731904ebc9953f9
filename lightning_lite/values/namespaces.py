"""The modules of other processes that this one can't import, and the dicts of modules in general.

    main process                                   process of a work
    sys.modules["__main__"]: Net, train, rate ──▶ sys.modules["__main__"]: Net, train, rate

A definition that arrives by value (`values/definitions`) is placed in the module of its name, and the globals
of its functions are that module's. So everything that looks up a name in a module finds there the object that
it would find in the script.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each work 5 ms
import os
import sys
from _thread import get_ident  # threading would cost each work 1 ms
from types import FunctionType, ModuleType

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple
from lightning_lite.values import object_tokens

if TYPE_CHECKING:
    from typing import Any

#: Objects without parts: a newer value of the sender replaces an earlier one.
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes})


class Facts(NamedTuple):
    """The attributes of a module, without its globals.

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
        thread = get_ident()
        is_outermost = thread not in _loading
        _loading.add(thread)
        try:
            value = _pickle.loads(waiting)
        finally:
            if is_outermost:
                _loading.discard(thread)
        return self.__dict__.setdefault(name, value)


#: The modules that were created here for another process, by name; `None` until facts have arrived.
_facts: dict[str, Facts | None] = {}
_modules: dict[str, ModuleType] = {}
_waiting: dict[str, dict[str, bytes | str]] = {}
#: Ids of threads that are unpickling a waiting definition. Its globals may be outdated, so they must not
#: replace present ones.
_loading: set[int] = set()
#: The last arrived value of each name, by the id of the namespace.
_arrived: dict[int, dict[str, Any]] = {}
#: Namespaces of modules of this process that are not in `sys.modules` under their name.
_hidden: dict[str, dict[str, Any]] = {}
#: Namespaces of other scripts, by name and file or process.
_foreign: dict[tuple[str, str], dict[str, Any]] = {}


def expect_script() -> None:
    """Make `__main__` an empty module, for definitions that arrive; called in the process of a work."""
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


def is_of_another(space: dict[str, Any]) -> bool:
    """Return whether a namespace was created here for definitions of another process."""
    return id(space) in _arrived


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
            _apply_facts(_modules[name], facts)
        elif not _is_same(known, facts.file, facts.origin):
            return _open_foreign(facts)
        return _modules[name].__dict__
    space = namespace_of(name)
    if space is None:
        module = ScriptModule(name)
        _arrived[id(module.__dict__)] = {}
        _modules[name] = module
        _apply_facts(module, facts)
        if facts.is_registered:
            _enter(name, module)
        return module.__dict__
    if facts.origin != object_tokens.origin() and (facts.file is None or _file_of(space) != facts.file):
        return _open_foreign(facts)
    return space


def _is_same(known: Facts, file: str | None, process: str) -> bool:
    return known.origin == process or (known.file is not None and known.file == file)


def _file_of(space: dict[str, Any]) -> str | None:
    file = space.get("__file__")
    return os.path.abspath(file) if isinstance(file, str) else None


def _open_foreign(facts: Facts) -> dict[str, Any]:
    """Return a dict for code of another script, whose names must not mix with the names of this script."""
    key = facts.name, facts.file or facts.origin
    if key not in _foreign:
        _foreign[key] = {"__name__": facts.name, "__file__": facts.file, "__package__": facts.package}
    return _foreign[key]


def _apply_facts(module: ModuleType, facts: Facts) -> None:
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

    Values that the process has assigned itself stay, unless the sender has another number, text, class or
    function than the last time.
    """
    arrived = None if get_ident() in _loading else _arrived.get(id(space))
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


def find_definition(token: str, module: str, qualname: str) -> Any:
    """Return a class or function that this process has sent to another one."""
    found = object_tokens.find(token)
    return find_global(module, qualname) if found is None else found


def find_single(module: str, name: str, kind: type) -> Any:
    """Return the global `name` of an importable module, or a new object if it is none of the class `kind`.

    Another process may have assigned the global later, or not at all.
    """
    found = getattr(import_module(module), name, None)
    return found if isinstance(found, kind) else object.__new__(kind)


def find_global(module: str, qualname: str) -> Any:
    """Return the class or function `qualname` of `module`; pickles by reference call this."""
    first, *others = qualname.split(".")
    hidden = _hidden.get(module)
    found: Any
    if hidden is not None and first in hidden:
        found = hidden[first]
    else:
        if module not in _modules:
            __import__(module)
        found = getattr(_modules.get(module) or sys.modules[module], first)
    for name in others:
        found = getattr(found, name)
    return found
