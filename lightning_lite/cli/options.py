"""Options that several verbs share, as decorators of their functions: `@root_option`, `@json_option`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lightning_lite import settings, store_url, timeouts
from lightning_lite.errors import SettingError, WorkingDirectoryGone
from lightning_lite.root_access import DEFAULT_ROOT, USERS
from lightning_lite.trusted_roots import ROOT_MODE_VARIABLE

#: A function, or the command made of it, as `click` decorates them.
FC = TypeVar("FC", bound="Callable[..., Any] | click.Command")

_UNITS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}


def read_age(text: str) -> float | None:
    """Return the duration in seconds, or `None` if `text` is not a number with a unit.

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
        """The class of click, made generic (`ParamType[float]`) for the releases in which it is not."""

        def __class_getitem__(cls, item):  # noqa: ANN001, ANN204 - typed above
            return cls


class BadInput(click.ClickException):
    """The command line names something that does not exist or is ambiguous; the message is one line."""

    exit_code = 2


@contextmanager
def _refusing(advice: str) -> Iterator[None]:
    """Refuse an invalid setting as bad input.

    Args:
        advice: What to do if the working directory was removed.
    """
    try:
        yield
    except WorkingDirectoryGone as error:
        raise BadInput(f"{error}; {advice}.") from None
    except SettingError as error:
        raise BadInput(f"{error}.") from None


def _resolve_root(ctx: click.Context, option: click.Parameter, given: str | None) -> str:
    with _refusing("name the root with --root DIR"):
        return settings.resolve_root(given)


#: `root`: the absolute root folder; it may not exist.
root_option = click.option(
    "--root",
    metavar="DIR",
    type=click.Path(readable=False),  # `check_root` checks it, with messages of one line
    callback=_resolve_root,
    help=f"Folder of runs and drives; else ${settings.ROOT_VARIABLE}, else root_dir in pyproject.toml, else "
    f"./{DEFAULT_ROOT}. Owners and modes in it are checked, unless ${ROOT_MODE_VARIABLE}=trusted.",
)


def _resolve_place(ctx: click.Context, option: click.Parameter, given: str | None) -> str:
    with _refusing("name the root with --root DIR"):
        return settings.resolve_drives(
            None if given is None else settings.absolute_place(given, "/".join(option.opts))
        )


#: `root`: the absolute folder or the url that holds the drives; a folder may not exist.
place_option = click.option(
    "--root",
    "--drives",
    "root",
    metavar="PLACE",
    callback=_resolve_place,
    help=f"Where the drives are: a folder, or s3://bucket/prefix; else ${settings.DRIVES_VARIABLE}, else "
    f"${settings.ROOT_VARIABLE}, else drives or root_dir in pyproject.toml, else ./{DEFAULT_ROOT}.",
)


def setting_option(name: str, *flags: str, **attributes: Any) -> Callable[[FC], FC]:
    """Return the option of a setting, with help and choices from the table of settings.

    Args:
        name: Name of the setting and of the parameter.
        *flags: How the option is written; by default as the name.
        **attributes: Other attributes of `click.option`.
    """
    setting = settings.SETTINGS[name]
    if setting.choices:
        attributes.setdefault("type", click.Choice(setting.choices))
    flags = flags or (f"--{name.replace('_', '-')}",)
    return click.option(*flags, name, default=None, help=setting.about, **attributes)


def _resolve_drives(ctx: click.Context, option: click.Parameter, given: str | None) -> str | None:
    with _refusing("name the place with --drives PLACE"):
        return settings.drives_apart(None if given is None else settings.absolute_place(given, "--drives"))


#: `drives`: the absolute folder or the url of drives that are not in the root, or `None`.
drives_option = setting_option("drives", metavar="PLACE", callback=_resolve_drives)


#: `as_json`: whether to print JSON.
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


#: No parameter: `click_classes.is_plain` reads `sys.argv`, because it runs before click has parsed options.
plain_option = click.option(
    "--plain",
    is_flag=True,
    expose_value=False,
    help="No colours and no animation, as without a terminal.",
)


def check_root(root: str) -> str:
    """Return `root`, if it is the root of an app.

    Raises:
        BadInput: The folder does not exist, has no runs and drives, or can't be read.
    """
    for part in ("runs", "drives", USERS):
        path = os.path.join(root, part)
        # A link, also a broken one, is refused by its name later.
        if os.path.isdir(path) or os.path.islink(path):
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


def check_place(place: str) -> str:
    """Return `place`, if it is the root of an app, or a url.

    Raises:
        BadInput: It is a folder that is not the root of an app; see `check_root`.
    """
    return place if store_url.is_url(place) else check_root(place)


def examples(*lines: str) -> str:
    """Return the examples of a help page.

    Args:
        *lines: Command lines without the name of the program.
    """
    return "\n".join(["\b", "Examples:", *(f"  lightning-lite {line}" for line in lines)])


#: Seconds in a year: the largest value of an option that waits. A wait for `inf` raises OverflowError.
LONGEST = 31_536_000


class Seconds(click.FloatRange):
    """A number of seconds in a range; NaN, which click finds in each range, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number for a text of the user."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


#: `timeout`: seconds.
timeout_option = click.option(
    "-t",
    "--timeout",
    type=Seconds(min=0, max=LONGEST),
    default=timeouts.STOP_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="Time that a work has to end before it is killed.",
)
