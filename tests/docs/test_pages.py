"""Each program on the pages runs and prints the text below it; each link has a target."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.pages import PAGES, PROJECT, Program, programs, run_program

LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@pytest.mark.parametrize(
    "program",
    [program for program in programs() if not program.needs_large_packages],
    ids=lambda program: program.place,
)
def test_a_program_prints_the_text_below_it(program: Program, own_place: Path):
    assert run_program(program, own_place) == program.printed


def anchor(heading: str) -> str:
    """Return the anchor of a heading, as used in links."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_of_a_page_has_a_target(page: Path):
    for match in LINK.finditer(page.read_text("utf-8")):
        target = page.parent / match["file"] if match["file"] else page
        assert target.exists(), match[0]
        if match["heading"]:
            assert match["heading"] in map(anchor, HEADING.findall(target.read_text("utf-8"))), match[0]
