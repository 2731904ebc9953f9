"""Colours in text: which sequences are kept, and their meaning."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_lite.colour_codes import RESET, Span, Style, end_colours, read_colours, without_colours
from lightning_lite.harmless_text import HarmlessStream, harmless

#: The characters that this package may write: printable characters, line ends, and colours.
HARMLESS = re.compile(r"(?:[^\x00-\x08\x0b-\x1f\x7f-\x9f]|\x1b\[0[0-9;]*m)*")

SGR = st.from_regex(r"\A\x1b\[[0-9;:]{0,12}m\Z")


def styles(text: str) -> list[tuple[str, Style]]:
    """Return the parts of a line that have a style."""
    plain, spans = read_colours(text)
    return [(plain[span.start : span.end], span.style) for span in spans]


@pytest.mark.parametrize(
    ("parameters", "style"),
    [
        ("31", Style("red")),
        ("97;41", Style("bright_white", "red")),
        ("1;2;3;4;7;9", Style(bold=True, dim=True, italic=True, underline=True, inverse=True, strike=True)),
        ("1;31;22", Style("red")),
        ("38;5;9", Style("bright_red")),
        ("38;5;208", Style("#ff8700")),
        ("48;5;244", Style(bg="#808080")),
        ("38;2;1;2;3;48;2;255;255;255", Style("#010203", "#ffffff")),
        ("38:2::1:2:3", Style("#010203")),
        ("38:5:208", Style("#ff8700")),
        ("4;58;5;3", Style(underline=True)),
        ("58;2;1;7;9;31", Style("red")),
        ("58:2::1:7:9", Style()),
        ("4:3", Style(underline=True)),
        ("4;4:0", Style()),
        ("31;0", Style()),
        ("31;", Style()),
        ("5;6;8", Style()),  # blinking and hidden text
        ("38;5", Style()),
        ("38;5;999", Style()),
        ("38;2;1", Style()),
        ("38;2;999;0;0", Style()),
        ("999", Style()),
    ],
)
def test_sequences_set_a_style(parameters: str, style: Style):
    assert styles(f"\x1b[{parameters}mtext") == ([("text", style)] if style != Style() else [])


@given(st.lists(st.tuples(SGR, st.text("ab", min_size=1, max_size=3))))
def test_a_style_that_is_written_is_read_again(parts: list[tuple[str, str]]):
    text = "".join(sequence + piece for sequence, piece in parts)

    assert read_colours(harmless(text, colours=True)) == read_colours(text)


@given(st.lists(st.one_of(SGR, st.text(), st.sampled_from(["\x1b", "\x1b[", "\x1b[2J", "\n", "\r"]))))
def test_of_any_text_only_colours_reach_a_terminal(parts: list[str]):
    text = harmless("".join(parts), colours=True)

    assert HARMLESS.fullmatch(text)
    for line in text.split("\n"):
        assert end_colours(line) == line  # each line ends its colours
    assert "\x1b" not in without_colours(text)


@given(st.lists(st.one_of(SGR, st.text(), st.sampled_from(["\x1b[31", "\x1b[", "\n", "\r\n"]))), st.data())
def test_chunks_of_any_size_have_the_same_colours(parts: list[str], data: st.DataObject):
    raw = "".join(parts).encode("utf-8", "surrogatepass")
    stream, chunks, place = HarmlessStream(), [], 0
    while place < len(raw):
        size = data.draw(st.integers(1, 9))
        chunks.append(stream.feed(raw[place : place + size]))
        place += size
    chunked = "".join(chunks) + stream.finish()

    assert HARMLESS.fullmatch(chunked)
    whole = HarmlessStream()
    assert chunked == whole.feed(raw) + whole.finish()


def test_each_line_of_a_text_sets_its_own_colours():
    stream = HarmlessStream()

    lines = stream.feed(b"plain \x1b[1;31mred\nred, too\n\nand \x1b[0mplain\n") + stream.finish()

    assert lines == (
        "plain \x1b[0;31;1mred\x1b[0m\n\x1b[0;31;1mred, too\x1b[0m\n\n\x1b[0;31;1mand \x1b[0mplain\n"
    )


def test_a_stream_that_ends_in_a_colour_ends_it():
    stream = HarmlessStream()

    assert stream.feed(b"\x1b[32mgreen") + stream.finish() == "\x1b[0;32mgreen\x1b[0m\n"
    assert stream.feed(b"plain\n") == "plain\n"


@pytest.mark.parametrize("end", ["\x1b", "\x1b[", "\x1b[3", "\x1b[31;"])
def test_an_incomplete_sequence_is_shown_at_the_end(end: str):
    stream = HarmlessStream()

    assert stream.feed(f"text{end}".encode()) == "text"
    assert stream.finish() == f"{end}\n".replace("\x1b", r"\x1b")


def test_a_sequence_that_never_ends_is_shown():
    stream = HarmlessStream()

    shown = stream.feed(b"\x1b[" + b"1;" * 10_000)

    assert shown == r"\x1b[" + "1;" * 10_000


def test_neighbours_with_one_style_are_one_range():
    assert read_colours(f"\x1b[31ma\x1b[0;31mb{RESET}c") == ("abc", [Span(0, 2, Style("red"))])
