"""What a flow asks of a work: calls, answered from the record of calls, and processes.

flow: work.run(x) ──▶ never asked ──▶ outbox ← CallAsked; Pause, or None if the work is parallel
└──▶ asked ────────▶ Pause, or None if the work is parallel
└──▶ ended ────────▶ its value
"""

from __future__ import annotations

from functools import wraps

from lightning_lite import settings
from lightning_lite.context import current_caller
from lightning_lite.core.calls import Call, CallBook
from lightning_lite.core.component import Component
from lightning_lite.core.outbox import Outbox, RestartAsked, StacksAsked, StartAsked, StopAsked
from lightning_lite.core.policy import WorkPolicy
from lightning_lite.errors import (
    ArgumentError,
    ComponentError,
    DetachedError,
    InvalidValue,
    JournalError,
    PauseSwallowed,
)
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.packing import PackingError, pack
from lightning_lite.state.keys import call_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Asked(Component):
    """The part of a work that the flow speaks to."""

    _travels = True
    _policy: WorkPolicy
    _book: CallBook

    def call(self, *args: Any, **kwargs: Any) -> Call | None:
        """Return the record of the call with these arguments, or `None`; starts nothing.

        Raises:
            ArgumentError: An argument has no key.
        """
        return self._book.find(self._key(args, kwargs))

    def start(self) -> None:
        """Start the work's process without a call; nothing happens if it is up.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("start").ask(StartAsked(self))

    def stop(self, timeout: float | None = None) -> None:
        """End the work's process; returns at once, the status is `stopped` when it is gone.

        A call that this cuts has ended, with `None` as its answer.

        Args:
            timeout: Seconds that `on_exit` gets before its process is terminated, then killed; 5 if `None`.

        Raises:
            ComponentError: `timeout` is no number of seconds.
            DetachedError: The work is not part of a running app.
        """
        self._outbox("stop").ask(StopAsked(self, _grace(timeout)))

    def kill(self) -> None:
        """End the work's process and all that it started, at once and without `on_exit`.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("kill").ask(StopAsked(self, 0.0))

    def restart(self, timeout: float | None = None) -> None:
        """Stop the work's process and start a new one; a call that this cuts is run again.

        Args:
            timeout: Seconds, as for `stop`.

        Raises:
            ComponentError: `timeout` is no number of seconds.
            DetachedError: The work is not part of a running app.
        """
        self._outbox("restart").ask(RestartAsked(self, _grace(timeout)))

    def dump_stack(self) -> None:
        """Let the work's process write the stacks of all its Python threads to its output, even if it hangs.

        Nothing happens if it has no process.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        self._outbox("dump_stack").ask(StacksAsked(self))

    def delete(self) -> None:
        """End the work's process for good.

        Raises:
            DetachedError: The work is not part of a running app.
        """
        if not isinstance(self._node.link, Outbox):
            raise DetachedError(
                "Can't delete the work, it looks like it isn't attached to a LightningFlow. "
                f"Found {type(self).__qualname__} outside a running app."
            )
        self.stop()

    # How a call is asked for.

    def _ask(self, outbox: Outbox, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Answer a call of the flow from the record, or enter it there."""
        key, policy = self._key(args, kwargs), self._policy
        book = self._book
        call = book.current.get(key)
        is_new = call is None or call.answered
        if call is None or is_new:
            call = book.open(key, self._pack_arguments(args, kwargs))
            outbox.ask_call(self, call)
        if outbox.explain is not None:
            outbox.explain(self.name, call, is_new, args, kwargs)
        if call.ended:
            if not policy.cache_calls:
                outbox.answered(self, call)
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


def asking(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return `run` as the flow sees it."""
    if getattr(method, "_asks", False):
        return method

    @wraps(method)
    def run(self: Asked, *args: Any, **kwargs: Any) -> Any:
        link = self._node.link
        if isinstance(link, Outbox):
            return self._ask(link, args, kwargs)
        if link is None and current_caller().kind == "flow":
            raise DetachedError(
                f"Failed to create process for {type(self).__qualname__}. Make sure to set this work as a "
                "public attribute of a LightningFlow before calling the run method."
            )
        return method(self, *args, **kwargs)

    run._asks = True  # type: ignore[attr-defined]
    return run


def _try_to_pack(value: Any, what: str) -> None:
    try:
        pack(value)
    except PackingError as error:
        shown = f"<{type(value).__module__}.{type(value).__qualname__}>"
        raise ArgumentError(
            f"{what}: cannot send {shown} to another process: {error}. No call was made.", found=shown
        ) from error
