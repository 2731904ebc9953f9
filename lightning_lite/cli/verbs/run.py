"""`lightning-lite run`: runs the app in a file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import click

from lightning_lite import settings
from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.options import BadInput, examples, setting_option
from lightning_lite.cli.targets import find_run
from lightning_lite.errors import SettingError

#: What separates our options from the arguments of the app; the first is that of Lightning App.
_SEPARATORS = ("--app_args", "--app-args", "--")


class _Run(Command):
    """Passes all arguments after `--app_args` to the app."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = min(
            (args.index(separator) for separator in _SEPARATORS if separator in args), default=len(args)
        )
        ctx.obj = args[end + 1 :]
        return super().parse_args(ctx, args[:end])


def _check(ctx: click.Context, option: click.Parameter, value: Any) -> Any:
    """Refuse an invalid setting before the app starts."""
    try:
        if value:
            settings.Settings().find(str(option.name), value)
    except SettingError as error:
        raise BadInput(f"{option.opts[0]}: {error}.") from None
    return value


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
@click.option(
    "--resume",
    is_flag=False,
    flag_value=settings.LATEST,
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
@click.option("--plain", is_flag=True, help="No colours and no animation.")
@click.pass_context
def command(
    ctx: click.Context,
    file: str,
    runner: str | None,
    start_method: str | None,
    root_dir: str | None,
    resume: str | None,
    retry_failed: bool | None,
    name: str | None,
    tags: tuple[str, ...],
    env: tuple[str, ...],
    log_level: str | None,
    view: bool | None,
    ui: bool | None,
    on_idle: str | None,
    plain: bool,
) -> None:
    """Run the app in FILE.

    FILE is run as by `python FILE`. If it does not call `app.run()` itself, the one LightningApp at its top
    level is run. An argument in the code has priority over an option, and an option over a setting in the
    environment or in pyproject.toml.

    The exit code is 0 after a stop by the flow, 1 after a failure, 130 after Ctrl-C and 143 after SIGTERM.
    """
    texts = {
        "runner": runner,
        "start_method": start_method,
        "root_dir": os.path.abspath(root_dir) if root_dir else None,
        "resume": _find_resumed(resume, root_dir),
        "retry_failed": "1" if retry_failed else None,
        "name": name,
        "tags": ",".join(tags),
        "log_level": log_level,
        "view": "0" if plain else None if view is None else str(int(view)),
        "ui": None if ui is None else str(int(ui)),
        "on_idle": on_idle,
    }
    os.environ.update(_parse_env(env))
    os.environ.update({settings.SETTINGS[name].variable: text for name, text in texts.items() if text})
    if plain:
        os.environ["NO_COLOR"] = "1"
    # Imported here like a verb, so that help and completion do not import the framework.
    import_module("lightning_lite.cli.script_runner").run_file(file, ctx.obj)


def _find_resumed(resume: str | None, root: str | None) -> str | None:
    """Return the value for the variable that selects the run to resume."""
    if resume == settings.LATEST:
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
