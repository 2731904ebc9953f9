"""Lets `lightning.app`, `lightning_app` and names such as `lightning.LightningFlow` lead to this package.

A finder at the end of `sys.meta_path` answers only if no installed package does. So an installed Lightning
App is used in place of this package, and an installed `lightning` without `app` stays: it gets the few names
that it lacks.

Works import this module through `lightning_lite.lightning`, before anything is unpickled.
"""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec  # importlib would cost each work some milliseconds
from types import ModuleType

from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.lightning_app.names import NAMES, TOP_MODULES, TOP_NAMES, place_of
from lightning_lite.lightning_app.spawned_children import SPAWN, add_finder_to_children
from lightning_lite.values.namespaces import import_module

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

#: Imported by name: only an error needs it, and works have the finder.
_REFUSED = "lightning_lite.lightning_app.refused"

#: The package whose names lead to ours, and the old name of its module `app`.
_PACKAGE, _OLD_NAME = "lightning", "lightning_app"


def _key_of(name: str) -> str | None:
    """Return the key of a module in the table; `None` for a module outside `lightning.app`.

    Example:
        >>> _key_of("lightning.app"), _key_of("lightning_app.core.flow"), _key_of("lightning.pytorch")
        ('', 'core.flow', None)
    """
    for package in (f"{_PACKAGE}.app", _OLD_NAME):
        if f"{name}.".startswith(f"{package}."):
            return name.removeprefix(package).lstrip(".")
    return None


def _get(module: str, name: str) -> Any:
    home, attribute = place_of(f"{module}:{name}")
    return getattr(import_module(home), attribute)


def _top_module(name: str) -> ModuleType:
    """Return the module of `lightning.app` that an attribute of `lightning` is."""
    module: ModuleType = import_module(f"{_PACKAGE}.app.{TOP_MODULES[name]}".rstrip("."))
    return module


class AliasModule(ModuleType):
    """A module of Lightning App whose names lead to this package; loaded on first use."""

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        key = _key_of(self.__name__)
        if name in (TOP_NAMES if key is None else NAMES[key]):
            return _get(key or "", name)
        if key is None and name in TOP_MODULES:
            return _top_module(name)
        below = _key_of(full)
        if below is not None and below in NAMES:
            return import_module(full)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *self.__all__})

    def __reduce__(self) -> tuple[Any, ...]:
        loader = None if self.__spec__ is None else self.__spec__.loader
        assert isinstance(loader, NameFinder)
        return load_alias, (self.__name__, loader.installer)


class NameFinder:
    """The finder; see the module.

    Args:
        installer: The module that adds such a finder where it is imported.

    Attributes:
        installer: As in the arguments.
        is_needed: Whether works have to have the finder, too.
    """

    def __init__(self, installer: str) -> None:
        self.installer = installer
        self.is_needed = False

    @property
    def needed_in_works(self) -> str:
        """The module that works import first; "" while no name was used."""
        return self.installer if self.is_needed else ""

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return how to load a module of Lightning App, or `None` for any other module.

        Raises:
            ModuleNotFoundError: Lightning App has this module or name, or had it, and this package has not.
        """
        top = name.partition(".")[0]
        if top not in (_PACKAGE, _OLD_NAME):
            return None
        key = _key_of(name)
        if name == _PACKAGE or key in NAMES:
            # Each is a package: so Python asks here for each name that it lacks, and the error says why.
            return ModuleSpec(name, self, origin="lightning_lite", is_package=True)  # type: ignore[arg-type]
        if key is None and not isinstance(sys.modules.get(_PACKAGE), AliasModule):
            return None  # a module that the installed `lightning` does not have either
        # With the full name, Python would replace this error of `from lightning.app import x` by its own.
        raise ModuleNotFoundError(_missing(name, key), name=name.rpartition(".")[0])

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return an empty module, which loads its names on first use."""
        self.is_needed = True
        return AliasModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Set the names that `from ... import *` imports."""
        key = _key_of(module.__name__)
        names = TOP_NAMES if key is None else NAMES[key]
        module.__doc__ = f"The names of `{module.__name__}` in lightning_lite."
        module.__dict__["__all__"] = [name for name in names if name[:1] != "_"]

    def add_names(self, module: ModuleType) -> None:
        """Let an installed `lightning` without `app` have the names that lead to this package."""
        path = getattr(module, "__path__", None)
        if isinstance(module, AliasModule) or _find_elsewhere(f"{_PACKAGE}.app", path) is not None:
            return
        own = module.__dict__.get("__getattr__")

        def find_name(name: str) -> Any:
            if name in TOP_NAMES:
                self.is_needed = True
                return _get("", name)
            if name in TOP_MODULES:
                return _top_module(name)
            if own is not None:
                return own(name)
            raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}", name=name, obj=module)

        module.__dict__["__getattr__"] = find_name


class _Observer:
    """A finder at the beginning that adds to an installed `lightning`, and to `multiprocessing`, once loaded.

    Args:
        names: The finder at the end.
    """

    def __init__(self, names: NameFinder) -> None:
        self._names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return how one of the two is loaded; `None` for any other module."""
        spec = _find_elsewhere(name, path) if name in (_PACKAGE, SPAWN) else None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._names)
        return spec


class _Loader:
    """Loads a module with its own loader, and adds to it then."""

    def __init__(self, loader: Any, names: NameFinder) -> None:
        self._loader = loader
        self._names = names

    def create_module(self, spec: Any) -> Any:
        """Return the module of the own loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        """Execute the module, which afterwards has only its own loader."""
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        _add_to(module, self._names)


def install(installer: str, *, is_needed: bool = False) -> NameFinder:
    """Add the finder to `sys.meta_path`, once.

    Args:
        installer: The module that does the same in a work.
        is_needed: Whether works get it even if no name has been used so far.

    Returns:
        The finder.
    """
    found = next((finder for finder in sys.meta_path if isinstance(finder, NameFinder)), None)
    if found is None:
        found = NameFinder(installer)
        finders: list[Any] = sys.meta_path
        finders.append(found)
        finders.insert(0, _Observer(found))
        for name in (_PACKAGE, SPAWN):
            if name in sys.modules:
                _add_to(sys.modules[name], found)
    if is_needed:
        found.is_needed = True
    return found


def _add_to(module: ModuleType, names: NameFinder) -> None:
    if module.__name__ == SPAWN:
        add_finder_to_children(module, lambda: names.needed_in_works)
    else:
        names.add_names(module)


def load_alias(name: str, installer: str) -> Any:
    """Return a module of Lightning App, also in a process without the finder; pickles call this.

    Args:
        name: Full name of the module.
        installer: As for `install`.
    """
    install(installer)
    return import_module(name)


def installed_packages() -> list[str]:
    """Return which modules of Lightning App are installed here, and so are used in place of this package."""
    found = [_OLD_NAME] if _find_elsewhere(_OLD_NAME, None) is not None else []
    package = _find_elsewhere(_PACKAGE, None)
    path = None if package is None else package.submodule_search_locations
    if path is not None and _find_elsewhere(f"{_PACKAGE}.app", path) is not None:
        found.insert(0, f"{_PACKAGE}.app")
    return found


def _find_elsewhere(name: str, path: Sequence[str] | None) -> Any:
    """Return the spec that another finder has for a module, or `None`."""
    for finder in sys.meta_path:
        if not isinstance(finder, NameFinder | _Observer):
            find_spec = getattr(finder, "find_spec", None)  # some programs add objects without it
            found = find_spec(name, path) if find_spec is not None else None
            if found is not None:
                return found
    return None


def _missing(name: str, key: str | None) -> str:
    """Return why there is no such module or name."""
    if key is None:
        return (
            f"No module or name {name!r}. It belongs to the package lightning, which is not installed: "
            "pip install lightning"
        )
    refused: dict[str, str] = late_import(_REFUSED).REFUSED
    reason = next((refused[part] for part in refused if f"{key}.".startswith(f"{part}.")), "")
    return f"lightning_lite has no {name}{': ' if reason else ''}{reason}; see its page on Lightning Apps."
