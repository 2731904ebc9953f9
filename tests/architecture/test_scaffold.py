"""What is written about the house agrees with the house."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

HOUSE = Path(__file__).parents[2]


def text(name: str) -> str:
    """Return the content of a file of the house."""
    return (HOUSE / name).read_text("utf-8")


def test_the_readme_and_the_help_name_every_verb():
    verbs = set(re.findall(r"^\.PHONY: (.*)$", text("Makefile"), re.MULTILINE)[0].split()) - {"help"}

    assert set(re.findall(r"^\| `make ([\w-]+)` \|", text("README.md"), re.MULTILINE)) == verbs
    assert set(re.findall(r'echo "make ([\w-]+)', text("Makefile"))) == verbs


def test_the_badges_of_the_readme_are_true():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    versions = [
        each.rpartition(" ")[2] for each in project["classifiers"] if re.search(r"Python :: 3\.\d+$", each)
    ]
    badges = re.findall(
        r"^\[!\[(.*?)\]\(https://img\.shields\.io/badge/(\S+)-blue\)\]", text("README.md"), re.MULTILINE
    )

    assert badges == [
        (f"Python {', '.join(versions)}", f"python-{'_%7C_'.join(versions)}"),
        (f"Licence {project['license']}", f"licence-{project['license'].replace('-', '--')}"),
        ("Types checked by mypy, strict", "types-mypy_strict"),
    ]
    assert tomllib.loads(text("pyproject.toml"))["tool"]["mypy"]["strict"] is True


def test_the_newest_version_of_the_changelog_is_that_of_the_package_or_not_yet_released():
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    newest = re.findall(r"^## \[(.*?)\]", text("CHANGELOG.md"), re.MULTILINE)[0]

    assert newest in {version, "Unreleased"}


def test_no_test_is_marked_flaky_and_none_may_fail():
    marks = re.compile(r"mark\.(flaky|xfail)|reruns=")
    found = [
        str(file)
        for file in (HOUSE / "tests").rglob("*.py")
        if file != Path(__file__) and marks.search(file.read_text("utf-8"))
    ]

    assert found == []
