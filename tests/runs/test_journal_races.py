"""Of many processes that lock one run, one gets the lock; a dead or forked process does not keep it."""

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
from small_journals import IDENTITY, TRANSACTIONS, flat, read, write

from lightning_lite.errors import JournalInUse
from lightning_lite.runs import lock
from lightning_lite.runs.journal import Journal, Record
from lightning_lite.runs.lock import RunLock

RESUMERS = 8
MORE = Record("resumed", "root", "", b"")


class Forked:
    """A forked process that runs a function, reports the result, and waits until it is killed."""

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

    def report(self) -> str:
        return os.read(self._pipe, 1000).decode()


opened: list[Journal] = []  # keeps the journal of a forked process open until it is killed


def resume(folder: Path) -> str:
    try:
        opened.append(Journal.open(str(folder), IDENTITY))
    except JournalInUse as error:
        return f"in use by {error.pid} on {error.host} since {error.since}"
    return "opened"


def race(folder: Path) -> None:
    """Open a journal in many processes at the same moment: one succeeds, and its death releases the lock."""
    gate, opener = os.pipe()

    def resume_with_the_others() -> str:
        os.close(opener)
        os.read(gate, 1)  # ends when the last writer has closed the pipe
        return resume(folder)

    with ExitStack() as losers:
        resumers = [losers.enter_context(Forked(resume_with_the_others)) for _ in range(RESUMERS)]
        os.close(opener)
        os.close(gate)
        reports = {resumer.pid: resumer.report() for resumer in resumers}

        winners = [pid for pid, report in reports.items() if report == "opened"]
        assert len(winners) == 1, reports
        (refused,) = set(reports.values()) - {"opened"}
        holder, _, since = refused.partition(" since ")
        assert holder == f"in use by {winners[0]} on {os.uname().nodename}"
        assert datetime.fromisoformat(since).tzinfo is not None

        os.kill(winners[0], signal.SIGKILL)
        os.waitid(os.P_PID, winners[0], os.WEXITED | os.WNOWAIT)
        Journal.open(str(folder), IDENTITY).close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write(tmp_path / "run")
    return tmp_path / "run"


def test_one_of_eight_resumers_gets_the_lock_and_its_death_releases_it(run: Path):
    for _ in range(10):
        race(run)

    assert read(run) == flat(TRANSACTIONS)


@pytest.mark.torture
def test_one_of_eight_resumers_gets_the_lock_two_hundred_times(run: Path):
    for _ in range(200):
        race(run)

    assert read(run) == flat(TRANSACTIONS)


def test_without_flock_several_resumers_open_the_journal(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock, "flock", lambda fd, how: None)

    with pytest.raises(AssertionError, match="'opened'"):
        race(run)


def test_a_journal_that_this_process_has_open_is_in_use(tmp_path: Path):
    first = Journal.create(str(tmp_path), IDENTITY)

    for again in (Journal.open, Journal.create):
        with pytest.raises(JournalInUse, match=f"process {os.getpid()} on ") as caught:
            again(str(tmp_path), IDENTITY)
        assert caught.value.pid == os.getpid()

    first.close()
    assert read(tmp_path) == []


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b'{"pid": null}', b"\xff\0"])
def test_a_lock_without_a_signature_is_refused_without_a_name(run: Path, text: bytes):
    holder = Journal.open(str(run), IDENTITY)
    (run / "journal.lock").write_bytes(text)

    with pytest.raises(JournalInUse, match="in use by another process") as caught:
        Journal.open(str(run), IDENTITY)

    assert (caught.value.pid, caught.value.host, caught.value.since) == (None, None, None)
    holder.close()


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(run: Path):
    children: list[Forked] = []

    def resume_and_fork() -> str:
        report = resume(run)
        children.append(Forked(lambda: ""))
        return f"{report} {children[0].pid}"

    with Forked(resume_and_fork) as parent:
        report, _, child = parent.report().partition(" ")
        assert report == "opened"
        assert resume(run).startswith(f"in use by {parent.pid}")

    try:
        assert read(run) == flat(TRANSACTIONS)
    finally:
        os.kill(int(child), signal.SIGKILL)


# The parent writes and forks. The child has a copy of the open database, and closes it when it exits. It
# exits when its stdin has a byte or is closed, so a test chooses the time.
FORKING = """
import os, sys
from lightning_lite.errors import JournalError
from lightning_lite.runs.journal import Journal, Record
mine = Journal.open(sys.argv[1], "app.py:Root")
mine.append(Record("one", "root", "", b""))
mine.commit()
if os.fork() == 0:
    mine.append(Record("never", "root", "", b""))
    try:
        mine.commit()
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


def test_the_exit_of_a_forked_child_does_not_affect_its_parent(run: Path):
    parent = forking(
        run,
        'sys.stdin.close(); os.close(0); os.wait(); mine.append(Record("two", "root", "", b"")); '
        "mine.commit(); os.kill(os.getpid(), 9)",
    )

    output, _ = parent.communicate()

    assert output == "refused\n"
    assert parent.returncode == -signal.SIGKILL
    assert [record.kind for record in read(run)[-2:]] == ["one", "two"]


CLOSING_IN_A_CHILD = """
import os, sys
from lightning_lite.runs.journal import Journal, Record
mine = Journal.open(sys.argv[1], "app.py:Root")
mine.append(Record("one", "root", "", b""))
mine.secure()
mine.commit()
if os.fork() == 0:
    mine.close()
    sys.exit()
assert os.wait()[1] == 0
mine.append(Record("two", "root", "", b""))
mine.secure()
os.kill(os.getpid(), 9)
"""


def test_close_in_a_forked_child_does_not_affect_its_parent(run: Path):
    parent = subprocess.run([sys.executable, "-c", CLOSING_IN_A_CHILD, str(run)], check=False)

    assert parent.returncode == -signal.SIGKILL
    assert [record.kind for record in read(run)[-2:]] == ["one", "two"]


def test_a_forked_child_that_outlives_its_parent_does_not_affect_a_resumer(run: Path):
    parent = forking(run, "os.kill(os.getpid(), 9)")
    assert parent.wait() == -signal.SIGKILL
    assert parent.stdout is not None
    assert parent.stdin is not None
    assert parent.stdout.readline() == "refused\n"

    resumed = Journal.open(str(run), IDENTITY)
    resumed.append(MORE)
    resumed.commit()
    parent.stdin.close()
    assert parent.stdout.read() == ""  # the child has ended
    parent.stdout.close()
    resumed.append(MORE)
    resumed.close()

    assert [record.kind for record in read(run)[-3:]] == ["one", "resumed", "resumed"]


CAT = shutil.which("cat") or "cat"


def leave_a_copy(run: Path) -> int:
    """Let the holder of the lock exit while its child has a copy of it; return a pipe that ends the child.

    A process that is killed while it starts another one leaves such a copy until the child calls exec().
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


def test_the_lock_of_a_dead_process_is_free_when_its_new_child_calls_exec(run: Path):
    copy = leave_a_copy(run)
    threading.Timer(0.1, os.close, [copy]).start()

    Journal.open(str(run), IDENTITY).close()


def test_a_lock_of_which_a_child_keeps_a_copy_is_in_use(run: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock, "_DEAD_HOLDER_TIMEOUT", 0.05)
    copy = leave_a_copy(run)

    with pytest.raises(JournalInUse, match="is in use by process"):
        Journal.open(str(run), IDENTITY)

    os.close(copy)
    monkeypatch.setattr(lock, "_DEAD_HOLDER_TIMEOUT", 60.0)
    Journal.open(str(run), IDENTITY).close()
