"""`lightning-lite doctor`: checks this machine, and prints one page for an issue."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import click

from lightning_lite.cli.checks import cluster, file_system, machine, object_store, self_test
from lightning_lite.cli.checks.result import FAILURE, OK, WARNING, Finding, examine
from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.options import drives_option, examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json
from lightning_lite.distribution import __version__
from lightning_lite.harmless_text import one_line
from lightning_lite.store_url import is_url

_MARKS = {OK: " ", WARNING: "!", FAILURE: "x"}
_COLOURS = {OK: None, WARNING: "yellow", FAILURE: "red"}
_PROBE = ".lightning_lite-doctor-"


@click.command("doctor", cls=Command, epilog=examples("doctor", "doctor --root /data/root --json"))
@root_option
@drives_option
@json_option
@plain_option
def command(root: str, drives: str | None, as_json: bool) -> None:
    """Check this machine, run a small app, and print one page that you can paste into an issue.

    It changes nothing: its tests run in a temporary folder next to the root; in an object store, the bucket
    remembers the result of its test. The exit code is 1 if something is broken.
    """
    sections = {
        "machine": [*examine(machine.checks()), *examine(cluster.checks())],
        "root": list(_check_root(root)),
        **({"drives": list(_check_drives(drives))} if drives else {}),
    }
    findings = [finding for section in sections.values() for finding in section]
    if as_json:
        say_json(
            {
                "lightning_lite": __version__,
                "findings": [
                    {"section": name, **finding._asdict()}
                    for name, section in sections.items()
                    for finding in section
                ],
            }
        )
    else:
        _show(sections)
    if any(finding.state == FAILURE for finding in findings):
        click.get_current_context().exit(1)


def _check_root(root: str) -> Iterator[Finding]:
    """Check the file system of the root, and run the app there, in a temporary folder."""
    try:
        probe = _make_probe(root)
    except OSError as error:
        yield _refused(root, error, "--root DIR")
        return
    with probe as folder:
        os.mkdir(f"{folder}/probe")
        os.mkdir(f"{folder}/app")
        yield from examine(file_system.checks(root, f"{folder}/probe"))
        yield from examine(file_system.run_checks(root, f"{folder}/probe"))
        yield from examine(iter([("self-test", lambda: self_test.check(f"{folder}/app"))]))


def _check_drives(place: str) -> Iterator[Finding]:
    """Check the object store that keeps the drives, or the file system of the folder that does."""
    if is_url(place):
        yield from object_store.findings(place)
        return
    try:
        probe = _make_probe(place)
    except OSError as error:
        yield _refused(place, error, "--drives PLACE")
        return
    with probe as folder:
        yield from examine(file_system.checks(place, folder))


def _make_probe(place: str) -> tempfile.TemporaryDirectory[str]:
    """Make an empty folder on the file system of a folder, which may not exist."""
    return tempfile.TemporaryDirectory(prefix=_PROBE, dir=file_system.nearest_folder(place))


def _refused(place: str, error: OSError, option: str) -> Finding:
    value = f"{place}: {(error.strerror or str(error)).lower()}"
    return Finding("root", value, FAILURE, f"choose a folder with write permission: {option}")


def _show(sections: dict[str, list[Finding]]) -> None:
    findings = [finding for section in sections.values() for finding in section]
    counts = [sum(finding.state == state for finding in findings) for state in (OK, WARNING, FAILURE)]
    say("lightning_lite {}: {} fine, {} limited, {} broken".format(__version__, *counts))
    width = max(len(finding.about) for finding in findings)
    for section in sections.values():
        say()
        for finding in section:
            value = one_line(finding.value, limit=2000)
            say(f"{_MARKS[finding.state]} {finding.about:<{width}}  {value}", _COLOURS[finding.state])
            if finding.advice:
                say(f"  {'':<{width}}  {one_line(finding.advice)}")
