"""Folders that are not a root, and runs that have ended and left incomplete files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightning_lite.runs.journal import Journal

from tests.cli.verbs import call, is_refused
from tests.support.run_folders import make_run_folder
from tests.support.users import ALICE, act_as, folder_for_all, needs_users

pytestmark = pytest.mark.dependencies

Capture = pytest.CaptureFixture[str]

VERBS = ["ps", "status", "top", "logs", "stop", "kill", "stack", "resume"]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_refuses_a_folder_that_is_not_a_root(tmp_path: Path, capfd: Capture, verb: str):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()

    is_refused(call(capfd, verb, "--root", tmp_path / "nowhere"), 2, "nowhere", "no such folder", "--root")
    is_refused(call(capfd, verb, "--root", tmp_path / "file"), 2, "it is a file")
    is_refused(call(capfd, verb, "--root", tmp_path / "empty"), 2, "no app has ever run in it")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read all folders")
def test_a_root_without_permission_is_refused(tmp_path: Path, capfd: Capture):
    (tmp_path / "root").mkdir(mode=0)

    is_refused(call(capfd, "ps", "--root", tmp_path / "root"), 2, "Permission denied: ")


def test_ps_where_no_app_has_run_yet_is_an_empty_list(tmp_path: Path, capfd: Capture, monkeypatch):
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(tmp_path / "nowhere"))

    assert call(capfd, "ps") == (0, f"There is no run in {tmp_path / 'nowhere'}.\n", "")
    assert call(capfd, "ps", "--json") == (0, "[]\n", "")
    assert call(capfd, "ps", "-q", "--running") == (0, "", "")
    assert not (tmp_path / "nowhere").exists()


def test_a_root_without_runs_has_an_empty_list(tmp_path: Path, capfd: Capture):
    (tmp_path / "runs").mkdir()

    assert call(capfd, "ps", "--root", tmp_path).out == f"There is no run in {tmp_path}.\n"
    assert call(capfd, "ps", "--json", "--root", tmp_path).data == []
    is_refused(call(capfd, "status", "--root", tmp_path), 2, "there is no run")


def test_ps_lists_the_latest_runs_first_and_limits_their_number(tmp_path: Path, capfd: Capture):
    names = [f"20260101-0000000{number:02}-abcdef" for number in range(25)]
    for name in names:
        facts = {"started": "2026-01-01T00:00:00+00:00", "works": {"succeeded": 1}}
        make_run_folder(tmp_path / "runs", name, state="stopped", **facts)

    shown = call(capfd, "ps", "--root", tmp_path).out.splitlines()

    assert [line.split()[0] for line in shown[1:-1]] == names[:4:-1]
    assert shown[-1] == "... and 5 older ones: lightning-lite ps --all"
    assert len(call(capfd, "ps", "-a", "--root", tmp_path).out.splitlines()) == 26
    assert len(call(capfd, "ps", "--json", "--root", tmp_path).data) == 25
    is_refused(call(capfd, "status", "20260101", "--root", tmp_path), 2, "matches 25 runs", "and 20 more")


def test_ps_names_the_states_of_an_ended_run_as_status_does(tmp_path: Path, capfd: Capture):
    works = {"started": 1, "not started": 2, "stopped": 1}
    make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef", state="interrupted", works=works)

    (run,) = call(capfd, "ps", "--json", "--root", tmp_path).data
    assert run["works"] == {"not started": 3, "stopped": 1}


def test_a_run_with_a_damaged_run_json_is_listed_as_unknown(tmp_path: Path, capfd: Capture):
    path = make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef")
    (path / "run.json").write_text("garbage")

    assert call(capfd, "ps", "--json", "--root", tmp_path).data[0]["state"] == "unknown"
    assert "unknown" in call(capfd, "ps", "--root", tmp_path).out
    assert call(capfd, "status", "--json", "--root", tmp_path).data["works"] == []
    assert call(capfd, "status", "--root", tmp_path).code == 0
    assert call(capfd, "logs", "--root", tmp_path).out == ""
    is_refused(call(capfd, "stop", "--root", tmp_path), 2, "run.json can't be read: it is not JSON")


def test_a_run_whose_start_was_cut_short_says_so_and_is_not_the_latest_run(tmp_path: Path, capfd: Capture):
    runs, cut_short = tmp_path / "runs", "20991201-021714367-dd9aac"
    (runs / cut_short / "logs").mkdir(parents=True)
    (runs / cut_short / "run.json.new").touch()
    why = "it has no run.json: its start was cut short"

    assert why in call(capfd, "status", "--root", tmp_path).out  # there is no other run
    earlier = "20260101-000000000-abcdef"
    make_run_folder(runs, earlier, {"root.train": "a line\n"}, state="stopped")

    latest, _ = call(capfd, "ps", "--json", "--root", tmp_path).data
    assert (latest["id"], latest["state"]) == (cut_short, "unknown")
    assert latest["trouble"].startswith(why)
    assert f"{cut_short}: {why}" in call(capfd, "ps", "--root", tmp_path).out
    assert why in call(capfd, "status", cut_short, "--root", tmp_path).out
    assert call(capfd, "logs", "--root", tmp_path).out == "root.train | a line\n"
    assert earlier in call(capfd, "status", "--root", tmp_path).out
    is_refused(call(capfd, "resume", cut_short, "--root", tmp_path), 2, why)

    assert call(capfd, "clean", "--all", "--yes", "--root", tmp_path).code == 0
    assert os.listdir(runs) == []


@needs_users
def test_a_run_that_its_user_may_not_read_is_named_and_the_others_are_shown(capfd: Capture):
    def make(root: Path) -> list[str]:
        names = ["20260101-000000000-abcdef", "20260102-000000000-abcdef"]
        for name in names:
            path = make_run_folder(
                root / "runs", name, {"root.train": "a line\n"}, state="failed", identity="a"
            )
            Journal.create(str(path), "a").close()
        path.chmod(0)
        return names

    def show(root: Path, *words: str) -> tuple[int, str, str]:
        output = act_as(ALICE, lambda: call(capfd, *words, "--root", root))
        return output.code, output.out, output.err

    with folder_for_all(ALICE) as folder:
        root = folder / str(ALICE.uid) / "root"
        readable, denied = make(folder / "of root")
        for words in (
            ["ps"],
            ["status"],
            ["logs"],
            ["timeline"],
            ["numbers"],
            ["resume"],
            ["stop"],
            ["clean"],
        ):
            call(capfd, *words, "--root", folder / "of root")  # imports modules that Alice may not read
        act_as(ALICE, lambda: make(root))
        trouble = "its folder can't be read: Permission denied"

        for words in (["ps"], ["ps", "-a"]):
            code, out, err = show(root, *words)
            assert (code, err) == (0, "")
            assert out.splitlines()[1].split() == [denied, "?", "unknown", "none"]
            assert out.splitlines()[2].split() == [readable, "Root", "failed", "none"]
            assert out.splitlines()[3] == f"{denied}: {trouble}"
        assert show(root, "ps", "-q") == (0, f"{denied}\n{readable}\n", "")
        assert show(root, "status", readable)[0] == 0
        assert show(root, "logs", readable) == (0, "root.train | a line\n", "")
        assert trouble in show(root, "status", denied)[1]
        code, out, err = show(root, "logs", denied)
        assert (code, out) == (2, "")
        assert f"the logs of run {denied} can't be read: Permission denied" in err
        for words in (["stop", denied], ["resume", denied], ["resume"]):
            code, out, err = show(root, *words)
            assert (code, out) == (2, ""), words
            assert f"run {denied} " in err, words
            assert trouble in err, words
        code, out, err = show(root, "clean", "--all", "--yes")
        assert "Removed 1 run" in out
        assert err.startswith("Kept: ")
        assert os.listdir(root / "runs") == [denied]


def test_a_run_json_that_was_removed_is_told(tmp_path: Path, capfd: Capture):
    path = make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef")
    (path / "run.json").unlink()
    (path / "journal.log").touch()

    (run,) = call(capfd, "ps", "--json", "--root", tmp_path).data
    assert run["trouble"] == "its run.json can't be read: No such file or directory"


def test_control_characters_in_a_run_are_escaped(tmp_path: Path, capfd: Capture):
    make_run_folder(
        tmp_path / "runs",
        "20260101-000000000-abcdef",
        state="stopped",
        command=["\x1b[2J"],
        works={"\x1b]0;": 1},
    )

    assert "\x1b" not in call(capfd, "ps", "--root", tmp_path).out
    assert "\x1b" not in call(capfd, "status", "--root", tmp_path).out


def test_status_reports_a_damaged_journal_and_shows_the_rest(tmp_path: Path, capfd: Capture):
    path = make_run_folder(tmp_path / "runs", "20260101-000000000-abcdef", state="failed")
    (path / "journal.log").write_text("no journal")

    output = call(capfd, "status", "--root", tmp_path)

    assert output.code == 0
    assert "The status is incomplete" in output.out
    assert "failed" in output.out.splitlines()[0]


def test_works_of_a_long_run_that_died_are_counted_without_its_journal(tmp_path: Path, capfd: Capture):
    """A journal that is refused shows that it was not read."""
    path = make_run_folder(
        tmp_path / "runs", "20260101-000000000-abcdef", state="running", works={"running": 2, "succeeded": 1}
    )
    (path / "journal.log").write_bytes(b"no journal" * 100_000)

    output = call(capfd, "ps", "--root", tmp_path)

    assert "2 lost, 1 succeeded" in output.out
