"""`LightningWork`: a long job in a process of its own.

Called in the flow, `run` asks for a call and answers from the record of calls; called in the work's
own process, or outside an app, it is the user's method and nothing else.
"""

from __future__ import annotations

import os
from _collections_abc import Mapping
from functools import wraps

from lightning_lite import settings
from lightning_lite.context import current_caller
from lightning_lite.errors import (
    ArgumentError,
    ComponentDefinitionError,
    ComponentError,
    DetachedError,
    InvalidValue,
    JournalError,
    PauseSwallowed,
)
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.tree.calls import Call, CallRecords
from lightning_lite.tree.cloud import BuildConfig, CloudCompute
from lightning_lite.tree.component import Component
from lightning_lite.tree.node import Node, TreeMember
from lightning_lite.tree.outbox import (
    Outbox,
    RestartRequested,
    StacksRequested,
    StartRequested,
    StopRequested,
)
from lightning_lite.tree.policy import WorkPolicy
from lightning_lite.tree.ports import addresses, find_free_port
from lightning_lite.values.call_key import call_key
from lightning_lite.values.codec import SCALARS
from lightning_lite.values.pickling import PackingError, pack

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Self


def _grace(timeout: Any) -> float:
    """Return how long a work may take to end, in seconds."""
    if timeout is None:
        return settings.STOP_TIMEOUT
    if type(timeout) not in (int, float) or not 0 <= timeout < float("inf"):
        raise ComponentError(f"timeout is a number of seconds, 0 or more, or None. Found {timeout!r}.")
    return float(timeout)


def swallowed_at(outbox: Outbox) -> str:
    """Return the message about a `Pause` that the flow caught, with the line that it went through."""
    trace = outbox.pause.__traceback__ if outbox.pause is not None else None
    line = (
        f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
        if trace is not None
        else "an unknown line"
    )
    return (
        f"The flow caught what pauses it while a call of a work has not ended yet ({line}). "
        "A bare `except:`, `except BaseException:` or `return` in `finally:` does that; "
        "use `except Exception:`."
    )


def _requesting_calls(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `run` as the flow sees it."""
    if getattr(method, "_requests_calls", False):
        return method

    @wraps(method)
    def run(self: LightningWork, *args: Any, **kwargs: Any) -> Any:
        link = self._node.link
        if isinstance(link, Outbox):
            return self._request_call(link, args, kwargs)
        if link is None and current_caller().kind == "flow":
            raise DetachedError(
                f"Failed to create process for {type(self).__qualname__}. Make sure to set this work as a "
                "public attribute of a LightningFlow before calling the run method."
            )
        return method(self, *args, **kwargs)

    run._requests_calls = True  # type: ignore[attr-defined]
    return run


def _try_to_pack(value: Any, what: str) -> None:
    try:
        pack(value)
    except PackingError as error:
        shown = f"<{type(value).__module__}.{type(value).__qualname__}>"
        raise ArgumentError(
            f"{what}: cannot send {shown} to another process: {error}. No call was made.", found=shown
        ) from error


_ASYNC_OR_GENERATOR = 0x20 | 0x80 | 0x200  # CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR of `inspect`


class LightningWork(Component):
    """A long job that runs in a process of its own; override `run`.

    Args:
        parallel: Whether the flow goes on while a call runs. If not, the pass of the flow is cut at
            the line of the call until the call has ended.
        cache_calls: Whether a call with the same arguments is run once. If not, the flow gets each
            answer once, and reaching the line again runs the call again.
        raise_exception: Whether a failed call ends the app with the work's exception.
        host: Address on which the work serves, if it does.
        port: Its port; `None` picks a free one when it is asked for.
        local_build_config: Kept and shown, without effect on one machine.
        cloud_build_config: Kept and shown, without effect on one machine.
        cloud_compute: Kept and shown, without effect on one machine.
        run_once: Old name of `cache_calls`.
        start_with_flow: Whether the process of a work declared in `__init__` starts with the app.
        env: Environment variables to add for the work's process.
        cwd: Working directory of the work's process.
        call_key: Function of the arguments of a call that returns plain data; equal data, same call.
        retries: Further attempts of a call after one that failed.
        retry_delay: Seconds before the first further attempt, doubled from one to the next, at most 60.
        timeout: Seconds that an attempt may take; then the process is killed.
        max_restarts: How often a process that died unasked is replaced within `restart_period`.
        restart_period: Seconds.

    Raises:
        ComponentDefinitionError: The class has no `run`, or one that is a coroutine or a generator.
        ComponentError: An argument makes no sense.

    Example:
        >>> class Square(LightningWork):
        ...     def run(self, x):
        ...         return x * x
        >>> Square().run(7)  # outside an app: the plain method
        49
    """

    _travels = True
    _policy: WorkPolicy
    _records: CallRecords

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.run is not LightningWork.run:  # its own, or that of a plain class that it is mixed with
            cls.run = _requesting_calls(cls.run)  # type: ignore[method-assign]

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
        env: Mapping[str, str] | None = None,
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
            import warnings  # noqa: PLC0415 - 1 ms for each child

            warnings.warn(
                "LightningWork(run_once=...) is the old name of cache_calls=...",
                DeprecationWarning,
                stacklevel=2,
            )
            cache_calls = run_once
        if port is not None and (type(port) is not int or not 0 < port < 65536):
            raise ComponentError(
                f"{type(self).__qualname__}(port={port!r}): port is a whole number from 1 to 65535, or None.",
                argument="port",
                found=port,
            )
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
        ).checked(type(self).__qualname__)
        self._records = CallRecords()
        self._local_build_config = local_build_config or BuildConfig()
        self._cloud_build_config = cloud_build_config or BuildConfig()
        self._cloud_compute = cloud_compute or CloudCompute()
        self._node.names |= dict.fromkeys(("_url", "_host", "_port", "_display_name"))
        self._url = ""
        self._host = host
        self._port = port
        self._display_name = ""

    def __copy__(self) -> Self:
        twin = super().__copy__()
        twin._records = CallRecords()  # the calls are those of the original
        return twin

    # What the user overrides.

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the job; override it.

        Called in the flow it returns the value of the call once that has ended. Before that it cuts
        the pass of the flow, or returns `None` if the work is parallel.
        """
        raise ComponentDefinitionError(f"The work `{type(self).__qualname__}` is missing the `run()` method.")

    def on_start(self) -> None:
        """Prepare the work's process; called there once, before the first call."""

    def on_exit(self) -> None:
        """Tidy up; called in the work's process when it is stopped in order, within its time to stop."""

    def on_exception(self, exception: Exception) -> None:
        """Decide about an exception of `run`, in the work's process.

        Raise, and the app ends if no attempt is left; return, and the call has failed but the app goes on.
        The default raises if the work has `raise_exception=True`.
        """
        if self._policy.raise_exception:
            raise exception

    # What the flow asks of it.

    def call(self, *args: Any, **kwargs: Any) -> Call | None:
        """Return the record of the call with these arguments, or `None`; starts nothing.

        Raises:
            ArgumentError: An argument has no key.
        """
        return self._records.find(self._key(args, kwargs))

    def start(self) -> None:
        """Start the work's process without a call; nothing happens if it is up.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("start").request(StartRequested(self))

    def stop(self, timeout: float | None = None) -> None:
        """End the work's process; returns at once, the status is `stopped` when it is gone.

        A call that this cuts has ended, with `None` as its answer.

        Args:
            timeout: Seconds that `on_exit` gets before its process is terminated, then killed; 5 if `None`.

        Raises:
            ComponentError: `timeout` is no number of seconds.
            DetachedError: The work is not part of a running app.
        """
        self._outbox("stop").request(StopRequested(self, _grace(timeout)))

    def kill(self) -> None:
        """End the work's process and all that it started, at once and without `on_exit`.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("kill").request(StopRequested(self, 0.0))

    def restart(self, timeout: float | None = None) -> None:
        """Stop the work's process and start a new one; a call that this cuts is run again.

        Args:
            timeout: Seconds, as for `stop`.

        Raises:
            ComponentError: `timeout` is no number of seconds.
            DetachedError: The work is not part of a running app.
        """
        self._outbox("restart").request(RestartRequested(self, _grace(timeout)))

    def dump_stack(self) -> None:
        """Let the work's process write the stacks of all its Python threads to its output, even if it hangs.

        Nothing happens if it has no process.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("dump_stack").request(StacksRequested(self))

    def delete(self) -> None:
        """End the work's process for good.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        if not isinstance(self._node.link, Outbox):
            raise DetachedError(
                "Can't delete the work, it isn't attached to a LightningFlow. "
                f"Found {type(self).__qualname__} outside a running app."
            )
        self.stop()

    # What became of its calls.

    @property
    def status(self) -> WorkStatus:
        """What happened last to the newest call that the flow asked for, or to the process after it."""
        return self._records.read_status()

    @property
    def statuses(self) -> list[WorkStatus]:
        """What happened to the newest call and to the process, in order."""
        self._records.read_status()
        newest = self._records.newest.statuses if self._records.newest else []
        return sorted([*self._records.process_statuses, *newest], key=lambda status: status.timestamp)

    @property
    def has_started(self) -> bool:
        """Whether its process has been up."""
        return self._records.has_started

    @property
    def has_stopped(self) -> bool:
        """Whether it was stopped and has not been asked for anything since."""
        return self._records.read_status().stage == WorkStageStatus.STOPPED

    @property
    def has_succeeded(self) -> bool:
        """Whether the newest call has succeeded."""
        newest = self._records.newest
        return newest is not None and newest.succeeded

    @property
    def has_failed(self) -> bool:
        """Whether the newest call has failed, or the process died without one."""
        return self._records.read_status().stage == WorkStageStatus.FAILED

    @property
    def has_timeout(self) -> bool:
        """Whether the newest call ran into its time limit."""
        return self.has_failed and self._records.read_status().reason == WorkFailureReasons.TIMEOUT

    @property
    def is_running(self) -> bool:
        """Whether the newest call runs."""
        return self._records.read_status().stage == WorkStageStatus.RUNNING

    @property
    def is_pending(self) -> bool:
        """Whether the newest call waits for its turn."""
        return self._records.read_status().stage == WorkStageStatus.PENDING

    @property
    def num_failures(self) -> int:
        """Attempts that failed, over all calls."""
        return self._records.num_failures

    @property
    def num_successes(self) -> int:
        """Calls that succeeded."""
        return self._records.num_successes

    @property
    def num_timeouts(self) -> int:
        """Attempts that ran into the time limit, over all calls."""
        return self._records.num_timeouts

    # What the work is.

    @property
    def parallel(self) -> bool:
        """Whether the flow goes on while a call runs."""
        return self._policy.parallel

    @property
    def cache_calls(self) -> bool:
        """Whether a call with the same arguments is run once."""
        return self._policy.cache_calls

    @property
    def display_name(self) -> str:
        """A name for people; may be set before the work has started.

        Raises:
            DetachedError: On setting another one later.
        """
        return self._display_name or self.name.rpartition(".")[2]

    @display_name.setter
    def display_name(self, name: str) -> None:
        if name == self._display_name:
            return
        if self.has_started:
            raise DetachedError("The display name can be set only before the work has started.")
        self._display_name = name

    @property
    def host(self) -> str:
        """Address on which the work serves."""
        return self._host

    @property
    def port(self) -> int:
        """Port on which the work serves; a free one is picked if none was given.

        Between picking and serving, another program may take it: serve soon.
        """
        if self._port is None:
            self._port = find_free_port(self._host)
        return self._port

    @property
    def url(self) -> str:
        """`http://host:port` once the work answers there; "" before, and when its process has gone."""
        return self._url

    @url.setter
    def url(self, url: str) -> None:
        self._url = url

    @property
    def internal_ip(self) -> str:
        """Address of the machine of the work's process, "" before that has started."""
        return addresses()[0] if self._is_up() else ""

    @property
    def public_ip(self) -> str:
        """That address as seen from outside; "" on one machine."""
        return addresses()[1] if self._is_up() else ""

    @property
    def local_build_config(self) -> BuildConfig:
        """What its environment needs here; without effect."""
        return self._local_build_config

    @local_build_config.setter
    def local_build_config(self, config: BuildConfig) -> None:
        self._local_build_config = config

    @property
    def cloud_build_config(self) -> BuildConfig:
        """What its environment needs in the cloud; without effect."""
        return self._cloud_build_config

    @cloud_build_config.setter
    def cloud_build_config(self, config: BuildConfig) -> None:
        self._cloud_build_config = config

    @property
    def cloud_compute(self) -> CloudCompute:
        """The machine that it asks for; without effect."""
        return self._cloud_compute

    @cloud_compute.setter
    def cloud_compute(self, compute: CloudCompute) -> None:
        self._cloud_compute = compute

    @property
    def state(self) -> dict[str, Any]:
        """State, calls and changes as nested dicts, as Lightning App shows them."""
        return {"vars": self._values(), "calls": self._records.to_dict(), "changes": {}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the attributes named in `state["vars"]`.

        Raises:
            StateError: An attribute was never declared.
        """
        self._set_values(state.get("vars", {}))

    # How a call is asked for.

    def _request_call(self, outbox: Outbox, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of the flow from the record, or enter it there."""
        key, policy = self._key(args, kwargs), self._policy
        records = self._records
        call = records.current.get(key)
        is_new = call is None or call.answered
        if call is None or is_new:
            call = outbox.request_call(self, key, self._pack_arguments(args, kwargs))
        if outbox.explain is not None:
            outbox.explain(self.name, call, is_new, args, kwargs)
        if call.ended:
            if not policy.cache_calls:
                outbox.use_answer(self, call)
            try:
                return call.value
            except JournalError:  # it was kept in a file, and that is damaged
                raise
            except Exception as error:
                raise self._unreadable(error) from error
        if policy.parallel:
            return None
        if outbox.pause is not None:
            raise PauseSwallowed(swallowed_at(outbox)) from outbox.pause
        raise outbox.paused()

    def _unreadable(self, error: Exception) -> InvalidValue:
        return InvalidValue(
            f"The answer of {self.name}.run can't be read here: {type(error).__name__}: {error}. "
            "Its class has to exist in the main process as well.",
            work=self.name,
            reason="invalid_value",
        )

    def _key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        custom = self._policy.call_key
        if custom is not None:
            args, kwargs = (custom(*args, **kwargs),), {}
        return call_key(args, kwargs, self._node.name or type(self).__qualname__)

    def _pack_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        try:
            return pack((args, kwargs))
        except PackingError as error:
            named = [(f"argument {position}", value) for position, value in enumerate(args)]
            named += [(f"argument {name!r}", value) for name, value in kwargs.items()]
            for what, value in named:
                _try_to_pack(value, f"{self.name}.run: {what}")
            raise ArgumentError(f"{self.name}.run: the arguments can't be sent: {error}") from error

    def _outbox(self, verb: str) -> Outbox:
        link = self._node.link
        if not isinstance(link, Outbox):
            raise DetachedError(
                "Only the LightningFlow can request this work "
                f"({self.name or type(self).__qualname__!r}) to {verb}."
            )
        return link

    def _is_up(self) -> bool:
        in_own_process = self._node.link is not None and not isinstance(self._node.link, Outbox)
        return in_own_process or self._records.has_started

    def _write(self, node: Node, name: str, value: Any) -> None:
        if type(value) not in SCALARS:
            items = (
                value if type(value) in (list, tuple) else value.values() if type(value) is dict else (value,)
            )
            for item in items:
                if isinstance(item, TreeMember):
                    raise ComponentError(
                        "A LightningWork isn't allowed to take any children such as LightningWork or "
                        f"LightningFlow. Found {type(item).__qualname__} as {node.attribute_path(name)}. "
                        "Make both of them attributes of a flow."
                    )
        super()._write(node, name, value)


def _check_run(cls: type[LightningWork]) -> None:
    if cls.run is LightningWork.run:
        raise ComponentDefinitionError(
            f"The work `{cls.__qualname__}` is missing the `run()` method. This is required. "
            "Implement it first and then call it in your Flow."
        )
    method: Any = cls.run
    while hasattr(method, "__wrapped__"):
        method = method.__wrapped__
    code = getattr(method, "__code__", None)
    if code is not None and code.co_flags & _ASYNC_OR_GENERATOR:
        kind = "a generator" if code.co_flags & 0x20 else "a coroutine"
        raise ComponentDefinitionError(
            f"The `run()` method of the work `{cls.__qualname__}` is {kind}: it would end before it began. "
            + (
                "Return a list, or assign the items to an attribute."
                if code.co_flags & 0x20
                else "Make it a plain method and call asyncio.run(...) inside."
            )
        )
