"""Writers that are killed at any moment: acknowledged records are there, in order, once."""

from __future__ import annotations

import ctypes
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections import Counter
from pathlib import Path

import pytest
from small_journals import IDENTITY, read

from lightning_lite.runs.journal import Journal, Rewrite
from lightning_lite.runs.journal_format import FILE_NAME


def entry(number: int) -> bytes:
    """Return the entry of that number."""
    return number.to_bytes(4) * (2_500 if number % 13 == 0 else 1 + number * 37 % 700)


def rewrite_some(rewrite: Rewrite | None, mine: Journal, count: int) -> Rewrite | None:
    """Begin to rewrite a journal, or go on with that, or finish it: all of its entries are kept."""
    if rewrite is None:
        rewrite, found = mine.rewrite(), list(mine.entries())
        assert len(found) == count
        for data in found:
            rewrite.write(data)
        return rewrite
    rewrite.finish(set())
    return None


def write_on(folder: Path, acknowledge: int, seed: int) -> None:
    """Begin or go on with a journal, for ever; say after each entry how many there are."""
    random_ = random.Random(seed)
    if (folder / FILE_NAME).exists():
        mine = Journal.open(str(folder), IDENTITY)
    else:
        mine = Journal.create(str(folder), IDENTITY)
    count = sum(1 for _ in mine.entries())
    rewrite: Rewrite | None = None
    while True:
        count += 1
        mine.write(entry(count))
        os.write(acknowledge, count.to_bytes(4))
        if random_.random() < 0.2:
            rewrite = rewrite_some(rewrite, mine, count)


def kill_a_writer(folder: Path, seed: int, num_records: int, seconds: float) -> int:
    """Let a process write on, kill it, and return how many records it acknowledged; 0 if none.

    Args:
        folder: Folder of the run.
        seed: Seed of the writer.
        num_records: How many records the writer has acknowledged before the pause begins.
        seconds: The pause before the kill.
    """
    pipe, acknowledge = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_on(folder, acknowledge, seed)
        except BaseException:  # noqa: BLE001 - the process must not return into the test
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(acknowledge)
    with open(pipe, "rb", buffering=0) as acknowledged:
        said = b""
        while len(said) < 4 * num_records and (more := acknowledged.read(4 * num_records - len(said))):
            said += more
        threading.Event().wait(seconds)
        os.kill(pid, signal.SIGKILL)
        said += acknowledged.read()
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    return int.from_bytes(said[-4:])


def check(folder: Path, acknowledged: int) -> int:
    """Look at a journal, and return how many entries it holds."""
    if not (folder / FILE_NAME).exists():
        assert not acknowledged, "the journal is lost"
        return 0
    found = read(folder)
    assert len(found) >= acknowledged, f"{acknowledged - len(found)} entries are lost"
    assert found == [entry(number) for number in range(1, len(found) + 1)]
    return len(found)


def kill_writers(folder: Path, kills: int, seed: int) -> list[int]:
    """Kill one writer after the other; return how many records there were after each.

    Most kills come at any moment after the start. Some wait for records, which a slow machine would not
    have at such a moment.
    """
    random_ = random.Random(seed)
    counts = []
    for number in range(kills):
        if number % 25 == 0:  # a new run, so that also its beginning is killed, and none grows too big
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        acknowledged = kill_a_writer(
            folder,
            random_.randrange(1 << 30),
            random_.choice([0, 0, 0, 30]),
            random_.choice([0.004, 0.02, 0.06]) * random_.random(),
        )
        counts.append(check(folder, acknowledged))
    return counts


def test_after_twelve_kills_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path):
    assert max(kill_writers(tmp_path / "run", 12, seed=1)) > 20


@pytest.mark.torture
def test_after_a_thousand_kills_at_random_moments_nothing_acknowledged_is_lost(tmp_path: Path):
    assert max(kill_writers(tmp_path / "run", 1000, seed=2)) > 100


def test_a_journal_that_acknowledges_before_it_writes_would_be_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Journal, "write", lambda self, entry: None)
    monkeypatch.setattr(sys.modules[__name__], "rewrite_some", lambda *_: None)

    acknowledged = kill_a_writer(tmp_path, seed=3, num_records=1, seconds=0.0)

    with pytest.raises(AssertionError, match="lost"):
        check(tmp_path, acknowledged)


def write_and_rewrite(folder: Path, acknowledge: int, *, durable: bool) -> None:
    """Write a journal with big values, and rewrite it twice; acknowledge each entry."""
    mine = Journal.create(str(folder), IDENTITY, durable=durable)
    mine.keep_value(b"never referred to")
    for number in range(1, 7):
        if number % 3 == 0:
            rewrite = mine.rewrite()
            for one in list(mine.entries()):
                rewrite.write(one)
        value = mine.keep_value(bytes([number]) * 50_000)
        mine.write(bytes([number]) * 3_000 + value.name.encode())
        os.write(acknowledge, b"*")
        if number % 3 == 0:
            rewrite.finish({one[3_000:].decode() for one in mine.entries()})
    mine.close()


#: Calls that change a disk: a kill before each of them leaves all that a kill can leave.
CALLS = ("write", "fdatasync", "fsync", "rename", "unlink", "mkdir", "openat", "close")


#: Lets a process that is no ancestor trace this one, where only ancestors may.
PR_SET_PTRACER = 0x59616D61


def trace(folder: Path, durable: bool, *options: str) -> tuple[int, bytes]:
    """Let a process write a journal under `strace`; return its exit code, and what it has acknowledged."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    gate, opener = os.pipe()
    pipe, acknowledge = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
            os.close(opener)
            if os.read(gate, 1):
                write_and_rewrite(folder, acknowledge, durable=durable)
                os._exit(0)
        except BaseException:  # noqa: BLE001 - the process must not return into the test
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(gate)
    os.close(acknowledge)
    with (
        open(opener, "wb", buffering=0) as begin,
        open(pipe, "rb") as acknowledged,
        subprocess.Popen(
            ["strace", "-p", str(pid), *options], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as tracer,
    ):
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        if b"attached" in line:
            begin.write(b"!")
        begin.close()
        said = acknowledged.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert b"attached" in line, line
    return code, said


def count_calls(folder: Path, durable: bool) -> Counter[str]:
    """Return how often a writer makes each of the calls if it is not killed."""
    output = folder.with_name("calls")
    assert trace(folder, durable, "-o", str(output), "-e", f"trace={','.join(CALLS)}") == (0, b"*" * 6)
    return Counter(re.findall(r"^(\w+)\(", output.read_text(errors="replace"), re.MULTILINE))


def kill_at(call: str, number: int, folder: Path, durable: bool) -> None:
    """Let a writer be killed at its n-th system call of a kind, and look at what it leaves."""
    code, acknowledged = trace(
        folder,
        durable,
        *("-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={number}"),
    )
    assert code == -signal.SIGKILL
    if (folder / FILE_NAME).exists():
        found = read(folder)
        assert [one[:3_000] for one in found] == [bytes([n + 1]) * 3_000 for n in range(len(found))]
        assert len(found) >= len(acknowledged), "an acknowledged entry is lost"
        for one in found:
            value = folder / "values" / one[3_000:].decode()
            assert value.read_bytes() == one[:1] * 50_000, "a value is lost"
    else:
        assert not acknowledged, "the journal is lost"


def kill_at_each(folder: Path, durable: bool, step: int) -> int:
    """Kill a writer at every `step`-th system call that changes a disk; return at how many."""
    numbers = [
        (call, number)
        for call, count in count_calls(folder, durable).items()
        for number in range(1, count + 1, step)
    ]
    for call, number in numbers:
        kill_at(call, number, folder, durable)
    return len(numbers)


needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace kills at system calls")


@needs_strace
def test_a_kill_at_a_write_loses_nothing_acknowledged(tmp_path: Path):
    assert kill_at_each(tmp_path / "run", durable=False, step=8) >= 12


@needs_strace
@pytest.mark.torture
@pytest.mark.parametrize("durable", [False, True])
def test_a_kill_at_any_write_at_all_loses_nothing_acknowledged(tmp_path: Path, durable: bool):
    assert kill_at_each(tmp_path / "run", durable, step=1) > 50
