"""Sizes and durations on the page, which are written as in the terminal."""

import pytest

from tests.support.format_cases import DURATIONS, SIZES

_WRITE = """async ([name, values]) => {
    const format = await import("/static/format.js");
    return values.map((value) => format[name](value));
}"""


@pytest.mark.parametrize(("name", "cases"), [("size", SIZES), ("duration", DURATIONS)])
def test_the_page_writes_the_texts_of_the_terminal(shown, visit, name, cases):
    tab = visit(shown)
    values, texts = zip(*cases, strict=True)
    assert tab.page.evaluate(_WRITE, [name, list(values)]) == list(texts)
