"""Many processes want the lock of one run: one gets it; a dead or forked process does not keep it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Self

import pytest
from small_journals import IDENTITY, STORY, read, write

from lightning_lite.errors import JournalInUse
from lightning_lite.runs import lock
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.lock import RunLock

RESUMERS = 8
MORE = b"resumed"


class Forked:
    """A forked process that does a job, says what came of it, and waits to be killed."""

    def __init__(self, job: Callable[[], str]) -> None:
        self._pipe, report = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.write(report, job().encode())
                signal.pause()
            finally:
                os._exit(1)
        os.close(report)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def says(self) -> str:
        return os.read(self._pipe, 1000).decode()


opened: list[Journal] = []  # a forked process holds them until it is killed


def resume(folder: Path) -> str:
    try:
        opened.append(Journal.open(str(folder), IDENTITY))
    except JournalInUse as error:
        return f"lost to {error.pid} on {error.host} since {error.since}"
    return "won"


def race(folder: Path) -> None:
    """Let many processes open one journal at the same moment; after the winner's death it is free at once."""
    gate, opener = os.pipe()

    def resume_with_the_others() -> str:
        os.close(opener)
        os.read(gate, 1)  # ends when the last writer has closed the pipe
        return resume(folder)

    with ExitStack() as losers:
        resumers = [losers.enter_context(Forked(resume_with_the_others)) for _ in range(RESUMERS)]
        os.close(opener)
        os.close(gate)
        said = {resumer.pid: resumer.says() for resumer in resumers}

        winners = [pid for pid, verdict in said.items() if verdict == "won"]
        assert len(winners) == 1, said
        (lost,) = set(said.values()) - {"won"}
        who, _, since = lost.partition(" since ")
        assert who == f"lost to {winners[0]} on {os.uname().nodename}"
        assert datetime.fromisoformat(since).tzinfo is not None

        os.kill(winners[0], signal.SIGKILL)
        os.waitid(os.P_PID, winners[0], os.WEXITED | os.WNOWAIT)
        Journal.open(str(folder), IDENTITY).close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write(tmp_path / "run")
    return tmp_path / "run"


def test_of_eight_resumers_one_wins_and_after_its_death_the_next_one(run: Path):
    for _ in range(3):
        race(run)

    assert read(run) == STORY


@pytest.mark.torture
def test_of_eight_resumers_one_wins_a_hundred_times(run: Path):
    for _ in range(100):
        race(run)

    assert read(run) == STORY


def test_without_the_lock_several_would_win(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock, "flock", lambda fd, how: None)

    with pytest.raises(AssertionError, match="'won'"):
        race(run)


def test_a_journal_that_is_open_in_this_process_is_in_use_too(tmp_path: Path):
    first = Journal.create(str(tmp_path), IDENTITY)

    for again in (Journal.open, Journal.create):
        with pytest.raises(JournalInUse, match=f"process {os.getpid()} on ") as caught:
            again(str(tmp_path), IDENTITY)
        assert caught.value.pid == os.getpid()

    first.close()
    assert read(tmp_path) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"pid": null}', b"\xff\0"])
def test_a_holder_that_did_not_sign_is_refused_without_a_name(run: Path, text: bytes):
    holder = Journal.open(str(run), IDENTITY)
    (run / "journal.lock").write_bytes(text)

    with pytest.raises(JournalInUse, match="in use by another process") as caught:
        Journal.open(str(run), IDENTITY)

    assert (caught.value.pid, caught.value.host, caught.value.since) == (None, None, None)
    holder.close()


def test_a_forked_child_does_not_keep_the_run_after_its_parents_death(run: Path):
    children: list[Forked] = []

    def resume_and_fork() -> str:
        verdict = resume(run)
        children.append(Forked(lambda: ""))
        return f"{verdict} {children[0].pid}"

    with Forked(resume_and_fork) as parent:
        verdict, _, child = parent.says().partition(" ")
        assert verdict == "won"
        assert resume(run).startswith(f"lost to {parent.pid}")

    try:
        assert read(run) == STORY
    finally:
        os.kill(int(child), signal.SIGKILL)


# The parent writes and forks. The child lives on with a copy of the open journal, and ends as a
# Python program does, which closes that copy; at a word on its stdin, so that this may be any time.
FORKING = """
import os, sys
from lightning_lite.errors import JournalError
from lightning_lite.runs.journal import Journal
mine = Journal.open(sys.argv[1], "app.py:Root")
mine.write(b"one")
if os.fork() == 0:
    try:
        mine.write(b"never")
    except JournalError as error:
        assert "forked" in str(error)
        print("refused", flush=True)
    sys.stdin.read(1)
    sys.exit()
"""


def forking(run: Path, then: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FORKING + then, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_forked_child_that_ends_takes_nothing_from_its_parent(run: Path):
    parent = forking(
        run,
        'sys.stdin.close(); os.close(0); os.wait(); mine.write(b"two"); os.kill(os.getpid(), 9)',
    )

    said, _ = parent.communicate()

    assert said == "refused\n"
    assert parent.returncode == -signal.SIGKILL
    assert read(run)[-2:] == [b"one", b"two"]


CLOSING_IN_A_CHILD = """
import os, sys
from lightning_lite.runs.journal import Journal
mine = Journal.open(sys.argv[1], "app.py:Root")
mine.write(b"one")
if os.fork() == 0:
    mine.close()
    sys.exit()
assert os.wait()[1] == 0
mine.write(b"two")
os.kill(os.getpid(), 9)
"""


def test_a_forked_child_that_closes_the_journal_leaves_what_its_parent_writes(run: Path):
    parent = subprocess.run([sys.executable, "-c", CLOSING_IN_A_CHILD, str(run)], check=False)

    assert parent.returncode == -signal.SIGKILL
    assert read(run)[-2:] == [b"one", b"two"]


def test_a_forked_child_that_outlives_its_parent_takes_nothing_from_who_resumes(run: Path):
    parent = forking(run, "os.kill(os.getpid(), 9)")
    assert parent.wait() == -signal.SIGKILL
    assert parent.stdout is not None
    assert parent.stdin is not None
    assert parent.stdout.readline() == "refused\n"

    resumed = Journal.open(str(run), IDENTITY)
    resumed.write(MORE)
    parent.stdin.close()
    assert parent.stdout.read() == ""  # the child has ended
    parent.stdout.close()
    resumed.write(MORE)
    resumed.close()

    assert read(run)[-3:] == [b"one", b"resumed", b"resumed"]


CAT = shutil.which("cat") or "cat"


def leave_a_copy(run: Path) -> int:
    """Kill the holder of the lock while its child has a copy of it; return a pipe that ends the child.

    The same happens for a moment when a process is killed while it starts another one.
    """
    mine, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock = RunLock(str(run))
        lock.acquire()
        assert lock._fd is not None
        os.set_inheritable(lock._fd, True)
        if os.posix_spawn(CAT, [CAT], {}, file_actions=[(os.POSIX_SPAWN_DUP2, mine, 0)]):
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(mine)
    return theirs


def test_the_run_of_a_dead_process_is_free_when_what_it_was_starting_has_started(
    run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "_DEAD_HOLDER_TIMEOUT", 60.0)  # a bound on hanging
    copy = leave_a_copy(run)
    threading.Timer(0.1, os.close, [copy]).start()

    Journal.open(str(run), IDENTITY).close()


def test_the_run_of_a_dead_process_is_in_use_if_another_one_holds_its_lock(
    run: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "_DEAD_HOLDER_TIMEOUT", 0.05)
    copy = leave_a_copy(run)

    with pytest.raises(JournalInUse, match="is in use by process"):
        Journal.open(str(run), IDENTITY)

    os.close(copy)
    monkeypatch.setattr(lock, "_DEAD_HOLDER_TIMEOUT", 60.0)
    Journal.open(str(run), IDENTITY).close()
