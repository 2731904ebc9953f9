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
