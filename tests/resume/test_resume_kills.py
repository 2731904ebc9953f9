"""Kill -9 at any moment, and go on: what was completed ran once, the rest at least once, the end is right."""

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

from tests.resume import storm

SCRIPT = Path(__file__).with_name("storm.py")

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 100


def begin(runner="processes", **environment):
    """Start the app of the storm in this folder, as a user does."""
    return subprocess.Popen(
        [sys.executable, SCRIPT, "run", runner],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def weather(num_kills, rng, runner="processes"):
    """Kill the app at random moments and let it go on, until it has come to its end."""
    kills, environment, done, before = 0, {"STORM_PAUSE": "0.02"}, set(), storm.ran()
    while True:
        process = begin(runner, **environment)
        with suppress(subprocess.TimeoutExpired):
            # Half of the time goes by until the app is up; kills shall fall on that and on what follows.
            patience = rng.uniform(0.0, 1.2) if kills < num_kills else DEADLINE
            process.wait(patience)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        if process.returncode == 0 or storm.is_over():
            storm.look(before, done, kills)
            assert json.loads(out.splitlines()[-1]) == storm.EXPECTED
            return kills
        if process.returncode != -signal.SIGKILL:
            assert "PoisonCall" in err, err  # three kills have met the same call
            environment["STORM_RETRY"] = "1"
            done.discard("root.fails 9")
            continue
        kills += 1
        ran = storm.ran()
        assert [call for call in done if ran[call] != before[call]] == []
        before, done = ran, storm.completed()
        if "STORM_RETRY" in environment:
            done.discard("root.fails 9")


@pytest.mark.parametrize("runner", ["processes", "inline"])
def test_a_run_that_is_killed_at_random_moments_goes_on_to_its_end(runner, tmp_path, monkeypatch):
    seed = random.randrange(1 << 30)
    rng = random.Random(seed)
    kills = 0
    for number in range(100):
        (tmp_path / f"{number}").mkdir()
        monkeypatch.chdir(tmp_path / f"{number}")
        kills += weather(10 - kills, rng, runner)
        if kills >= 10:
            return
    raise AssertionError(f"the app came to its end before it could be killed; seed {seed}")


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_a_thousand_random_kills(tmp_path, monkeypatch):
    rng = random.Random(4)
    kills = number = 0
    while kills < 1000:
        number += 1
        (tmp_path / f"{number}").mkdir()
        monkeypatch.chdir(tmp_path / f"{number}")
        kills += weather(12, rng)


def storm_with(*arguments):
    """Run the script in one of its other ways."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def die_at_points(runner, when, step):
    return [int(line.split()[0]) for line in storm_with("points", runner, when, step)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_dies_at_a_write_of_its_journal_goes_on_to_its_end(when):
    points = die_at_points("inline", when, 4)

    assert len(points) >= 6


@pytest.mark.torture
@pytest.mark.timeout(0)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("runner", ["inline", "processes"])
def test_a_run_that_dies_at_any_write_of_its_journal_goes_on_to_its_end(runner, when):
    points = die_at_points(runner, when, 1)

    assert points == list(range(1, len(points) + 1))
    assert len(points) >= 25


def test_of_two_that_want_to_resume_a_run_one_wins_and_the_other_names_it():
    storm_with("races", 10)


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_two_hundred_races_of_two_resumers():
    storm_with("races", 200)
