"""After kills at any moment, completed calls ran once, others at least once, and the result is right."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.support.processes import run_script

SCRIPT = Path(__file__).with_name("repeated_kills.py")


def kill_at_random_moments(runner, kills, seed, **options):
    """Kill the app of `repeated_kills` in forks of one process, which need not import anything again."""
    run_script(SCRIPT, "random", runner, kills, seed, env={**os.environ, "RUN_SECONDS": "0.02"}, **options)


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_a_run_that_is_killed_at_random_moments_completes(runner):
    kill_at_random_moments(runner, 4, random.randrange(1 << 30))


@pytest.mark.torture
def test_four_hundred_random_kills():
    kill_at_random_moments("processes", 400, 4, timeout=None)


def die_at_points(runner, when, step, **options):
    output = run_script(SCRIPT, "points", runner, when, step, **options)
    return [int(line.split()[0]) for line in output.splitlines()]


def test_a_run_that_dies_at_some_writes_of_its_journal_completes():
    """Half of the kills come before the write, and half after it."""
    points = die_at_points("inline", "before,after", 6)

    assert len(points) >= 4


@pytest.mark.torture
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("runner", ["inline", "processes"])
def test_a_run_that_dies_at_any_write_of_its_journal_completes(runner, when):
    points = die_at_points(runner, when, 1, timeout=None)

    assert points == list(range(1, len(points) + 1))
    assert len(points) >= 25


def test_of_two_resumers_one_continues_the_run_and_the_other_names_it():
    run_script(SCRIPT, "races", 4)


@pytest.mark.torture
def test_eighty_races_of_two_resumers():
    run_script(SCRIPT, "races", 80, timeout=None)
