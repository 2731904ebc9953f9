"""All decision pages have the same parts."""

from __future__ import annotations

import re

import pytest

from tests.support.pages import PAGES

HEADINGS = ["Question", "Choice", "Why", "Figures", "What it costs", "Rejected"]


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.parent.name == "decisions" and page.name != "index.md"],
    ids=lambda page: page.stem,
)
def test_a_decision_page_has_the_six_headings(page):
    assert re.findall(r"^## (.*)$", page.read_text("utf-8"), re.MULTILINE) == HEADINGS
