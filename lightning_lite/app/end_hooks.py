"""The steps after the end of a run: the hooks of the app are called, and a message is sent.

    LightningApp(root, on_failure=..., on_end=..., notify=...)
    run has ended ─▶ on_failure(end), if it failed ─▶ on_end(end) ─▶ message to people

All works have exited and the end is recorded by then. Neither an error of a hook nor a message that can't be
sent changes how the app ends.
"""

from __future__ import annotations

import inspect
import signal
import traceback
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self

from lightning_lite.app.reporting import print_notice
from lightning_lite.errors import ComponentError
from lightning_lite.harmless_text import one_line
from lightning_lite.masking import mask
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.exit_status import exit_code_of
from lightning_lite.runners.signals import ENDING
from lightning_lite.tracebacks import find_user_error, leave_out_own_frames, text_of

if TYPE_CHECKING:
    from lightning_lite.app.session import Session


class RunEnd(NamedTuple):
    """How a run has ended; the argument of the hooks of an app.

    Attributes:
        app: Name of the app, which is the name of the class of its root.
        run_id: Id of the run; "" if it could not begin.
        name: Name of the run, or `None`.
        tags: Tags of the run.
        folder: Absolute path of the folder of the run, with `logs`; "" if it could not begin.
        state: `stopped` by its flow, also with `sys.exit(0)`; `failed`; or `interrupted` by Ctrl-C, a signal,
            `lightning-lite stop` or the handle of `app.start()`.
        error: The exception that `app.run()` raises after the hooks, or `None`.
        duration: Seconds since `app.run()` was called; for a resumed run, since it was resumed.

    Example:
        >>> from lightning_lite import LightningApp, LightningFlow
        >>> class Hello(LightningFlow):
        ...     def run(self):
        ...         self.stop("Hello!")
        >>> LightningApp(Hello(), on_end=lambda end: print(end.app, end.state, end.error)).run()
        Hello!
        Hello stopped None
    """

    app: str
    run_id: str
    name: str | None
    tags: Sequence[str]
    folder: str
    state: Literal["stopped", "failed", "interrupted"]
    error: BaseException | None
    duration: float


#: The exit codes of an app that Ctrl-C, a signal or the end of the reader of its output has ended.
_SIGNAL_CODES = tuple(128 + each for each in (*ENDING, signal.SIGPIPE))

#: A hook of an app.
Hook = Callable[[RunEnd], object]


def check_hook(argument: str, hook: Any) -> None:
    """Refuse a hook that could not be called when a run has ended.

    Args:
        argument: Name of the argument that has it.
        hook: The hook, or `None`.

    Raises:
        ComponentError: It is not a function of one argument, or a call would only make a coroutine or a
            generator.
    """
    if hook is None:
        return
    takes_it = callable(hook) and not _runs_later(hook) and not _runs_later(type(hook).__call__)
    if takes_it:
        try:
            inspect.signature(hook).bind(None)
        except TypeError:
            takes_it = False
        except ValueError:  # some functions of C have no signature
            pass
    if not takes_it:
        raise ComponentError(
            f"{argument} must be a function of one argument, the RunEnd, and neither a coroutine nor a "
            f"generator. Found {hook!r}"
        )


def _runs_later(function: Any) -> bool:
    """Return whether a call of a function does not execute it: it returns a coroutine or a generator."""
    kinds = inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction
    return any(is_kind(function) for is_kind in kinds)


class EndHooks:
    """Calls hooks at the end of the `with` block, in which the app runs.

    Args:
        app: Name of the app.
        options: Options of the run.
        on_failure: Called if the run has failed.
        on_end: Called in any case.
        send: Sends a message, or `None`.

    Attributes:
        session: The run, once it has begun.
        is_interrupted: Whether Ctrl-C or another signal has ended the app.
    """

    def __init__(
        self,
        app: str,
        options: RunOptions,
        on_failure: Hook | None,
        on_end: Hook | None,
        send: Hook | None,
    ) -> None:
        self._app = app
        self._options = options
        self._on_failure = on_failure
        self._on_end = on_end
        self._send = send
        self._began = monotonic()
        self.session: Session | None = None
        self.is_interrupted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end = self._describe(error)
        is_failure = end.state == "failed"
        if is_failure and self._on_failure is not None:
            _call("on_failure", self._on_failure, end)
        try:
            if self._on_end is not None:
                _call("on_end", self._on_end, end)
        finally:  # also if the hook exits
            if self._send is not None and (is_failure or self._options.notify_on == "end"):
                _call("notify", self._send, end)

    def _describe(self, error: BaseException | None) -> RunEnd:
        run = self.session
        return RunEnd(
            app=self._app,
            run_id=run.run_id if run is not None else "",
            name=run.name if run is not None else self._options.name,
            tags=tuple(run.tags if run is not None else self._options.tags),
            folder=run.folder if run is not None else "",
            state=state_after(error, is_interrupted=self.is_interrupted),
            error=error,
            duration=monotonic() - self._began,
        )


def state_after(
    error: BaseException | None, *, is_interrupted: bool = False
) -> Literal["stopped", "failed", "interrupted"]:
    """Return the state of a run that has ended with an exception, or without.

    Args:
        error: The exception, or `None`.
        is_interrupted: Whether a signal has ended the app. Then an exit with another code, too, is an
            interruption: the flow has caught what the signal raised.

    Example:
        >>> [state_after(SystemExit(code)) for code in (None, 0, 3, "no data", 143)]
        ['stopped', 'stopped', 'failed', 'failed', 'interrupted']
    """
    if error is None:
        return "stopped"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if not isinstance(error, SystemExit):
        return "failed"
    code = exit_code_of(error)
    if is_interrupted or code in _SIGNAL_CODES:
        return "interrupted"
    return "failed" if code else "stopped"


def _call(argument: str, hook: Hook, end: RunEnd) -> None:
    """Call a hook, and report its error.

    Raises:
        KeyboardInterrupt: Ctrl-C has interrupted it, and the app has no error of its own.
        SystemExit: It wants to exit, and the app has no error of its own.
    """
    trace = end.error.__traceback__ if end.error is not None else None
    try:
        hook(end)
    except BaseException as error:  # the end of the app counts, not the end of the hook
        if error is end.error:
            error.__traceback__ = trace  # without the frames of the hook, which has raised it again
            return
        if isinstance(error, KeyboardInterrupt | SystemExit):
            if end.error is None:
                raise
            print_notice(f"{argument} of {end.app} was ended by {type(error).__name__}.")
            return
        what = f"{argument} of {end.app} raised an error, which does not change how the app ends:"
        if find_user_error(error) is None:  # no line of the user is in it: a message was not sent
            print_notice(one_line(mask(f"{what} {type(error).__name__}: {text_of(error)}")))
            return
        leave_out_own_frames(error)
        _leave_out_context(error, end.error)
        print_notice(mask(f"{what}\n{''.join(traceback.format_exception(error))}"))


def _leave_out_context(error: BaseException, shown: BaseException | None) -> None:
    """Remove the error of the app, which is shown by itself, from the causes of the error of a hook."""
    one: BaseException | None = error
    while one is not None:
        if one.__context__ is shown:
            one.__context__ = None
        one = one.__context__
