"""The latest run of an app that its flow did not end is found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from old_runs import IDENTITY, make_run

from lightning_lite.errors import JournalError, JournalInUse, NothingToResume
from lightning_lite.runs.catalog import find_resumable, has_begun, list_runs, run_path
from lightning_lite.runs.journal import Journal

from tests.support.odd_files import IRREGULAR, each, put
from tests.support.run_folders import new_run
from tests.support.users import ALICE, act_as, folder_for_all, needs_users


def test_the_latest_run_that_the_flow_did_not_end_is_found(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    latest = make_run(tmp_path, 2, "interrupted")
    make_run(tmp_path, 3, "stopped")

    assert find_resumable(str(tmp_path), IDENTITY) == str(latest)


def test_a_run_that_died_is_found(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    died = make_run(tmp_path, 2, "running")

    assert find_resumable(str(tmp_path), IDENTITY) == str(died)


def test_a_real_folder_of_a_run_is_found_until_the_flow_has_ended_it(tmp_path: Path):
    folder = new_run(str(tmp_path), app="app", identity=IDENTITY)
    assert find_resumable(str(tmp_path), IDENTITY) is None
    Journal.create(folder.path, IDENTITY).close()

    assert find_resumable(str(tmp_path), IDENTITY) == folder.path == run_path(str(tmp_path), folder.id)

    folder.note_end("stopped")
    assert find_resumable(str(tmp_path), IDENTITY) is None


def test_runs_of_other_apps_and_without_a_journal_are_skipped(tmp_path: Path):
    mine = make_run(tmp_path, 1, "failed")
    make_run(tmp_path, 2, "failed", identity="other.py:Root")
    make_run(tmp_path, 3, "running", journal=False)

    assert find_resumable(str(tmp_path), IDENTITY) == str(mine)
    assert find_resumable(str(tmp_path), "third.py:Root") is None


def refusal_of(root: Path, run: Path) -> str:
    """Return why no run of a root is resumed: the error names a run, and what to do."""
    with pytest.raises(JournalError) as caught:
        find_resumable(str(root), IDENTITY)
    text = str(caught.value)
    assert text.startswith(f"the run '{run.name}' can't be resumed: ")
    assert text.endswith(f"remove the folder '{run}', or start a new run with resume=False")
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "its run.json can't be read: it is empty; restore it from a copy"),
        ("{", "it is not JSON"),
        ("[]", "it is not a JSON object"),
        ("\xff", "it is not JSON"),
        ("{}", "its run.json does not name its app"),
    ],
)
def test_a_run_with_a_damaged_run_json_is_refused_and_not_passed_over(tmp_path: Path, text: str, what: str):
    make_run(tmp_path, 1, "failed")
    damaged = make_run(tmp_path, 2, "failed")
    (damaged / "run.json").write_text(text, encoding="latin-1")

    assert what in refusal_of(tmp_path, damaged)

    later = make_run(tmp_path, 3, "failed")
    assert find_resumable(str(tmp_path), IDENTITY) == str(later), "an older run is not looked at"


@pytest.mark.parametrize("kind", each(IRREGULAR))
def test_a_run_json_that_is_no_file_is_refused_and_not_passed_over(tmp_path: Path, kind: str):
    run = make_run(tmp_path, 1, "failed")
    put(kind, run / "run.json")

    assert "its run.json can't be read: it is a" in refusal_of(tmp_path, run)


def test_a_damaged_run_json_next_to_the_journal_of_another_app_is_skipped(tmp_path: Path):
    mine = make_run(tmp_path, 1, "failed")
    other = make_run(tmp_path, 2, "failed", identity="other.py:Root")
    for damage in (b"{", None):
        (other / "run.json").write_bytes(damage) if damage else (other / "run.json").unlink()

        assert find_resumable(str(tmp_path), IDENTITY) == str(mine)

    os.truncate(other / "journal.log", 10)
    refusal_of(tmp_path, other)


def _forget(run: Path) -> None:
    """Remove the field of run.json about the journal, which a run of an earlier version lacks."""
    details = json.loads((run / "run.json").read_text())
    del details["has_journal"]
    (run / "run.json").write_text(json.dumps(details))


@pytest.mark.parametrize("state", ["failed", "interrupted", "killed", "running"])
@pytest.mark.parametrize("prepare", [lambda run: None, _forget], ids=["now", "before"])
def test_a_run_whose_journal_is_missing_is_refused_and_not_passed_over(
    tmp_path: Path, state: str, prepare: Callable[[Path], None]
):
    make_run(tmp_path, 1, "failed")
    run = make_run(tmp_path, 2, state)
    (run / "journal.log").unlink()
    prepare(run)

    assert "its journal.log is missing; restore it from a copy" in refusal_of(tmp_path, run)


def test_run_json_and_journal_are_missing(tmp_path: Path):
    mine, run = make_run(tmp_path, 1, "failed"), make_run(tmp_path, 2, "failed")
    (run / "journal.log").unlink()
    (run / "run.json").unlink()

    assert "its run.json can't be read: No such file or directory" in refusal_of(tmp_path, run), "it has logs"

    (run / "logs" / "root.train.log").unlink()
    assert find_resumable(str(tmp_path), IDENTITY) == str(mine)


def test_a_run_that_was_stopped_and_lost_its_journal_prevents_nothing(tmp_path: Path):
    mine, run = make_run(tmp_path, 1, "failed"), make_run(tmp_path, 2, "stopped")
    (run / "journal.log").unlink()

    assert find_resumable(str(tmp_path), IDENTITY) == str(mine)


def _die_before(number: int, root: Path) -> bool:
    """Begin a run in a process that dies before a system call, by its number; return whether it died."""
    pid = os.fork()
    if not pid:
        try:
            calls = count(1)

            def counting(name: str) -> Any:
                call = getattr(os, name)

                def counted(*args: Any, **kwargs: Any) -> Any:
                    if next(calls) == number:
                        os._exit(9)
                    return call(*args, **kwargs)

                return counted

            for name in ("mkdir", "open", "write", "unlink", "rename", "replace", "ftruncate", "pwrite"):
                setattr(os, name, counting(name))
            folder = new_run(str(root), app="app", identity=IDENTITY)
            journal = Journal.create(folder.path, IDENTITY)
            folder.note_begin()
            journal.write(b"an event")
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_process_that_is_killed_while_it_begins_a_run_prevents_no_resume(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    seen = set()
    for number in count(1):
        died = _die_before(number, tmp_path)
        latest = tmp_path / "runs" / list_runs(str(tmp_path / "runs"))[-1]

        found = find_resumable(str(tmp_path), IDENTITY)

        assert found is not None
        assert (found == str(latest)) == os.path.exists(latest / "journal.log") == has_begun(str(latest))
        Journal.open(found, IDENTITY).close()
        seen.add(found == str(latest))
        if not died:
            break
    assert number > 15
    assert seen == {True, False}
    (latest / "journal.log").unlink()
    refusal_of(tmp_path, latest)


@needs_users
@pytest.mark.parametrize("what", ["the folder", "run.json", "journal.log"])
def test_a_run_that_its_user_may_not_read_is_refused_and_not_passed_over(what: str):
    with folder_for_all(ALICE) as folder:
        root = folder / str(ALICE.uid) / "root"

        def make() -> str:
            make_run(root, 1, "failed")
            run = make_run(root, 2, "failed")
            (run if what == "the folder" else run / what).chmod(0)
            return str(run)

        run = act_as(ALICE, make)
        found = act_as(ALICE, lambda: find_resumable(str(root), IDENTITY))
        if what == "journal.log":
            assert found == run, "the journal is refused when it is opened"
            return
        assert "JournalError" in found.kinds
        assert "Permission denied; resume it as a user who may read it, remove" in found.text
        assert f"'{os.path.basename(run)}' can't be resumed: " in found.text
        named = act_as(ALICE, lambda: run_path(str(root), os.path.basename(run)))
        if what == "the folder":
            assert "its folder can't be read: Permission denied" in named.text
        else:
            assert named == run


def test_a_running_run_is_found_and_then_refused(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    running = make_run(tmp_path, 2, "running")
    holder = Journal.open(str(running), IDENTITY)

    path = find_resumable(str(tmp_path), IDENTITY)

    assert path == str(running)
    with pytest.raises(JournalInUse):
        Journal.open(path, IDENTITY)
    holder.close()


def test_a_root_without_runs_has_nothing_to_resume(tmp_path: Path):
    assert find_resumable(str(tmp_path), IDENTITY) is None


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "20000001-000000000-000002", "../x", "a\nb", "20000001-000000000-000001/.."]
)
def test_an_unknown_run_is_refused_by_name(tmp_path: Path, run_id: str):
    make_run(tmp_path, 1)

    with pytest.raises(NothingToResume, match="there is no run") as caught:
        run_path(str(tmp_path), run_id)

    assert caught.value.run_id == run_id
    assert "\n" not in str(caught.value)
