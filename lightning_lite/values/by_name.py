"""Decides which classes, functions and single objects another process finds by their name."""

from __future__ import annotations

import sys
from copyreg import dispatch_table

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values import namespaces, object_tokens
from lightning_lite.values.transferable import PackingError

if TYPE_CHECKING:
    from typing import Any

_REDUCE: Any = object.__reduce__
_REDUCE_EX: Any = object.__reduce_ex__
_NEW: Any = object.__new__
_PROTOCOL = 5


_checked: dict[type, str] = {}


def check_arrival(kind: type) -> None:
    """Refuse objects that can't be unpickled because of their `__getattr__`, as the state of a FastAPI app.

    Unpickling looks up a method of an object that has no attributes yet. A `__getattr__` that reads one then
    calls itself without end.

    Raises:
        PackingError: The class is such a one.
    """
    if getattr(kind, "__getattr__", None) is None or kind.__new__ is not _NEW or _has_own_way(kind):
        return
    if kind not in _checked:
        try:
            getattr(object.__new__(kind), "__setstate__", None)
        except Exception as error:  # noqa: BLE001 - the class of the user may raise anything
            _checked[kind] = f"{type(error).__name__}"
        else:
            _checked[kind] = ""
    if _checked[kind]:
        where = f"{kind.__module__}.{kind.__qualname__}"
        raise PackingError(
            f"{_checked[kind]}: {where}.__getattr__ fails for an object that is being unpickled"
        )


def _has_own_way(kind: type) -> bool:
    """Return whether a class says itself how its objects are pickled."""
    return kind.__reduce__ is not _REDUCE or kind.__reduce_ex__ is not _REDUCE_EX or kind in dispatch_table


def reduce_in_own_way(obj: Any, kind: type) -> Any:
    """Return how a class of the script reduces an object: a text is the name of a global.

    `NotImplemented` means that it says nothing. It is asked once, because its method may have effects.
    """
    module = getattr(obj, "__module__", None)
    if not isinstance(module, str) or not module or is_importable(module) or not _has_own_way(kind):
        return NotImplemented
    return NotImplemented if kind in dispatch_table else obj.__reduce_ex__(_PROTOCOL)


def name_for_main(definition: Any) -> Any:
    """Return how the main process finds a class or function of the script; `None` if it has no such name."""
    module, qualname = definition.__module__, definition.__qualname__
    if "<" in qualname:
        return None
    token = _arrived_token(definition)
    if token or (not namespaces.is_arrived(module) and is_found(definition, module, qualname)):
        return namespaces.find_definition, (token, module, qualname)
    return None


def single_for_main(obj: Any, module: str, name: str) -> Any:
    """Return how the main process finds an object that it has sent; `None` for one that was created here."""
    token = _arrived_token(obj)
    return (namespaces.find_definition, (token, module, name)) if token else None


def _arrived_token(obj: Any) -> str:
    """Return the token of an object that another process has sent; an empty text for another object."""
    token = object_tokens.known_token(obj)
    return "" if token is None or token.startswith(object_tokens.origin()) else token


def is_found(obj: Any, module: str, qualname: str) -> bool:
    """Return whether `obj` is the object that this process finds as `qualname` in `module`."""
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        found = getattr(found, name, None)
    return found is obj


def name_of_single(obj: Any, kind: type) -> tuple[str, str] | None:
    """Return module and name of a global that has no state, only its identity; `None` for another object.

    Such are `dataclasses.MISSING`, and `UNSET = object()` of a script.
    """
    if getattr(obj, "__dict__", None) or _has_own_way(kind):
        return None
    try:
        _, args, *state = obj.__reduce_ex__(2)
    except TypeError:  # it can't be pickled
        return None
    if len(args) != 1 or any(part is not None for part in state):
        return None
    for module in {kind.__module__: None, "__main__": None} if kind is not object else _script_modules():
        space = namespaces.namespace_of(module)
        if space is None:
            continue
        for name, value in list(space.items()):
            if value is obj:
                return module, name
    return None


def _script_modules() -> list[str]:
    return ["__main__", *(name for name, known in list(_importable.items()) if not known)]


_PACKAGE = __name__.partition(".")[0]

_importable: dict[str, bool] = {}


def is_importable(name: str) -> bool:
    """Return whether another process with the same `sys.path` can import the module `name`.

    `sys.modules` also contains modules that were created by code, or loaded from a file outside `sys.path`.
    So this asks the finders.
    """
    known = _importable.get(name)
    if known is None:
        known = _importable[name] = _find_importable(name)
    return known


def _find_importable(name: str) -> bool:
    if name == "__main__" or name == "__mp_main__":
        return False
    if name.partition(".")[0] == _PACKAGE:
        return True  # each work has imported this package, and to ask the finders takes 0.5 ms
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return name in sys.builtin_module_names
    parent, _, _ = name.rpartition(".")
    if parent and not is_importable(parent):
        return False
    path = getattr(sys.modules[parent], "__path__", None) if parent else None
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)  # some programs add objects without it
        found = find_spec(name, path) if find_spec is not None else None
        if found is not None:
            return bool(found.origin == spec.origin)
    return False
