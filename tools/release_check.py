"""Look whether this commit can be released, and write the text of its tag.

Usage: python tools/release_check.py

It prints one line for each thing that is in the way, with what to do, and exits with 1; else it writes the
text of the tag into dist/tag.txt and prints the commands of the release. `make release-check` builds and
tests the wheel first.
"""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from lightning_lite.distribution import NAME, __version__

PROJECT = Path(__file__).parents[1]

_SECTION = re.compile(
    r"^## \[(?P<version>[^]]*)\](?: - (?P<date>\S+))?\n(?P<text>.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")

#: No one can register a host in this domain (RFC 2606), so an address in it is a placeholder.
_PLACEHOLDER = re.compile(r"^https?://[^/]*\.example(/|$)")


def tree_trouble(project: Path, version: str) -> Iterator[str]:
    """Yield the faults of the checkout: changes without a commit, or a tag of another commit.

    Args:
        project: Folder of the checkout.
        version: The version to be released.
    """
    changed = [line[3:] for line in _git(project, "status", "--porcelain").splitlines()]
    if changed:
        yield f"The checkout has changes without a commit; commit or remove them: {', '.join(changed)}"
    tag = f"v{version}"
    tagged = _git(project, "tag", "--list", tag) and _git(project, "rev-parse", f"{tag}^{{commit}}")
    if tagged and tagged != _git(project, "rev-parse", "HEAD"):
        source = "lightning_lite/distribution.py"
        yield f"The tag {tag} is on another commit, {tagged[:12]}; raise __version__ in {source}."


def changelog_trouble(changelog: str, version: str, today: datetime.date) -> Iterator[str]:
    r"""Yield the faults of the newest section of a changelog: its version, its date, or its text.

    Args:
        changelog: The text of the file.
        version: The version to be released.
        today: The date of today.

    Example:
        >>> list(changelog_trouble("## [1.0] - 2026-01-02\n\nNew.\n", "1.0", datetime.date(2026, 1, 2)))
        []
    """
    section = _SECTION.search(changelog)
    heading = f"## [{version}] - {today.isoformat()}"
    if section is None or section["version"] != version:
        found = f"[{section['version']}]" if section else "none"
        yield f"The newest section of CHANGELOG.md is {found}; its heading has to be {heading!r}."
        return
    try:
        date = datetime.date.fromisoformat(section["date"] or "")
    except ValueError:
        yield f"Section [{version}] of CHANGELOG.md has the date {section['date']!r}; write {heading!r}."
        return
    if date > today:
        yield f"Section [{version}] of CHANGELOG.md has the date {date}, which is to come; write {heading!r}."
    if not section["text"].strip():
        yield f"Section [{version}] of CHANGELOG.md is empty; say what users notice."


def wheel_trouble(wheel: Path, project: Path, version: str) -> Iterator[str]:
    """Yield the faults of the description and the addresses in a wheel.

    Args:
        wheel: The file of the wheel.
        project: Folder of the checkout; files that links name have to be there.
        version: The version to be released.
    """
    if not wheel.exists():
        yield f"There is no {wheel}; build it: make build"
        return
    with zipfile.ZipFile(wheel) as archive:
        folder = zipfile.Path(archive, f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info/")
        about = metadata.PathDistribution(folder).metadata
    if (about["Name"], about["Version"]) != (NAME, version):
        yield f"{wheel} is {about['Name']} {about['Version']}, not {NAME} {version}; build it: make build"
        return
    addresses = dict(line.split(", ", 1) for line in about.get_all("Project-URL", []))
    if any(map(_PLACEHOLDER.match, addresses.values())):
        yield "The addresses in pyproject.toml are placeholders; write those of the public repository."
    files = f"{addresses.get('Repository', '')}/blob/v{version}/"
    for link in _LINK.finditer(about["Description"]):
        target, _, _ = link["target"].partition("#")
        if not target:
            continue
        name = target.removeprefix(files)
        if not re.match("https?://", target):
            yield f"README.md links to {target!r}, which the wheel leaves relative; see pyproject.toml."
        elif name != target and not (project / name).exists():
            yield f"README.md links to {name!r}, which is not in this commit; correct it."


def tag_text(changelog: str, version: str) -> str:
    r"""Return the text of the annotated tag of a version: a title, and the section of the changelog.

    Args:
        changelog: The text of the file.
        version: A version that has a section.

    Example:
        >>> tag_text("## [1.0] - 2026-01-02\n\n- New.\n", "1.0")
        'lightning_lite 1.0\n\n- New.\n'
    """
    text = next(found["text"] for found in _SECTION.finditer(changelog) if found["version"] == version)
    return f"lightning_lite {version}\n\n{text.strip()}\n"


def main() -> int:
    """Print the obstacles of a release, or how to make it; return the exit code."""
    changelog = (PROJECT / "CHANGELOG.md").read_text("utf-8")
    wheel = PROJECT / "dist" / f"{NAME.replace('-', '_')}-{__version__}-py3-none-any.whl"
    trouble = [
        *tree_trouble(PROJECT, __version__),
        *changelog_trouble(changelog, __version__, datetime.date.today()),
        *wheel_trouble(wheel, PROJECT, __version__),
    ]
    for line in trouble:
        print(line, file=sys.stderr)
    if trouble:
        return 1
    (PROJECT / "dist/tag.txt").write_text(tag_text(changelog, __version__), "utf-8")
    print(f"{NAME} {__version__} can be released:")
    print(f"  git tag --annotate v{__version__} --file dist/tag.txt --cleanup verbatim")
    print(f"  git push origin v{__version__}")
    print("  .venv/bin/python -m twine upload dist/*.whl dist/*.tar.gz")
    return 0


def _git(project: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=project, capture_output=True, text=True, check=True)
    return done.stdout.rstrip()


if __name__ == "__main__":
    sys.exit(main())
