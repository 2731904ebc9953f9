"""Small functions that apps import from `lightning.app.utilities`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, TypeVar

from lightning_lite.app.app import LightningApp
from lightning_lite.app.layout import LayoutEntry, read_layout
from lightning_lite.extras import missing_packages
from lightning_lite.frontends.base import Frontend
from lightning_lite.sockets import find_free_port
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.node import STATE_PARTS, TreeMember
from lightning_lite.tree.structures import Dict, List
from lightning_lite.tree.work import LightningWork

#: The parts of a tree: for type hints, and for `isinstance`.
Component = LightningFlow | LightningWork | Dict[Any, Any] | List[Any]
ComponentTuple = (LightningFlow, LightningWork, Dict, List)

_R = TypeVar("_R")


def pretty_state(state: dict[str, Any]) -> dict[str, Any]:
    """Return a state with the public attributes of flows and works only.

    Args:
        state: A value of the property `state` of a flow or of an app.

    Example:
        >>> pretty_state({"vars": {"a": 1, "_port": 2}, "calls": {}, "works": {"w": {"vars": {"b": 3}}}})
        {'vars': {'a': 1}, 'works': {'w': {'vars': {'b': 3}}}}
    """
    found: dict[str, Any] = {}
    public = {name: value for name, value in state.get("vars", {}).items() if name[:1] != "_"}
    if public:
        found["vars"] = public
    for kind in STATE_PARTS:
        parts = state.get(kind)
        if parts:
            found[kind] = {key: pretty_state(part) for key, part in parts.items()}
    return found


def affiliation(component: TreeMember) -> tuple[str, ...]:
    """Return the place of a component below the root.

    Example:
        >>> from lightning_lite.testing import EmptyFlow
        >>> affiliation(EmptyFlow())
        ()
    """
    return tuple(component.name.split(".")[1:])


#: Methods that LightningFlow of Lightning App defines only to raise an error; flows here may lack them.
_OPTIONAL_METHODS = ("configure_api", "configure_commands")


def is_overridden(method_name: str, instance: Any = None, parent: type[Any] | None = None) -> bool:
    """Return whether the class of an object has a method of its own in place of that of `parent`.

    Args:
        method_name: Name of the method.
        instance: A flow, a work or another object.
        parent: The class with the method; by default `LightningFlow` or `LightningWork`.

    Raises:
        ValueError: There is no default for `parent`, or it has no such method.

    Example:
        >>> from lightning_lite.testing import EmptyWork
        >>> is_overridden("run", EmptyWork()), is_overridden("on_exit", EmptyWork())
        (True, False)
    """
    if instance is None:
        return False
    if parent is None:
        parent = next((cls for cls in (LightningFlow, LightningWork) if isinstance(instance, cls)), None)
        if parent is None:
            raise ValueError(
                f"Expected a parent: {type(instance).__qualname__} is neither a flow nor a work, so name the "
                f"class that defines {method_name!r}."
            )
    own = getattr(instance, method_name, None)
    own = getattr(own, "_mock_wraps", own)  # of a mock, which stands for an object
    if own is None:
        return False
    if not hasattr(parent, method_name):
        if parent is LightningFlow and method_name in _OPTIONAL_METHODS:
            return True
        raise ValueError(
            f"The parent should define the method: {parent.__qualname__} has no {method_name!r}."
        )
    return _function_of(own) is not _function_of(getattr(parent, method_name))


def _function_of(method: Any) -> Any:
    """Return the function that a method calls, without decorators."""
    return inspect.unwrap(getattr(method, "__func__", method))


def is_static_method(cls_or_object: Any, name: str) -> bool:
    """Return whether a class, or the class of an object, has a static method of this name.

    Example:
        >>> is_static_method(str, "maketrans"), is_static_method("text", "upper")
        (True, False)
    """
    return isinstance(inspect.getattr_static(cls_or_object, name, None), staticmethod)


class LightningJSONEncoder(json.JSONEncoder):
    """A JSON encoder for objects that have a method `__json__`.

    Example:
        >>> from lightning_lite import Path
        >>> json.loads(json.dumps({"path": Path("a.txt")}, cls=LightningJSONEncoder))["path"]["path"]
        'a.txt'
    """

    def default(self, o: Any) -> Any:
        """Return the plain data of an object."""
        convert = getattr(o, "__json__", None)
        return convert() if callable(convert) else super().default(o)


class AttributeDict(dict[str, Any]):
    """A dict whose values are attributes, too.

    Example:
        >>> values = AttributeDict(rate=0.1)
        >>> values.rate = values.rate * 2
        >>> values["rate"], hasattr(values, "epochs")
        (0.2, False)
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f'Missing attribute "{name}"', name=name, obj=self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def requires(module_paths: str | list[str]) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Return a decorator for functions that need packages: a call without them is an error that names them.

    Args:
        module_paths: The names of the packages in an import.

    Example:
        >>> @requires(["json", "absent"])
        ... def load():
        ...     return 1
        >>> load()
        Traceback (most recent call last):
            ...
        ModuleNotFoundError: load needs packages that are not installed. Please run: pip install 'absent'
    """
    packages = [module_paths] if isinstance(module_paths, str) else module_paths

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> _R:
            if missing := missing_packages(*packages):
                raise ModuleNotFoundError(
                    f"{function.__qualname__} needs packages that are not installed. Please run: pip install "
                    + " ".join(map(repr, missing)),
                    name=missing[0],
                )
            return function(*args, **kwargs)

        return call

    return decorate


def headers_for(context: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of requests to the state of an app.

    Args:
        context: `token`, `session_id` and `type`, each optional.

    Example:
        >>> headers_for({"session_id": "1"})["X-Lightning-Session-ID"]
        '1'
    """
    names = {"Session-UUID": "token", "Session-ID": "session_id", "Type": "type"}
    return {f"X-Lightning-{name}": context.get(key, "") for name, key in names.items()}


def is_running_in_cloud() -> bool:
    """Return `False`: there is no cloud."""
    return False


def find_free_network_port() -> int:
    """Return the number of a TCP port of this machine that is free now."""
    return find_free_port("127.0.0.1")


def is_headless(app: LightningApp) -> bool:
    """Return whether an app shows no page.

    Raises:
        LayoutError: A flow returns something else, also one that no other flow shows: all flows are asked.

    Example:
        >>> from lightning_lite import LightningApp
        >>> from lightning_lite.testing import EmptyFlow
        >>> is_headless(LightningApp(EmptyFlow()))
        True
    """
    return app.is_headless


def collect_layout(app: Any, flow: LightningFlow) -> dict[str, str] | list[dict[str, str]]:
    """Return the layout of one flow in the form of Lightning App.

    Args:
        app: An object whose dict `frontends` gets the frontend of the flow.
        flow: The flow.

    Raises:
        LayoutError: `configure_layout` of the flow returns no layout.

    Example:
        >>> from lightning_lite.testing import EmptyFlow
        >>> collect_layout(None, EmptyFlow())
        []
    """
    found = read_layout(flow)
    if isinstance(found, Frontend):
        found.flow = flow
        app.frontends.setdefault(flow.name, found)
        return {}
    return [_as_dict(entry) for entry in found]


def _as_dict(entry: LayoutEntry) -> dict[str, str]:
    if isinstance(entry.content, LightningFlow):
        return {"name": entry.name, "content": entry.content.name}
    content = entry.url if isinstance(entry.content, LightningWork) else entry.content
    return {"name": entry.name, "content": content, "target": entry.url}
