"""`LightningWork`: a long job in a process of its own.

In the flow, `run` requests a call, or returns the value of a call that has ended. In the process of the work,
and outside an app, it is the user's method.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property, wraps

from lightning_lite import timeouts
from lightning_lite.context import current_caller
from lightning_lite.errors import (
    ComponentDefinitionError,
    ComponentError,
    DetachedError,
)
from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.sockets import ALL_ADDRESSES, find_free_port, is_loopback, machine_addresses, node_address
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.tracebacks import warn_user
from lightning_lite.tree.cloud import BuildConfig, CloudCompute
from lightning_lite.tree.component import Component, is_replacement, refuse_deferred_run, replace_method
from lightning_lite.tree.node import Node, TreeMember
from lightning_lite.tree.policy import WorkPolicy, expect, expect_kind
from lightning_lite.values.codec import SCALARS

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self

    from lightning_lite.tree.calls import Call, CallRecords
    from lightning_lite.tree.node import Requests
    from lightning_lite.values.secret import Secret

# Imported by name: only the process of the flow makes calls and keeps their records.
_CALL_KEY = "lightning_lite.values.call_key"
_CALLS = "lightning_lite.tree.calls"


class LightningWork(Component):
    """A long job that runs in a process of its own; override `run`.

    Args:
        parallel: Whether the flow continues while a call runs. If not, a pass of the flow waits at the line
            of the call until the call has ended. If something else changes first, the pass is cut there, and
            the flow runs from its first line.
        cache_calls: Whether a call with the same arguments is run only once. If not, the flow gets each value
            once, and the call is run again when the flow reaches the line again.
        raise_exception: Whether a failed call ends the app with the exception of the work.
        host: Address of the server in the work, if there is one.
        port: Port of the server; `None` means a free one.
        local_build_config: Stored and shown, but without effect on one machine.
        cloud_build_config: Stored and shown, but without effect on one machine.
        cloud_compute: The resources that the process needs, with `runner="ray"`; else only stored and shown.
        run_once: Old name of `cache_calls`.
        start_with_flow: Whether the process starts with the app, if the work is created in `__init__` of its
            flow.
        env: Environment variables to add in the process of the work: texts, or a `Secret`.
        cwd: Working directory of the process of the work.
        call_key: Function that gets the arguments of a call and returns plain data; calls with equal data are
            the same call.
        retries: Number of further attempts after the first attempt of a call has failed.
        retry_delay: Seconds before the second attempt; doubled before each further one, up to 60.
        timeout: Seconds that one attempt may take before its process is killed; `None` means no limit.
        max_restarts: How often a process that died by itself is replaced within `restart_period`. One more
            death ends the app, also with `retries` and `raise_exception=False`.
        restart_period: Seconds.

    Raises:
        ComponentDefinitionError: The class has no `run`, or its `run` is a coroutine or a generator.
        ComponentError: An argument is invalid; the message names it.

    Example:
        >>> class Square(LightningWork):
        ...     def run(self, x):
        ...         return x * x
        >>> Square().run(7)  # outside an app, this is the plain method
        49
    """

    _travels = True
    _policy: WorkPolicy

    #: Whether a server that answers at `port` belongs to this work, so that the work has a `url`. One that
    #: binds the port itself is sure only after that.
    _holds_port: bool = True

    #: The address that a cloud would give. Works of Lightning Apps that override `url` read it.
    _future_url: str = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._replace_run()

    @classmethod
    def _replace_run(cls) -> None:
        if cls.run is not LightningWork.run:  # defined in this class, or in a mix-in without our metaclass
            replace_method(cls, "run", _requesting_calls)

    def __init__(
        self,
        parallel: bool = False,
        cache_calls: bool = True,
        raise_exception: bool = True,
        host: str = "127.0.0.1",
        port: int | None = None,
        local_build_config: BuildConfig | None = None,
        cloud_build_config: BuildConfig | None = None,
        cloud_compute: CloudCompute | None = None,
        run_once: bool | None = None,
        start_with_flow: bool = True,
        *,
        env: Mapping[str, str | Secret] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        call_key: Callable[..., Any] | None = None,
        retries: int = 0,
        retry_delay: float = 1.0,
        timeout: float | None = None,
        max_restarts: int = 3,
        restart_period: float = 60.0,
    ) -> None:
        super().__init__()
        _check_run(type(self))
        if run_once is not None:
            warn_user("LightningWork(run_once=...) is the old name of cache_calls=...", DeprecationWarning)
            cache_calls = run_once
        what = type(self).__qualname__
        expect(isinstance(host, str), what, "host", host, "an address as text")
        is_port = port is None or (type(port) is int and 0 < port < 65536)
        expect(is_port, what, "port", port, "a whole number from 1 to 65535, or None")
        self._policy = WorkPolicy(
            parallel=parallel,
            cache_calls=cache_calls,
            raise_exception=raise_exception,
            start_with_flow=start_with_flow,
            env=dict(env) if isinstance(env, Mapping) else env,
            cwd=os.path.abspath(cwd) if isinstance(cwd, str | os.PathLike) else cwd,
            call_key=call_key,
            retries=retries,
            retry_delay=retry_delay,
            timeout=timeout,
            max_restarts=max_restarts,
            restart_period=restart_period,
        ).checked(what)
        if cloud_compute is None:
            cloud_compute = CloudCompute()
        self._cloud_compute = expect_kind(what, "cloud_compute", cloud_compute, CloudCompute)
        self._local_build_config: BuildConfig | None = None
        self._cloud_build_config: BuildConfig | None = None
        if local_build_config is not None:
            self.local_build_config = local_build_config
        if cloud_build_config is not None:
            self.cloud_build_config = cloud_build_config
        self._node.names |= dict.fromkeys(("_url", "_host", "_port", "_display_name"))
        self._url = self._node_address = ""
        self._host = host
        self._port = port
        self._display_name = ""

    def __copy__(self) -> Self:
        twin = super().__copy__()
        twin.__dict__.pop("_records", None)  # the calls of the original are not calls of the copy
        return twin

    def __getstate__(self) -> object:
        # The records stay in the flow's process.
        state = super().__getstate__()
        parts = state if isinstance(state, tuple) else (state,)  # a tuple if the class has slots
        parts = tuple(_without_records(part) if isinstance(part, dict) else part for part in parts)
        return parts if isinstance(state, tuple) else parts[0]

    @cached_property
    def _records(self) -> CallRecords:
        """The records of its calls, which only the flow keeps."""
        records: CallRecords = late_import(_CALLS).CallRecords()
        return records

    def __repr__(self) -> str:
        status = self._records.status.stage if "_records" in self.__dict__ else WorkStageStatus.NOT_STARTED
        if status == WorkStageStatus.NOT_STARTED:
            return super().__repr__()
        return f"{super().__repr__()[:-1]}: {status}>"

    # Methods to override.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the job; override this method.

        When the flow calls it, it requests a call with these arguments, if there was none yet.

        Args:
            *args: Any picklable values.
            **kwargs: Any picklable values.

        Returns:
            In the flow: the return value of the call if it has succeeded. `None` if it has failed, if it was
            stopped, or if it has not ended and the work is parallel. If it has not ended and the work is not
            parallel, the pass waits here: the method returns when the call has ended, unless another change
            cuts the pass.

        Raises:
            ArgumentError: In the flow: `run` does not take these arguments, or one of them can't be pickled
                or has no key.
            DetachedError: The flow has not assigned the work to a public attribute.
            InvalidValue: In the flow: the value of the call can't be unpickled in the main process.
        """
        raise ComponentDefinitionError(f"The work `{type(self).__name__}` is missing the `run()` method.")

    def on_start(self) -> None:
        """Do nothing; override it to prepare the process. Called there once, before the first call."""

    def on_exit(self) -> None:
        """Do nothing; override it to clean up. Called in the process of the work before a `stop` ends it.

        An exception of it is printed, and changes nothing else.
        """

    def on_exception(self, exception: Exception) -> None:
        """Handle an exception of `run`; called in the process of the work.

        If this method raises and no attempt is left, the app ends. If it returns, the attempt has failed, but
        the app continues. By default it raises if the work has `raise_exception=True`.

        Args:
            exception: The exception of `run`.

        Raises:
            Exception: `exception`, or another one.
        """
        if self._policy.raise_exception:
            raise exception

    def configure_layout(self) -> Any:
        """Return the layout of a tab with this work; override it. Called in the process of the flow.

        Returns:
            The address of a page, by default `url`; "" or `None` as long as there is none. Or a `Frontend`,
            if the work is the only tab of its flow.
        """
        return self.url

    # Calls and requests of the flow.

    def call(self, *args: Any, **kwargs: Any) -> Call | None:
        """Return the record of the call with these arguments, without requesting a call.

        Args:
            *args: The arguments of the call, as for `run`.
            **kwargs: The arguments of the call, as for `run`.

        Returns:
            The newest call with these arguments, or `None` if the flow has not requested one.

        Raises:
            ArgumentError: No key can be computed from an argument.

        Example:
            >>> from lightning_lite import LightningApp, LightningFlow
            >>> class Square(LightningWork):
            ...     def run(self, x):
            ...         return x * x
            >>> class Flow(LightningFlow):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.square = Square()
            ...
            ...     def run(self):
            ...         self.square.run(7)
            ...         self.stop()
            >>> app = LightningApp(Flow())
            >>> app.run(runner="inline")
            >>> app.root.square.call(7).value
            49
        """
        key = late_import(_CALL_KEY).call_key(
            args, kwargs, self.name or type(self).__qualname__, self._policy.call_key
        )
        found = self._records.find(key)
        if found is not None:
            found.work = self.name
        return found

    def start(self) -> None:
        """Start the process of the work without a call; without effect if it is running.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("start").request_start(self)

    def stop(self, timeout: float | None = None) -> None:
        """Request that the process of the work ends.

        The method returns at once. The status is `stopped` when the process has ended. A running call is
        interrupted: it has ended then, with the value `None`.

        Args:
            timeout: Seconds that `on_exit` may take before the process is killed; `None` means 5.

        Raises:
            ComponentError: `timeout` is not a number of seconds.
            DetachedError: The work is not part of a running app, or the caller is the work itself.

        Example:
            >>> from lightning_lite import LightningApp, LightningFlow
            >>> from lightning_lite.testing import EmptyWork
            >>> class Flow(LightningFlow):
            ...     def __init__(self):
            ...         super().__init__()
            ...         self.work = EmptyWork(start_with_flow=False)
            ...
            ...     def run(self):
            ...         self.work.run()
            ...         self.work.stop()
            ...         if self.work.has_stopped:
            ...             self.stop()
            >>> app = LightningApp(Flow())
            >>> app.run(runner="inline")
            >>> app.root.work.status.stage
            'stopped'
        """
        self._outbox("stop").request_stop(self, _grace(timeout))

    def kill(self) -> None:
        """Request that the process of the work and its child processes are killed, without `on_exit`.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("kill").request_stop(self, 0.0)

    def restart(self, timeout: float | None = None) -> None:
        """Request that the process of the work is replaced by a new one; an interrupted call is run again.

        Args:
            timeout: Seconds that `on_exit` may take, as for `stop`.

        Raises:
            ComponentError: `timeout` is not a number of seconds.
            DetachedError: The work is not part of a running app.
        """
        self._outbox("restart").request_restart(self, _grace(timeout))

    def dump_stack(self) -> None:
        """Request that the process of the work prints the stacks of all its Python threads, even if it hangs.

        Without effect if the work has no process.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("dump_stack").request_stacks(self)

    def delete(self) -> None:
        """Request that the process of the work ends, as `stop` does.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        if _outbox_of(self) is None:
            raise DetachedError(
                "Can't delete the work, because it isn't attached to a LightningFlow. "
                f"Found {type(self).__qualname__} outside a running app."
            )
        self.stop()

    # Status of the calls.

    @property
    def status(self) -> WorkStatus:
        """Last status of the newest call, or of the process after that call has ended.

        After a line of the flow that requests a call, it is the status of that call until the pass ends, also
        if an earlier pass has requested a later one.
        """
        return self._records.read_status(self._reached_call())

    @property
    def statuses(self) -> list[WorkStatus]:
        """Statuses of the process and of the call that `status` is about, oldest first."""
        self._records.read_status(None)
        call = self._reached_call() or self._records.newest
        statuses = call.statuses if call is not None else []
        return sorted([*self._records.process_statuses, *statuses], key=lambda status: status.timestamp)

    @property
    def has_started(self) -> bool:
        """Whether the flow has requested a call, or a process of the work has ever been running.

        A flow may ask for it before a call whose arguments differ in each pass: the second pass comes before
        the process of a work that was created in `run` is up.
        """
        return self._records.newest is not None or self._records.has_started

    @property
    def has_stopped(self) -> bool:
        """Whether the work was stopped, and the flow has requested no call since."""
        return self.status.stage == WorkStageStatus.STOPPED

    @property
    def has_succeeded(self) -> bool:
        """Whether the call that `status` is about has succeeded."""
        call = self._reached_call() or self._records.newest
        return call is not None and call.succeeded

    @property
    def has_failed(self) -> bool:
        """Whether the call that `status` is about has failed, or the process has died without a call."""
        return self.status.stage == WorkStageStatus.FAILED

    @property
    def has_timeout(self) -> bool:
        """Whether the call that `status` is about has failed because it exceeded its time limit."""
        return self.has_failed and self.status.reason == WorkFailureReasons.TIMEOUT

    @property
    def is_running(self) -> bool:
        """Whether the call that `status` is about is running."""
        return self.status.stage == WorkStageStatus.RUNNING

    @property
    def is_pending(self) -> bool:
        """Whether the call that `status` is about has not been sent to the process yet."""
        return self.status.stage == WorkStageStatus.PENDING

    def _reached_call(self) -> Call | None:
        """Return the call that the pass of the flow has requested last; `None` outside a pass."""
        outbox = _outbox_of(self)
        return None if outbox is None else outbox.reached_call(self)

    @property
    def num_failures(self) -> int:
        """Number of failed attempts, of all calls."""
        return self._records.num_failures

    @property
    def num_successes(self) -> int:
        """Number of calls that succeeded."""
        return self._records.num_successes

    @property
    def num_timeouts(self) -> int:
        """Number of attempts that exceeded the time limit, of all calls."""
        return self._records.num_timeouts

    # Settings, and the server in the work.

    @property
    def parallel(self) -> bool:
        """Whether the flow continues while a call runs."""
        return self._policy.parallel

    @property
    def cache_calls(self) -> bool:
        """Whether a call with the same arguments is run only once."""
        return self._policy.cache_calls

    @property
    def display_name(self) -> str:
        """Name for people, by default the last part of `name`; can be set until its process has started.

        Raises:
            DetachedError: It is set after the process has started.
        """
        return self._display_name or self.name.rpartition(".")[2]

    @display_name.setter
    def display_name(self, name: str) -> None:
        if name == self._display_name:
            return
        if self._records.has_started:
            raise DetachedError("The display name can be set only before the work has started.")
        self._display_name = name

    @property
    def host(self) -> str:
        """Address of the server in the work.

        With a runner of several machines, it is that of the work's machine in place of the loopback, once the
        process is up, so that a server there can be reached from the others.
        """
        return self._node_address if self._node_address and is_loopback(self._host) else self._host

    def _reachable_host(self) -> str:
        """Return `host`, or the address of the machine if that stands for all of its addresses."""
        return self._node_address or self.host if self._host in ALL_ADDRESSES else self.host

    @property
    def port(self) -> int:
        """Port of the server in the work; if none was given, a free one is chosen at the first access.

        Start the server soon after that, because another program may take the port.
        """
        if self._port is None:
            self._port = find_free_port(self.host if node_address() else self._host)
        return self._port

    @property
    def url(self) -> str:
        """`http://host:port` while a server answers there, else ""."""
        return self._url

    @url.setter
    def url(self, url: str) -> None:
        self._url = url

    @property
    def internal_ip(self) -> str:
        """Address of the machine on which the process of the work runs; "" before it has started."""
        return (self._node_address or machine_addresses()[0]) if self._is_up() else ""

    @property
    def public_ip(self) -> str:
        """Public address of that machine; "" if there is none."""
        return machine_addresses()[1] if self._is_up() else ""

    @property
    def local_build_config(self) -> BuildConfig:
        """Requirements of the work on this machine; without effect."""
        config = self._local_build_config
        if config is None:
            config = self.local_build_config = BuildConfig()
        return config

    @local_build_config.setter
    def local_build_config(self, config: BuildConfig) -> None:
        self._local_build_config = expect_kind(
            type(self).__qualname__, "local_build_config", config, BuildConfig
        )
        config.on_work_init(self)

    @property
    def cloud_build_config(self) -> BuildConfig:
        """Requirements of the work in the cloud; without effect."""
        config = self._cloud_build_config
        if config is None:
            config = self.cloud_build_config = BuildConfig()
        return config

    @cloud_build_config.setter
    def cloud_build_config(self, config: BuildConfig) -> None:
        self._cloud_build_config = expect_kind(
            type(self).__qualname__, "cloud_build_config", config, BuildConfig
        )
        config.on_work_init(self, self._cloud_compute)

    @property
    def cloud_compute(self) -> CloudCompute:
        """Kind of machine for the work; without effect on one machine."""
        return self._cloud_compute

    @cloud_compute.setter
    def cloud_compute(self, compute: CloudCompute) -> None:
        self._cloud_compute = expect_kind(type(self).__qualname__, "cloud_compute", compute, CloudCompute)

    # The state.

    @property
    def state(self) -> dict[str, Any]:
        """The state, the calls and their statuses as nested dicts, in the layout of Lightning App."""
        return {"vars": self._values(), "calls": self._records.to_dict(), "changes": {}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Assign the values in `state["vars"]` to the attributes.

        Args:
            state: A value of the property `state` or `state_vars`.

        Raises:
            StateError: An attribute was never declared.
        """
        self._set_values(state.get("vars", {}))

    # Not public: requests of the flow, and checks.

    def _state_written(self) -> None:
        """Do nothing; called in the process of the work when the flow has set attributes during a call."""

    def _outbox(self, verb: str) -> Requests:
        """Return the outbox for a request of the flow.

        Raises:
            DetachedError: The work is not part of a running app, or this is the process of the work.
        """
        outbox = _outbox_of(self)
        if outbox is None:
            raise DetachedError(
                "Only the LightningFlow can request this work "
                f"({self.name or type(self).__qualname__!r}) to {verb}."
            )
        return outbox

    def _is_up(self) -> bool:
        in_own_process = self._node.link is not None and _outbox_of(self) is None
        return in_own_process or self._records.has_started

    def _write(self, node: Node, name: str, value: Any) -> None:
        if type(value) not in SCALARS:
            if type(value) in (list, tuple):
                items = value
            else:
                items = value.values() if type(value) is dict else (value,)
            for item in items:
                if isinstance(item, TreeMember):
                    raise ComponentError(
                        "A LightningWork isn't allowed to take any children such as LightningWork or "
                        f"LightningFlow. Found {type(item).__qualname__} as {node.attribute_path(name)}. "
                        "Make both of them attributes of a flow."
                    )
        super()._write(node, name, value)


def _requesting_calls(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `run` that requests a call if the flow calls it, and else calls `method`."""
    if is_replacement(method, "_requests_calls"):
        return method

    @wraps(method)
    def run(self: LightningWork, *args: Any, **kwargs: Any) -> Any:
        link = self._node.link
        if link is not None and (outbox := link.outbox) is not None:
            return outbox.call(self, args, kwargs)
        if link is None and current_caller().kind == "flow":
            raise DetachedError(
                f"Failed to create process for {type(self).__qualname__}. Make sure to set this work as a "
                "public attribute of a LightningFlow before calling the run method."
            )
        return method(self, *args, **kwargs)

    run._requests_calls = method  # type: ignore[attr-defined]
    return run


def _outbox_of(work: LightningWork) -> Requests | None:
    """Return the outbox that a work is connected to; `None` outside an app or in its process."""
    link = work._node.link
    return None if link is None else link.outbox


def _grace(timeout: Any) -> float:
    """Return how many seconds a work may take to end.

    Raises:
        ComponentError: `timeout` is not a number of seconds.
    """
    if timeout is None:
        return timeouts.STOP_TIMEOUT
    if type(timeout) not in (int, float) or not 0 <= timeout < float("inf"):
        raise ComponentError(f"timeout is a number of seconds, 0 or more, or None; found {timeout!r}.")
    return float(timeout)


def _without_records(attributes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name != "_records"}


def _check_run(cls: type[LightningWork]) -> None:
    """Refuse a class without a `run` that can do the job.

    Raises:
        ComponentDefinitionError: It has no `run`, or its `run` is a coroutine or a generator.
    """
    if cls.run is LightningWork.run:
        raise ComponentDefinitionError(
            f"The work `{cls.__name__}` is missing the `run()` method. This is required. "
            "Implement it first and then call it in your Flow."
        )
    refuse_deferred_run(
        cls,
        "The `run()` method of the work",
        "a call",
        generator="Return a list, or assign the items to an attribute.",
        coroutine="Make it a plain method and call asyncio.run(...) inside.",
    )
