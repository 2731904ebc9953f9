"""A full disk, Ctrl-C and other programs: nothing is written half, and nothing twice."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import wraps
from pathlib import Path
from types import FrameType

import pytest
from small_journals import IDENTITY, LARGE, SMALL, STORY, read, write_all

import lightning_lite
from lightning_lite.clock import Moment
from lightning_lite.engine.history import read_history
from lightning_lite.engine.recorder import Recorder
from lightning_lite.errors import JournalCorrupt, JournalError, JournalGone
from lightning_lite.events import CallAsked, CallSucceeded, ComponentAttached
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import read_entries

from tests.support.limits import limited

MORE = b"more"
ATTACHED = ComponentAttached("root.work", 1.0, True, ("app", "Work"), {})

PACKAGE = os.path.dirname(lightning_lite.__file__) + os.sep


def in_a_thread(test: Callable[[Path], None]) -> Callable[[Path], None]:
    """Run a test in a thread of its own.

    If a trace function raises at the end of an `except` block, the exception of that block remains the one
    that the thread handles (Python 3.11), and later tests in the same thread would show it.
    """

    @wraps(test)
    def run(tmp_path: Path) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, tmp_path).result()

    return run


def full_disk(nbytes: int = 32 * 1024) -> AbstractContextManager[None]:
    """Let no file of this process grow beyond some bytes in a block."""
    return limited(resource.RLIMIT_FSIZE, nbytes)


def test_a_rewrite_that_can_not_begin_on_a_full_disk_leaves_no_file(new: Journal, tmp_path: Path):
    new.write(SMALL)
    with full_disk(10), pytest.raises(JournalError, match="can't be read or written"):
        new.rewrite()

    assert not (tmp_path / "journal.log.new").exists()
    new.close()
    assert read(tmp_path) == [SMALL]


def test_a_write_that_fails_writes_nothing_and_is_made_up_for(new: Journal, tmp_path: Path):
    new.write(SMALL)

    with full_disk():
        for number in range(1, 3):
            with pytest.raises(JournalError, match="can't be read or written") as caught:
                new.write(LARGE)
            assert not isinstance(caught.value, JournalCorrupt)
            assert list(new.entries()) == [SMALL], number
    new.write(MORE)
    assert read_entries(str(tmp_path)) == [SMALL, LARGE, LARGE, MORE]
    new.close()

    assert read(tmp_path) == [SMALL, LARGE, LARGE, MORE]


def test_a_value_that_can_not_be_written_is_reported_with_its_file(new: Journal, tmp_path: Path):
    with full_disk(), pytest.raises(JournalError, match="can't be read or written: File too large") as caught:
        new.keep_value(LARGE)

    assert os.path.dirname(caught.value.file) == str(tmp_path / "values")
    assert f"the file of a value in the journal, {caught.value.file!r}, can't be" in str(caught.value)
    assert list((tmp_path / "values").iterdir()) == [], "a part of it would take space"


def test_a_folder_of_values_that_is_none_is_reported_by_its_path(new: Journal, tmp_path: Path):
    (tmp_path / "values").touch()

    with pytest.raises(
        JournalError, match="it is a file, not a folder; check what is at that path"
    ) as caught:
        new.keep_value(LARGE)

    assert caught.value.file == str(tmp_path / "values")


def test_the_events_of_a_step_with_a_value_that_can_not_be_written_are_written_later(
    new: Journal, tmp_path: Path
):
    recorder, now = Recorder(new), Moment(1.0, 1.0)
    big = CallSucceeded("root.work", "b" * 64, 3.0, os.urandom(200_000))
    recorder.begin(now)
    recorder.record([ATTACHED, CallAsked("root.work", "a" * 64, 1.0, 1, None)], now)
    with full_disk(), pytest.raises(JournalError, match="can't be read or written"):
        recorder.record([CallAsked("root.work", "b" * 64, 2.0, 2, None), big], now)
    recorder.close()

    (work,) = read_history(str(tmp_path)).works.values()
    assert [(call.number, call.succeeded) for call in work.records.current.values()] == [
        (1, False),
        (2, True),
    ]
    assert work.records.current["b" * 64].stored_value.load() == big.value


def test_the_value_of_an_entry_that_waits_for_space_survives_a_compaction(new: Journal, tmp_path: Path):
    recorder, now = Recorder(new), Moment(1.0, 1.0)
    recorder.begin(now)
    recorder.record([ATTACHED], now)
    for number in range(1, 41):  # more than the limit for a compaction at the end
        key = f"{number:064}"
        recorder.record([CallAsked("root.work", key, 1.0, number, None)], now)
        recorder.record([CallSucceeded("root.work", key, 1.0, os.urandom(40_000))], now)
    big = CallSucceeded("root.work", "b" * 64, 3.0, os.urandom(100_000))
    with full_disk(new.size + 10), pytest.raises(JournalError, match="can't be read or written"):
        recorder.record([CallAsked("root.work", "b" * 64, 2.0, 41, None), big], now)
    recorder.close()

    (work,) = read_history(str(tmp_path)).works.values()
    assert work.records.current["b" * 64].stored_value.load() == big.value


def test_a_removed_journal_is_reported_once_also_with_a_big_value(new: Journal, tmp_path: Path):
    recorder, now = Recorder(new), Moment(1.0, 1.0)
    recorder.record([ATTACHED], now)
    (tmp_path / "values").touch()
    (tmp_path / "journal.log").unlink()

    with pytest.raises(JournalGone):
        recorder.record([CallSucceeded("root.work", "b" * 64, 3.0, os.urandom(200_000))], now)
    recorder.close()


def test_a_rewrite_that_fails_leaves_the_journal_as_it_is(new: Journal, tmp_path: Path):
    write_all(new, STORY)
    rewrite = new.rewrite()
    with full_disk(), pytest.raises(JournalError):
        rewrite.write(LARGE)
    rewrite.abandon()
    new.write(SMALL)
    rewrite = new.rewrite()
    for _ in range(2):
        new.write(LARGE[:10_000])
        rewrite.write(LARGE[:10_000])
    with full_disk(), pytest.raises(JournalError):
        rewrite.finish(set())
    rewrite.abandon()
    new.close()

    assert read(tmp_path) == [*STORY, SMALL, LARGE[:10_000], LARGE[:10_000]]
    assert sorted(path.name for path in tmp_path.glob("journal*")) == ["journal.lock", "journal.log"]


def test_closing_gives_the_run_back_even_if_the_disk_is_full(new: Journal, tmp_path: Path):
    new.write(SMALL)
    with full_disk():
        with pytest.raises(JournalError):
            new.write(LARGE)
        with pytest.raises(JournalError):
            Recorder(new).close()

    new.close()

    assert read(tmp_path) == [SMALL]


@contextmanager
def interrupted_at(line: int) -> Iterator[list[int]]:
    """Let Ctrl-C come at the n-th line of the package that is run; give how many were run."""
    count = [0]

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            count[0] += 1
            if count[0] == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


@in_a_thread
def test_an_entry_survives_ctrl_c_at_any_line_then_a_full_disk_and_then_a_death(tmp_path: Path):
    line, count = 0, [0]
    while count[0] >= line:
        line += 1
        folder, left = tmp_path / str(line), tmp_path / f"{line} as death leaves it"
        folder.mkdir()
        mine = Journal.create(str(folder), IDENTITY)
        with suppress(KeyboardInterrupt), interrupted_at(line) as count:
            mine.write(SMALL)
        accepted = [SMALL] if line > 1 else []  # the first line of `write` accepts it
        mine.write(MORE)
        with full_disk(), pytest.raises(JournalError):
            mine.write(LARGE)
        shutil.copytree(folder, left)
        mine.close()
        assert read(left) == [*accepted, MORE]
        assert read(folder) == [*accepted, MORE, LARGE]
    assert line > 20


# A file that was just opened when Ctrl-C came is closed by the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@in_a_thread
def test_a_rewrite_that_is_interrupted_at_any_line_leaves_the_old_journal_or_the_new_one(tmp_path: Path):
    line, count, seen = 0, [0], set()
    while count[0] >= line:
        line += 1
        folder = tmp_path / str(line)
        folder.mkdir()
        mine = Journal.create(str(folder), IDENTITY)
        write_all(mine, STORY)
        with suppress(KeyboardInterrupt), interrupted_at(line) as count:
            rewrite = mine.rewrite()
            mine.write(SMALL)
            rewrite.write(b"snapshot")
            rewrite.finish(set())
        mine.write(MORE)
        found = read_entries(str(folder))
        mine.close()
        assert read(folder) == found
        tail = found[found.index(b"snapshot") + 1 :] if b"snapshot" in found else found[len(STORY) :]
        seen.add(found[0])
        assert tail in ([SMALL, MORE], [MORE])
        assert tail == [SMALL, MORE] or found[0] != b"snapshot"
        assert found[: -len(tail)] in (STORY, [b"snapshot"])
    assert seen == {b"snapshot", STORY[0]}
    assert line > 50


def test_a_reader_may_look_while_the_journal_is_written_and_rewritten(new: Journal, tmp_path: Path):
    write_all(new, STORY[:1])
    assert read_entries(str(tmp_path)) == STORY[:1]
    rewrite = new.rewrite()
    rewrite.write(b"instead")
    write_all(new, STORY[1:])
    assert read_entries(str(tmp_path)) == STORY
    with open(new.path, "rb") as opened_before:
        before = opened_before.read(1000)
        rewrite.finish(set())
        assert (before + opened_before.read()).count(STORY[3]) == 1

    assert read_entries(str(tmp_path)) == [b"instead", *STORY[1:]]
    new.close()


def test_a_folder_that_can_not_be_written_to_is_named(tmp_path: Path):
    with pytest.raises(JournalError, match="No such file or directory"):
        Journal.create(str(tmp_path / "missing"), IDENTITY)
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="it is a file, not a folder"):
        Journal.create(str(tmp_path / "file"), IDENTITY)
