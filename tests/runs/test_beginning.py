"""The begin of a run: no cleaner removes it, and it is the latest one, also with a wrong clock."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from old_runs import IDENTITY, make_run, touch

from lightning_lite.errors import JournalError, JournalInUse
from lightning_lite.runs import folder, lock, retention
from lightning_lite.runs.catalog import find_resumable, list_runs, read_runs
from lightning_lite.runs.folder import RunFolder, creating_run
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.retention import clean_runs, remove_run

from tests.support.run_folders import new_run

CLEANER = """
import sys
from contextlib import suppress
from lightning_lite.errors import JournalError
from lightning_lite.runs.catalog import read_runs
from lightning_lite.runs.retention import remove_run
print("up", flush=True)
while True:
    for run in read_runs(sys.argv[1]):
        if run.state != "running":
            with suppress(JournalError, OSError):  # it is in use, or was just removed
                remove_run(run.path)
"""


def begin(root: Path) -> tuple[RunFolder, Journal]:
    with creating_run(str(root)) as runs:
        run = RunFolder.create(str(root), runs, app="Root", identity=IDENTITY)
        return run, Journal.create(run.path, IDENTITY)


def test_a_cleaner_removes_no_run_that_begins(tmp_path: Path):
    (tmp_path / "runs").mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", CLEANER, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as cleaner:
        try:
            assert cleaner.stdout is not None
            assert cleaner.stdout.readline() == b"up\n"
            for _ in range(300):
                run, journal = begin(tmp_path)
                journal.write(b"an event")
                run.note_works({})
                assert os.path.exists(os.path.join(run.path, "run.json"))
                run.note_end("stopped")
                journal.close()
        finally:
            cleaner.kill()


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_run_is_not_removed_at_any_step_of_its_begin(tmp_path: Path, monkeypatch, steps: int):
    monkeypatch.setattr(retention, "_REMOVE_TIMEOUT", 0.05)
    with creating_run(str(tmp_path)) as runs:
        if steps == 0:
            run_path = str(make_run(tmp_path, 1, journal=False))
        else:
            run_path = RunFolder.create(str(tmp_path), runs, app="Root").path
        journal = Journal.create(run_path, IDENTITY) if steps == 2 else None
        with pytest.raises(JournalError, match=r"runs' can't be locked: another process keeps"):
            remove_run(run_path)
    if journal is not None:
        with pytest.raises(JournalInUse):
            remove_run(run_path)
        journal.close()
    remove_run(run_path)

    assert list_runs(str(tmp_path / "runs")) == []


def test_a_begin_waits_for_a_cleaner_and_ends_with_its_name_if_that_hangs(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(folder, "BEGIN_TIMEOUT", 0.05)
    (tmp_path / "runs").mkdir()
    fd = os.open(tmp_path / "runs", os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)

    with pytest.raises(JournalError, match="another process keeps the folder locked"):
        begin(tmp_path)
    assert list_runs(str(tmp_path / "runs")) == []
    os.close(fd)

    begin(tmp_path)[1].close()
    assert len(list_runs(str(tmp_path / "runs"))) == 1


def test_a_folder_that_stays_locked_hangs_no_reader(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(lock, "_ACCESS_TIMEOUT", 0.05)
    monkeypatch.setattr(lock, "BEGIN_TIMEOUT", 0.05)
    run, other = make_run(tmp_path, 1, "failed"), make_run(tmp_path, 2, "failed")
    fd = os.open(run, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)

    first, second = read_runs(str(tmp_path))
    with pytest.raises(JournalError, match="another process keeps the folder locked"):
        Journal.open(str(run), IDENTITY)
    os.close(fd)

    assert (first.path, first.state) == (str(run), "failed")
    assert first.trouble == "its lock can't be read: another process keeps the folder locked"
    assert (second.path, second.trouble) == (str(other), "")


def test_many_apps_that_begin_at_once_do_not_wait_for_each_other(tmp_path: Path):
    begun, errors = threading.Barrier(60), []

    def start() -> None:
        try:
            with creating_run(str(tmp_path)) as runs:
                begun.wait(60)  # all of them are in the block at the same time
                run = RunFolder.create(str(tmp_path), runs, app="Root", identity=IDENTITY)
                journal = Journal.create(run.path, IDENTITY)
            clean_runs(str(tmp_path), keep=2)
            journal.close()
        except Exception as error:  # noqa: BLE001 - the test shows it
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []


@pytest.mark.parametrize("seconds", [0.001, 6.0, 55.0, 70.0])
@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_begin_waits_up_to_a_minute_for_a_suspended_process(
    tmp_path: Path, monkeypatch, kind: int, seconds: float
):
    (tmp_path / "runs").mkdir()
    held = [os.open(tmp_path / "runs", os.O_RDONLY)]
    fcntl.flock(held[0], kind)
    pauses: list[float] = []

    def pause(duration: float) -> None:  # the clock of this test advances in pauses only
        pauses.append(duration)
        if sum(pauses) >= seconds and held:
            os.close(held.pop())

    monkeypatch.setattr(lock, "wait_between_tries", pause)
    monkeypatch.setattr(lock, "monotonic", lambda: sum(pauses))
    if seconds > 60 and kind == fcntl.LOCK_EX:
        with pytest.raises(JournalError, match=r"runs' can't be locked: another process keeps"):
            begin(tmp_path)
    else:
        begin(tmp_path)[1].close()

    if kind == fcntl.LOCK_SH:
        assert pauses == [], "another app that begins, also if it is suspended"
    assert len(pauses) <= 25 * seconds + 10, "few attempts in a long time"
    assert max(pauses, default=0) <= 0.1, "and none much too late"
    for fd in held:
        os.close(fd)


@pytest.mark.parametrize("held", ["the folder of all runs", "the folder of a run", "its lock"])
@pytest.mark.parametrize("kind", [fcntl.LOCK_SH, fcntl.LOCK_EX])
def test_a_start_waits_for_nothing_to_clean(tmp_path: Path, monkeypatch, held: str, kind: int):
    old = make_run(tmp_path, 1)
    for number in (2, 3):
        make_run(tmp_path, number)
    path = {
        "the folder of all runs": old.parent,
        "the folder of a run": old,
        "its lock": old / "journal.lock",
    }
    monkeypatch.setattr(lock, "wait_between_tries", lambda *_: pytest.fail("it waits"))
    fd = os.open(path[held], os.O_RDONLY)
    fcntl.flock(fd, kind)

    clean_runs(str(tmp_path), keep=1)
    assert old.exists()
    os.close(fd)

    clean_runs(str(tmp_path), keep=1)
    assert len(list_runs(str(tmp_path / "runs"))) == 1


def test_a_start_takes_no_lock_of_all_runs_for_runs_in_use(tmp_path: Path, monkeypatch):
    begun = [begin(tmp_path)[1] for _ in range(4)]
    monkeypatch.setattr(retention, "remove_run", lambda *_, **__: pytest.fail("it takes the lock"))

    clean_runs(str(tmp_path), keep=1)

    for journal in begun:
        journal.close()


@pytest.mark.parametrize("ahead", [1.0, 3600.0, 400 * 86400.0])
@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_a_run_that_began_while_the_clock_was_ahead_is_not_the_latest_for_ever(
    tmp_path: Path, monkeypatch, ahead: float, state: str
):
    now = time.time()
    with monkeypatch.context() as patch:
        patch.setattr(folder.time, "time", lambda: now + ahead)
        first, journal = begin(tmp_path)
        first.note_end(state)
        journal.close()
    assert find_resumable(str(tmp_path), IDENTITY) == (first.path if state == "failed" else None)

    later = []
    for _ in range(3):
        run, journal = begin(tmp_path)
        journal.close()
        later.append(run.id)
        assert list_runs(str(tmp_path / "runs")) == [first.id, *later]
        assert find_resumable(str(tmp_path), IDENTITY) == run.path

    started = [run.started for run in read_runs(str(tmp_path))]
    assert started[0] == pytest.approx(now + ahead, abs=0.01)
    assert all(now - 1 < moment < time.time() + 1 for moment in started[1:])
    assert all(re.fullmatch(r"\d{8}-\d{9}-[0-9a-f]{6}", name) for name in later)


@pytest.mark.parametrize("latest", ["20991231-235959999-ffffff", "99999999-999999998-ffffff"])
def test_the_id_after_the_last_moment_of_a_day_sorts_after_it(tmp_path: Path, latest: str):
    (tmp_path / "runs" / latest).mkdir(parents=True)

    ids = [new_run(str(tmp_path), app="a").id for _ in range(1)]

    assert list_runs(str(tmp_path / "runs")) == [latest, *ids]


def test_a_folder_with_the_last_id_of_all_prevents_no_run(tmp_path: Path):
    (tmp_path / "runs" / "99999999-999999999-ffffff").mkdir(parents=True)

    assert new_run(str(tmp_path), app="a").id.startswith("20")


@pytest.mark.parametrize("seconds", [60.0, 86400.0, 400 * 86400.0])
def test_a_run_that_was_changed_while_the_clock_was_ahead_is_removed_when_it_is_its_turn(
    tmp_path: Path, seconds: float
):
    for number in (1, 2, 3):
        touch(make_run(tmp_path, number), time.time() + seconds)

    clean_runs(str(tmp_path), keep=1)

    assert [run.rpartition("-")[2] for run in list_runs(str(tmp_path / "runs"))] == ["000003"]


def test_the_lock_of_a_run_is_taken_for_the_process_that_wrote_valid_words_only(tmp_path: Path):
    run = make_run(tmp_path, 1, "running")
    held = lock.RunLock(str(run))
    held.acquire()
    texts = ["", "\xff\xfe", "[" * 4000, "5", "{}", '{"pid": 1}']
    texts += [
        f'{{"pid": {pid}, "host": "h", "since": "s"}}' for pid in ("1e999", "-1", "0", "2.5", 10**20, '"1"')
    ]
    for text in texts:
        (run / "journal.lock").write_text(text, encoding="latin-1")
        assert lock.find_holder(str(run)) == (None, None, None), text
        with pytest.raises(JournalInUse, match="by another process"):
            Journal.open(str(run), IDENTITY)
    held.release()
