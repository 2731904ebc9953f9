"""Sizes and durations in the terminal; `tests/browser/test_formats_of_the_page.py` has them on the page."""

import pytest

from lightning_lite.quantity_text import format_bytes, format_seconds

from tests.support.format_cases import DURATIONS, SIZES


@pytest.mark.parametrize(("nbytes", "text"), SIZES)
def test_a_size(nbytes, text):
    assert format_bytes(nbytes) == text


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_a_duration(seconds, text):
    assert format_seconds(seconds) == text
