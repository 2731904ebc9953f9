"""`RunOptions`: the options of one run as one value, from arguments and settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import Any, NamedTuple, Self

from lightning_lite.project_file import ProjectFile
from lightning_lite.resources import Resources, read_table
from lightning_lite.root_access import ANY
from lightning_lite.setting_kinds import OFF
from lightning_lite.settings import HISTORY, NOTIFY_ON, SETTINGS, Settings
from lightning_lite.working_directory import absolute

#: The settings that apply to the next run of this process only, not to runs that its works start.
_FOR_ONE_RUN = ("name", "resume", "retry_failed")


class RunOptions(NamedTuple):
    """The options of a run, made once from arguments and environment, and passed down.

    Attributes:
        root_dir: Absolute folder that holds drives, runs and logs.
        runner: One of `RUNNERS`.
        start_method: `spawn` or `forkserver`.
        durable: Whether written data must survive a power failure.
        max_running: Number of works that may run a call at the same time, or `None` for no limit.
        resume: Whether to resume the latest run that its flow did not end; or the id of a run.
        retry_failed: Whether to run again the calls that failed in that run.
        command_channel: Whether other terminals may send commands to the app.
        view: Whether to show the works at the bottom of the terminal, if there is one.
        ui: Whether to serve a page that shows the run; `None`: if a flow has a layout or routes.
        history: Number of ended calls that the journal keeps for `timeline` and the like.
        root_mode: With whom the root may be shared, as `resolve_root_mode` returns it.
        name: Name of the run, or `None`.
        tags: Tags of the run, each once.
        notify: Address for a message about the end of the run, or `None`.
        notify_on: Whether it is sent after a failure only, or after each end.
        setup: Called in each process of a work before the work is loaded, or `None`.
        on_idle: Whether an app in which nothing can change any more continues: `wait` keeps it, `fail` ends
            it, `auto` keeps it if a terminal is attached.
        file: The file with settings, so that works need not read it again, or `None`; without `notify`.
        compute: The resources that each name of `CloudCompute` requests, for a runner of several machines.
        ray_address: Address of the Ray cluster, or `None`.
        ray_lease: Seconds after which a work on another machine ends itself without a message from its app.
        ray_working_dir: Absolute folder whose files works there get; `None`: the script's folder; or `off`.
        ray_excludes: Which of them they do not get.
        ray_direct: Whether the app opens connections of its own to works there.
        drives: Absolute folder or url that holds the drives, or `None` if they are in `root_dir`.
    """

    root_dir: str
    runner: str = "processes"
    start_method: str = "spawn"
    durable: bool = False
    max_running: int | None = None
    resume: bool | str = False
    retry_failed: bool = False
    command_channel: bool = True
    view: bool = True
    ui: bool | None = None
    history: int = HISTORY
    root_mode: str = ANY
    name: str | None = None
    tags: tuple[str, ...] = ()
    notify: str | None = None
    notify_on: str = NOTIFY_ON[0]
    setup: Callable[[], object] | None = None
    on_idle: str = "auto"
    file: ProjectFile | None = None
    compute: Mapping[str, Resources] = {}
    ray_address: str | None = None
    ray_lease: float = 10.0
    ray_working_dir: str | None = None
    ray_excludes: tuple[str, ...] = ()
    ray_direct: bool = True
    drives: str | None = None

    @classmethod
    def resolve(
        cls,
        *,
        root_dir: str | os.PathLike[str] | None = None,
        drives: str | os.PathLike[str] | None = None,
        root_mode: str | None = None,
        runner: str | None = None,
        start_method: str | None = None,
        durable: bool | None = None,
        max_running: int | None = None,
        resume: bool | str | None = None,
        retry_failed: bool | None = None,
        command_channel: bool | None = None,
        view: bool | None = None,
        ui: bool | None = None,
        name: str | None = None,
        tags: Collection[str] | None = None,
        notify: str | None = None,
        notify_on: str | None = None,
        setup: Callable[[], object] | None = None,
        on_idle: str | None = None,
        compute: Mapping[str, Any] | None = None,
        environ: MutableMapping[str, str] = os.environ,
    ) -> Self:
        """Return the options: for each one the argument if given, else the value that `Settings` finds.

        The variables of the settings in `_FOR_ONE_RUN` are removed from `environ`.

        Raises:
            SettingError: A value is not valid, or the file with settings is not.

        Example:
            >>> environ = {"LIGHTNING_LITE_START_METHOD": "forkserver"}
            >>> options = RunOptions.resolve(runner="inline", environ=environ)
            >>> options.runner, options.start_method, options.resume
            ('inline', 'forkserver', False)
        """
        settings = Settings(dict(environ))
        for setting in _FOR_ONE_RUN:
            environ.pop(SETTINGS[setting].variable, None)
        return cls(
            root_dir=settings.root_dir(root_dir),
            runner=settings.value("runner", runner),
            start_method=settings.value("start_method", start_method),
            durable=settings.value("durable", durable),
            max_running=settings.value("max_running", max_running),
            resume=settings.value("resume", resume),
            retry_failed=settings.value("retry_failed", retry_failed),
            command_channel=settings.value("command_channel", command_channel),
            view=settings.value("view", view),
            ui=settings.value("ui", ui),
            history=settings.value("history"),
            root_mode=settings.root_mode(root_mode, is_named=bool(root_dir)),
            name=settings.value("name", name),
            tags=tuple(dict.fromkeys(settings.value("tags", tags))),
            notify=_address(settings.value("notify", notify)),
            notify_on=settings.value("notify_on", notify_on),
            setup=setup,
            on_idle=settings.value("on_idle", on_idle),
            file=_without_address(settings.file),
            compute=read_table(settings.value("compute", compute) or {}, "compute"),
            ray_address=settings.value("ray_address"),
            ray_lease=float(settings.value("ray_lease")),
            ray_working_dir=_working_dir(settings.value("ray_working_dir")),
            ray_excludes=tuple(settings.value("ray_excludes")),
            ray_direct=settings.value("ray_direct"),
            drives=settings.drives(drives),
        )


def _address(value: str | None) -> str | None:
    """Return an address, or `None` if messages are switched off."""
    return value if value and "://" in value else None


def _without_address(file: ProjectFile | None) -> ProjectFile | None:
    """Return a file without the address, which has a password that works do not need."""
    if file is None:
        return None
    return ProjectFile(file.path, {name: value for name, value in file.table.items() if name != "notify"})


def _working_dir(value: str | None) -> str | None:
    return value if value in (None, OFF) else absolute(os.path.expanduser(value))
