"""A link in the place of the folder of all runs, or of one run, is refused by name, and not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightning_lite import LightningFlow
from lightning_lite.errors import RootRefused

from tests.cli.failing_app import CALLS, STOPS, Root, fail
from tests.cli.verbs import call, is_refused
from tests.support.flows import run_inline

pytestmark = pytest.mark.dependencies

Capture = pytest.CaptureFixture[str]


class Other(LightningFlow):
    def run(self) -> None:
        self.stop()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a root with one failed run, whose call is completed."""
    monkeypatch.setenv(CALLS, str(tmp_path / "calls"))
    fail(tmp_path / "root")
    return tmp_path / "root"


def begin(root: Path, flow: type[LightningFlow] = Root, resume: bool | str = False) -> None:
    run_inline(flow(), root, resume)


def ids(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "runs").iterdir())


def num_calls() -> int:
    return len(Path(os.environ[CALLS]).read_text().splitlines())


def changes(folder: Path) -> dict[Path, int]:
    """Return the time of the last change of all that is in a folder."""
    return {path: path.stat().st_ctime_ns for path in folder.rglob("*")}


def link(path: Path, leads: str = "elsewhere") -> Path:
    """Move a folder elsewhere, put a link in its place, and return where it is now."""
    moved = path.parent.parent / f"moved {path.name}"
    path.rename(moved)
    path.symlink_to(moved if leads == "elsewhere" else path.parent.parent / "unmounted" / path.name)
    return moved


@pytest.mark.parametrize("leads", ["elsewhere", "nowhere"])
@pytest.mark.parametrize("resume", [True, "id"])
def test_a_run_behind_a_link_is_refused_and_goes_on_when_it_is_back(
    root: Path, monkeypatch: pytest.MonkeyPatch, resume: bool | str, leads: str
):
    (run,) = ids(root)
    moved = link(root / "runs" / run, leads)
    before = changes(moved)
    resume = run if resume == "id" else resume

    with pytest.raises(
        RootRefused, match=rf"the run '{run}' can't be resumed from '{root}/runs/{run}': it is a sym"
    ):
        begin(root, resume=resume)
    assert ids(root) == [run], "no new run began"
    assert changes(moved) == before

    (root / "runs" / run).unlink()
    moved.rename(root / "runs" / run)
    monkeypatch.setenv(STOPS, "1")
    begin(root, resume=resume)
    assert ids(root) == [run]
    assert num_calls() == 1


def test_a_link_to_a_run_of_another_app_or_to_a_stopped_one_prevents_no_resume(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    begin(root, Other)
    (failed, other) = ids(root)
    link(root / "runs" / other)
    fail(root, resume=True)
    assert ids(root) == [failed, other]

    monkeypatch.setenv(STOPS, "1")
    begin(root, resume=True)
    link(root / "runs" / failed)
    begin(root, resume=True)
    assert len(ids(root)) == 3, "nothing to resume: a new run"
    assert num_calls() == 2


@pytest.mark.parametrize("leads", ["elsewhere", "nowhere"])
def test_each_verb_names_a_run_behind_a_link(capfd: Capture, root: Path, leads: str):
    begin(root, Other)
    (run, other) = ids(root)
    link(root / "runs" / run, leads)

    listed = {each["id"]: each for each in call(capfd, "ps", "--json", "--root", root).data}
    assert set(listed) == {run, other}
    assert listed[run]["trouble"].startswith("it is a symbolic link; move the folder of the run back")
    assert (listed[run]["works"], listed[run]["command"]) == ({}, None), "nothing in it was read"
    assert (listed[other]["trouble"], listed[other]["state"]) == ("", "stopped")
    assert f"{run}: it is a symbolic link" in call(capfd, "ps", "--root", root).out
    for verb in ("status", "logs", "timeline", "numbers", "resume", "stop", "kill"):
        is_refused(call(capfd, verb, run, "--root", root), 2, run, "is a symbolic link", "back to that place")
    is_refused(call(capfd, "resume", "--root", root), 2, run, "is a symbolic link")

    would = call(capfd, "clean", "--all", "--dry-run", "--json", "--root", root).data
    assert [each["id"] for each in would["removed"]] == [other]
    cleaned = call(capfd, "clean", "--all", "--yes", "--root", root)
    assert "Kept: " in cleaned.err
    assert run in cleaned.err
    assert ids(root) == [run]


@pytest.mark.parametrize("leads", ["elsewhere", "nowhere"])
@pytest.mark.parametrize("resume", [False, True])
def test_an_app_refuses_a_link_in_place_of_all_runs(root: Path, resume: bool, leads: str):
    moved = link(root / "runs", leads)
    before = sorted(moved.rglob("*"))

    with pytest.raises(RootRefused, match=rf"{root}/runs' is a symbolic link; let the root itself be a link"):
        begin(root, resume=resume)

    assert sorted(moved.rglob("*")) == before
    assert num_calls() == 1


@pytest.mark.parametrize("leads", ["elsewhere", "nowhere"])
def test_each_verb_refuses_a_link_in_place_of_all_runs(capfd: Capture, root: Path, leads: str):
    moved = link(root / "runs", leads)
    before = sorted(moved.rglob("*"))

    for words in (["ps"], ["status"], ["logs"], ["clean", "--all", "--yes"], ["resume"], ["stop"]):
        is_refused(call(capfd, *words, "--root", root), 1, f"{root}/runs", "let the root itself be a link")

    assert sorted(moved.rglob("*")) == before


def test_the_root_itself_may_be_a_link(root: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture):
    (root.parent / "link").symlink_to(root)
    monkeypatch.setenv(STOPS, "1")

    begin(root.parent / "link", resume=True)

    assert num_calls() == 1
    assert [run["state"] for run in call(capfd, "ps", "--json", "--root", root.parent / "link").data] == [
        "stopped"
    ]
