"""`LightningApp`, the public entry: checks its arguments, and runs one session after another."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, cast

from lightning_lite.app.background import RunningApp
from lightning_lite.app.end_hooks import EndHooks, Hook, check_hook, state_after
from lightning_lite.app.interrupt_hook import show_without_traceback
from lightning_lite.app.layout import is_headless
from lightning_lite.app.notebook import show_works
from lightning_lite.app.notification import Notifier
from lightning_lite.app.ray_runner import check_ray_is_installed
from lightning_lite.app.resume import name_of_app
from lightning_lite.app.resume_note import add_resume_note
from lightning_lite.app.session import Session
from lightning_lite.clock import Clock, RealClock
from lightning_lite.context import current_caller
from lightning_lite.errors import (
    ComponentDefinitionError,
    ComponentError,
    JournalGone,
    NestedAppError,
    SettingError,
)
from lightning_lite.extras import UI_PACKAGES, check_setting
from lightning_lite.html_tables import html_title
from lightning_lite.resources import read_table
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.signals import EndingSignals
from lightning_lite.settings import (
    FRONTEND_VARIABLE,
    LOG_LEVELS,
    ROOT_MODES,
    describe_unknown_variables,
    resolve_log_level,
)
from lightning_lite.status import AppStage, AppStatus
from lightning_lite.store_url import is_url
from lightning_lite.tracebacks import leave_out_own_frames
from lightning_lite.tree.cloud import CloudCompute
from lightning_lite.tree.flow import LightningFlow, RootFlow
from lightning_lite.tree.node import STATE_PARTS
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.secret import Secret

if TYPE_CHECKING:
    # `typing` has no `default` before Python 3.13. Type checkers have a copy of this module.
    from typing_extensions import TypeVar

    F = TypeVar("F", bound=LightningFlow, default=LightningFlow, covariant=True)
else:
    from typing import TypeVar

    F = TypeVar("F")

_log = logging.getLogger("lightning_lite")

#: Unknown variables of the environment that this process has reported.
_reported_variables: set[str] = set()


class LightningApp(Generic[F]):
    """An app: a root flow, or a single work, that `run` executes.

    Args:
        root: The root flow; a work is run once by an internal flow.
        flow_cloud_compute: Stored and shown, without effect on a single machine.
        log_level: `info` or `debug`; `debug` logs each pass of the flow and each change of a call. Else
            `LIGHTNING_LITE_LOG_LEVEL`, else `info`.
        info: Title and description of the page of a Lightning App; stored, without effect.
        root_path: Prefix of the addresses of that page; stored, without effect.
        root_dir: Folder that holds drives, runs and logs; else `LIGHTNING_LITE_ROOT`, else
            `./.lightning_lite`.
        drives: Where drives are, if not in `root_dir`: another folder, or an object store,
            `s3://bucket/prefix`, which needs the extra `s3`. `Path`, `Payload` and `FileSystem` keep their
            files there, too. Else `LIGHTNING_LITE_DRIVES`.
        root_mode: `group`: users of a group share the drives of the root; a new root is made so. `private`: a
            group root is refused. `trusted`: each user that can write to the root may run code as you, so
            that owners and modes in it are not checked. Else `LIGHTNING_LITE_ROOT_MODE`, else the mode of the
            folder decides.
        durable: Whether files in drives must survive a power failure; else
            `LIGHTNING_LITE_DURABLE`.
        max_running: Number of works that may run a call at the same time, `None` for no limit.
        clock: Source of the time; tests pass one that they control.
        setup: A function without arguments that is called in the process of each work before the work is
            loaded, for settings that libraries keep in the process: threads of torch, options of pandas. With
            the inline runner it is called once, in this process.
        on_failure: A function that is called with a `RunEnd` after each run of this app that failed, also if
            the run could not begin.
        on_end: The same after each run, however it ended; not if the process is killed.
        notify: Address for a message about a failed run, an URL of apprise such as `slack://...`; needs the
            extra `notify`. Else `LIGHTNING_LITE_NOTIFY`. "" sends none.
        notify_on: `failure`, or `end` for a message about each run; else `LIGHTNING_LITE_NOTIFY_ON`.
        compute: The resources for each name of `CloudCompute`, such as `{"big": {"cpus": 8}}`; see
            `lightning_lite.resources`. Else `LIGHTNING_LITE_COMPUTE`. Without effect on one machine.

    An argument that is not given has the value of its environment variable, else that of
    `[tool.lightning_lite]` in `pyproject.toml`, else its default.

    Attributes:
        root: The root flow; type checkers know its class: `LightningApp(Search()).root` is a `Search`.
        flow_cloud_compute: Stored and shown, without effect on a single machine.
        info: As it was given.
        root_path: As it was given.
        stage: One of `AppStage`.

    Raises:
        ComponentDefinitionError: The root is not a component, or is a flow without a `run`.
        ComponentError: Another argument is invalid, or the root is part of another flow.
        SettingError: `compute` is invalid; or `log_level` is not given, and a variable or `pyproject.toml`
            has an invalid setting.

    Example:
        >>> class Hello(LightningFlow):
        ...     def run(self):
        ...         self.stop("Hello!")
        >>> LightningApp(Hello()).run()
        Hello!
    """

    def __init__(
        self,
        root: F | LightningWork,
        flow_cloud_compute: CloudCompute | None = None,
        log_level: str | None = None,
        info: object = None,
        root_path: str = "",
        *,
        root_dir: str | os.PathLike[str] | None = None,
        drives: str | os.PathLike[str] | None = None,
        root_mode: str | None = None,
        durable: bool | None = None,
        max_running: int | None = None,
        clock: Clock | None = None,
        setup: Callable[[], object] | None = None,
        on_failure: Hook | None = None,
        on_end: Hook | None = None,
        notify: str | Secret | None = None,
        notify_on: Literal["failure", "end"] | None = None,
        compute: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        try:
            _check_arguments(log_level, setup, root_mode, max_running)
            check_hook("on_failure", on_failure)
            check_hook("on_end", on_end)
            self.root = cast("F", _as_root(root))  # for a work, `F` is its default
            self._log_level = resolve_log_level(log_level)
            if compute is not None:
                read_table(compute, "compute")
        except (ComponentError, SettingError) as error:
            leave_out_own_frames(error)
            raise
        self.flow_cloud_compute = flow_cloud_compute or CloudCompute(name="flow-lite")
        self.info = info
        self.root_path = root_path
        self.stage: str = AppStage.BLOCKING
        self._root_dir = root_dir
        self._drives = drives
        self._root_mode = root_mode
        self._durable = durable
        self._max_running = max_running
        self._setup = setup
        self._on_failure = on_failure
        self._on_end = on_end
        self._notify = notify
        self._notify_on = notify_on
        self._compute = compute
        self._clock: Clock = clock or RealClock()
        self._session: Session | None = None
        self._background: RunningApp | None = None

    def run(
        self,
        runner: str | None = None,
        *,
        resume: bool | str | None = None,
        retry_failed: bool | None = None,
        start_method: str | None = None,
        command_channel: bool | None = None,
        view: bool | None = None,
        ui: bool | None = None,
        on_idle: str | None = None,
        name: str | None = None,
        tags: Collection[str] | None = None,
    ) -> None:
        """Run the app until its flow ends it.

        In a script that a child of `multiprocessing` imports, it returns at once, so that a script needs no
        main guard.

        Args:
            runner: `processes` runs each work in a separate process; `inline` runs all works in this
                process, for debugging and tests; `ray` runs them on the machines of a Ray cluster, and needs
                the extra `ray`. Else `LIGHTNING_LITE_RUNNER`, else `processes`.
            resume: Whether to resume the latest run of this app that `flow.stop()` did not end; or the id or
                the name of a run. Calls that have ended are not run again. With nothing to resume, a new run
                starts. Else `LIGHTNING_LITE_RESUME`, else a new run starts.
            retry_failed: Whether to run again the calls that failed in that run; else
                `LIGHTNING_LITE_RETRY_FAILED`.
            start_method: `spawn` starts an interpreter for each work; `forkserver` starts one and forks all
                works from it, which is much faster for many works. Else `LIGHTNING_LITE_START_METHOD`,
                else `spawn`.
            command_channel: Whether `lightning-lite` can send commands to the app from other terminals, over
                a private socket; else `LIGHTNING_LITE_COMMAND_CHANNEL`, else yes.
            view: Whether to show the works at the bottom of the terminal while they run, and a summary at the
                end; else `LIGHTNING_LITE_VIEW`, else yes. Without a terminal, neither is shown.
            ui: Whether to serve a page on which a browser shows the run, as `lightning-lite ui` does. Its
                address is printed, and it ends with the app. Needs the extra `ui`. Else
                `LIGHTNING_LITE_UI`, else only if a flow overrides `configure_layout` or has routes, and
                the extra is installed.
            on_idle: The end of an app in which nothing can change any more, and whose flow has not ended it:
                `wait` keeps it until Ctrl-C or `lightning-lite stop`; `fail` ends it as failed; `auto` keeps
                it only on a terminal, at a prompt or in a notebook. An app is kept while a work serves on its
                port, while a page of a flow is served, and if it has commands or routes. Else
                `LIGHTNING_LITE_ON_IDLE`, else `auto`.
            name: Name of the run, which `lightning-lite` and `resume` take in place of its id; else
                `LIGHTNING_LITE_NAME`. Several runs may have the same name. A resumed run keeps its name and
                its tags if no others are given.
            tags: Tags of the run, by which `lightning-lite ps --tag` finds it; else `LIGHTNING_LITE_TAGS`.

        Raises:
            AppFailed: The flow called `self.fail(message)`.
            AppIdle: Nothing can change any more, and the flow has not ended the app; see `on_idle`.
            Exception: The exception of a work with `raise_exception=True`, with the traceback in its process
                as the cause; or the exception of the flow.
            WorkFailed: A work failed without an exception in its code.
            NestedAppError: Called inside a work or a flow, or while the app is running.
            SettingError: There is no such runner or start method; or an environment variable or
                `pyproject.toml` has an invalid setting.
            RunnerError: The system lacks something that the runner needs.
            RootRefused: Another user could have written into the root, or it is not private or shared as
                asked.
            JournalError: The run can't be resumed: it is damaged, of another app, or in use.
            PoisonCall: The flow of the run to resume died several times of the same call.
            KeyboardInterrupt: Ctrl-C, after the works have been shut down. Python then shows
                it in one line, without a traceback, if it ends the program.
            SystemExit: SIGTERM, SIGHUP, or the reader of the output closed its pipe, after the works have
                been shut down; the code is 128 plus the number of the signal. Or the flow called `sys.exit`.
        """
        if _is_imported_by_a_child() or _is_process_of_a_frontend():
            return
        try:
            self._check_not_running("run")
            options = self._options(
                runner=runner,
                resume=resume,
                retry_failed=retry_failed,
                start_method=start_method,
                command_channel=command_channel,
                view=view,
                ui=ui,
                on_idle=on_idle,
                name=name,
                tags=tags,
            )
            self._run(options)
        except BaseException as error:
            self._shorten(error)
            if self._log_level != "debug" and isinstance(error, KeyboardInterrupt):
                show_without_traceback(error)
            raise

    def start(
        self,
        runner: str | None = None,
        *,
        resume: bool | str | None = None,
        retry_failed: bool | None = None,
        start_method: str | None = None,
        command_channel: bool | None = None,
        view: bool = False,
        ui: bool | None = None,
        on_idle: str = "wait",
        name: str | None = None,
        tags: Collection[str] | None = None,
    ) -> RunningApp:
        """Run the app in a thread, and return at once: for notebooks, the prompt and larger programs.

        The arguments are those of `run`, but the default of `view` is `False`, and that of `on_idle` is
        `wait`, because the caller can end the app. An app that is still running when Python exits is shut
        down.

        Returns:
            The handle, to wait for the app and to stop it; its `wait` raises the exceptions of `run`.

        Raises:
            NestedAppError: Called inside a work or a flow, or while the app is running.
            SettingError: There is no such runner or start method; or an environment variable or
                `pyproject.toml` has an invalid setting.
        """
        if _is_process_of_a_frontend():
            raise NestedAppError(
                "app.start() was called in a file that the process of a frontend loads. "
                'Put it below `if __name__ == "__main__":`.'
            )
        if _is_imported_by_a_child():
            raise NestedAppError(
                "app.start() was called in a script that a child of multiprocessing imports. "
                'Put it below `if __name__ == "__main__":`.'
            )
        self._check_not_running("start")
        options = self._options(
            runner=runner,
            resume=resume,
            retry_failed=retry_failed,
            start_method=start_method,
            command_channel=command_channel,
            view=view,
            ui=ui,
            on_idle=on_idle,
            name=name,
            tags=tags,
        )
        self._background = RunningApp(name_of_app(self.root), partial(self._run, options), self._shorten)
        return self._background

    def _shorten(self, error: BaseException) -> None:
        """Leave the frames of this package out of the traceback of an error, unless it is to be debugged."""
        if self._log_level != "debug":
            leave_out_own_frames(error)

    def _check_not_running(self, verb: str) -> None:
        """Refuse to run the app inside a work or a flow, or while it is running.

        Raises:
            NestedAppError: It is called there; the message says where.
        """
        caller = current_caller()
        if caller.kind != "script":
            raise NestedAppError(
                f"app.{verb}() was called inside {caller.component!r}, which an app is already running. "
                "Call it once, at the end of the script."
            )
        if self._session is not None or (self._background is not None and self._background.running):
            raise NestedAppError(f"app.{verb}() was called while this app is running.")

    def _options(self, **arguments: Any) -> RunOptions:
        """Return the options of a run, from the app, the arguments of this run, and the environment.

        Raises:
            SettingError: One is not valid, or needs a package that is not installed.
        """
        options = RunOptions.resolve(
            root_dir=self._root_dir,
            drives=self._drives,
            root_mode=self._root_mode,
            durable=self._durable,
            max_running=self._max_running,
            setup=self._setup,
            notify=self._notify.reveal() if isinstance(self._notify, Secret) else self._notify,
            notify_on=self._notify_on,
            compute=self._compute,
            **arguments,
        )
        for variable, sentence in describe_unknown_variables().items():
            if variable not in _reported_variables:
                _reported_variables.add(variable)
                _log.warning("%s", sentence)
        if options.ui:
            check_setting("ui", "ui", *UI_PACKAGES)
        if is_url(options.drives):
            check_setting("drives", "s3", "obstore")
        if options.runner == "ray":
            check_ray_is_installed()
        return options

    def _run(self, options: RunOptions, on_session: Callable[[Session], None] | None = None) -> None:
        """Run one session from start to end.

        Args:
            options: The options of the run.
            on_session: Called with the session once it is created.
        """
        # First, so that a wrong address is no surprise at the end of a long run.
        send = Notifier(options.notify).send if options.notify else None
        name = name_of_app(self.root)
        with EndHooks(name, options, self._on_failure, self._on_end, send) as hooks:
            self._run_session(options, hooks, on_session)

    def _run_session(
        self, options: RunOptions, hooks: EndHooks, on_session: Callable[[Session], None] | None
    ) -> None:
        session = hooks.session = self._session = Session(self.root, options, self._clock, self.run_once)
        if on_session is not None:
            on_session(session)
        ending = EndingSignals(
            session.runner, session.on_resume, session.on_suspend, session.on_suspend_refused
        )
        with _Logging(self._log_level), ending as signals:
            session.signals = signals
            # Not `sys.exception()`: `run` may be called in an `except` block.
            error: BaseException | None = None
            try:
                self.stage = AppStage.RUNNING
                session.open()
                while not self.run_once():
                    if signals.error is not None:
                        signals.check()
                if session.error is not None:
                    raise session.error
            except BaseException as raised:
                error = raised
                hooks.is_interrupted = signals.error is not None
                if isinstance(raised, Exception) and signals.has_caused(raised):
                    error = signals.error
                    signals.check()
                try:
                    session.check_cause(raised)
                except JournalGone as gone:
                    error = gone
                    raise gone from None
                raise
            finally:
                self.stage = AppStage.STOPPING
                state = state_after(error, is_interrupted=hooks.is_interrupted)
                try:
                    session.close(state, error)
                except BaseException as late:  # Python shows it last
                    error = late
                    raise
                finally:
                    self._session = None  # after its end, which refuses requests of other threads
                    self.stage = state
                    if error is not None and not session.is_journal_gone:
                        add_resume_note(error, session.folder, options.root_dir)
                    error = None  # else its traceback and this frame would refer to each other

    def run_once(self) -> bool:
        """Wait for the next reports, apply them, and run the flow after a change.

        Returns:
            Whether the app has ended.
        """
        assert self._session is not None
        return self._session.turn()

    # The tree.

    @property
    def flows(self) -> list[LightningFlow]:
        """The root flow, then all flows below it."""
        return [self.root, *self.root.flows.values()]

    @property
    def works(self) -> list[LightningWork]:
        """All works."""
        return self.root.works()

    @property
    def named_works(self) -> list[tuple[str, LightningWork]]:
        """All works with their names."""
        return self.root.named_works()

    def get_component_by_name(self, name: str) -> Any:
        """Return the flow, work or structure with this full name, `root.train`.

        Raises:
            ValueError: The name does not start with `root`.
            AttributeError: There is no such component.
        """
        return self.root.get_component_by_name(name)

    # The state.

    @property
    def state(self) -> dict[str, Any]:
        """The whole state as nested dicts, in the format of Lightning App."""
        return {**self.root.state, "app_state": {"stage": self.stage}}

    @property
    def state_vars(self) -> dict[str, Any]:
        """Like `state`, but only the values."""
        return {**self.root.state_vars, "app_state": {"stage": self.stage}}

    @property
    def state_with_changes(self) -> dict[str, Any]:
        """The same as `state`, under another name of Lightning App."""
        return self.state

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the attributes of all components in `state`.

        While the app runs, another thread than that of the flow may call it, too: then the flow sets them
        between two passes, or while a pass waits, and the call returns when they are in the journal.

        Raises:
            StateError: An attribute was never declared.
            ComponentError: A component does not exist.
            AppEnding: The app ends before it has set them.
            NoAnswer: The flow has not set them within 30 seconds, because a pass takes that long.
        """
        if self._background is not None and self._background.running:
            self._background.wait_for_begin()
        session = self._session
        if session is not None and session.thread != threading.get_ident():
            session.flow_requests.ask(partial(self._set_state, state))
        else:
            self._set_state(state)

    def _set_state(self, state: dict[str, Any]) -> None:
        self.root.set_state(state)
        self.stage = state.get("app_state", {}).get("stage", self.stage)

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state, in the format that `load_state_dict` accepts."""
        return self.state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a whole state: `load_state_dict` of each flow gets its part.

        The state of a component that does not exist yet is applied when it is attached.

        Raises:
            StateError: An attribute was never declared.
        """
        self.root.load_state_dict(state, _flatten_states(state), strict=False)

    @property
    def status(self) -> AppStatus:
        """Whether the root flow is ready, and the status of each work."""
        return AppStatus(self.ready, {name: work.status for name, work in self.named_works})

    @property
    def ready(self) -> bool:
        """Whether the root flow is ready."""
        return self.root.ready

    @property
    def is_headless(self) -> bool:
        """Whether the app shows no page: no flow returns one in `configure_layout`.

        Raises:
            LayoutError: A flow returns something else, also one that no other flow shows: all are asked.
        """
        return is_headless(self.root)

    def __repr__(self) -> str:
        return f"<LightningApp {name_of_app(self.root)}: {self.stage}>"

    def _repr_html_(self) -> str:
        return html_title(f"{name_of_app(self.root)}: {self.stage}") + show_works(self.named_works)


def _check_arguments(log_level: object, setup: object, root_mode: object, max_running: object) -> None:
    """Refuse invalid arguments of an app."""
    if log_level is not None and log_level not in LOG_LEVELS:
        raise ComponentError(f"Log Level should be in {sorted(LOG_LEVELS)}. Found {log_level}")
    if setup is not None and not callable(setup):
        raise ComponentError(f"setup must be a function without arguments, or None. Found {setup!r}")
    if root_mode is not None and root_mode not in ROOT_MODES:
        raise ComponentError(f"root_mode must be 'private', 'group', 'trusted' or None. Found {root_mode!r}")
    if max_running is not None and (type(max_running) is not int or max_running < 1):
        raise ComponentError(f"max_running must be a whole number, 1 or more, or None. Found {max_running!r}")


def _as_root(root: Any) -> LightningFlow:
    """Return the root flow; for a work, a flow that runs it."""
    if isinstance(root, type) and issubclass(root, (LightningFlow, LightningWork)):
        name = root.__qualname__
        raise ComponentDefinitionError(
            f"LightningApp({name}): {name} is a class, and an app needs a component of it: "
            f"LightningApp({name}())."
        )
    if isinstance(root, LightningWork):
        return RootFlow(root)
    if not isinstance(root, LightningFlow):
        raise ComponentDefinitionError(
            f"LightningApp(root): a LightningFlow or a LightningWork, found {type(root).__qualname__}."
        )
    if type(root).run is LightningFlow.run:
        raise ComponentDefinitionError(
            "The root flow passed to `LightningApp` does not override the `run()` method. "
            f"Define `run()` in {type(root).__qualname__}."
        )
    if root._node.parent is not None:
        raise ComponentError(f"The root of an app must not be part of another flow; {root.name} is.")
    return root


def _is_imported_by_a_child() -> bool:
    """Return whether the caller of `run` is a script that a child of `multiprocessing` imports.

    A work may start a pool with the method spawn. Each process of the pool then imports the script under the
    name `__mp_main__`, to find its functions. The app must not start there again.
    """
    caller = sys._getframe(2)
    return caller.f_globals.get("__name__") == "__mp_main__"


def _is_process_of_a_frontend() -> bool:
    """Return whether this process draws the page of a frontend, which loads the script for its functions."""
    return os.environ.get(FRONTEND_VARIABLE) == str(os.getpid())


class _Logging:
    """Logs the framework to standard error while an app runs, if the log level is `debug`."""

    def __init__(self, level: str) -> None:
        self._handler = logging.StreamHandler() if level == "debug" else None
        self._level_before = _log.level

    def __enter__(self) -> None:
        if self._handler is not None:
            self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            _log.addHandler(self._handler)
            _log.setLevel(logging.DEBUG)

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            _log.removeHandler(self._handler)
            _log.setLevel(self._level_before)


def _flatten_states(state: dict[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """Return the states of all components below one component, by name relative to it.

    Args:
        state: The state of the component.
        prefix: Put before each name.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in STATE_PARTS:
        for key, part in state.get(kind, {}).items():
            name = f"{prefix}{key}"
            if kind != "structures":
                found[name] = part
            found |= _flatten_states(part, f"{name}.")
    return found
