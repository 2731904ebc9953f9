"""`drive ls`, `tree`, `du` and `cat`: show the content of drives."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.drives.arguments import (
    NAME_LIMIT,
    DriveName,
    PathInDrive,
    any_paths_argument,
    command_line_errors,
    component_option,
    drive_argument,
    entries_at,
    find_paths,
    open_drive,
    open_known_drive,
    paths_argument,
)
from lightning_lite.cli.options import check_place, examples, json_option, place_option, plain_option
from lightning_lite.cli.output import say, say_json, say_table
from lightning_lite.harmless_text import one_line
from lightning_lite.monitor.drive_contents import Totals
from lightning_lite.quantity_text import format_bytes, format_time, iso_time
from lightning_lite.storage.base import Entry
from lightning_lite.storage.drive import Drive
from lightning_lite.storage.fs.files import stream
from lightning_lite.storage.names import PROTOCOL
from lightning_lite.storage.stores import drive_names


@click.command(
    "ls",
    cls=Command,
    short_help="List drives, or the content of one.",
    epilog=examples(
        "drive ls", "drive ls models", "drive ls models 'run-*/*.ckpt' -l", "drive ls models -R --json"
    ),
)
@place_option
@json_option
@plain_option
@component_option
@click.option("-l", "--long", is_flag=True, help="Show sizes, times and owners.")
@click.option("-R", "--recursive", is_flag=True, help="List files at any depth.")
@click.argument("drive", required=False, type=DriveName())
@any_paths_argument
def ls(
    root: str,
    as_json: bool,
    component: str | None,
    long: bool,
    recursive: bool,
    drive: str | None,
    paths: tuple[str, ...],
) -> None:
    """List the content of a drive; without DRIVE, list the drives."""
    with command_line_errors():
        if drive is None:
            _list_drives(root, as_json, long)
            return
        opened = open_known_drive(root, drive)
        entries = entries_at(opened, find_paths(opened, paths, component), component, recursive=recursive)
    if as_json:
        say_json([_as_data(entry) for entry in entries])
    elif long:
        say_table(["SIZE", "TIME", "OWNER", "PATH"], [_as_row(entry) for entry in entries])
    else:
        _say_names(_shown(entry) for entry in entries)


@click.command(
    "tree",
    cls=Command,
    short_help="Show a drive as a tree.",
    epilog=examples("drive tree models", "drive tree models run-1 -l"),
)
@place_option
@json_option
@plain_option
@component_option
@click.option("-l", "--long", is_flag=True, help="Show sizes and owners.")
@drive_argument
@click.argument("path", default=".", type=PathInDrive())
def tree(root: str, as_json: bool, component: str | None, long: bool, drive: str, path: str) -> None:
    """Show a drive, or a folder in it, as a tree."""
    with command_line_errors():
        opened = open_known_drive(root, drive)
        (top,) = find_paths(opened, (path,), component) or ["."]
        branches = _subtree(opened, top, component)
    if as_json:
        say_json({"drive": opened.id, "path": top, "entries": branches})
        return
    lines = [opened.id if top == "." else f"{opened.id}/{one_line(top, NAME_LIMIT)}"]
    _draw(branches, "", long, lines)
    say("\n".join(lines))


@click.command(
    "du",
    cls=Command,
    short_help="Count bytes and files.",
    epilog=examples("drive du", "drive du models", "drive du models run-1 run-2"),
)
@place_option
@json_option
@plain_option
@component_option
@click.argument("drive", required=False, type=DriveName())
@any_paths_argument
def du(root: str, as_json: bool, component: str | None, drive: str | None, paths: tuple[str, ...]) -> None:
    """Count the bytes and files below each path; without DRIVE, in each drive.

    The size is the size of the content of the files; a file system with reflinks may use less space.
    """
    with command_line_errors():
        if drive is None:
            names = drive_names(check_place(root))
            rows = [(_totals(open_drive(root, name), ".", component), name) for name in names]
        else:
            opened = open_known_drive(root, drive)
            found = find_paths(opened, paths, component) or opened.list(".", component)
            rows = [(_totals(opened, path, component), path) for path in found]
    if as_json:
        key = "path" if drive else "drive"
        say_json([{key: name, "size": totals.size, "files": totals.files} for totals, name in rows])
        return
    lines = [(totals.size, totals.files, name) for totals, name in rows]
    lines.append((sum(line[0] for line in lines), sum(line[1] for line in lines), "total"))
    say_table(
        ["SIZE", "FILES", "PATH" if drive else "DRIVE"],
        [(format_bytes(size), files, name) for size, files, name in lines],
    )


@click.command(
    "cat",
    cls=Command,
    short_help="Write files to the standard output.",
    epilog=examples("drive cat models run-1/log.txt", "drive cat models weights.bin | sha256sum"),
)
@place_option
@plain_option
@component_option
@drive_argument
@paths_argument
def cat(root: str, component: str | None, drive: str, paths: tuple[str, ...]) -> None:
    """Write the content of files to the standard output, unchanged."""
    with command_line_errors():
        opened = open_known_drive(root, drive)
        sys.stdout.flush()
        for path in find_paths(opened, paths, component):
            with opened.open(path, "rb", component) as file:
                stream(file.fileno(), sys.stdout.fileno())


def _list_drives(root: str, as_json: bool, long: bool) -> None:
    names = drive_names(check_place(root))
    if not (as_json or long):
        _say_names(names)
        return
    found = [(name, _totals(open_drive(root, name), ".")) for name in names]
    if as_json:
        say_json([_drive_as_data(name, totals) for name, totals in found])
        return
    say_table(
        ["SIZE", "FILES", "CHANGED", "OWNERS", "DRIVE"],
        [
            (
                format_bytes(totals.size),
                totals.files,
                _show_time(totals.changed),
                ", ".join(sorted(totals.owners)),
                name,
            )
            for name, totals in found
        ],
    )


def _drive_as_data(name: str, totals: Totals) -> dict[str, Any]:
    return {
        "id": PROTOCOL + name,
        "size": totals.size,
        "files": totals.files,
        "changed": _iso(totals.changed),
        "owners": sorted(totals.owners),
    }


def _as_data(entry: Entry) -> dict[str, Any]:
    return {
        "path": entry.name,
        "size": entry.size,
        "time": _iso(entry.time),
        "owner": entry.owner,
        "is_folder": entry.is_folder,
    }


def _as_row(entry: Entry) -> tuple[object, ...]:
    size = None if entry.is_folder else format_bytes(entry.size)
    return size, _show_time(entry.time), entry.owner, _shown(entry)


def _shown(entry: Entry) -> str:
    return one_line(entry.name, NAME_LIMIT) + "/" * entry.is_folder


def _say_names(names: Iterable[str]) -> None:
    if lines := dict.fromkeys(names):  # several components may have put the same path
        say("\n".join(lines))


def _subtree(drive: Drive, path: str, component: str | None) -> list[dict[str, Any]]:
    """Return the content of a folder as nested data, with empty folders."""
    branches = []
    for entry in drive.entries(path, component):
        data = _as_data(entry)
        if entry.is_folder:
            data["entries"] = _subtree(drive, entry.name, entry.owner)
        branches.append(data)
    return branches


def _draw(branches: list[dict[str, Any]], indent: str, long: bool, lines: list[str]) -> None:
    for number, data in enumerate(branches, 1):
        is_last = number == len(branches)
        name = one_line(data["path"].rpartition("/")[2], NAME_LIMIT) + "/" * data["is_folder"]
        details = [] if data["is_folder"] else [format_bytes(data["size"])]
        extra = f"  ({', '.join([*details, data['owner']])})" if long else ""
        lines.append(f"{indent}{'└── ' if is_last else '├── '}{name}{extra}")
        _draw(data.get("entries", []), indent + ("    " if is_last else "│   "), long, lines)


def _totals(drive: Drive, path: str, component: str | None = None) -> Totals:
    return Totals(drive.entries(path, component, recursive=True))


def _show_time(seconds: float | None) -> str | None:
    """Return a time for people, in local time."""
    return None if seconds is None else format_time(seconds)


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else iso_time(seconds)
