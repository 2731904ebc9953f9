"""The runtime of Lightning App, which runs an app of this package; and loading an app from a file."""

from __future__ import annotations

import inspect
import os
import sys
import time
import traceback
from collections.abc import Mapping
from enum import Enum
from typing import Any

from lightning_lite.app.app import LightningApp
from lightning_lite.app.script_loader import execute_script, find_app
from lightning_lite.errors import AppFailed, AppIdle, WorkFailed
from lightning_lite.lightning_app.stubs import MisconfigurationException
from lightning_lite.tracebacks import RemoteTraceback, leave_out_own_frames
from lightning_lite.tree.cloud import BuildConfig
from lightning_lite.tree.component import Component
from lightning_lite.tree.work import LightningWork


class RuntimeType(Enum):
    """The kinds of runtimes; only the first one exists here."""

    MULTIPROCESS = "multiprocess"
    CLOUD = "cloud"

    def get_runtime(self) -> type[MultiProcessRuntime]:
        """Return the class of the runtime.

        Raises:
            ValueError: It is the runtime of the cloud.
        """
        if self is not RuntimeType.MULTIPROCESS:
            raise ValueError(
                f"There is no cloud here: runtime_type is RuntimeType.MULTIPROCESS, found {self}."
            )
        return MultiProcessRuntime


class MultiProcessRuntime:
    """Runs an app, as `app.run()` does, and ends it as Lightning App does.

    Args:
        app: The app.
        entrypoint: The file of the app; without effect.
        start_server: With `False` there is no page.
        env_vars: Environment variables to set before the app runs.
        **options: The other arguments of Lightning App; `host`, `port`, `backend` and others are without
            effect.

    Example:
        >>> from lightning_lite import LightningApp, LightningFlow
        >>> class Hello(LightningFlow):
        ...     def run(self):
        ...         self.stop("Hello!")
        >>> MultiProcessRuntime(LightningApp(Hello()), start_server=False).dispatch()
        Hello!
    """

    def __init__(
        self,
        app: LightningApp,
        entrypoint: str | os.PathLike[str] | None = None,
        start_server: bool = True,
        *,
        env_vars: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        self.app = app
        self.entrypoint = entrypoint
        self.start_server = start_server
        self.env_vars = dict(env_vars or {})
        self.options = options

    def dispatch(self, *args: Any, open_ui: bool = True, **kwargs: Any) -> None:
        """Run the app until it ends.

        Afterwards each work that had a process or a call has the status `stopped`;
        `has_succeeded` and values are still those of its newest call.

        Args:
            *args: Without effect.
            open_ui: Without effect.
            **kwargs: Without effect.

        Raises:
            SystemExit: The flow has ended the app as failed, a work has failed, or nothing can change any
                more: the exit code is 1, and the error was printed.
            Exception: The exception of the flow.
        """
        os.environ.update(self.env_vars)
        try:
            self.app.run(ui=None if self.start_server else False)
        except Exception as error:
            if not isinstance(error, AppFailed | AppIdle | WorkFailed) and not _is_of_work(error):
                raise
            leave_out_own_frames(error)  # the frame of this method
            traceback.print_exception(error)
            raise SystemExit(1) from error
        finally:
            for work in self.app.works:
                _mark_as_stopped(work)


def dispatch(
    entrypoint_file: str | os.PathLike[str],
    runtime_type: RuntimeType = RuntimeType.MULTIPROCESS,
    start_server: bool = True,
    *args: Any,
    env_vars: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Load the app in a file, and run it.

    Args:
        entrypoint_file: The file.
        runtime_type: Only `RuntimeType.MULTIPROCESS` is possible.
        start_server: With `False` there is no page.
        *args: Without effect.
        env_vars: Environment variables to set before the file is loaded.
        **options: As for `MultiProcessRuntime`.

    Raises:
        ValueError: `runtime_type` is the runtime of the cloud.
        FileNotFoundError: There is no such file.
        MisconfigurationException: The file has no app, or several.
        SystemExit: The file or the app has failed.
    """
    runtime = RuntimeType(runtime_type).get_runtime()
    app = load_app_from_file(os.fspath(entrypoint_file), env_vars=env_vars)
    runtime(app, entrypoint_file, start_server, **options).dispatch()


def load_app_from_file(
    filepath: str,
    raise_exception: bool = False,
    mock_imports: bool = False,
    env_vars: Mapping[str, str] | None = None,
) -> LightningApp:
    """Execute a file as a script, and return the app in it without running it.

    Args:
        filepath: The file.
        raise_exception: Whether an exception of the file is raised; else it is printed.
        mock_imports: Without effect.
        env_vars: Environment variables to set before.

    Raises:
        FileNotFoundError: There is no such file.
        MisconfigurationException: The file has no app, or several.
        SystemExit: The file has raised an exception, and `raise_exception` is false; the exit code is 1.
    """
    with open(filepath, "rb"):
        pass  # raises, if there is no such file
    os.environ.update(env_vars or {})
    try:
        module = execute_script(filepath, sys.argv[1:])
    except Exception as error:
        if raise_exception:
            raise
        traceback.print_exception(error)
        raise SystemExit(1) from error
    try:
        return find_app(module, filepath)
    except LookupError as error:
        raise MisconfigurationException(str(error)) from None


def extract_metadata_from_app(app: LightningApp) -> list[dict[str, Any]]:
    """Return class, module and docstring of each flow and work, and the plain data of a work's machine.

    Args:
        app: The app.

    Example:
        >>> from lightning_lite import LightningApp
        >>> from lightning_lite.testing import EmptyFlow
        >>> extract_metadata_from_app(LightningApp(EmptyFlow()))[0]["cls_name"]
        'EmptyFlow'
    """
    components = {component.name: component for component in (*app.flows, *app.works)}
    return [_describe(components[name]) for name in sorted(components)]


def _describe(component: Component) -> dict[str, Any]:
    cls = type(component)
    found: dict[str, Any] = {
        "affiliation": component.name.split("."),
        "cls_name": cls.__name__,
        "module": cls.__module__,
        "docstring": _docstring(cls),
    }
    if isinstance(component, LightningWork):
        found["local_build_config"] = _describe_config(component.local_build_config)
        found["cloud_build_config"] = _describe_config(component.cloud_build_config)
        compute = component.cloud_compute
        found["cloud_compute"] = {"type": "__cloud_compute__", **compute.to_dict(), "name": compute.name}
    return found


def _docstring(cls: type) -> str | None:
    """Return the docstring of the `__init__` that a class defines, else the docstring of the class."""
    own = cls.__dict__.get("__init__")
    text = None if own is None else own.__doc__  # from Python 3.13 on, `None` has a text, too
    text = text or cls.__doc__
    return None if text is None else inspect.cleandoc(text)


def _describe_config(config: BuildConfig) -> dict[str, Any]:
    plain = config.to_dict()
    return {"__build_config__": {name: plain[name] for name in ("requirements", "dockerfile", "image")}}


def _is_of_work(error: BaseException) -> bool:
    """Return whether a work has raised an exception: it brings the traceback of its process."""
    return isinstance(error.__cause__, RemoteTraceback)


def _mark_as_stopped(work: LightningWork) -> None:
    if work.has_started and not work.has_stopped:
        work._records.mark_stopped(time.time())
