"""What all verbs of drives share: which drive and which paths are meant, and errors in their words."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from click.shell_completion import CompletionItem

from lightning_lite.cli.options import BadInput, ParamType, check_root
from lightning_lite.storage.base import Entry, Parts
from lightning_lite.storage.drive import Drive
from lightning_lite.storage.errors import DriveError, DriveNotFound
from lightning_lite.storage.names import PROTOCOL, drive_name, expand, has_magic, path_parts
from lightning_lite.storage.stores import drive_names

#: What errors advise in Python, and how it is said here.
_IN_OUR_WORDS = (
    (r"Drive\(\.\.\., component_name='?([^')]*)'?\)", r"--component \1"),
    (r"component_name=\.\.\.", "--component NAME"),
    (r"Drive\(\.\.\., portable_names=False\)", "--any-names"),
    (r"(?:Drive\(\.\.\., )?allow_duplicates=True\)?", "--allow-duplicates"),
    (r"follow_symlinks=True", "--follow-symlinks"),
    (r"get\(\.\.\., overwrite=True\)", "--overwrite"),
    (r"\bto=\.\.\.", "--to PATH."),
    (r"\blist\(\)", "`drive ls`"),
)


class DriveName(ParamType[str]):
    """The id of a drive, with or without `lit://`; the value is its name."""

    name = "drive"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name of the drive."""
        try:
            return drive_name(value if value.startswith(PROTOCOL) else PROTOCOL + value)
        except DriveError as error:
            raise BadInput(error.message) from None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the drives of the root that begin like this."""
        names = drive_names(ctx.params.get("root") or "")
        return [CompletionItem(name) for name in names if name.startswith(incomplete.removeprefix(PROTOCOL))]


class PathInDrive(ParamType[str]):
    """A path in the drive that stands before it on the command line."""

    name = "path"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what is in the folder of the drive that the user is typing."""
        root, name = ctx.params.get("root"), ctx.params.get("drive")
        if not root or name not in drive_names(root):
            return []
        folder = incomplete.rpartition("/")[0]
        entries = open_drive(root, name).entries(folder or ".")
        found = {entry.name + "/" * entry.is_folder for entry in entries}
        return [CompletionItem(path) for path in sorted(found) if path.startswith(incomplete)]


#: The drive that a verb is about.
drive_argument = click.argument("drive", type=DriveName())

#: `paths`: at least one path in the drive.
paths_argument = click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PathInDrive())

#: `paths`: any number of paths in the drive.
any_paths_argument = click.argument("paths", metavar="[PATH...]", nargs=-1, type=PathInDrive())

#: `component`: whose files are meant, or `None`.
component_option = click.option("--component", metavar="NAME", help="Only what this component has put.")


def open_drive(root: str, name: str, **options: Any) -> Drive:
    """Return a drive, whose names need not be portable to be read."""
    return Drive(PROTOCOL + name, root_dir=root, **{"portable_names": False, **options})


def open_known_drive(root: str, name: str, **options: Any) -> Drive:
    """Return a drive that is there.

    Raises:
        BadInput: There is no such root, or no such drive in it.
    """
    names = drive_names(check_root(root))
    if name not in names:
        raise BadInput(f"there is no drive {name!r} in {root!r}{like(name, names, '`drive ls` lists them')}")
    return open_drive(root, name, **options)


def like(name: str, names: list[str], otherwise: str) -> str:
    """Return the end of an error about a name that is unknown: the names that come near, or else advice."""
    from difflib import get_close_matches  # noqa: PLC0415 - 10 ms that only a wrong name pays

    near = get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else f"; {otherwise}."


def find_paths(
    drive: Drive, paths: tuple[str, ...], component: str | None = None, *, patterns_of: str | None = None
) -> list[str]:
    """Return the paths in a drive that the user means, each once.

    Args:
        drive: The drive.
        paths: Paths and patterns as they were typed.
        component: Only what this component has put.
        patterns_of: The same, but only for patterns.

    Raises:
        DriveNotFound: One of them, or anything like one of them, is not there.
    """
    found: dict[str, None] = {}
    for path in paths:
        parts = path_parts(path.rstrip("/"), portable=False)
        if not parts:
            found["."] = None
        elif drive.exists("/".join(parts), component):
            found["/".join(parts)] = None
        elif has_magic(path) and (matches := _expand(drive, parts, component or patterns_of)):
            found.update(dict.fromkeys(matches))
        else:
            raise _not_there(drive, "/".join(parts), component)
    return list(found)


def _expand(drive: Drive, pattern: Parts, component: str | None) -> list[str]:
    names: Callable[[Parts], list[str]] = lambda parts: drive.list("/".join(parts) or ".", component)  # noqa: E731
    paths = expand(pattern, names, lambda parts: drive.exists("/".join(parts), component))
    return ["/".join(parts) for parts in paths]


def _not_there(drive: Drive, path: str, component: str | None) -> DriveNotFound:
    whose = f" of the component {component!r}" if component else ""
    siblings = drive.list(os.path.dirname(path) or ".", component)
    near = like(path, siblings, "`drive ls` says what is there")
    return DriveNotFound(f"{path!r}{whose} is not in the drive {drive.id!r}{near}")


def entries_at(drive: Drive, paths: list[str], component: str | None, *, recursive: bool) -> list[Entry]:
    """Return what is at and below some paths, each once, in their order; all of it without any."""
    found = (drive.entries(path, component, recursive=recursive) for path in paths or ["."])
    return list(dict.fromkeys(entry for entries in found for entry in entries))


def split_local(path: str) -> tuple[str, str]:
    """Return a folder of the user's that a local path lies in, and the path below it.

    A drive never reads outside its folder, but here the user names the path.

    Example:
        >>> split_local("/data/weights/"), split_local("run/weights")[1]
        (('/data', 'weights'), 'run/weights')
    """
    here, full = os.getcwd(), os.path.abspath(path)
    if full.startswith(f"{here.rstrip('/')}/"):
        return here, os.path.relpath(full, here)
    return os.path.dirname(full), os.path.basename(full)


@contextmanager
def in_our_words() -> Iterator[None]:
    """Let errors of drives advise what can be done on the command line, not what in Python."""
    try:
        yield
    except DriveError as error:
        message = error.message
        for said, here in _IN_OUR_WORDS:
            message = re.sub(said, here, message)
        raise click.ClickException(message) from error
