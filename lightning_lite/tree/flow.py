"""`LightningFlow`: plain Python that coordinates works; its `run` is called again after each change."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, NoReturn

from lightning_lite.errors import (
    ComponentError,
    DetachedError,
    FailApp,
    StateError,
    StopApp,
)
from lightning_lite.harmless_text import one_line
from lightning_lite.tree.component import defining_class, is_replacement, refuse_deferred_run, replace_method
from lightning_lite.tree.hierarchy import attach, call_when_attached, find_component
from lightning_lite.tree.node import STATE_PARTS, TreeMember, check_name, join
from lightning_lite.tree.outbox import outbox_of
from lightning_lite.tree.schedule import ScheduledFlow
from lightning_lite.tree.structures import Structure, as_structure, collect, components_below, refuse_mixed
from lightning_lite.tree.work import LightningWork


class LightningFlow(ScheduledFlow):
    """Coordinates works and other flows; override `run`.

    The app calls `run` of the root flow again after each change: of a state, of a call, of an attribute of
    the flow itself. Each execution is a pass. A pass waits at a call of a non-parallel work until the
    call has ended; if something else changes first, it ends there.

    Example:
        >>> class Count(LightningFlow):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.counter = 0
        ...     def run(self):
        ...         self.counter += 1
        >>> flow = Count()
        >>> flow.run()
        >>> flow.counter
        1
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._replace_run()
        if cls.load_state_dict is not LightningFlow.load_state_dict:
            cls.load_state_dict = _counting_depth(cls.load_state_dict)  # type: ignore[method-assign]

    @classmethod
    def _replace_run(cls) -> None:
        if cls.run is not LightningFlow.run:  # defined in this class, or in a mix-in without our metaclass
            replace_method(cls, "run", _counting_depth)

    def __init__(self) -> None:
        super().__init__()
        refuse_deferred_run(
            type(self),
            "The `run()` method of the flow",
            "a pass",
            generator="Make it a plain method: the app calls it again after each change.",
            coroutine="Make it a plain method, and call asyncio.run(...) in a work.",
        )
        self._node.name = "root"

    # Methods to override and to call in `run`.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do nothing; override it to coordinate works. The root of an app has to override it."""

    def stop(self, end_msg: str = "") -> NoReturn:
        """End the pass and the app: `app.run()` returns.

        Args:
            end_msg: A line to print to the standard output. If that is full or closed, the logger
                `lightning_lite` has it, and the app ends in the same way.

        Raises:
            StopApp: Always; it ends the pass.

        Example:
            >>> from lightning_lite import LightningApp
            >>> class Flow(LightningFlow):
            ...     def run(self):
            ...         self.stop("done")
            >>> LightningApp(Flow()).run()
            done
        """
        if end_msg and sys.stdout is not None:
            try:
                sys.stdout.write(f"{end_msg}\n")
                sys.stdout.flush()
            except Exception as error:  # noqa: BLE001 - it may be full, closed, or an object of the user
                _warn_not_printed(end_msg, error)
        self._end(StopApp(end_msg))

    def _exit(self, end_msg: str = "") -> NoReturn:
        """Act like `stop`: its name in the first releases of Lightning App."""
        warnings.warn("LightningFlow._exit is the old name of stop", DeprecationWarning, stacklevel=2)
        self.stop(end_msg)

    def fail(self, end_msg: str = "") -> NoReturn:
        """End the pass and the app as failed: `app.run()` raises `AppFailed(end_msg)`.

        Args:
            end_msg: Message of the error.

        Raises:
            FailApp: Always; it ends the pass.

        Example:
            >>> from lightning_lite import LightningApp
            >>> class Flow(LightningFlow):
            ...     def run(self):
            ...         self.fail("no data")
            >>> LightningApp(Flow()).run()  # doctest: +ELLIPSIS
            Traceback (most recent call last):
            lightning_lite.errors.AppFailed: no data
            To resume this run: ...
        """
        self._end(FailApp(end_msg))

    def wait_for(self, *works: LightningWork) -> list[Any]:
        """Wait at this line until all calls requested from works have ended, and return their values.

        These are the calls that this pass has requested from a work; if there are none, its newest call.

        Args:
            *works: The works.

        Returns:
            The value of each work, in the order of the arguments: of the call that this pass has requested
            last from it, else of its newest call. `None` for a work without a call, and for a call that was
            stopped or, with `raise_exception=False`, failed; `work.has_failed` and `work.status` say why.
            A failed call of another work ends the app.

        Raises:
            ComponentError: An argument is not a work.
            DetachedError: The flow or a work is not part of a running app.

        Example:
            >>> from lightning_lite import LightningApp
            >>> class Square(LightningWork):
            ...     def run(self, number):
            ...         return number * number
            >>> class Flow(LightningFlow):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.one, self.two = Square(parallel=True), Square(parallel=True)
            ...     def run(self):
            ...         self.one.run(1), self.two.run(2)
            ...         self.stop(str(self.wait_for(self.one, self.two)))
            >>> LightningApp(Flow()).run(runner="inline")
            [1, 4]
        """
        outbox = outbox_of(self)
        for work in works:
            if not isinstance(work, LightningWork):
                raise ComponentError(
                    f"{self.name}.wait_for takes works. Found {type(work).__qualname__}{_unpacking(work)}."
                )
            if outbox is None or outbox_of(work) is not outbox:
                raise DetachedError(
                    f"{self.name}.wait_for: {type(work).__qualname__} is not part of a running app, so "
                    "it has no calls to wait for. Set the work as an attribute of a flow, and run the app."
                )
        if outbox is None:
            return []
        calls = [call for work in works for call in outbox.pending_calls(work)]
        if calls:
            outbox.wait(calls, [work.name for work in works])
        try:
            return [outbox.latest_value(work) for work in works]
        finally:
            for work in works:
                outbox.note_waited(work)

    def stop_works(self, works: Iterable[LightningWork], timeout: float | None = None) -> None:
        """Request that the processes of several works end; they end at the same time.

        Args:
            works: The works.
            timeout: Seconds that `on_exit` of each work may take, as for `LightningWork.stop`.

        Raises:
            ComponentError: `timeout` is not a number of seconds.
            DetachedError: A work is not part of a running app.
        """
        for work in works:
            work.stop(timeout)

    @property
    def ready(self) -> bool:
        """Whether all flows below this one are ready; override it for a flow that is ready later."""
        return all(flow.ready for flow in self.flows.values())

    def configure_layout(self) -> Any:
        """Return the layout of this flow on the page of the app; override it.

        The app calls it before the first pass, and again after each change. It describes only: it must
        change nothing and call no work.

        Returns:
            A list of tabs, or one tab. A tab is a dict with a `name` and a `content`, which is a child flow,
            a child work that serves, or the address of a page. Or a `Frontend`, which is all that the flow
            shows. By default, each child flow is a tab.

        Example:
            >>> class Links(LightningFlow):
            ...     def configure_layout(self):
            ...         return {"name": "Data", "content": "https://data.example"}
            >>> Links().configure_layout()
            {'name': 'Data', 'content': 'https://data.example'}
        """
        return [
            {"name": flow.name.removeprefix(f"{self.name}."), "content": flow} for flow in _child_flows(self)
        ]

    # The components below the flow.

    @property
    def flows(self) -> dict[str, LightningFlow]:
        """All flows below this one, at any depth, by full name."""
        return {flow.name: flow for flow in components_below(self, LightningFlow)}

    def works(self, recurse: bool = True) -> list[LightningWork]:
        """Return the works below this flow.

        Args:
            recurse: Whether to include the works of child flows and of structures.
        """
        return [work for _, work in self.named_works(recurse)]

    def named_works(self, recurse: bool = True) -> list[tuple[str, LightningWork]]:
        """Return the works below this flow with their full names.

        Args:
            recurse: Whether to include the works of child flows and of structures.
        """
        if recurse:
            return [(work.name, work) for work in components_below(self, LightningWork)]
        children = sorted(self._node.children.items())
        return [(child.name, child) for _, child in children if isinstance(child, LightningWork)]

    def get_component_by_name(self, name: str) -> Any:
        """Return the flow, work or structure with this full name.

        Args:
            name: Full name, for example `root.train`.

        Raises:
            ValueError: The name does not begin with the name of this flow.
            AttributeError: There is no such component.
        """
        if name == self.name:
            return self
        if not name.startswith(f"{self.name}."):
            raise ValueError(f"Invalid component name {name}. Name must start with '{self.name}'")
        return find_component(self, name.removeprefix(f"{self.name}."))

    # The state.

    @property
    def state(self) -> dict[str, Any]:
        """State of this flow and all components below as nested dicts, in the layout of Lightning App."""
        return {"vars": self._values(), "calls": {}, **collect(self, "state"), "changes": {}}

    @property
    def state_vars(self) -> dict[str, Any]:
        """Like `state`, but only with the values of attributes."""
        return {"vars": self._values(), **collect(self, "state_vars")}

    def set_state(self, state: dict[str, Any], recurse: bool = True) -> None:
        """Assign the values in `state["vars"]` to the attributes, and set the states of the components below.

        Args:
            state: A value of the property `state` or `state_vars`.
            recurse: Whether to set the states of the components below.

        Raises:
            StateError: An attribute was never declared.
            ComponentError: `state` has a component that does not exist.
        """
        self._set_values(state.get("vars", {}))
        if not recurse:
            return
        for kind in STATE_PARTS:
            for key, part in state.get(kind, {}).items():
                if key not in self._node.children:
                    raise ComponentError(f"The state contains {join(self.name, key)}, which does not exist.")
                self._node.children[key].set_state(part)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this flow without the components below, for `load_state_dict`."""
        return {
            "vars": self._values(),
            "calls": {},
            "flows": {},
            "works": {},
            "structures": {},
            "changes": {},
        }

    def load_state_dict(
        self, flow_state: dict[str, Any], children_states: dict[str, dict[str, Any]], strict: bool = True
    ) -> None:
        """Set the states of this flow and of all components below it.

        Override it to create components that are normally created in `run`, and then call this method.

        Args:
            flow_state: A return value of `state_dict`.
            children_states: The states of the components below, by name relative to this flow: `works.0`.
            strict: Whether a state without a component is an error. If not, the state is set when the
                component is attached.

        Raises:
            ValueError: There is no component for a state, and `strict` is true.
        """
        self.set_state(flow_state, recurse=False)
        taken = ""
        for name, state in sorted(children_states.items(), key=lambda item: item[0].split(".")):
            if taken and name.startswith(taken):
                continue  # a child flow has set it
            try:
                child = find_component(self, name)
            except AttributeError:
                if strict:
                    raise ValueError(
                        f"The component {name} wasn't instantiated for the component {self.name}"
                    ) from None
                call_when_attached(self, join(self.name, name), partial(_set_own_state, state=state))
                continue
            if isinstance(child, LightningFlow):
                taken = f"{name}."
                inner = {
                    key.removeprefix(taken): part
                    for key, part in children_states.items()
                    if key.startswith(taken)
                }
                child.load_state_dict(state, inner, strict)
            else:
                _set_own_state(child, state=state)

    # Not public: attaching components, and ending the app.

    def _set_attribute(self, name: str, value: Any) -> None:
        node = self.__dict__.get("_node")
        if node is None or name[:1] == "_":
            super()._set_attribute(name, value)
            return
        if name in node.children:
            if value is not node.children[name]:
                kind, removal = _kind_and_removal(name, node.children[name])
                raise StateError(
                    f"Cannot set attributes as the {kind} can't be changed once defined: {name}. {removal}"
                )
            return
        if type(value) in (list, dict):
            value = as_structure(value, join(node.name, name))
        has_setter = hasattr(getattr(type(self), name, None), "__set__")
        if not has_setter and isinstance(value, TreeMember):
            self._attach(name, value)
        else:
            try:
                super()._set_attribute(name, value)
            except StateError as error:
                if error.fields.get("where"):
                    refuse_mixed(value, join(node.name, name))
                raise

    if not TYPE_CHECKING:  # as in `Component`
        __setattr__ = _set_attribute

    def __delattr__(self, name: str) -> None:
        if name in self._node.children:
            kind, removal = _kind_and_removal(name, self._node.children[name])
            raise StateError(f"{join(self.name, name)} is a {kind}, so it can't be deleted. {removal}")
        super().__delattr__(name)

    def _attach(self, name: str, child: TreeMember) -> None:
        """Attach a component that was assigned to a public attribute.

        Raises:
            StateError: It can't be attached now, or the attribute is a method or has a value.
            ComponentError: The name is not a valid key, or the component is in a tree already.
        """
        node = self._node
        if callable(getattr(type(self), name, None)):
            owner = defining_class(type(self), name).__qualname__
            raise StateError(f"{self.name}.{name} is a method of {owner}; give it another name.")
        if node.sealed and not node.depth:
            raise StateError(
                f"Cannot set attributes that were not defined in __init__: {name}. "
                "A flow or work may be added in __init__, in load_state_dict or in the flow's own run."
            )
        check_name(name, f"an attribute of {type(self).__qualname__}")
        if name in node.names and self.__dict__.get(name, ...) is not None:
            raise StateError(
                f"{self.name}.{name} has a value; only an attribute that is None can become a component."
            )
        attach(self, name, child)
        node.names.pop(name, None)
        node.children[name] = child
        self.__dict__[name] = child
        outbox = outbox_of(self)
        if outbox is not None:
            outbox.changed(f"{child.name} was added")

    def _set_name(self, name: str) -> None:
        super()._set_name(name or "root")

    def _end(self, ending: StopApp | FailApp) -> NoReturn:
        outbox = outbox_of(self)
        if outbox is not None:
            # Stored as well as raised: the app ends even if the flow catches the exception.
            outbox.this_pass.ending = ending
            outbox.end_left_blocks()
        raise ending


def _kind_and_removal(name: str, child: TreeMember) -> tuple[str, str]:
    """Return the kind of a child of a flow, and how it, or its content, is removed."""
    if isinstance(child, Structure):
        return type(child).__name__, (
            f"self.{name}.clear() removes all components in it, and self.{name}.pop(...) removes one."
        )
    removal = "Put components that are removed later in a Dict or a List: its method pop removes one."
    if isinstance(child, LightningWork):
        return "work", f"self.{name}.stop() ends its process. {removal}"
    return "flow", removal


def _child_flows(parent: TreeMember) -> Iterator[LightningFlow]:
    """Yield the flows below a flow or structure with no other flow in between."""
    for child in parent._node.children.values():
        if isinstance(child, LightningFlow):
            yield child
        elif not isinstance(child, LightningWork):
            yield from _child_flows(child)


def _set_own_state(component: TreeMember, *, state: dict[str, Any]) -> None:
    if isinstance(component, LightningFlow):
        component.set_state(state, recurse=False)
    elif isinstance(component, LightningWork):
        component.set_state(state)


def _counting_depth(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method with a count of its executions: only `run` and `load_state_dict` attach components."""
    if is_replacement(method, "_counts_depth"):
        return method

    @wraps(method)
    def counting(self: LightningFlow, *args: Any, **kwargs: Any) -> Any:
        self._node.depth += 1
        try:
            return method(self, *args, **kwargs)
        finally:
            self._node.depth -= 1

    counting._counts_depth = method  # type: ignore[attr-defined]
    return counting


class RootFlow(LightningFlow):
    """Root flow of an app that was created with a work: it runs the work once.

    Args:
        work: The work.
    """

    def __init__(self, work: LightningWork) -> None:
        super().__init__()
        self.work = work

    @property
    def ready(self) -> bool:
        """The attribute `ready` of the work; if it has none, whether a server answers at its `url`."""
        return bool(getattr(self.work, "ready", self.work.url != ""))

    def configure_layout(self) -> Any:
        """Return one tab with the layout of the work, if the work has one."""
        is_shown = type(self.work).configure_layout is not LightningWork.configure_layout
        return [{"name": "Main", "content": self.work}] if is_shown else []

    def run(self) -> None:
        """Run the work, and end the app when the call has ended; as failed if the call has failed."""
        self.work.run()
        call = self.work.call()
        if call is not None and call.ended:
            if call.failure is not None:
                self.fail(call.failure.message)
            self.stop()


def _warn_not_printed(end_msg: str, error: Exception) -> None:
    import logging  # noqa: PLC0415 - works of a script load this module, too

    logging.getLogger("lightning_lite").warning(
        "The message of stop can't be printed (%s): %s", error, one_line(str(end_msg), 500)
    )


def _unpacking(argument: object) -> str:
    """Return how to pass the works of a container one by one, or "" if the argument is none."""
    match argument:
        case list() | tuple():
            return "; put a star before it: wait_for(*works)"
        case dict():
            return "; pass its values, with a star before them: wait_for(*works.values())"
        case _:
            return ""
