"""`drive verify`: checks the content of drives."""

from __future__ import annotations

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.drives.arguments import NAME_LIMIT, DriveName, command_line_errors, open_known_drive
from lightning_lite.cli.options import check_place, examples, json_option, place_option, plain_option
from lightning_lite.cli.output import say, say_json
from lightning_lite.harmless_text import one_line
from lightning_lite.quantity_text import count, format_bytes
from lightning_lite.storage.base import CheckedFile, Problem
from lightning_lite.storage.errors import translate_errors
from lightning_lite.storage.stores import drive_names, open_store


@click.command(
    "verify",
    cls=Command,
    short_help="Check the content of drives.",
    epilog=examples("drive verify", "drive verify models --hash > here.txt"),
)
@place_option
@json_option
@plain_option
@click.option("--hash", "hashes", is_flag=True, help="Print the SHA-256 of each file, as sha256sum does.")
@click.argument("drives", metavar="[DRIVE...]", nargs=-1, type=DriveName())
def verify(root: str, as_json: bool, hashes: bool, drives: tuple[str, ...]) -> None:
    """Check the content of drives; without DRIVE, of all drives.

    It finds leftovers of dead processes, files that are writable or unreadable, links and special files, and
    invalid names. The exit code is 1 if there are findings. It changes nothing, and works may run at the same
    time. Two drives with the same output of --hash have the same files. On an object store, --hash reads
    all content from the store, and finds content that has changed since it was put.
    """
    with command_line_errors():
        names = drives or tuple(drive_names(check_place(root)))
        for name in names:
            open_known_drive(root, name)
        report = [_verify(root, name, hashes, as_json) for name in names]
    if as_json:
        say_json(report)
    if any(found["findings"] for found in report):
        click.get_current_context().exit(1)


def _verify(root: str, name: str, hashes: bool, as_json: bool) -> dict[str, object]:
    """Check one drive, print the findings, and return the report."""
    findings, files, size = [], [], 0
    with translate_errors("verify", name):
        for thing in open_store(root, name).verify(hashes=hashes):
            if isinstance(thing, Problem):
                findings.append(thing)
                if not as_json:
                    where = one_line(thing.path, NAME_LIMIT)
                    click.echo(f"{name}: {where}: {thing.what}; {thing.advice}", err=hashes)
            else:
                files.append(thing)
                size += thing.size
                if hashes and not as_json:
                    say(f"{thing.digest}  {one_line(thing.path, NAME_LIMIT)}")
    if not as_json:
        result = count(len(findings), "finding") if findings else "no findings"
        click.echo(f"{name}: {count(len(files), 'file')}, {format_bytes(size)}: {result}", err=hashes)
    return {
        "drive": name,
        "files": [_file_as_data(file) for file in files] if hashes else len(files),
        "size": size,
        "findings": [finding._asdict() for finding in findings],
    }


def _file_as_data(file: CheckedFile) -> dict[str, object]:
    return {"path": file.path, "size": file.size, "sha256": file.digest}
