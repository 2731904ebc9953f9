"""Classes and functions that travel by value, read without cloudpickle.

cloudpickle writes them, and a work that only reads them would pay 30 to 50 ms to import it: as much as its
process takes to start. What it writes calls a few small functions of its own, which are done here in its
place; for all others it is imported. User code that imports cloudpickle gets the real one, which then knows
the classes that were made here.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each child another 8 ms
import io
import sys
import types

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: Versions whose way of writing is the one that is read here; what others write is left to themselves.
KNOWN_VERSIONS = frozenset({"3.1.0", "3.1.1", "3.1.2"})

_MODULE = "cloudpickle.cloudpickle"


class ByValue:
    """What cloudpickle has written; pickled, it becomes on its way back what it holds.

    Args:
        data: The bytes.
        version: Version of the cloudpickle that has written them.
    """

    def __init__(self, data: bytes, version: str) -> None:
        self._data = data
        self._version = version

    def __reduce__(self) -> tuple[Any, ...]:
        return read, (self._data, self._version)


def read(data: bytes, version: str) -> Any:
    """Return what cloudpickle of this version has written as `data`."""
    if version not in KNOWN_VERSIONS or _MODULE in sys.modules:
        introduce_classes()
        return _pickle.loads(data)
    return _Reader(io.BytesIO(data)).load()


def introduce_classes() -> None:
    """Let cloudpickle, if it is loaded by now, know the classes that were made without it.

    A class that it does not know would arrive a second time where it came from, as another class.
    """
    cloudpickle = sys.modules.get(_MODULE)
    if cloudpickle is not None:
        while _classes:
            cloudpickle._lookup_class_or_track(*_classes.popitem())


class _Reader(_pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if module == _MODULE and (reader := _READERS.get(name)) is not None:
            return reader
        found = super().find_class(module, name)
        if module == _MODULE:
            introduce_classes()  # what it does here may need them
        return found


# The classes that were made here, by the number that cloudpickle has given them where they came from.
_classes: dict[str, type] = {}


def _make_skeleton_class(
    metaclass: type, name: str, bases: tuple[Any, ...], attributes: dict[str, Any], number: str | None, _: Any
) -> type:
    attributes = {sys.intern(key): value for key, value in attributes.items()}
    made = types.new_class(name, bases, {"metaclass": metaclass}, lambda space: space.update(attributes))
    if number is None:
        return made
    if _MODULE in sys.modules:
        introduce_classes()
        known: type = sys.modules[_MODULE]._lookup_class_or_track(number, made)
        return known
    return _classes.setdefault(number, made)


def _set_state_of_class(made: type, state: tuple[dict[str, Any], dict[str, Any]]) -> type:
    attributes, _ = state
    for name, value in attributes.items():
        if name != "_abc_impl":
            setattr(made, name, value)
    if "__firstlineno__" in attributes:
        # Again: the other attributes have removed it.
        setattr(made, "__firstlineno__", attributes["__firstlineno__"])  # noqa: B010 - mypy knows no such name
    for subclass in attributes.get("_abc_impl") or ():
        made.register(subclass)  # type: ignore[attr-defined] # an abstract base class
    return made


def _make_function(
    code: types.CodeType,
    variables: dict[str, Any],
    name: str | None,
    defaults: tuple[Any, ...] | None,
    closure: tuple[types.CellType, ...] | None,
) -> types.FunctionType:
    variables["__builtins__"] = __builtins__
    return types.FunctionType(code, variables, name, defaults, closure)


def _set_state_of_function(
    function: types.FunctionType, state: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    attributes, slots = state
    function.__dict__.update(attributes)
    variables, closure = slots.pop("__globals__"), slots.pop("__closure__")
    del slots["_cloudpickle_submodules"]  # it was there to have them imported
    function.__globals__.update(variables)
    function.__globals__["__builtins__"] = __builtins__
    for cell, filled in zip(function.__closure__ or (), closure or (), strict=True):
        try:
            cell.cell_contents = filled.cell_contents
        except ValueError:
            continue  # it is empty
    for name, value in slots.items():
        setattr(function, name, value)


def _builtin_type(name: str) -> Any:
    return type if name == "ClassType" else getattr(types, name)


def _import_module(name: str) -> types.ModuleType:
    __import__(name)
    return sys.modules[name]


_READERS: dict[str, Callable[..., Any]] = {
    "_make_skeleton_class": _make_skeleton_class,
    "_class_setstate": _set_state_of_class,
    "_make_function": _make_function,
    "_function_setstate": _set_state_of_function,
    "_make_empty_cell": types.CellType,
    "_make_cell": types.CellType,
    "_builtin_type": _builtin_type,
    "subimport": _import_module,
}
