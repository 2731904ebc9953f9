import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_lite.harmless_text import MESSAGE_LIMIT, HarmlessStream, harmless, one_line

NAUGHTY = [
    "[red]",
    "[/x]",
    "[link=file:///etc/passwd]x[/link]",
    ":smile:",
    "\x1b]0;t\x07",
    "\x1b]8;;u\x1b\\",
    "\x1b[2J",
    "\x1b[31mred",
    "\x1bP+q544e\x1b\\",
    "\x9b31m",
    "\x90\x9d\x9c",
    "\r",
    "\x08\x08\x08",
    "\x00\x07\x0b\x0c\x0e\x7f",
    "\u202eevil\u202c",
    "\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "%s%n",
    "{0.__class__}",
    "${jndi:ldap://x}",
    "fine\n2026-11-22 ERROR forged",
    "fine\u2028forged\u2029forged\x85forged",
    "\ud800\udfff",
    "Z\u0352\u031aa\u0363l\u0300g\u0301o",
    "田中さんにあげて下さい 👩‍👩‍👧‍👦 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "\ufeffbom",
    "<script>alert(1)</script>",
    "'; DROP TABLE users; --",
    "CON PRN AUX NUL COM1",
    "../../etc/passwd",
    "\\x1b[2J",
]

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def dangers(text):
    """Return the characters of `text` that control a terminal or a log viewer."""
    controls = [c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") and c not in "\n\t"]
    return controls + [c for c in text if unicodedata.bidirectional(c) in BIDI or c in "\u200e\u200f\u061c"]


@pytest.mark.parametrize("text", NAUGHTY, ids=ascii)
def test_dangerous_text_becomes_harmless(text):
    for given_text in (text, text.encode("utf-8", "surrogatepass"), text.encode("utf-16", "surrogatepass")):
        assert not dangers(harmless(given_text))
        assert not dangers(one_line(given_text))
        assert "\n" not in one_line(given_text)


@given(st.one_of(st.text(), st.binary()))
def test_any_text_becomes_printable(text):
    assert not dangers(harmless(text))
    assert len(one_line(text)) <= MESSAGE_LIMIT
    assert not {"\n", "\t"} & set(one_line(text))


def test_control_characters_become_visible():
    assert harmless("\x1b]0;title\x07") == r"\x1b]0;title\x07"
    assert harmless(b"\x9b31m\xff") == r"\x9b31m\xff"
    assert harmless("\x9b\u202e\u2028\udc80") == r"\x9b\u202e\u2028\udc80"
    assert one_line("a\r\n\tb") == r"a\r\n\tb"


def test_letters_of_all_languages_are_unchanged():
    text = "naïve 田中 👩‍👩‍👧 עברית العربية a\u00a0b\u3000c \ue0b0\n\tindented"

    assert harmless(text) == text
    assert harmless(text.encode()) == text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("\r10%\r20%\r\n", "10%\n20%\n"),
        ("a\rb", "a\nb"),
        ("a\r", "a\n"),
        ("a\r\r\nb", "a\nb"),
        ("\r\r\n", "\n"),
        ("a\n\n\nb", "a\n\n\nb"),
    ],
    ids=ascii,
)
def test_a_carriage_return_ends_a_line_once(raw, expected):
    stream = HarmlessStream()
    one_by_one = "".join(stream.feed(bytes([byte])) for byte in raw.encode()) + stream.finish()

    assert harmless(raw) == expected
    assert one_by_one == expected.removesuffix("\n") + "\n"


def test_a_message_is_cut_at_its_limit():
    assert one_line("x" * 200) == "x" * 200
    assert one_line("x" * 201) == "x" * 197 + "..."
    assert one_line("é".encode() * 150) == "é" * 150
    assert len(one_line("\x1b" * 10_000)) == 200


def test_a_stream_joins_characters_that_chunks_split():
    stream = HarmlessStream()

    texts = [stream.feed(b"\xe2\x82"), stream.feed(b"\xac\n\xe2"), stream.feed(b"x"), stream.finish()]

    assert texts == ["", "€\n", r"\xe2x", "\n"]


def test_an_incomplete_character_at_the_end_is_escaped():
    stream = HarmlessStream()
    stream.feed(b"\xe2\x82")

    assert stream.finish() == r"\xe2\x82" + "\n"
    assert stream.feed(b"again") == "again"


@given(st.lists(st.binary(max_size=50)))
def test_chunks_do_not_change_the_text(chunks):
    whole, cut = HarmlessStream(), HarmlessStream()

    expected = whole.feed(b"".join(chunks)) + whole.finish()
    in_chunks = "".join(map(cut.feed, chunks)) + cut.finish()

    assert in_chunks == expected
    assert not dangers(in_chunks)
