"""The texts of secrets are masked in texts, pickled data and chunks of output, wherever those are cut."""

from __future__ import annotations

import itertools
import json
import pickle
import random
import re
import urllib.parse

import pytest

from lightning_lite import masking
from lightning_lite.masking import MASK, mask, mask_failure, mask_pickled, register
from lightning_lite.messages import Failure
from lightning_lite.runners.output.output_mask import OutputMask


def forget_all():
    """Let no text be registered."""
    masking._texts, masking.forms, masking.byte_forms = {}, (), ()


@pytest.fixture(autouse=True)
def _none_are_registered(monkeypatch):
    for name in ("_texts", "forms", "byte_forms"):
        monkeypatch.setattr(masking, name, getattr(masking, name))  # restored after the test
    forget_all()


def register_only(text):
    """Register a text instead of those that this test has registered before."""
    forget_all()
    register(text)


def printed(chunks, releases=()) -> bytes:
    """Return the output of `OutputMask` for chunks; it is asked to release after those with these numbers."""
    output, parts = OutputMask(), []
    for number, chunk in enumerate(chunks):
        parts.append(output.feed(chunk))
        if number in releases:
            parts.append(output.release())
    return b"".join((*parts, output.finish()))


@pytest.mark.parametrize(
    "text",
    [
        "simple-key",
        "quo\"te's and \\",
        "it's-a-key",
        "line\nof two",
        "é日本語-key",
        'päss"wort-1',
        "tab\tand \x1b",
        "a b&c=d/e",
        "wJalrXUtnFEMI/K7MDENG+bPx",
        "correct horse battery",
    ],
)
def test_a_text_is_found_in_the_forms_that_programs_write(text):
    register(text)
    for write in (
        str,
        repr,
        ascii,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        lambda text: repr([{"key": text}]),
        lambda text: repr(f"the 'key' is \"{text}\""),
        lambda text: ascii(f"the 'key' is \"{text}\""),
        lambda text: repr(text.encode()),
        lambda text: repr(f"the 'key' is \"{text}\"".encode()),
        lambda text: urllib.parse.quote(text, safe=""),
        lambda text: f"postgres://me:{urllib.parse.quote(text)}@db/app",
        lambda text: re.sub("%..", lambda escape: escape[0].lower(), urllib.parse.quote(text)),
        urllib.parse.quote_plus,
        lambda text: urllib.parse.urlencode({"user": "me", "password": text, "next": "/"}),
        lambda text: urllib.parse.quote(f"https://x/?key={text}", safe="!#$%&'()*+,/:;=?@[]~"),  # requests
        lambda text: f"https://x/?key={urllib.parse.quote(text, safe='')}&a=1",
        lambda text: f"before{text}after{text}",
    ):
        written = write(text)
        assert MASK in mask(written), written
        for part in (text, repr(text)[1:-1], json.dumps(text)[1:-1], urllib.parse.quote(text, safe="")):
            assert part not in mask(written), written
            assert part.encode() not in printed([written.encode()]), written


def test_equal_forms_are_searched_for_once():
    register("simple-key")
    register("wJalrXUtnFEMI/K7MDENG+bPx")

    assert masking.forms.count("simple-key") == 1
    assert sorted(masking.forms) == sorted(set(masking.forms))
    assert len(masking.forms) == len(masking.byte_forms) == 6


def test_each_line_of_a_text_is_masked():
    register("-----BEGIN KEY-----\nabcdefgh12345678\n  ijklmnop90\nxy\n-----END KEY-----\n")

    shown = mask("| -----BEGIN KEY-----\n| abcdefgh12345678\n|   ijklmnop90\n| xy\n")

    assert shown == f"| {MASK}\n| {MASK}\n|   {MASK}\n| xy\n"


@pytest.mark.parametrize("inner", ["s3cr3t-key", "two-of\nthe-lines", "é日本語-key"])
def test_whitespace_around_a_text_is_not_replaced(inner):
    for before, after in itertools.product(
        ["", "\n", " \t", "\r\n\r\n", "\u2028"], ["", "\n", "  ", "\r\n", "\n\n \xa0"]
    ):
        text = before + inner + after
        register_only(text)

        assert mask(f"the key is {inner}\nsecond line") == f"the key is {MASK}\nsecond line", repr(text)
        assert mask(f"{text}\n") == f"{before}{MASK}{after}\n"
        shown = printed([f"the key is {inner}\nnext\n".encode()])
        assert shown == f"the key is {MASK}\nnext\n".encode(), repr(text)
        assert inner not in pickle.loads(mask_pickled(pickle.dumps(text)))
        for write in (repr, ascii, json.dumps, lambda text: urllib.parse.quote(text, safe="")):
            assert write(inner).strip("'\"") not in mask(write(text))
        fed = OutputMask().feed(b"a line\n \t\r\n")
        assert fed == b"a line\n \t\r\n", f"something is held back: {text!r}"
        for form in (*masking.forms, *masking.byte_forms):
            assert form == form.strip()


@pytest.mark.parametrize("text", ["\n" * 8, " \t" * 5, "abc\n\n\n\n", "\n  12345"])
def test_whitespace_does_not_make_a_text_long_enough(text):
    register(text)

    assert mask(f"x{text}x") == f"x{text}x"
    assert OutputMask().feed(text.encode()) == text.encode()


@pytest.mark.parametrize("text", ["a", "12345", "é" * 5])
def test_a_short_text_is_not_searched_for(text):
    register(text)

    assert mask(f"x {text} x") == f"x {text} x"
    assert printed([text.encode()]) == text.encode()


def test_a_text_that_contains_another_one_is_masked_as_a_whole():
    register("password")
    register("password-2024-a")
    register("2024-a-long-one")

    assert mask("password-2024-a password 2024-a-long-one") == f"{MASK} {MASK} {MASK}"
    assert printed([b"password-2024-a password"]) == f"{MASK} {MASK}".encode()


@pytest.mark.parametrize(
    "value",
    ["key-1234", ["x", "key-1234"], {"a": "<key-1234>"}, b"key-1234", OSError(2, "x", "key-1234")],
    ids=repr,
)
def test_pickled_data_stays_readable(value):
    register("key-1234")

    data = mask_pickled(pickle.dumps(value))

    assert b"key-1234" not in data
    assert "********" in f"{pickle.loads(data)}"


@pytest.mark.parametrize("text", ["ключ-ключ", "x" * 300, "a\udc80bcdef"])
def test_pickled_texts_of_other_sizes_and_alphabets_stay_readable(text):
    register(text)

    assert set(pickle.loads(mask_pickled(pickle.dumps([text])))[0]) == {"*"}


def test_all_texts_of_a_failure_are_masked():
    register("key-1234")
    failure = Failure(
        "user_exception", "401 for key-1234", "  raise X('key-1234')", pickle.dumps(ValueError("key-1234"))
    )

    masked = mask_failure(failure)

    assert "key-1234" not in repr(masked)
    assert repr(pickle.loads(masked.error)) == "ValueError('********')"
    assert mask_failure(failure._replace(error=None)).error is None


# Output.

OUTPUT = b"first line\nthe key is s3cr3t-s3cr3t! ok\ns3cr3t-s3cr3t\n" + "é s3 s3cr3t-s3cr3".encode()
MASKED = f"first line\nthe key is {MASK}! ok\n{MASK}\né s3 {MASK}".encode()


def test_a_secret_is_masked_wherever_the_output_is_cut_in_two_or_three():
    register("s3cr3t-s3cr3t")
    for first in range(len(OUTPUT) + 1):
        assert printed([OUTPUT[:first], OUTPUT[first:]]) == MASKED
        for second in range(first, len(OUTPUT) + 1, 5):
            assert printed([OUTPUT[:first], OUTPUT[first:second], OUTPUT[second:]]) == MASKED


def test_a_secret_is_masked_if_each_byte_comes_alone():
    register("s3cr3t-s3cr3t")

    assert printed([bytes([byte]) for byte in OUTPUT]) == MASKED


def test_a_secret_is_masked_if_its_beginning_was_released_before():
    register("s3cr3t-s3cr3t")
    for cut in range(1, 13):
        chunks = [b"key: " + b"s3cr3t-s3cr3t"[:cut], b"s3cr3t-s3cr3t"[cut:] + b"\nnext\n"]
        shown = printed(chunks, releases={0})
        begin = b"s3cr3t-s3cr3t"[:cut] if cut < masking.MIN_LENGTH else b""
        assert shown == b"key: " + begin + MASK.encode() + b"\nnext\n"


@pytest.mark.parametrize("other", [b"s3cr", b"s3cr3t-s3cr", b"s3cr3t-s3cr3T", b"\xff\xfe", b""])
def test_what_only_looks_like_the_beginning_is_kept(other):
    register("s3cr3t-s3cr3t")

    assert printed([other[:4], other[4:] + b"\n", b"next\n"], releases={0}) == other + b"\nnext\n"


def test_random_output_in_random_chunks_is_masked_as_a_whole():
    rng = random.Random(11)
    for _ in range(200):
        alphabet = "ab" if rng.random() < 0.5 else "abc\n"
        texts = ["".join(rng.choices(alphabet, k=rng.randint(6, 9))) for _ in range(rng.randint(1, 3))]
        forget_all()
        texts = [text for text in texts if len(text.strip()) >= masking.MIN_LENGTH]
        for text in texts:
            register(text)
        data = b"".join(
            rng.choice([text.encode() for text in texts])
            if texts and rng.random() < 0.3
            else rng.choice([b"a", b"b", b"\n", b"xyz"])
            for _ in range(40)
        )
        chunks, place = [], 0
        while place < len(data):
            size = rng.randint(1, 12)
            chunks.append(data[place : place + size])
            place += size

        shown = printed([*chunks, b"#"], {n for n in range(len(chunks)) if rng.random() < 0.3})

        for text in texts:
            assert text.strip().encode() not in shown, (texts, data, chunks)
        assert shown.startswith(data[: len(data) - len(data.lstrip())])


def test_without_secrets_the_output_is_passed_on_as_it_is():
    data = b"x" * 70_000

    assert OutputMask().feed(data) is data
