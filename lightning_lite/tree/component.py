"""Base class of flows and works: a name in the tree, and public attributes that are state."""

from __future__ import annotations

from abc import ABCMeta

from lightning_lite.context import Caller, acting_as, current_caller
from lightning_lite.errors import ComponentDefinitionError, StateError
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.tree.node import Node, check_name
from lightning_lite.values.codec import ATOMS, decode, encode, is_container
from lightning_lite.values.protocol import Transferable, from_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar


class ComponentType(ABCMeta):
    """The class of component classes: it knows when `__init__` begins and ends."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        """Build a component; while that lasts, no drive may be used."""
        with acting_as(Caller("init", cls.__qualname__, current_caller().root)):
            component = super().__call__(*args, **kwargs)
        node = component.__dict__.get("_node")
        if node is None:
            raise ComponentDefinitionError(
                f"Did you forget to call super().__init__() in {cls.__qualname__}.__init__?"
            )
        node.sealed = True
        return component


class Component(metaclass=ComponentType):
    """Base of flows and works."""

    #: Renders a component as HTML; set by `app.notebook`, because the processes of works do without it.
    _render_html: ClassVar[Callable[[Any], str] | None] = None

    _node: Node
    _travels = False  # whether it lives in a process of its own, so that writes have to be sent

    def __init__(self) -> None:
        self._node = Node()

    def __setattr__(self, name: str, value: Any) -> None:
        node = self.__dict__.get("_node")
        if node is not None and name in node.names:
            if type(value) in ATOMS and node.link is not None:  # nothing to look into
                node.link.write(self, name, value)
            else:
                self._write(node, name, value)
        elif name[:1] == "_" or hasattr(getattr(type(self), name, None), "__set__"):
            object.__setattr__(self, name, value)
        elif node is None:
            raise StateError(
                f"Did you forget to call super().__init__() in {type(self).__qualname__}.__init__? "
                f"It has to come before self.{name} = ..."
            )
        else:
            self._declare(node, name, value)

    def __getattr__(self, name: str) -> Any:
        node = self.__dict__.get("_node")
        if node is not None:
            # Fetched before it is marked: in a work, what the flow wrote may take its place at any moment.
            container = node.containers.get(name)
            if container is not None:
                if name not in node.touched:
                    node.touched.add(name)
                    if node.link is not None:
                        node.link.touch(self)
                return container
        elif name[:1] != "_":
            raise StateError(
                f"Did you forget to call super().__init__() in {type(self).__qualname__}.__init__?"
            )
        return object.__getattribute__(self, name)  # raises; in a property of the user's, what that raised

    def __delattr__(self, name: str) -> None:
        if name in self._node.names or name in self._node.children:
            raise StateError(
                f"{self._node.where(self, name)} is part of the state, which keeps its shape. "
                "Set it to None instead of deleting it."
            )
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._node.containers})

    @property
    def name(self) -> str:
        """Full name in the tree: `root`, `root.train`, `root.works.0`; "" for a work outside a flow."""
        return self._node.name

    @property
    def state_vars(self) -> dict[str, Any]:
        """The values of the state alone, see `state`."""
        return {"vars": self._values()}

    def _repr_html_(self) -> str | None:
        """Return HTML for notebooks; `None`, so that the text is shown, as long as no app was imported."""
        return None if Component._render_html is None else Component._render_html(self)

    def _values(self) -> dict[str, Any]:
        return {name: self._copied(name) for name in self._node.names}

    def _set_values(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name not in self._node.names:
                raise StateError(f"{self._node.where(self, name)} was never declared, so it can't be set.")
            setattr(self, name, value)

    def _copied(self, name: str) -> Any:
        value = self._node.value(self, name)
        return decode(encode(value, name)) if is_container(value) else value

    def _write(self, node: Node, name: str, value: Any) -> None:
        if type(value) is str:
            value = from_text(value)
        if isinstance(value, Transferable) and self._travels:
            value.attached(node.name, name)  # first, so that what it learns is sent as well
        if node.link is None:
            node.store(self, name, value)
        else:
            node.link.write(self, name, value)

    def _declare(self, node: Node, name: str, value: Any) -> None:
        """Take a public attribute that is new."""
        if node.sealed:
            raise StateError(
                f"Cannot set attributes that were not defined in __init__: {name}. "
                f"Declare self.{name} = ... in {type(self).__qualname__}.__init__, "
                f"or use a private attribute, self._{name}, which is not shared.",
                attribute=name,
            )
        if callable(getattr(type(self), name, None)):
            raise StateError(
                f"{node.where(self, name)} is a method of {type(self).__qualname__}; "
                "give the attribute another name.",
                attribute=name,
            )
        check_name(name, f"the attribute of {type(self).__qualname__}")
        self._write(node, name, value)

    def _entered(self, name: str) -> None:
        """Take the name under which the component stands in the tree."""
        self._node.name = name
        for attribute in self._node.names:
            value = self.__dict__.get(attribute)
            if isinstance(value, Transferable) and self._travels:
                value.attached(name, attribute)
