"""Kills writers at any moment: each acknowledged record is read, in order, once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from small_journals import IDENTITY, read

from lightning_lite.runs import database, journal, write_ahead
from lightning_lite.runs.journal import Journal, Record


def record(number: int) -> Record:
    """Return record number `number`; some are too big for the database."""
    size = 2_500 if number % 13 == 0 else number * 37 % 700
    return Record("ended", "root.train", f"{number:x}", number.to_bytes(4) * size)


def write_for_ever(folder: Path, acknowledge: int, seed: int) -> None:
    """Append to a journal until the process is killed; report the count after each transaction."""
    random_ = random.Random(seed)
    if (folder / "journal.db").exists():
        mine = Journal.open(str(folder), IDENTITY)
    else:
        mine = Journal.create(str(folder), IDENTITY)
    count = sum(1 for _ in mine.records())
    while True:
        for _ in range(random_.randint(1, 4)):
            count += 1
            mine.append(record(count))
        mine.append(Record("whole", "root", "", count.to_bytes(4)))
        count += 1
        random_.choice([mine.secure, mine.commit])()
        os.write(acknowledge, count.to_bytes(4))


def kill_a_writer(folder: Path, seed: int, seconds: float) -> int:
    """Start a writer, kill it after `seconds`, and return the number of records that it acknowledged."""
    pipe, acknowledge = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_for_ever(folder, acknowledge, seed)
        finally:
            os._exit(1)
    os.close(acknowledge)
    threading.Event().wait(seconds)
    os.kill(pid, signal.SIGKILL)
    with open(pipe, "rb") as acknowledged:
        counts = acknowledged.read()
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    return int.from_bytes(counts[-4:])


def check(folder: Path, acknowledged: int) -> int:
    """Assert that a journal has all acknowledged records, and return the number of its records."""
    if not (folder / "journal.db").exists():
        assert not acknowledged, "the journal is lost"
        return 0
    found = read(folder)
    assert len(found) >= acknowledged, f"{acknowledged - len(found)} records are lost"
    for number, one in enumerate(found, 1):
        assert one == (
            Record("whole", "root", "", (number - 1).to_bytes(4)) if one.kind == "whole" else record(number)
        )
    assert not found or found[-1].kind == "whole", "it ends within a transaction"
    return len(found)


def kill_writers(folder: Path, kills: int, seed: int) -> list[int]:
    """Kill `kills` writers, one after the other; return the number of records after each."""
    random_ = random.Random(seed)
    counts = []
    for number in range(kills):
        if number % 25 == 0:  # a new run, to kill its creation too, and to keep the journal small
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        acknowledged = kill_a_writer(
            folder, random_.randrange(1 << 30), random_.choice([0.004, 0.02, 0.06]) * random_.random()
        )
        counts.append(check(folder, acknowledged))
    return counts


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make checkpoints and files of values frequent, so that kills also happen during these."""
    monkeypatch.setattr(database, "_CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(write_ahead, "LIMIT", 4_000)
    monkeypatch.setattr(journal, "INLINE_LIMIT", 4_000)


def test_twenty_random_kills_lose_no_acknowledged_record(tmp_path: Path):
    assert max(kill_writers(tmp_path / "run", 20, seed=1)) > 20


@pytest.mark.torture
def test_a_thousand_random_kills_lose_no_acknowledged_record(tmp_path: Path):
    assert max(kill_writers(tmp_path / "run", 1000, seed=2)) > 100


def test_the_check_fails_for_a_journal_that_acknowledges_before_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Journal, "commit", lambda self: None)
    monkeypatch.setattr(Journal, "secure", lambda self: None)

    acknowledged = kill_a_writer(tmp_path, seed=3, seconds=0.5)

    with pytest.raises(AssertionError, match="lost"):
        check(tmp_path, acknowledged)


WRITER = """
import os, sys
from lightning_lite.runs import database
from lightning_lite.runs.journal import Journal, Record
database._CHECKPOINT_PAGES = 4
mine = Journal.create(sys.argv[1], "app.py:Root", durable=sys.argv[2] == "durable")
for number in range(1, 5):
    mine.append(Record("ended", "root.train", str(number), b"x" * (100_000 if number == 3 else 3_000)))
    mine.append(Record("whole", "root", "", b""))
    mine.secure()
    os.write(1, b"*")
    if number % 2 == 0:
        mine.commit()
mine.close()
"""

#: System calls that change files; kills before each of them leave all states that a kill can leave.
CALLS = ("pwrite64", "write", "fdatasync", "fsync", "ftruncate", "rename", "unlink", "mkdir", "fchmod")


def kill_at(call: str, number: int, folder: Path, durable: str) -> bool:
    """Kill a writer at its n-th system call of a kind, and check the journal; return whether it died."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tracer = ("strace", "-qq", "-o", "/dev/null", "-e", f"trace={call}")
    injection = ("-e", f"inject={call}:signal=KILL:when={number}")
    writer = (sys.executable, "-B", "-c", WRITER, str(folder), durable)
    ended = subprocess.run([*tracer, *injection, *writer], stdout=subprocess.PIPE, timeout=100)
    if (folder / "journal.db").exists():
        found = read(folder)
        assert len(found) % 2 == 0, "it ends within a transaction"
        assert [one.key for one in found[::2]] == [str(n + 1) for n in range(len(found) // 2)]
        assert len(found) // 2 >= len(ended.stdout), "an acknowledged transaction is lost"
    else:
        assert not ended.stdout, "the journal is lost"
    assert ended.returncode in {0, -signal.SIGKILL}
    return ended.returncode != 0


def kill_at_each(folder: Path, durable: str, step: int) -> int:
    """Kill a writer at every `step`-th system call that changes a file; return the number of kills."""
    killed = 0
    for call in CALLS:
        number = 1
        while kill_at(call, number, folder, durable):
            killed += 1
            number += step
    return killed


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at system calls")


@needs_strace
def test_a_kill_at_some_writes_loses_no_acknowledged_record(tmp_path: Path):
    assert kill_at_each(tmp_path / "run", "", step=12) >= 6


@needs_strace
@pytest.mark.torture
@pytest.mark.parametrize("durable", ["", "durable"])
def test_a_kill_at_any_write_loses_no_acknowledged_record(tmp_path: Path, durable: str):
    assert kill_at_each(tmp_path / "run", durable, step=1) > 50
