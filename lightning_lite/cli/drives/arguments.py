"""Finds drives and paths that a user names on the command line, and adapts the errors of drives."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from typing import Any, TextIO

import click
from click.shell_completion import CompletionItem

from lightning_lite.cli.options import BadInput, ParamType, check_place
from lightning_lite.errors import LightningLiteError, WorkingDirectoryGone
from lightning_lite.storage.base import Entry, Parts
from lightning_lite.storage.drive import Drive
from lightning_lite.storage.errors import (
    DriveError,
    DriveNotFound,
    DriveTimeout,
    DriveWarning,
)
from lightning_lite.storage.fs.symlinks import relative_to
from lightning_lite.storage.names import PROTOCOL, drive_name, expand, has_magic, path_parts
from lightning_lite.storage.stores import drive_names
from lightning_lite.working_directory import absolute, working_directory

#: Maximum number of characters of a name in the output; no path is longer.
NAME_LIMIT = 10_000

#: Python expressions in the errors of drives, and the options that replace them on the command line.
_OPTIONS = (
    (r"Drive\(\.\.\., component_name='?([^')]*)'?\)", r"--component \1"),
    (r"component_name=\.\.\.", "--component NAME"),
    (r"Drive\(\.\.\., portable_names=False\)", "--any-names"),
    (r"(?:Drive\(\.\.\., )?allow_duplicates=True\)?", "--allow-duplicates"),
    (r"(?:put|get)\(\.\.\., follow_symlinks=True\)|follow_symlinks=True", "--follow-symlinks"),
    (r"put\(\.\.\., symlinks='keep'\)", "--symlinks keep"),
    (r"put\(\.\.\., move=True\)", "--move"),
    (r"get\(\.\.\., overwrite=True\)", "--overwrite"),
    (r"\bto=\.\.\.,?", "--to PATH"),
    (r"\bto=(?=')", "--to "),
    (r"\blist\(\)", "`drive ls`"),
)


class DriveName(ParamType[str]):
    """The id of a drive, with or without `lit://`; the value is its name."""

    name = "drive"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of the drive."""
        if "/" in value.removeprefix(PROTOCOL):
            raise BadInput(
                f"{value!r} is not the name of a drive, because of the '/'; a drive and a path in it are two "
                "arguments, the drive is the first: models weights/a.bin"
            )
        try:
            return drive_name(value if value.startswith(PROTOCOL) else PROTOCOL + value)
        except DriveError as error:
            raise BadInput(error.message) from None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the drives of the root whose name begins with `incomplete`."""
        names: list[str] = []
        with suppress(LightningLiteError, ModuleNotFoundError):  # a shell has no place for an error
            names = drive_names(ctx.params.get("root") or "")
        return [CompletionItem(name) for name in names if name.startswith(incomplete.removeprefix(PROTOCOL))]


class PathInDrive(ParamType[str]):
    """A path in the drive that the previous argument names."""

    name = "path"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the path."""
        return refuse_drive(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the paths in the drive that begin with `incomplete`."""
        root, name = ctx.params.get("root"), ctx.params.get("drive")
        found: set[str] = set()
        with suppress(LightningLiteError, ModuleNotFoundError):  # as above
            if root and name in drive_names(root):
                entries = open_drive(root, name).entries(incomplete.rpartition("/")[0] or ".")
                found = {entry.name + "/" * entry.is_folder for entry in entries}
        return [CompletionItem(path) for path in sorted(found) if path.startswith(incomplete)]


def refuse_drive(path: str) -> str:
    """Return a path, unless it is the id of a drive, which was typed in the place of a path."""
    if path.startswith(PROTOCOL):
        raise BadInput(f"{path!r} is a drive, and a path was expected; the drive is the first argument")
    return path


#: `drive`: the name of a drive.
drive_argument = click.argument("drive", type=DriveName())

#: `paths`: at least one path in the drive.
paths_argument = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PathInDrive())

#: `paths`: any number of paths in the drive.
any_paths_argument = click.argument("paths", metavar="[PATH...]", nargs=-1, type=PathInDrive())

#: `component`: the component that put the files, or `None` for any.
component_option = click.option("--component", metavar="NAME", help="Only files of this component.")


def open_drive(root: str, name: str, **options: Any) -> Drive:
    """Return a drive that also reads files whose names are not portable."""
    return Drive(PROTOCOL + name, root_dir=root, **{"portable_names": False, **options})


def open_known_drive(root: str, name: str, **options: Any) -> Drive:
    """Return a drive that exists.

    Raises:
        BadInput: There is no such root, or no such drive in it.
    """
    names = drive_names(check_place(root))
    if name not in names:
        hint = _suggest(name, names, "`drive ls` lists them")
        raise BadInput(f"there is no drive {name!r} in {root!r}{hint}")
    return open_drive(root, name, **options)


def _suggest(name: str, names: list[str], advice: str) -> str:
    """Return the end of an error about an unknown name: similar names, or advice if there are none."""
    similar = get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, similar))}?" if similar else f"; {advice}."


def find_paths(
    drive: Drive, paths: tuple[str, ...], component: str | None = None, *, patterns_of: str | None = None
) -> list[str]:
    """Return the paths in a drive that the user named, each once.

    Args:
        drive: The drive.
        paths: Paths and patterns as they were typed.
        component: Only files of this component.
        patterns_of: For patterns, only files of this component.

    Raises:
        DriveNotFound: A path does not exist, or a pattern matches nothing.
    """
    found: dict[str, None] = {}
    for path in paths:
        parts = path_parts(path.rstrip("/"), portable=False)
        if not parts:
            found["."] = None
        elif _is_name(drive, parts, component):
            found["/".join(parts)] = None
        elif has_magic(path) and (matches := _expand(drive, parts, component or patterns_of)):
            found.update(dict.fromkeys(matches))
        else:
            raise _not_found(drive, "/".join(parts), component)
    return list(found)


def _is_name(drive: Drive, parts: Parts, component: str | None) -> bool:
    """Return whether the drive has a path of this name, also if it has the characters of a pattern."""
    path = "/".join(parts)
    if not has_magic(path):
        return drive.exists(path, component)
    return path in drive.list("/".join(parts[:-1]) or ".", component)


def _expand(drive: Drive, pattern: Parts, component: str | None) -> list[str]:
    names: Callable[[Parts], list[str]] = lambda parts: drive.list("/".join(parts) or ".", component)  # noqa: E731
    paths = expand(pattern, names, lambda parts: drive.exists("/".join(parts), component))
    return ["/".join(parts) for parts in paths]


def _not_found(drive: Drive, path: str, component: str | None) -> DriveNotFound:
    owner = f" of the component {component!r}" if component else ""
    siblings = drive.list(os.path.dirname(path) or ".", component)
    hint = _suggest(path, siblings, "`drive ls` lists the content")
    return DriveNotFound(f"{path!r}{owner} is not in the drive {drive.id!r}{hint}")


def entries_at(drive: Drive, paths: list[str], component: str | None, *, recursive: bool) -> list[Entry]:
    """Return the entries at some paths, each once, in the order of the paths; without paths, all entries."""
    found = (drive.entries(path, component, recursive=recursive) for path in paths or ["."])
    return list(dict.fromkeys(entry for entries in found for entry in entries))


def split_local(path: str) -> tuple[str, str]:
    """Return a folder that contains a local path, and the path relative to it.

    A drive only reads files in its `root_folder`. On the command line the user may name any path, so the
    folder is chosen for each path.

    Example:
        >>> split_local("/data/weights/"), split_local("run/weights")[1]
        (('/data', 'weights'), 'run/weights')
    """
    full = absolute(path)
    with suppress(WorkingDirectoryGone):
        here = working_directory()
        inner = relative_to(full, here)
        if inner:
            return here, inner
    return os.path.dirname(full), os.path.basename(full)


@contextmanager
def command_line_errors() -> Iterator[None]:
    """Show errors and warnings of drives with the options of the command line for Python expressions.

    Raises:
        BadInput: A file that was named does not exist.
        ClickException: Any other error of a drive.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", DriveWarning)
        warnings.showwarning = _show_warning
        try:
            yield
        except (DriveError, WorkingDirectoryGone) as error:
            if isinstance(error, DriveNotFound) and not isinstance(error, DriveTimeout):
                raise BadInput(_with_options(error.message)) from error
            raise click.ClickException(_with_options(error.message)) from error
        except ModuleNotFoundError as error:  # the package of an object store
            raise click.ClickException(f"{error}.") from error


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    click.echo(f"Warning: {_with_options(str(message))}", err=True)


def _with_options(message: str) -> str:
    for expression, option in _OPTIONS:
        message = re.sub(expression, option, message)
    return message
