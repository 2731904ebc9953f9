"""Base class of flows and works: a name in the tree, and public attributes that are state."""

from __future__ import annotations

from abc import ABCMeta
from functools import wraps
from types import FunctionType, MethodType

from lightning_lite.context import acting_as, current_caller
from lightning_lite.errors import ComponentDefinitionError, DetachedError, StateError
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.tracebacks import leave_out_own_frames
from lightning_lite.tree.node import Node, TreeMember, check_name
from lightning_lite.values.codec import ATOMS, decode, encode, is_container
from lightning_lite.values.transferable import Transferable, from_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self, TypeVar

    T = TypeVar("T")


class ComponentType(ABCMeta):
    """Metaclass of components: registers when `__init__` begins and ends, and replaces an assigned `run`."""

    def __setattr__(cls, name: str, value: Any) -> None:
        """Assign an attribute of the class; a function as `run` is replaced as if the class had defined it.

        Tests assign one. A mock stays: it records its calls in itself, and its users look there.
        """
        super().__setattr__(name, value)
        if name != "run" or not issubclass(cls, Component) or hasattr(value, "mock"):
            return
        if isinstance(value, FunctionType | staticmethod | classmethod):
            cls._replace_run()

    def __call__(cls: type[T], *args: Any, **kwargs: Any) -> T:
        """Create a component; drives refuse all verbs until its `__init__` has ended."""
        try:
            with acting_as(current_caller()._replace(kind="init", component=cls.__qualname__)):
                component: T = super().__call__(*args, **kwargs)  # type: ignore[misc]  # a metaclass has no Self
        except BaseException as error:
            leave_out_own_frames(error)
            raise
        node = component.__dict__.get("_node")
        if node is None:
            raise ComponentDefinitionError(
                f"Did you forget to call super().__init__() in {cls.__qualname__}.__init__?"
            )
        node.sealed = True
        return component


_ASYNC_OR_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR of `inspect`
_PACKAGE = __name__.partition(".")[0] + "."

#: Further keys of a state of Lightning App: details of its cloud, of its pages, and the places of its files.
#: A run here determines them by itself.
_DETAILS_OF_LIGHTNING_APP = frozenset(
    {"_cloud_compute", "_future_url", "_internal_ip", "_layout", "_paths", "_public_ip", "_restarting"}
)


class MethodOfComponent:
    """A static or class method which the framework has replaced for components, but not for their class.

    `work.run(1)` requests a call. `Work.run(1)`, and `super().run(1)` in a class method, have no component:
    there it is the method as the user has written it.

    Args:
        definition: The static or class method.
        method: The replacement, a function of the component and the arguments.
    """

    def __init__(
        self,
        definition: staticmethod[..., Any] | classmethod[Any, ..., Any],
        method: Callable[..., Any],
    ) -> None:
        self._definition = definition
        self._method = method

    @property
    def __func__(self) -> Callable[..., Any]:
        """The function of the user."""
        function: Callable[..., Any] = self._definition.__func__
        return function

    @property
    def is_static(self) -> bool:
        """Whether it is a static method."""
        return isinstance(self._definition, staticmethod)

    @property
    def __isabstractmethod__(self) -> bool:
        """Whether a class with it can't be instantiated; read by `ABCMeta`."""
        return bool(self._definition.__isabstractmethod__)

    def __get__(self, component: Component | None, cls: type) -> Callable[..., Any]:
        if component is None:
            found: Callable[..., Any] = self._definition.__get__(None, cls)
            return found
        return MethodType(self._method, component)


def replace_method(
    cls: type[Component], name: str, replacement_of: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Replace a method of a class; if it is that of a base which is replaced already, it stays.

    Args:
        cls: The class.
        name: Name of the method.
        replacement_of: Gets the method as a function of the component and the arguments, and returns the
            new method. A static method does not get the component, and a class method gets its class.
    """
    definition = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
    if isinstance(definition, MethodOfComponent):
        return
    method = getattr(cls, name)
    if isinstance(definition, staticmethod | classmethod):
        replacement: Any = MethodOfComponent(definition, replacement_of(_with_component(definition)))
    else:
        replacement = replacement_of(method)
    if replacement is not method:  # else the class keeps the method of its base
        type.__setattr__(cls, name, replacement)  # that of our metaclass would call this function again


def is_replacement(method: Callable[..., Any], mark: str) -> bool:
    """Return whether a method is one of ours: its mark is the method of the user that it calls.

    `functools.wraps`, with which a test may wrap our method, copies the mark too, but not `__wrapped__`.
    """
    return getattr(method, mark, None) is getattr(method, "__wrapped__", method)


def _with_component(
    definition: staticmethod[..., Any] | classmethod[Any, ..., Any],
) -> Callable[..., Any]:
    """Return a static or class method as a function that gets the component, too."""
    function = definition.__func__
    takes_class = isinstance(definition, classmethod)

    @wraps(function)
    def method_of_component(self: Any, *args: Any, **kwargs: Any) -> Any:
        return function(type(self), *args, **kwargs) if takes_class else function(*args, **kwargs)

    return method_of_component


def _is_own_method(cls: type | None, name: str) -> bool:
    """Return whether a private name is that of a method of this package, which would not work any more."""
    if name[:1] != "_" or name[:2] == "__" or name[-1:] == "_":
        return False  # public, special, or a protocol of other packages, such as `_repr_html_`
    method = getattr(cls, name, None)
    return type(method) is FunctionType and method.__module__.startswith(_PACKAGE)


def _is_saved_object(value: Any) -> bool:
    """Return whether a value is the plain data of an object in a state that Lightning App has saved.

    It marks a drive as `{"type": "__drive__", ...}`. Unless the attribute has a dict, it keeps its value: the
    files of the old drive are not in a drive here.
    """
    return type(value) is dict and value.get("type") in ("__cloud_compute__", "__drive__")


def _taken(cls: type[Any], name: str) -> str:
    return f"{cls.__qualname__}.{name}: the framework has a method of that name; choose another name."


def defining_class(cls: type[Any], name: str) -> type[Any]:
    """Return the class that defines an attribute of `cls`."""
    return next((base for base in cls.__mro__ if name in vars(base)), cls)


def refuse_deferred_run(cls: Any, of: str, caller: str, *, generator: str, coroutine: str) -> None:
    """Refuse a class whose `run` only makes an object when it is called: no code of it would run.

    Args:
        cls: The class.
        of: The method and the kind of component, for the message.
        caller: The call or the pass that calls the method, for the message.
        generator: Advice about a generator.
        coroutine: Advice about a coroutine or an asynchronous generator.

    Raises:
        ComponentDefinitionError: `run` is a coroutine or a generator.
    """
    method = cls.run
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    code = getattr(method, "__code__", None)
    if code is not None and code.co_flags & _ASYNC_OR_GENERATOR:
        kind, advice = ("a generator", generator) if code.co_flags & 0x20 else ("a coroutine", coroutine)
        raise ComponentDefinitionError(
            f"{of} `{cls.__qualname__}` is {kind}: {caller} runs no code of it. {advice}"
        )


def _read_only(component: Component, owner: type[Any], name: str) -> str:
    """Return the message about a property of the framework that can't be set."""
    code = getattr(owner.__init__, "__code__", None)
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
    advice = f"pass {name}=... to super().__init__(), or " if name in arguments else ""
    return (
        f"{type(component).__qualname__}.{name}: the framework has an attribute of that name, which can't be "
        f"set; {advice}choose another name."
    )


class Component(TreeMember, metaclass=ComponentType):
    """Base of flows and works."""

    #: Renders a component as HTML; set by `app.notebook`, because the processes of works do not need it.
    _render_html: ClassVar[Callable[[Any], str] | None] = None

    _lightningignore: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__module__.startswith(_PACKAGE):
            for name in vars(cls):
                if _is_own_method(cls.__base__, name):
                    raise ComponentDefinitionError(_taken(cls, name))

    @classmethod
    def _replace_run(cls) -> None:
        """Replace the `run` of the class by one that the framework notices."""

    def __init__(self) -> None:
        self._node = Node(self)

    # Access to attributes.

    def _set_attribute(self, name: str, value: Any) -> None:
        """Assign an attribute; this is `__setattr__`."""
        node: Node | None = self.__dict__.get("_node")
        if node is not None and name in node.names:
            if type(value) in ATOMS and node.link is not None:  # fast path: nothing to convert
                node.link.write(node, name, value)
            else:
                self._write(node, name, value)
        elif name[:1] == "_" or hasattr(getattr(type(self), name, None), "__set__"):
            if name not in self.__dict__ and _is_own_method(type(self), name):
                raise ComponentDefinitionError(_taken(type(self), name))
            try:
                object.__setattr__(self, name, value)
            except AttributeError:
                owner = defining_class(type(self), name)
                if not owner.__module__.startswith(_PACKAGE) or getattr(vars(owner)[name], "fset", None):
                    raise  # a property of the user, or code of the user that a setter has called
                raise StateError(_read_only(self, owner, name), attribute=name) from None
        elif node is None:
            raise StateError(
                f"Did you forget to call super().__init__() in {type(self).__qualname__}.__init__? "
                f"It has to come before self.{name} = ..."
            )
        else:
            self._declare(node, name, value)

    def _find_attribute(self, name: str) -> Any:
        """Return an attribute that is not in the instance or its class; this is `__getattr__`."""
        node: Node | None = self.__dict__.get("_node")
        if node is not None:
            # Read before marking: in a work, a write of the flow may replace the container at any moment.
            container = node.containers.get(name)
            if container is not None:
                if name not in node.touched:
                    node.touched.add(name)
                    if node.link is not None:
                        node.link.touch(node)
                return container
        elif name[:1] != "_":
            raise StateError(
                f"Did you forget to call super().__init__() in {type(self).__qualname__}.__init__?"
            )
        # Raises the usual AttributeError, or again the one that a property of the user's class has raised.
        return object.__getattribute__(self, name)

    def __delattr__(self, name: str) -> None:
        if name in self._node.names:
            raise StateError(
                f"{self._node.attribute_path(name)} is part of the state, so it can't be deleted. "
                "Set it to None instead."
            )
        object.__delattr__(self, name)

    if not TYPE_CHECKING:  # a type checker that sees these two accepts each misspelled attribute
        __getattr__ = _find_attribute
        __setattr__ = _set_attribute

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._node.containers})

    @property
    def lightningignore(self) -> tuple[str, ...]:
        """Patterns of files that the cloud of Lightning App would leave out; without effect.

        Raises:
            DetachedError: It is set while the app runs.
        """
        return self._lightningignore

    @lightningignore.setter
    def lightningignore(self, patterns: tuple[str, ...]) -> None:
        if self._node.link is not None:
            raise DetachedError(
                f"Your app has already been dispatched, so modifying the `{self.name}.lightningignore` has "
                "no effect. Set it in __init__."
            )
        self._lightningignore = patterns

    @property
    def state_vars(self) -> dict[str, Any]:
        """Like `state`, but only with the values of attributes."""
        return {"vars": self._values()}

    def __copy__(self) -> Self:
        # `copy.copy` would give the same node to both, and the node would write to the original only.
        reduced: Any = self.__reduce_ex__(4)
        create, args, state, *_ = reduced
        twin: Self = create(*args)
        node = self._node.copy_for(twin)
        # With slots the state is a tuple: the attributes of the instance, and those in slots.
        parts = [
            {**part, "_node": node} if isinstance(part, dict) and "_node" in part else part
            for part in (state if isinstance(state, tuple) else (state,))
        ]
        if hasattr(twin, "__setstate__"):
            twin.__setstate__(tuple(parts) if isinstance(state, tuple) else parts[0])
        else:
            for attributes in filter(None, parts):
                for name, value in attributes.items():
                    object.__setattr__(twin, name, value)
        return twin

    def __repr__(self) -> str:
        node = self.__dict__.get("_node")
        if node is None:  # its `__init__` has not called the `__init__` of this class yet
            return object.__repr__(self)
        return f"<{node.name or 'not attached'} ({type(self).__qualname__})>"

    def _repr_html_(self) -> str | None:
        """Return HTML for notebooks, or `None`, which shows the text, if `app.notebook` was not imported."""
        return None if Component._render_html is None else Component._render_html(self)

    # For the subclasses.

    def _values(self) -> dict[str, Any]:
        """Return copies of the values of all state attributes, by name."""
        return {name: self._copied(name) for name in self._node.names}

    def _set_values(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            if name in self._node.names:
                if not _is_saved_object(value) or type(self._node.value(name)) is dict:
                    setattr(self, name, value)
            elif name not in _DETAILS_OF_LIGHTNING_APP:
                raise StateError(f"{self._node.attribute_path(name)} was never declared, so it can't be set.")

    def _copied(self, name: str) -> Any:
        value = self._node.value(name)
        return decode(encode(value, name)) if is_container(value) else value

    def _write(self, node: Node, name: str, value: Any) -> None:
        """Convert a value, and store it as a state attribute."""
        if type(value) is str:
            value = from_text(value)
        elif isinstance(value, float) and type(value).__module__ == "numpy":
            value = float(value)  # a numpy.float64, as functions of NumPy return it
        if isinstance(value, Transferable) and self._travels:
            value.attached(node.name, name)  # before storing, because it may change or refuse the value
        if node.link is None:
            node.store(name, value)
        else:
            node.link.write(node, name, value)

    def _declare(self, node: Node, name: str, value: Any) -> None:
        """Add a public attribute to the state.

        Raises:
            StateError: A method has this name, or `__init__` has ended.
            ComponentError: The name is not a valid key.
        """
        if callable(getattr(type(self), name, None)):
            owner = defining_class(type(self), name).__qualname__
            raise StateError(
                f"{node.attribute_path(name)} is a method of {owner}; give the attribute another name.",
                attribute=name,
            )
        if node.sealed:
            raise StateError(
                f"Cannot set attributes that were not defined in __init__: {name}. "
                f"Declare self.{name} = ... in {type(self).__qualname__}.__init__, "
                f"or use a private attribute, self._{name}, which is not shared.",
                attribute=name,
            )
        if isinstance(value, ComponentType):
            raise StateError(
                f"{node.attribute_path(name)} is a class, and a flow needs a component of it: "
                f"self.{name} = {value.__qualname__}().",
                attribute=name,
            )
        check_name(name, f"the attribute of {type(self).__qualname__}")
        self._write(node, name, value)

    def _set_name(self, name: str) -> None:
        before = self._node.name
        super()._set_name(name)
        for attribute in self._node.names:
            value = self.__dict__.get(attribute)
            if isinstance(value, Transferable) and self._travels:
                value.renamed(before, name, attribute)
