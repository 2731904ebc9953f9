"""Each program on the pages runs and prints the text below it; each link has a target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts
from tests.support.pages import PAGES, PROJECT, Program, programs, run_program

#: Programs on pages that are files, too, which `make check` gives to mypy and pyright.
TYPED = {"README.md": "examples/first_app.py", "docs/types.md": "tests/typed_project/app.py"}

#: Its programs are steps, which one test runs in one folder.
TUTORIAL = "docs/tutorial.md:"

LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize(
    "program",
    [
        program
        for program in programs()
        if not program.needs_large_packages and not program.place.startswith(TUTORIAL)
    ],
    ids=lambda program: program.place,
)
def test_a_program_prints_the_text_below_it(program: Program, own_place: Path, forked_scripts: ForkedScripts):
    assert run_program(program, own_place, forked_scripts) == program.printed


def test_each_step_of_the_tutorial_runs_twice_in_one_folder(own_place: Path, forked_scripts: ForkedScripts):
    steps = [program for program in programs() if program.place.startswith(TUTORIAL)]
    assert len(steps) > 1
    for step in steps:
        assert run_program(step, own_place, forked_scripts) == step.printed, step.place
        run_program(step, own_place, forked_scripts)  # fails if its process does


@pytest.mark.parametrize(("page", "file"), TYPED.items())
def test_a_typed_program_on_a_page_is_the_one_that_is_checked(page: str, file: str):
    first = next(program for program in programs() if program.place.startswith(f"{page}:"))

    assert (PROJECT / file).read_text("utf-8").endswith(first.source)


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as used in links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def has_target(page: Path, link: re.Match[str]) -> bool:
    """Return whether the file of a link exists and has the heading, if the link names one."""
    target = page.parent / link["file"] if link["file"] else page
    if not target.exists():
        return False
    return not link["heading"] or link["heading"] in map(anchor, HEADING.findall(target.read_text("utf-8")))


def test_every_link_of_a_page_has_a_target():
    links = [(page, link) for page in PAGES for link in LINK.finditer(page.read_text("utf-8"))]

    assert len(links) > len(PAGES)
    assert [f"{page}: {link[0]}" for page, link in links if not has_target(page, link)] == []
