"""`drive put`, `get` and `rm`: what goes into drives, comes out, and goes for good."""

from __future__ import annotations

import os

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.drives.targets import (
    component_option,
    drive_argument,
    find_paths,
    in_our_words,
    open_drive,
    open_known_drive,
    paths_argument,
    split_local,
)
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.text import one_line

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
@root_option
@plain_option
@_acting_component_option
@click.option("--to", metavar="PATH", help="Path in the drive; with a / at its end, a folder to put into.")
@click.option("--move", is_flag=True, help="The source may be used up, so that nothing has to be copied.")
@click.option("--allow-duplicates", is_flag=True, help="Even if another component has put that path.")
@click.option("--follow-symlinks", is_flag=True, help="Links may lead anywhere.")
@click.option("--any-names", is_flag=True, help="Also names that Windows or macOS would not keep.")
@drive_argument
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path())
def put(
    root: str,
    component: str,
    to: str | None,
    move: bool,
    allow_duplicates: bool,
    follow_symlinks: bool,
    any_names: bool,
    drive: str,
    paths: tuple[str, ...],
) -> None:
    """Store files and whole folders in a drive, each all or nothing.

    A relative path is the same in the drive; what lies outside of the working directory gets its own
    name there. The drive is made if it is not there yet.
    """
    with in_our_words():
        for path in paths:
            folder, inner = split_local(path)
            opened = open_drive(
                root,
                drive,
                root_folder=folder,
                component_name=component,
                allow_duplicates=allow_duplicates,
                portable_names=not any_names,
            )
            target = _target(inner, to, several=len(paths) > 1)
            opened.put(inner, target, move=move, follow_symlinks=follow_symlinks)


@click.command(
    "get",
    cls=Command,
    short_help="Bring files and folders out of a drive.",
    epilog=examples(
        "drive get models weights",
        "drive get models 'run-1/*.ckpt' --to here/",
        "drive get models result.json --timeout 60",
    ),
)
@root_option
@plain_option
@component_option
@click.option("--to", metavar="PATH", help="Local path; with a / at its end, a folder to get into.")
@click.option("--overwrite", is_flag=True, help="A folder that is there may be replaced.")
@click.option("--timeout", metavar="SECONDS", type=float, help="Wait so long for what is not there yet.")
@drive_argument
@paths_argument
def get(
    root: str,
    component: str | None,
    to: str | None,
    overwrite: bool,
    timeout: float | None,
    drive: str,
    paths: tuple[str, ...],
) -> None:
    """Bring files and whole folders out of a drive, each as one version; print where they are."""
    with in_our_words():
        found = list(paths)
        if timeout is None:
            found = find_paths(open_known_drive(root, drive), paths, component)
        for path in found:
            folder, target = split_local(_target(path, to, several=len(found) > 1) or path)
            opened = open_drive(root, drive, root_folder=folder)
            got = opened.get(path, target, component, timeout, overwrite)
            for place in [got] if isinstance(got, str) else got:
                near = os.path.relpath(place)
                say(one_line(place if near.startswith("..") else near, limit=10_000))


@click.command(
    "rm",
    cls=Command,
    short_help="Remove files and folders.",
    epilog=examples("drive rm models weights", "drive rm models 'run-*' --component root.train"),
)
@root_option
@plain_option
@_acting_component_option
@drive_argument
@paths_argument
def rm(root: str, component: str, drive: str, paths: tuple[str, ...]) -> None:
    """Remove files and whole folders that the component has put."""
    with in_our_words():
        opened = open_known_drive(root, drive, component_name=component)
        # A pattern means what the component has; a path that another one has is refused by name.
        for path in find_paths(opened, paths, patterns_of=component):
            opened.delete(path)


def _target(path: str, to: str | None, *, several: bool) -> str | None:
    """Return where a path goes; `None` for the same path there."""
    if to is None:
        return None
    is_folder = several or os.path.basename(to) in ("", ".", "..")
    return os.path.join(to, os.path.basename(path)) if is_folder else to
