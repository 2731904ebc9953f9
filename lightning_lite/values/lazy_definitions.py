"""Packs the definitions of the script that a value does not use; in the work they wait for their first use.

Code finds some definitions by their name only, as `pickle.load` does. So all classes and functions of the
script travel to a work: each is packed on its own, refers by name to the others, and is unpickled when
something looks it up (`namespaces.ScriptModule`).
"""

from __future__ import annotations

import functools
import io
import types
import weakref
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any, NamedTuple, Protocol

from lightning_lite.values import object_tokens
from lightning_lite.values.transferable import PickleTooLarge

#: Largest size of such a definition in bytes, with the globals that it uses; else each work would get them.
_MAX_NBYTES = 1024 * 1024

_DEFINITIONS = (type, FunctionType, type(functools.lru_cache(len)))

#: Types of globals and attributes whose objects don't change.
_UNCHANGING = (
    *(*_DEFINITIONS, ModuleType, property, classmethod, staticmethod, types.MemberDescriptorType),
    *(type(None), bool, int, float, complex, str, bytes),
)

_ABSENT = object()


class ValuePickler(Protocol):
    """The part of `by_value._ValuePickler` that this module uses; `by_value` imports this module.

    Attributes:
        spaces: The namespaces of the modules that the receiver can't import, by name.
        placed: Module and name of all that the receiver finds there.
        whole: Names of those modules of which the receiver may use any name.
        uses: Namespace, name and value of each global and attribute that was pickled.
        sizes: The namespaces of the classes that were pickled, and how many attributes they have.
    """

    spaces: dict[str, dict[str, Any]]
    placed: set[tuple[str, str]]
    whole: set[str]
    uses: list[tuple[Mapping[str, Any], str, Any]]
    sizes: list[tuple[Mapping[str, Any], int]]

    def dump(self, obj: Any) -> None:
        """Pickle an object."""


class MakePickler(Protocol):
    """Makes a pickler for one definition."""

    def __call__(self, file: Any, *, alone: Any, modules: set[str]) -> ValuePickler:
        """Return a pickler to a file that names the definitions of `modules` other than `alone`."""


class WaitingDefinitions:
    """Placeholder for definitions that the value does not use; reduced after the value, when these are known.

    Args:
        pickler: The pickler of the value.
        make_pickler: Makes a pickler for one definition.
        with_script: Whether to pack the definitions of all modules of which the value uses some. Else only
            those of modules that the value contains as a whole.
    """

    def __init__(self, pickler: ValuePickler, make_pickler: MakePickler, with_script: bool) -> None:
        self._pickler = pickler
        self._make_pickler = make_pickler
        self._with_script = with_script

    def __reduce__(self) -> tuple[Any, ...]:
        spaces, whole = dict(self._pickler.spaces), set(self._pickler.whole)
        names = list(spaces if self._with_script else whole)
        packed = {}
        for name in names:  # it grows: a definition may use a module that nothing else uses
            packed[name], found = self._pack_module(name, spaces[name], name in whole)
            for other in found.keys() - names:
                spaces[other] = found[other]
                whole.add(other)
                names.append(other)
        return dict, (packed,)

    def _pack_module(
        self, module: str, space: Mapping[str, Any], is_whole: bool
    ) -> tuple[dict[str, bytes | str], dict[str, dict[str, Any]]]:
        """Pack the names of a module that have not travelled yet.

        Args:
            module: The name of the module.
            space: Its namespace.
            is_whole: Whether to return all names, not only names of classes and functions.

        Returns:
            By name, a definition as bytes or why it can't be pickled; and the namespaces of the modules that
            these use as a whole.
        """
        modules = {module, *self._pickler.spaces}
        packed: dict[str, bytes | str] = {}
        found: dict[str, dict[str, Any]] = {}
        for name, value in list(space.items()):
            if (module, name) in self._pickler.placed or _is_dunder(name):
                continue
            if is_whole or _is_definition(value, module, name):
                packed[name] = _pack(value, modules, self._make_pickler, found)
        return packed, found


class _Packed(NamedTuple):
    """A definition that was packed; for `uses` and `sizes` see `ValuePickler`.

    Attributes:
        data: The bytes, or why it can't be pickled.
        modules: The modules whose definitions it finds by name.
    """

    data: bytes | str
    modules: set[str]
    uses: list[tuple[Mapping[str, Any], str, Any]]
    sizes: list[tuple[Mapping[str, Any], int]]

    def is_current(self) -> bool:
        """Return whether nothing in it has changed since."""
        return all(space.get(name, _ABSENT) is value for space, name, value in self.uses) and all(
            len(space) == size for space, size in self.sizes
        )

    def shows_changes(self) -> bool:
        """Return whether `is_current` notices each change: not one inside a list."""
        return all(isinstance(value, _UNCHANGING) or _is_dunder(name) for _, name, value in self.uses)


#: The definitions that were packed before, by token: a script may have a hundred, and start a hundred works.
_known: dict[str, _Packed] = {}


def _pack(
    value: Any, modules: set[str], make_pickler: MakePickler, found: dict[str, dict[str, Any]]
) -> bytes | str:
    """Return one definition as bytes, or why it can't be pickled.

    Args:
        value: The definition.
        modules: The modules whose definitions it finds by name.
        make_pickler: Makes its pickler.
        found: Gets the namespaces of other modules that it uses as a whole.
    """
    known = _known.get(object_tokens.known_token(value) or "")
    if known is not None and known.modules <= modules and known.is_current():
        return known.data
    file = _LimitedFile(_MAX_NBYTES)
    pickler = make_pickler(file, alone=value, modules=modules)
    packed = _Packed(_dump(pickler, value, file), modules, pickler.uses, pickler.sizes)
    found |= {name: pickler.spaces[name] for name in pickler.whole}
    token = object_tokens.known_token(value)
    if token is not None and isinstance(value, _DEFINITIONS) and not pickler.whole and packed.shows_changes():
        if token not in _known:
            weakref.finalize(value, _known.pop, token, None).atexit = False
        _known[token] = packed
    return packed.data


def _dump(pickler: ValuePickler, value: Any, file: _LimitedFile) -> bytes | str:
    try:
        pickler.dump(value)
    except PickleTooLarge:
        return f"with the globals that it uses it has over {_MAX_NBYTES} bytes; use its name in the work"
    except (Exception, SystemExit) as error:  # noqa: BLE001 - its first use raises the reason
        return f"{type(error).__name__}: {error}"
    return file.getvalue()


class _LimitedFile(io.BytesIO):
    """A file in memory that raises `PickleTooLarge` instead of growing beyond a size in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._free = limit

    def write(self, data: Any) -> int:
        self._free -= memoryview(data).nbytes
        if self._free < 0:
            raise PickleTooLarge
        return super().write(data)


def _is_definition(value: Any, module: str, name: str) -> bool:
    """Return whether a global is a class or function that the module has under its own name."""
    is_own = getattr(value, "__module__", None) == module and getattr(value, "__qualname__", None) == name
    return is_own and isinstance(value, _DEFINITIONS)


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")
