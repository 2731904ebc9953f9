"""Each row of the tables on the page about Lightning Apps names a test that exists."""

from __future__ import annotations

import re

from tests.support.pages import PROJECT

PAGE = (PROJECT / "docs/lightning-apps.md").read_text("utf-8")

#: The cells of the last column where the head of the table says `test`, one list per table.
TABLES = [
    [line.strip("| \n").rpartition("|")[2].strip() for line in table.splitlines()[2:]]
    for table in re.findall(r"^\|[^\n]*\| test \|\n(?:\|.*\n)+", PAGE, re.MULTILINE)
]

DEFINED = {
    name
    for file in (PROJECT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
}


def test_the_page_has_tables_with_tests():
    assert len(TABLES) >= 5


def test_each_row_names_a_test_that_exists():
    cells = [cell for table in TABLES for cell in table]

    assert [cell for cell in cells if cell.strip("`") not in DEFINED] == []


def test_each_test_that_the_page_names_exists():
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= DEFINED
