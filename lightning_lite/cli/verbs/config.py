"""`lightning-lite config`: the settings, their values here, and where these come from."""

from __future__ import annotations

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.options import examples, json_option, plain_option
from lightning_lite.cli.output import say, say_json, say_table
from lightning_lite.settings import (
    SETTINGS,
    Found,
    Setting,
    Settings,
    describe_unknown_variables,
    describe_values,
    show_value,
)


@click.command("config", cls=Command, epilog=examples("config", "config --origin", "config --json"))
@click.option("--origin", "shows_origin", is_flag=True, help="Also show where each value comes from.")
@json_option
@plain_option
def command(shows_origin: bool, as_json: bool) -> None:
    """Show all settings that an app has which starts here.

    An argument in the code has priority over a variable, a variable over the table [tool.lightning_lite] in
    pyproject.toml, and that over the default.
    """
    settings = Settings()
    file = settings.file.path if settings.file is not None else None
    for sentence in describe_unknown_variables().values():
        click.echo(f"Warning: {sentence}", err=True)
    found = [(setting, settings.find(setting.name)) for setting in SETTINGS.values()]
    if as_json:
        say_json({"file": file, "settings": [_describe(setting, value) for setting, value in found]})
        return
    rows = [
        (setting.name, _show(setting, value.value), value.origin, setting.about) for setting, value in found
    ]
    if shows_origin:
        say_table(["NAME", "VALUE", "ORIGIN"], [row[:3] for row in rows])
    else:
        say_table(["NAME", "VALUE", "MEANS"], [(name, value, about) for name, value, _, about in rows])
    say()
    say(f"File: {file}" if file else "There is no pyproject.toml with [tool.lightning_lite] here or above.")


def _describe(setting: Setting, found: Found) -> dict[str, object]:
    return {
        "name": setting.name,
        "value": _masked(setting, found.value),
        "origin": found.origin,
        "variable": setting.variable,
        "values": describe_values(setting),
        "default": setting.default,
        "in_file": setting.in_file,
        "means": setting.about,
    }


def _masked(setting: Setting, value: object) -> object:
    """Return a value, or an address without its password."""
    return show_value(setting, value).strip("'") if setting.kind == "address" and value is not None else value


def _show(setting: Setting, value: object) -> str:
    """Return a value for people; a value that is not set has no text."""
    match _masked(setting, value):
        case None:
            return ""
        case bool() as flag:
            return str(flag).lower()
        case list() | tuple() as words:
            return ", ".join(words)
        case other:
            return str(other)
