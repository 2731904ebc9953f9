"""`lightning-lite clean` removes old runs and changes nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lightning_lite.cli.verbs.clean import Age
from lightning_lite.runs import retention
from lightning_lite.runs.journal import Journal

from tests.cli.verbs import call, is_refused
from tests.support.run_folders import make_run_folder, runs_folder

pytestmark = pytest.mark.dependencies

_DAY = 86_400.0


def make_run(number: int, *, state: str = "stopped", days: float = 0.0) -> Path:
    """Create a run that ended `days` days ago."""
    name, started = f"20260101-00000000{number}-abcdef", "2026-01-01T00:00:00+00:00"
    path = make_run_folder(runs_folder(), name, {"root": "x" * 10_000}, state=state, started=started)
    Journal.create(str(path), "app").close()
    moment = time.time() - days * _DAY
    for name in (path / "run.json", path / "journal.log", path):
        os.utime(name, (moment, moment))
    return path


def left() -> list[int]:
    return sorted(int(path.name[17]) for path in runs_folder().iterdir())


def test_the_newest_are_kept(capfd: pytest.CaptureFixture[str]):
    for number in range(5):
        make_run(number)

    output = call(capfd, "clean", "--keep", "2")

    assert output.code == 0
    assert left() == [3, 4]
    assert output.out.splitlines()[-1].startswith("Removed 3 runs, ")
    assert "20260101-000000002-abcdef  Root  stopped" in output.out


def test_only_runs_that_are_old_enough_are_removed(capfd: pytest.CaptureFixture[str]):
    for number, days in enumerate((30, 10, 6, 0)):
        make_run(number, days=days)

    assert "Removed 2 runs" in call(capfd, "clean", "--older-than", "7d").out
    assert left() == [2, 3]
    assert call(capfd, "clean", "--older-than", "1h", "--keep", "2").out == "There is nothing to remove.\n"
    assert left() == [2, 3]


def test_a_dry_run_removes_nothing_and_prints_what_would_be_removed(capfd: pytest.CaptureFixture[str]):
    make_run(0)

    output = call(capfd, "clean", "--all", "-n", "--json")

    (run,) = output.data["removed"]
    assert (run["id"], run["state"], output.data["dry_run"]) == ("20260101-000000000-abcdef", "stopped", True)
    assert output.data["freed"] == run["size"] >= 10_000
    assert "Would remove 1 run" in call(capfd, "clean", "--keep", "0", "--dry-run").out
    assert left() == [0]


def test_a_run_in_use_is_never_changed(capfd: pytest.CaptureFixture[str]):
    free, used = make_run(0, state="failed"), make_run(1, state="running")
    journal = Journal.open(str(used), "app")

    assert call(capfd, "clean", "--all", "--yes").code == 0
    journal.close()

    assert not free.exists()
    assert (used / "logs" / "root.log").exists()


def test_a_run_that_is_resumed_at_that_moment_is_kept_and_named(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    make_run(0)
    used = make_run(1)
    taken = []

    def take(path: str) -> int:
        if path == str(used):
            taken.append(Journal.open(path, "app"))
        return 0

    monkeypatch.setattr("lightning_lite.cli.verbs.clean.size_of", take)

    output = call(capfd, "clean", "--all", "--yes")
    taken[0].close()

    assert left() == [1]
    assert output.err.startswith("Kept: the run '20260101-000000001-abcdef' is in use by process")
    assert "Removed 1 run" in output.out


def test_without_options_the_same_runs_are_removed_as_by_a_new_run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("lightning_lite.cli.verbs.clean.KEEP_RUNS", 1)
    for number, state in enumerate(("stopped", "failed", "failed", "stopped", "stopped")):
        make_run(number, state=state)

    call(capfd, "clean")

    assert left() == [2, 4]


def test_all_removes_nothing_without_a_terminal_to_ask(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    make_run(0)
    with open(os.devnull) as no_terminal:
        monkeypatch.setattr("sys.stdin", no_terminal)
        is_refused(call(capfd, "clean", "--all"), 2, "--yes")
    assert left() == [0]


def test_all_removes_runs_only_after_the_answer_yes(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    make_run(0)
    controller, terminal = os.openpty()
    with open(controller, "wb", buffering=0) as keys, open(terminal, encoding="ascii") as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        keys.write(b"n\n")
        output = call(capfd, "clean", "--all")
        assert (output.code, left()) == (1, [0])
        assert "Remove 1 run (" in output.err
        assert "Nothing was removed." in output.err

        keys.write(b"y\n")
        assert call(capfd, "clean", "--all").code == 0
    assert left() == []


def test_leftovers_of_a_dead_cleaner_are_removed_too(capfd: pytest.CaptureFixture[str]):
    make_run(0)
    (runs_folder() / ".removed-20250101-000000000-abcdef").mkdir()

    call(capfd, "clean")

    assert left() == [0]


@pytest.mark.parametrize(
    ("text", "seconds"), [("7d", 7 * _DAY), ("1.5h", 5400.0), ("30m", 1800.0), ("0s", 0.0)]
)
def test_ages(text: str, seconds: float):
    assert Age().convert(text, None, None) == seconds


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--older-than", "soon"), "invalid age 'soon'"),
        (("--keep", "-1"), "-1"),
        (("--all", "--keep", "3"), "--all"),
        (("--root", "nowhere"), "nowhere"),
    ],
)
def test_invalid_input_is_refused_in_one_line(
    capfd: pytest.CaptureFixture[str], words: tuple[str, ...], part: str
):
    is_refused(call(capfd, "clean", *words), 2, part)


def test_the_size_is_the_disk_usage(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"x" * 100_000)

    assert retention.size_of(str(tmp_path)) >= 100_000
    assert retention.size_of(str(tmp_path / "nothing")) == 0
