"""After kills at any moment, completed calls ran once, others at least once, and the result is right."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.resume import repeated_kills
from tests.support.processes import DEADLINE, run_script

SCRIPT = Path(__file__).with_name("repeated_kills.py")


def start_app(runner="processes", **environment):
    """Start the app of `repeated_kills` in this folder, as a user does."""
    return subprocess.Popen(
        [sys.executable, SCRIPT, "run", runner],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_until_the_end(num_kills, rng, runner="processes"):
    """Kill the app at random moments and resume it until it completes; return the number of kills."""
    kills, environment, done, before = 0, {"RUN_SECONDS": "0.02"}, set(), repeated_kills.ran()
    while True:
        process = start_app(runner, **environment)
        with suppress(subprocess.TimeoutExpired):
            # The start of the app takes half of this time, so that kills fall into the start and the run.
            process.wait(rng.uniform(0.0, 1.2) if kills < num_kills else DEADLINE)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        if process.returncode == 0 or repeated_kills.has_ended():
            repeated_kills.check_end(before, done, kills)
            assert json.loads(out.splitlines()[-1]) == repeated_kills.EXPECTED
            return kills
        if process.returncode != -signal.SIGKILL:
            assert "PoisonCall" in err, err  # three kills came during the same call
            environment["RETRY_FAILED"] = "1"
            done.discard("root.fails 9")
            continue
        kills += 1
        ran = repeated_kills.ran()
        assert [call for call in done if ran[call] != before[call]] == []
        before, done = ran, repeated_kills.completed()
        if "RETRY_FAILED" in environment:
            done.discard("root.fails 9")


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_a_run_that_is_killed_at_random_moments_completes(runner, tmp_path, monkeypatch):
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    kills = 0
    for number in range(100):
        (tmp_path / f"{number}").mkdir()
        monkeypatch.chdir(tmp_path / f"{number}")
        kills += kill_until_the_end(5 - kills, rng, runner)
        if kills >= 5:
            return
    raise AssertionError(f"the app completed before it could be killed; seed {seed}")


@pytest.mark.torture
def test_four_hundred_random_kills(tmp_path, monkeypatch):
    rng = random.Random(4)
    kills = number = 0
    while kills < 400:
        number += 1
        (tmp_path / f"{number}").mkdir()
        monkeypatch.chdir(tmp_path / f"{number}")
        kills += kill_until_the_end(12, rng)


def die_at_points(runner, when, step, **options):
    output = run_script(SCRIPT, "points", runner, when, step, **options)
    return [int(line.split()[0]) for line in output.splitlines()]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_dies_at_some_writes_of_its_journal_completes(when):
    points = die_at_points("inline", when, 8)

    assert len(points) >= 3


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
