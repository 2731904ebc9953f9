"""The counter of unclear words finds clauses without a noun, but no questions."""

from __future__ import annotations

import pytest

from tools.plain_english import finds


@pytest.mark.parametrize(
    "text",
    [
        "Return what was asked for.",
        "What is there is kept.",
        "It refuses what the runner needs.",
        "Give it to who asks.",
        "Anybody can read it.",
    ],
)
def test_a_clause_without_a_noun_counts(text: str):
    assert len([*finds(text)]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The error says what failed.",
        "An error says which call has failed, and what to do.",
        "The test decides what counts.",
        "What happens after that?",
        "A user who owns the root may write.",
        "Args: what: The subject.",
        "## What it costs",
    ],
)
def test_a_question_does_not_count(text: str):
    assert [*finds(text)] == []
