"""A file system without locks is called that at once, and nothing of a run is called damaged."""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import sys
from itertools import count
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.errors import AppFailed, JournalError
from lightning_lite.runs import lock
from lightning_lite.runs.catalog import read_runs
from lightning_lite.runs.folder import RunFolder, creating_run
from lightning_lite.runs.journal import Journal

from tests.support import without_locks
from tests.support.processes import run_python

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in without_locks.FLOCK,
    reason="only the filter of Linux lets a system call fail, and its numbers are known for two machines",
)


class Root(LightningFlow):
    def run(self) -> None:
        self.fail("on purpose")


#: Actions of a process without locks in the root of the test.
PROGRAM = """
from lightning_lite import LightningApp, LightningFlow
from lightning_lite.cli.main import main
class Root(LightningFlow):
    def run(self):
        print("the flow runs")
for resume in (False, True, RUN):
    try:
        LightningApp(Root()).run("inline", resume=resume)
    except Exception as error:
        print(type(error).__name__, error)
for words in (["ps"], ["status"], ["clean", "--all", "--yes"]):
    try:
        main(words)
    except SystemExit as end:
        print("exit code", end.code, flush=True)
"""


def contents(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_root_without_locks_is_refused_in_words_and_left_unchanged():
    with pytest.raises(AppFailed):
        LightningApp(Root()).run("inline")
    root = os.environ["LIGHTNING_LITE_ROOT"]
    (run,) = read_runs(root)
    Path("program.py").write_text(PROGRAM.replace("RUN", repr(run.id)))
    before = contents(Path(root))

    done = run_python(without_locks.__file__, "ENOLCK", "program.py")

    lines = done.stdout.splitlines()
    refusals = [
        line for line in lines if line.startswith("JournalError locks do not work on the file system of")
    ]
    assert len(refusals) == 3, done  # of a new run, of another app that has none to resume, and of this run
    assert all("root_dir=" in line for line in refusals)
    assert [line for line in lines if line.startswith("exit code")] == ["exit code 0"] * 3
    assert done.stdout.count("its lock can't be read: locks do not work on its file system") == 2
    assert "Root  failed" in done.stdout
    assert "Kept: locks do not work on the file system of" in done.stderr
    assert "damaged" not in done.stdout + done.stderr
    assert "the flow runs" not in done.stdout
    assert contents(Path(root)) == before
    assert [run.state for run in read_runs(root)] == ["failed"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ESTALE])
def test_locks_that_work_no_longer_at_any_moment_are_never_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
):
    for first in range(1, 9):
        lose_locks(tmp_path / str(first), monkeypatch, first, number)


def lose_locks(root: Path, monkeypatch: pytest.MonkeyPatch, first: int, number: int) -> None:
    """Begin a run while each call for a lock from the `first` one on fails with an error number."""
    calls = count(1)

    def refuse(fd: int, kind: int) -> None:
        if next(calls) >= first:
            raise OSError(number, os.strerror(number))
        fcntl.flock(fd, kind)

    path = refusal = ""
    monkeypatch.setattr(lock, "flock", refuse)
    try:
        with creating_run(str(root)) as runs:
            path = RunFolder.create(str(root), runs, app="Root", identity="app").path
            journal = Journal.create(path, "app")
        journal.write(b"an event")
        journal.close()
    except JournalError as error:
        refusal = str(error)
    monkeypatch.setattr(lock, "flock", fcntl.flock)

    assert refusal == "" or "locks do not work on the file system" in refusal

    if path and os.path.exists(os.path.join(path, "journal.log")):
        again = Journal.open(path, "app")
        assert list(again.entries()) == [b"an event"]
        again.close()
    with creating_run(str(root)):
        pass  # the folder of the runs is not locked any more
