"""Sizes and durations on the page, which are written as in the terminal."""

from tests.support.format_cases import DURATIONS, SIZES

_WRITE = """async ([name, values]) => {
    const format = await import("/static/format.js");
    return values.map((value) => format[name](value));
}"""


def test_the_page_writes_the_texts_of_the_terminal(shown, visit):
    tab = visit(shown)
    for name, cases in (("size", SIZES), ("duration", DURATIONS)):
        values, texts = zip(*cases, strict=True)
        assert tab.page.evaluate(_WRITE, [name, list(values)]) == list(texts), name
