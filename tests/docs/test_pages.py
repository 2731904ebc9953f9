"""Each program on the pages runs and prints the text below it; each link has a target."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.processes import run_script

PROJECT = Path(__file__).parents[2]
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]

PROGRAM = re.compile(
    r"^```python\n(?P<source>.*?)^```$(?:\n\n^```text\n(?P<printed>.*?)^```$)?", re.DOTALL | re.MULTILINE
)
#: Programs on pages that are files, too, which `make check` gives to mypy and pyright.
TYPED = {"README.md": "examples/first_app.py", "docs/types.md": "tests/typed_project/app.py"}

LINK = re.compile(r"\]\((?!https?:)(?P<file>[^)#\s]*)(?:#(?P<heading>[^)\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


class Program(NamedTuple):
    """A program on a page, and its expected output."""

    place: str
    source: str
    printed: str


def programs() -> list[Program]:
    """Return the programs of all pages, in order."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in PROGRAM.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Program(f"{page.name}:{line}", match["source"], match["printed"] or ""))
    return found


@pytest.mark.parametrize("program", programs(), ids=lambda program: program.place)
def test_a_program_prints_the_text_below_it(program: Program, own_place: Path):
    script = own_place / "app.py"
    script.write_text(program.source, "utf-8")

    assert run_script(script) == program.printed


@pytest.mark.parametrize(("page", "file"), TYPED.items())
def test_a_typed_program_on_a_page_is_the_one_that_is_checked(page: str, file: str):
    program = PROGRAM.search((PROJECT / page).read_text("utf-8"))

    assert program is not None
    assert (PROJECT / file).read_text("utf-8").endswith(program["source"])


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
