"""Folders that are no roots, and runs of which there are only files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.verbs import call, says_in_one_line
from tests.support.run_folders import make_run_folder

pytestmark = pytest.mark.dependencies

Capture = pytest.CaptureFixture[str]

VERBS = ["ps", "status", "top", "logs", "stop", "kill", "stack", "resume"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_root_that_is_none_is_refused_by_every_verb(tmp_path: Path, capfd: Capture, verb: str):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    says_in_one_line(
        call(capfd, verb, "--root", tmp_path / "nowhere"), 2, "nowhere", "no such folder", "--root"
    )
    says_in_one_line(call(capfd, verb, "--root", tmp_path / "file"), 2, "it is a file")
    says_in_one_line(call(capfd, verb, "--root", tmp_path / "empty"), 2, "no app has ever run in it")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may look everywhere")
def test_a_root_that_is_not_open_is_refused(tmp_path: Path, capfd: Capture):
    (tmp_path / "root").mkdir(mode=0)

    says_in_one_line(call(capfd, "ps", "--root", tmp_path / "root"), 2, "Permission denied: ")


def test_a_root_without_a_run_says_so(tmp_path: Path, capfd: Capture):
    (tmp_path / "runs").mkdir()

    assert call(capfd, "ps", "--root", tmp_path).out == f"There is no run in {tmp_path}.\n"
    assert call(capfd, "ps", "--json", "--root", tmp_path).data == []
    says_in_one_line(call(capfd, "status", "--root", tmp_path), 2, "there is no run")


def test_ps_lists_the_latest_runs_first_and_no_more_than_are_wanted(tmp_path: Path, capfd: Capture):
    names = [f"20260101-0000000{number:02}-abcdef" for number in range(25)]
    for name in names:
        facts = {"started": "2026-01-01T00:00:00+00:00", "works": {"succeeded": 1}}
        make_run_folder(tmp_path / "runs", name, state="stopped", **facts)

    shown = call(capfd, "ps", "--root", tmp_path).out.splitlines()

    assert [line.split()[0] for line in shown[1:-1]] == names[:4:-1]
    assert shown[-1] == "... and 5 older ones: lightning-lite ps --all"
    assert len(call(capfd, "ps", "-a", "--root", tmp_path).out.splitlines()) == 26
    assert len(call(capfd, "ps", "--json", "--root", tmp_path).data) == 25
    says_in_one_line(call(capfd, "status", "20260101", "--root", tmp_path), 2, "fits 25 runs", "and 20 more")


def test_ps_calls_works_as_status_does_when_the_run_has_ended(tmp_path: Path, capfd: Capture):
    works = {"started": 1, "not started": 2, "stopped": 1}
    make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef", state="interrupted", works=works)

    (run,) = call(capfd, "ps", "--json", "--root", tmp_path).data
    assert run["works"] == {"not started": 3, "stopped": 1}


def test_what_is_not_known_of_a_run_is_left_out(tmp_path: Path, capfd: Capture):
    path = make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef")
    (path / "run.json").write_text("garbage")

    assert call(capfd, "ps", "--json", "--root", tmp_path).data[0]["state"] == "unknown"
    assert "unknown" in call(capfd, "ps", "--root", tmp_path).out
    assert call(capfd, "status", "--json", "--root", tmp_path).data["works"] == []
    assert call(capfd, "status", "--root", tmp_path).code == 0
    assert call(capfd, "logs", "--root", tmp_path).out == ""
    says_in_one_line(call(capfd, "stop", "--root", tmp_path), 2, "does not say how it ended")


def test_text_that_could_drive_a_terminal_is_made_visible(tmp_path: Path, capfd: Capture):
    make_run_folder(
        tmp_path / "runs",
        "20260101-000000000-abcdef",
        state="stopped",
        command=["\x1b[2J"],
        works={"\x1b]0;": 1},
    )

    assert "\x1b" not in call(capfd, "ps", "--root", tmp_path).out
    assert "\x1b" not in call(capfd, "status", "--root", tmp_path).out


def test_a_damaged_journal_is_told_and_the_rest_shown(tmp_path: Path, capfd: Capture):
    path = make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef", state="failed")
    (path / "journal.log").write_text("no journal")

    said = call(capfd, "status", "--root", tmp_path)

    assert said.code == 0
    assert "Not all can be seen" in said.out
    assert "failed" in said.out.splitlines()[0]


def test_works_of_a_long_run_that_died_are_counted_without_its_journal(tmp_path: Path, capfd: Capture):
    """A journal that is refused shows that it was not read."""
    path = make_run_folder(
        tmp_path / "runs", "20260101-000000000-abcdef", state="running", works={"running": 2, "succeeded": 1}
    )
    (path / "journal.log").write_bytes(b"no journal" * 100_000)

    said = call(capfd, "ps", "--root", tmp_path)

    assert "2 lost, 1 succeeded" in said.out
