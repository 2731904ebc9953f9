"""`lightning-lite run`: runs the app in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from typing import Any

import click

from lightning_lite import setting_kinds, settings
from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.options import FC, BadInput, examples, setting_option
from lightning_lite.cli.targets import find_run
from lightning_lite.errors import SettingError
from lightning_lite.extras import UI_PACKAGES, install_command, missing_package
from lightning_lite.late_import import late_import
from lightning_lite.lightning_app.comment_commands import run_app_commands
from lightning_lite.lightning_app.stubs import MisconfigurationException

#: Separators between our options and the arguments of the app; the first is Lightning App's.
_SEPARATORS = ("--app_args", "--app-args", "--")


#: The options of Lightning App that need another machine, and why each is refused.
_REFUSED = {
    "--cloud": "there is no cloud: the app runs on this machine without it",
    "--cluster-id": "there is no cloud: the app runs on this machine without it",
    "--no-cache": "caching is a property of apps in the cloud, and no requirements are installed here",
    "--secret": "secrets of the cloud are not known here: use --env, or lightning_lite.Secret in the app",
}

#: The options of Lightning App that are accepted, and why each has no effect.
_IDLE = {
    "--blocking": "the app begins at once",
    "--enable-basic-auth": "it has no server that needs it",
}

#: The options of `lightning run app`. They end the arguments that follow `--app_args` there.
_OF_LIGHTNING_APP = (*_REFUSED, *_IDLE, "--open-ui", "--without-server", "--setup", "-s", "--env", "--name")


class _Run(Command):
    """Passes the arguments after `--app_args` to the app; takes `run app FILE` for `run FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        begin = end = len(args)
        if (found := [args.index(separator) for separator in _SEPARATORS if separator in args]) != []:
            begin = min(found)
        # As in Lightning App: `lightning run app FILE`.
        is_old_form = args[:1] == ["app"] and len(args) > 1 and not os.path.isfile("app")
        if is_old_form and args[begin : begin + 1] == ["--app_args"]:
            own = (i for i in range(begin + 1, end) if args[i].partition("=")[0] in _OF_LIGHTNING_APP)
            end = next(own, end)
        ctx.obj = args[begin + 1 : end]
        own_args = args[is_old_form:begin] + args[end:]
        try:
            return super().parse_args(ctx, list(own_args))
        except click.MissingParameter as error:
            if "--resume" in own_args[:-1] and os.path.isfile(
                taken := own_args[own_args.index("--resume") + 1]
            ):
                raise click.UsageError(
                    f"Missing argument 'FILE': {taken} was taken as the RUN of --resume. Write FILE first: "
                    f"run {taken} --resume.",
                    ctx,
                ) from error
            raise


def _refuse(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Refuse an option of Lightning App that needs the cloud."""
    if value:
        name = option.opts[0]
        raise BadInput(f"{name}: {_REFUSED[name]}.")


def _explain_idle(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    """Say that an option of Lightning App has no effect, if it was used to ask for one."""
    if value:
        name = option.opts[0]
        click.echo(f"{name} has no effect: {_IDLE[name]}.", err=True)


def _hidden_option(*names: str, **attributes: Any) -> Callable[[FC], FC]:
    """Return an option of Lightning App that the help page does not show."""
    return click.option(*names, hidden=True, expose_value=False, **attributes)


def _check(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
    """Refuse an invalid setting before the app starts."""
    try:
        if value:
            settings.Settings().find(str(option.name), value)
    except SettingError as error:
        raise BadInput(f"{option.opts[0]}: {error}.") from None
    return value


def _check_drives(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Return the place of drives for the variable, absolute, because the script may change the folder."""
    try:
        return None if value is None else settings.absolute_place(value, option.opts[0])
    except SettingError as error:
        raise BadInput(f"{error}.") from None


@click.command(
    "run",
    cls=_Run,
    epilog=examples(
        "run app.py",
        "run app.py --env EPOCHS=3 --app_args --rate 0.1",
        "run app.py --resume",
        "run app.py --runner inline --log-level debug",
    ),
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True))
@setting_option("runner")
@setting_option("start_method")
@setting_option("root_dir", "--root", type=click.Path(file_okay=False), metavar="DIR")
@setting_option("drives", metavar="PLACE", callback=_check_drives)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=setting_kinds.LATEST,
    metavar="[RUN]",
    help="Resume the latest run of this app that its flow did not end; or RUN.",
)
@setting_option("retry_failed", is_flag=True)
@click.option("--env", multiple=True, metavar="K=V", help="Set an environment variable; may be repeated.")
@setting_option("name", metavar="NAME", callback=_check)
@setting_option("tags", "--tag", metavar="TAG", multiple=True, callback=_check)
@setting_option("log_level")
@setting_option("view", "--view/--no-view")
@setting_option("ui", "--ui/--no-ui")
@setting_option("on_idle")
@click.option(
    "--app_args", metavar="ARGS...", expose_value=False, help="All following arguments are for the app."
)
@click.option(
    "--setup",
    "-s",
    is_flag=True,
    help="First execute the commands in the comments at the top of FILE: # !pip install ...",
)
@click.option("--plain", is_flag=True, help="No colours and no animation.")
@_hidden_option("--cloud", is_flag=True, callback=_refuse)
@_hidden_option("--cluster-id", callback=_refuse)
@_hidden_option("--no-cache", is_flag=True, callback=_refuse)
@_hidden_option("--secret", multiple=True, callback=_refuse)
@click.option("--without-server", is_flag=True, hidden=True, help="No page, and no frontends.")
@_hidden_option("--blocking", type=bool, callback=_explain_idle)
@click.option("--open-ui", type=bool, hidden=True, help="As --ui, if it is true.")
@_hidden_option("--enable-basic-auth", callback=_explain_idle)
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    runner: str | None,
    start_method: str | None,
    root_dir: str | None,
    drives: str | None,
    resume: str | None,
    retry_failed: bool | None,
    name: str | None,
    tags: tuple[str, ...],
    env: tuple[str, ...],
    log_level: str | None,
    view: bool | None,
    ui: bool | None,
    on_idle: str | None,
    setup: bool,
    plain: bool,
    without_server: bool,
    open_ui: bool | None,
) -> None:
    """Run the app in FILE.

    FILE is run as by `python FILE`. If it does not call `app.run()` itself, the one LightningApp at its top
    level is run. An argument in the code has priority over an option, and an option over a setting in the
    environment or in pyproject.toml.

    An app of Lightning App runs with its own imports, and `run app FILE` is the same as `run FILE`.

    The exit code is 0 after a stop by the flow, 1 after a failure, 130 after Ctrl-C and 143 after SIGTERM.
    """
    texts = {
        "runner": runner,
        "start_method": start_method,
        "root_dir": os.path.abspath(root_dir) if root_dir else None,
        "drives": drives,
        "resume": _find_resumed(resume, root_dir),
        "retry_failed": "1" if retry_failed else None,
        "name": name,
        "tags": ",".join(tags),
        "log_level": log_level,
        "view": "0" if plain else None if view is None else str(int(view)),
        "ui": _choose_ui(ui, without_server=without_server, open_ui=bool(open_ui)),
        "on_idle": on_idle,
    }
    os.environ.update(_parse_env(env))
    os.environ.update({settings.SETTINGS[name].variable: text for name, text in texts.items() if text})
    if plain:
        os.environ["NO_COLOR"] = "1"
    # Imported here like a verb, so that help and completion do not import the framework.
    if setup:
        _execute_setup(file)
    late_import("lightning_lite.cli.script_runner").run_file(file, ctx.obj)


def _choose_ui(ui: bool | None, *, without_server: bool, open_ui: bool) -> str | None:
    """Return the value for the variable that lets the page be served.

    Args:
        ui: The value of our own option, which has priority.
        without_server: Whether this option of Lightning App was given.
        open_ui: Whether this option of Lightning App was given with a true value.
    """
    if without_server or ui is not None:
        return str(int(not without_server and bool(ui)))
    if open_ui and (package := missing_package(*UI_PACKAGES)):
        click.echo(
            f"--open-ui has no effect: the page needs {package}, which is not installed: "
            f"{install_command('ui')}",
            err=True,
        )
        return None
    return "1" if open_ui else None


def _execute_setup(file: str) -> None:
    """Execute the commands at the top of a file.

    Raises:
        click.ClickException: One has failed.
    """
    try:
        run_app_commands(file)
    except MisconfigurationException as error:
        raise click.ClickException(str(error)) from None


def _find_resumed(resume: str | None, root: str | None) -> str | None:
    """Return the value for the variable that selects the run to resume."""
    if resume == setting_kinds.LATEST:
        # `lightning-lite resume` repeats this command, and has set the variable to the id of a run.
        return os.environ.get(settings.RESUME_VARIABLE) or "1"
    return None if resume is None else find_run(settings.resolve_root(root), resume).id


def _parse_env(pairs: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise BadInput(f"Invalid format of environment variable entered: {pair!r}. It should be K=V.")
        if re.fullmatch(r"[0-9a-zA-Z_]+", name) is None:
            raise BadInput(
                f"Environment variable {name!r} is not a valid name. It is only allowed to contain digits "
                "0-9, letters A-Z, a-z and _ (underscore)."
            )
        if name in found:
            raise BadInput(f"Environment variable {name!r} is duplicated. Please only include it once.")
        found[name] = value
    return found
