"""`drive put`, `get` and `rm`: copy files into drives and out of them, and remove them."""

from __future__ import annotations

import os
from typing import Literal

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.drives.arguments import (
    NAME_LIMIT,
    command_line_errors,
    component_option,
    drive_argument,
    find_paths,
    open_drive,
    open_known_drive,
    paths_argument,
    refuse_drive,
    split_local,
)
from lightning_lite.cli.options import BadInput, Seconds, examples, place_option, plain_option
from lightning_lite.cli.output import say
from lightning_lite.harmless_text import one_line
from lightning_lite.storage.destinations import check_last_names
from lightning_lite.storage.drive import UserFolder
from lightning_lite.storage.errors import shown

_acting_component_option = click.option(
    "--component", metavar="NAME", default="main", show_default=True, help="Act as this component."
)


@click.command(
    "put",
    cls=Command,
    short_help="Store files and folders in a drive.",
    epilog=examples(
        "drive put models weights",
        "drive put models *.ckpt --to run-1/",
        "drive put models /data/best.bin --to best.bin --move",
    ),
)
@place_option
@plain_option
@_acting_component_option
@click.option(
    "--to",
    metavar="PATH",
    help="Path in the drive; a folder to put into, if it ends in / or is there. Several paths need one.",
)
@click.option("--move", is_flag=True, help="Move the files instead of copying them.")
@click.option("--allow-duplicates", is_flag=True, help="Even if another component has put that path.")
@click.option("--follow-symlinks", is_flag=True, help="Allow links to any target.")
@click.option(
    "--symlinks",
    type=click.Choice(["copy", "keep"]),
    default="copy",
    show_default=True,
    help="Store the content behind links in a folder, or keep links that stay inside it.",
)
@click.option("--any-names", is_flag=True, help="Allow names that Windows or macOS can't store.")
@drive_argument
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
def put(
    root: str,
    component: str,
    to: str | None,
    move: bool,
    allow_duplicates: bool,
    follow_symlinks: bool,
    symlinks: Literal["copy", "keep"],
    any_names: bool,
    drive: str,
    paths: tuple[str, ...],
) -> None:
    """Store files and whole folders in a drive, each all or nothing.

    A relative path is the same in the drive. A file outside the working directory is stored under the last
    part of its path. The drive is created if it does not exist.
    """
    with command_line_errors():
        sources, several = _local_sources(paths, portable=not any_names)
        if to is None:
            _check_names(sources)
        elif several:
            check_last_names([f"{folder}/{inner}" for folder, inner in sources], to)
        for folder, inner in sources:
            opened = open_drive(
                root,
                drive,
                root_folder=folder,
                component_name=component,
                allow_duplicates=allow_duplicates,
                portable_names=not any_names,
            )
            # One path in a tuple is one of several: it needs a folder as the target.
            opened.put(
                (inner,) if several else inner,
                to,
                move=move,
                follow_symlinks=follow_symlinks,
                symlinks=symlinks,
            )


@click.command(
    "get",
    cls=Command,
    short_help="Copy files and folders out of a drive.",
    epilog=examples(
        "drive get models weights",
        "drive get models 'run-1/*.ckpt' --to here/",
        "drive get models result.json --timeout 60",
    ),
)
@place_option
@plain_option
@component_option
@click.option(
    "--to",
    metavar="PATH",
    help="Local path; a folder to get into, if it ends in / or is there. Several paths need one.",
)
@click.option("--overwrite", is_flag=True, help="Allow to replace an existing folder.")
@click.option("--follow-symlinks", is_flag=True, help="Write through links to any folder.")
@click.option(
    "--timeout", metavar="SECONDS", type=Seconds(min=0), help="Wait this time for files that do not exist."
)
@drive_argument
@paths_argument
def get(
    root: str,
    component: str | None,
    to: str | None,
    overwrite: bool,
    follow_symlinks: bool,
    timeout: float | None,
    drive: str,
    paths: tuple[str, ...],
) -> None:
    """Copy files and whole folders out of a drive, each as one version, and print their local paths."""
    _refuse_local_targets(paths)
    with command_line_errors():
        if timeout is None:
            find_paths(open_known_drive(root, drive), paths, component)  # its errors suggest similar names
        folder, target = (None, None) if to is None else _local_target(to)
        opened = open_drive(root, drive, root_folder=folder)
        chosen = paths if len(paths) > 1 else paths[0]
        got = opened.get(chosen, target, component, timeout, overwrite, follow_symlinks=follow_symlinks)
        for place in [got] if isinstance(got, str) else got:
            say(one_line(_near(place), limit=NAME_LIMIT))


@click.command(
    "rm",
    cls=Command,
    short_help="Remove files and folders.",
    epilog=examples("drive rm models weights", "drive rm models 'run-*' --component root.train"),
)
@place_option
@plain_option
@_acting_component_option
@drive_argument
@paths_argument
def rm(root: str, component: str, drive: str, paths: tuple[str, ...]) -> None:
    """Remove files and whole folders that the component has put."""
    with command_line_errors():
        opened = open_known_drive(root, drive, component_name=component)
        # A pattern selects only files of the component. A path of another component is an error with its
        # name.
        for path in find_paths(opened, paths, patterns_of=component):
            opened.delete(path)


def _refuse_local_targets(paths: tuple[str, ...]) -> None:
    """Refuse a last path that can only be meant as the target, as with `cp`.

    Raises:
        BadInput: It is the working directory or an absolute path.
    """
    last = paths[-1]
    is_dots = os.path.normpath(last).split(os.sep)[0] in (".", "..")
    if os.path.isabs(last) or (len(paths) > 1 and is_dots):
        raise BadInput(f"{last!r} is not a path in a drive; for a local target, write --to {last}")


def _near(place: str) -> str:
    """Return a path relative to the working directory, if it is below that."""
    try:
        near = os.path.relpath(place)
    except FileNotFoundError:
        return place  # the working directory was removed
    return place if near.startswith("..") else near


def _local_sources(paths: tuple[str, ...], *, portable: bool) -> tuple[list[tuple[str, str]], bool]:
    """Return the folders and the paths in them that were typed, and whether they may be several paths.

    Raises:
        BadInput: A path does not exist, or no file matches a pattern.
    """
    sources: dict[tuple[str, str], None] = {}
    several = len(paths) > 1
    for path in paths:
        top, inner = split_local(refuse_drive(path))
        folder = UserFolder(top, portable=portable)
        selection = folder.select_local(inner)
        several = several or selection.several
        if not selection.paths or not (
            selection.several or os.path.lexists(folder.local(selection.paths[0]))
        ):
            raise BadInput(f"the file or folder {path!r} doesn't exist; nothing was put.")
        sources.update(dict.fromkeys((top, "/".join(parts)) for parts in selection.paths))
    return list(sources), several


def _check_names(sources: list[tuple[str, str]]) -> None:
    """Refuse sources of several folders that get the same name in the drive, because one replaces the other.

    Raises:
        ClickException: Two sources get the same name.
    """
    known: dict[str, str] = {}
    for folder, inner in sources:
        first = known.setdefault(inner, folder)
        if first != folder:
            both = " and ".join(shown(os.path.join(one, inner)) for one in (first, folder))
            raise click.ClickException(
                f"{both} would both be {shown(inner)} in the drive; nothing was put. Put one of them with "
                "--to PATH."
            )


def _local_target(to: str) -> tuple[str, str]:
    """Return a folder that contains the local path `to`, and the path in it, with the slash at its end."""
    folder, inner = split_local(to)
    return folder, f"{inner or '.'}/" if os.path.basename(to) in ("", ".", "..") else inner
