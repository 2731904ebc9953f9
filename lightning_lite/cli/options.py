"""Options that several verbs have, always with the same meaning.

A verb puts them above its function: `@root_option`, `@json_option`, `@plain_option`.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import click

from lightning_lite import settings

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def read_age(text: str) -> float | None:
    """Return the seconds, or `None` if `text` is no age.

    Example:
        >>> read_age("90s"), read_age("1.5h"), read_age("1 week")
        (90.0, 5400.0, None)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip(), re.ASCII)
    return float(match[1]) * _UNITS[match[2]] if match is not None else None


if TYPE_CHECKING:
    from click import ParamType as ParamType
else:

    class ParamType(click.ParamType):
        """That of click, generic also in those releases in which it is not: `ParamType[float]`."""

        def __class_getitem__(cls, item):  # noqa: ANN001, ANN204 - typed above
            return cls


class BadInput(click.ClickException):
    """What the user has asked for is not there, or not clear; one line says why."""

    exit_code = 2


def _resolve_root(ctx: click.Context, option: click.Parameter, given: str | None) -> str:
    return settings.resolve_root(given)


#: `root`: the absolute folder that holds everything; it need not be there.
root_option = click.option(
    "--root",
    metavar="DIR",
    type=click.Path(readable=False),  # what is wrong with it `check_root` says in one line
    callback=_resolve_root,
    help=f"Folder of runs and drives; else ${settings.ROOT_VARIABLE}, else ./{settings.DEFAULT_ROOT}.",
)

#: `as_json`: whether the answer is for programs.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


#: No parameter: `pages.is_plain` knows it, also where no option has been read yet.
plain_option = click.option(
    "--plain",
    is_flag=True,
    expose_value=False,
    help="No colours, and nothing that moves; as with $NO_COLOR and where there is no terminal.",
)


def check_root(root: str) -> str:
    """Return the root if it is one.

    Raises:
        BadInput: There is nothing of an app in it, or this user may not look into it.
    """
    if any(os.path.isdir(os.path.join(root, part)) for part in ("runs", "drives")):
        return root
    if not os.path.exists(root):
        what = "there is no such folder"
    elif not os.path.isdir(root):
        what = "it is a file"
    elif not os.access(root, os.R_OK | os.X_OK):
        raise BadInput(f"Permission denied: {root!r}.")
    else:
        what = "no app has ever run in it"
    raise BadInput(f"{root!r} is not the root of an app: {what}; name it with --root DIR.")


def examples(*lines: str) -> str:
    """Return the end of a help page: what people type, one line each, without the name of the program."""
    return "\n".join(["\b", "Examples:", *(f"  lightning-lite {line}" for line in lines)])
