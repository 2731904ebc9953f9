"""`lightning-lite init`: creates the folder of a new app."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files
from pathlib import Path
from string import Template
from urllib.parse import unquote, urlsplit

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.options import BadInput, examples
from lightning_lite.cli.output import say
from lightning_lite.distribution import NAME

#: The files of a new app, and the templates in `lightning_lite/cli/new_app` from which they are made.
_FILES = {
    "app.py": "app.py.template",
    "tests/test_app.py": "tests/test_app.py.template",
    "README.md": "README.md.template",
    "pyproject.toml": "pyproject.toml.template",
    ".gitignore": "gitignore.template",  # with its own name, it would hide files of this repository
}

#: Names of projects: https://packaging.python.org/en/latest/specifications/name-normalization/
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


@click.command("init", cls=Command, epilog=examples("init app words", "init app projects/words"))
@click.argument("kind", type=click.Choice(["app"]))
@click.argument("folder", type=click.Path(path_type=str), metavar="NAME")
def command(kind: str, folder: str) -> None:
    """Create a small app that runs: app.py, a test, a README and a pyproject.toml.

    NAME is the name of a new or empty folder; its last part becomes the name of the project. No file is
    replaced.
    """
    path = os.path.abspath(folder)
    name = os.path.basename(path)
    if not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} can't be the name of a project: use letters, digits, and - . _ between them."
        )
    try:
        if os.path.lexists(path) and not os.path.isdir(path):
            raise BadInput(f"{folder!r} is a file; choose another name.")
        if os.path.isdir(path) and os.listdir(path):
            raise BadInput(f"the folder {folder!r} is not empty; choose another name.")
        _create(path, name)
    except OSError as error:
        raise click.ClickException(
            f"the app can't be created in {folder!r}: {error.strerror} ({error.filename})."
        ) from error
    say(f"Created {os.path.join(folder, '')} with {', '.join(_FILES)}.")
    say("Next:")
    if path != os.getcwd():
        say(f"  cd {shlex.quote(folder)}")
    say("  lightning-lite run app.py")
    say("  pytest")


def _install_command() -> str:
    """Return the pip command that installs this package from its present source."""
    checkout = Path(__file__).parents[3]
    if (checkout / "pyproject.toml").is_file():
        return f"pip install {shlex.quote(str(checkout))}"
    try:
        origin = json.loads(distribution(NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    # https://packaging.python.org/en/latest/specifications/direct-url/; without one it is from an index
    url = origin.get("url", NAME)
    if "vcs_info" in origin:
        url = f"git+{url}@{origin['vcs_info']['commit_id']}"
    elif url.startswith("file://"):
        url = unquote(urlsplit(url).path)
    return f"pip install {shlex.quote(url)}"


def _create(path: str, name: str) -> None:
    """Create the folder and its files atomically. In an existing folder, create the files one by one.

    Raises:
        OSError: It can't be created.
    """
    templates = files("lightning_lite.cli") / "new_app"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Below the parent, so that it is on the same file system, and a rename makes it visible.
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".new-app-") as staging:
        for file, template in _FILES.items():
            target = os.path.join(staging, name, file)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            text = (templates / template).read_text(encoding="utf-8")
            with open(target, "w", encoding="utf-8") as written:
                written.write(Template(text).substitute(name=name, install=_install_command()))
        if os.path.isdir(path):
            for entry in os.listdir(os.path.join(staging, name)):
                shutil.move(os.path.join(staging, name, entry), path)
        else:
            os.rename(os.path.join(staging, name), path)
