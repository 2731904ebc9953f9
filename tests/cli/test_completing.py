"""Completion of the names of runs and works in a shell."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from lightning_lite.cli.main import group

from tests.support.run_folders import make_run_folder, runs_folder

pytestmark = pytest.mark.dependencies

FIRST, SECOND = "20260101-000000000-abcdef", "20260202-000000000-123456"


def complete(*words: str) -> list[str]:
    shell = ShellComplete(group, {}, "lightning-lite", "_LIGHTNING_LITE_COMPLETE")
    return [item.value for item in shell.get_completions(list(words[:-1]), words[-1])]


@pytest.fixture
def runs() -> None:
    """Two runs, each with works of its own."""
    for run, works in ((FIRST, ["root.train"]), (SECOND, ["root.serve", "root.score"])):
        make_run_folder(runs_folder(), run, dict.fromkeys(works, ""), started="2026")


@pytest.mark.usefixtures("runs")
def test_runs_are_completed_by_their_beginning_and_their_end():
    assert complete("timeline", "") == [SECOND, FIRST]
    assert complete("timeline", "202601") == [FIRST]
    assert complete("top", "123456") == [SECOND]
    assert complete("resume", "nothing") == []


@pytest.mark.usefixtures("runs")
def test_works_of_the_typed_run_or_of_the_latest_are_completed():
    assert complete("logs", FIRST, "") == ["root.train"]
    assert complete("stop", "abcdef", "root.") == ["root.train"]
    assert complete("status", "s") == ["score", "serve"]
    assert complete("logs", "") == ["root.score", "root.serve", SECOND, FIRST]


def test_a_missing_root_completes_nothing():
    assert complete("logs", "--root", "nowhere", "") == []
    assert complete("kill", "x") == []
    assert complete("drive", "ls", "") == []


def test_verbs_are_completed():
    assert complete("ti") == ["timeline"]
    assert set(complete("dr") + complete("drive", "t")) == {"drive", "tree"}
