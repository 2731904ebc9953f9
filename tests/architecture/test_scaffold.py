"""The files that describe the project agree with it."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import lightning_lite
from lightning_lite.distribution import NAME, __version__

from tests.support.pages import PROJECT


def text(name: str) -> str:
    """Return the content of a file of the repository."""
    return (PROJECT / name).read_text("utf-8")


def test_the_readme_and_the_help_name_every_verb():
    makefile = text("Makefile").replace("\\\n", " ")
    verbs = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()) - {"help"}

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
    newest = re.findall(r"^## \[(.*?)\]", text("CHANGELOG.md"), re.MULTILINE)[0]

    assert newest in {__version__, "Unreleased"}


def test_the_version_is_written_in_one_file_and_is_that_of_the_distribution():
    project = tomllib.loads(text("pyproject.toml"))

    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"]["path"] == "lightning_lite/distribution.py"
    assert lightning_lite.__version__ == __version__ == metadata.version(NAME)


def test_the_name_to_install_is_that_of_the_distribution_everywhere():
    project = tomllib.loads(text("pyproject.toml"))["project"]
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]

    assert project["name"] == NAME
    assert {each.partition("[")[0] for each in extras if re.match("lightning[-_]lite", each)} == {NAME}
    wrong = re.compile(r"lightning[-_]lite\[[a-z]|pip install lightning[-_]lite(?!-apps)", re.IGNORECASE)
    files = [
        *PROJECT.glob("*.md"),
        *(PROJECT / "docs").rglob("*.md"),
        *(PROJECT / "lightning_lite").rglob("*.py"),
    ]
    assert [str(file) for file in files if wrong.search(file.read_text("utf-8"))] == []


def test_the_addresses_of_the_distribution_begin_with_that_of_the_repository():
    pyproject = text("pyproject.toml")
    repository = tomllib.loads(pyproject)["project"]["urls"]["Repository"]

    addresses = re.findall(r"https?://[^\s\"')]+", pyproject)
    assert [address for address in addresses if not address.startswith(repository)] == []


def test_no_test_is_marked_flaky_and_none_may_fail():
    marks = re.compile(r"mark\.(flaky|xfail)|reruns=")
    found = [
        str(file)
        for file in (PROJECT / "tests").rglob("*.py")
        if file != Path(__file__) and marks.search(file.read_text("utf-8"))
    ]

    assert found == []
