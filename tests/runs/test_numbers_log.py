"""Numbers in the state keep a history in a bounded side file, which no death makes unreadable."""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import threading
import traceback
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.runs import numbers_log
from lightning_lite.runs.numbers_log import MAX_ATTRIBUTES, MAX_POINTS, NUMBERS_NAME, NumbersLog, read_numbers

from tests.support.run_folders import runs_folder


class Train(LightningWork):
    def __init__(self):
        super().__init__()
        self.loss, self.label, self.is_good, self.big = 1.0, "first", False, 0

    def run(self, loss):
        self.label, self.is_good, self.big, self.loss = "other", True, 10**400, loss


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.train, self.epoch, self.turns = Train(), 0, [0]

    def run(self):
        for loss in (0.5, math.nan, math.inf):
            self.train.run(loss)
        if self.epoch < 3:
            self.epoch += 1
            self.turns.append(1)
        else:
            self.stop()


def test_numbers_of_flows_and_works_have_a_history_that_a_resume_continues():
    LightningApp(Root()).run(runner="inline")
    (run,) = Path(runs_folder()).iterdir()
    first = read_numbers(str(run))
    LightningApp(Root()).run(runner="inline", resume=run.name)

    assert [value for _, value in first["root.epoch"]] == [1.0, 2.0, 3.0]
    assert [str(value) for _, value in first["root.train.loss"]] == ["0.5", "nan", "inf"]
    assert [value for _, value in first["root.train.big"]] == [math.inf]
    assert first.keys() == {"root.epoch", "root.train.loss", "root.train.big"}  # no text, truth value or list
    for points in first.values():
        assert [moment for moment, _ in points] == sorted(moment for moment, _ in points)
    again = read_numbers(str(run))
    assert str({name: points[: len(first[name])] for name, points in again.items()}) == str(first)


def test_a_history_is_bounded_and_keeps_peaks_and_the_whole_time(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(numbers_log, "_ROOM", 30_000)
    log, rng, largest = NumbersLog(str(tmp_path)), random.Random(3), 0
    for second in range(6_000):
        for part in range(rng.randrange(4)):
            log.add("root.x", second + part / 4, 1000.0 if second == 77 else rng.random(), second)
        log.add("root.x", second + 0.9, math.nan if second == 2000 else 0.5, second)
        log.flush()
        largest = max(largest, (tmp_path / NUMBERS_NAME).stat().st_size)

    (points,) = read_numbers(str(tmp_path)).values()
    assert MAX_POINTS / 2 <= len(points) <= MAX_POINTS
    assert points[0][0] < 1
    assert points[-1] == (5_999.9, 0.5)
    assert any(value == 1000.0 for _, value in points)
    assert sum(math.isnan(value) for _, value in points) == 1
    assert max(b[0] - a[0] for a, b in pairwise(points)) < 30  # no gap in 6,000 s
    assert largest < 200_000
    assert [path.name for path in tmp_path.glob("numbers*")] == [NUMBERS_NAME]


def test_a_burst_and_many_attributes_are_bounded(tmp_path: Path):
    log = NumbersLog(str(tmp_path))
    for number in range(100_000):
        log.add("root.fast", number * 1e-5, float(number), 0.0)
    for number in range(MAX_ATTRIBUTES + 50):
        log.add(f"root.x{number}", 1.0, 1.0, 0.0)
    assert log.due == numbers_log.INTERVAL
    log.flush()

    found = read_numbers(str(tmp_path))
    assert log.due is None
    assert len(found) == MAX_ATTRIBUTES
    assert len(found["root.fast"]) <= 10
    assert found["root.fast"][-1][1] == 99_999.0


def test_many_attributes_share_a_bounded_file_and_keep_peaks_and_the_whole_time(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(numbers_log, "_MAX_SIZE", 300_000)
    monkeypatch.setattr(numbers_log, "_ROOM", 100_000)
    log, largest = NumbersLog(str(tmp_path)), 0
    names = [f"root.works.{number}.loss" for number in range(100)]
    for second in range(500):
        for number, name in enumerate(names):
            log.add(name, second + number / 200, 1000.0 if second == 77 else number / 100, second)
        log.flush()
        largest = max(largest, sum(path.stat().st_size for path in tmp_path.iterdir()))

    assert largest < 300_000 + 100 * 45
    found = read_numbers(str(tmp_path))
    assert list(found) == names
    assert min(map(len, found.values())) > 20
    for points in found.values():
        assert points[0][0] < 1
        assert points[-1][0] >= 499
        assert any(value == 1000.0 for _, value in points)
        assert max(b[0] - a[0] for a, b in pairwise(points)) < 100  # no gap in 500 s
    # Each name is in each line, so long names have a bound of their own.
    for number in range(200):
        log.add(f"root.{'x' * 5000}{number}", 1.0, 1.0, 0.0)
    log.flush()
    log.add("y" * 100_000, 1.0, 1.0, 0.0)
    log.flush()
    assert len(read_numbers(str(tmp_path))) < 130
    assert (tmp_path / NUMBERS_NAME).stat().st_size < 450_000


def test_a_resumed_run_shrinks_a_file_that_an_earlier_version_let_grow(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(numbers_log, "_MAX_SIZE", 200_000)
    monkeypatch.setattr(numbers_log, "_ROOM", 0)
    file = tmp_path / NUMBERS_NAME
    names = [f"root.x{number}" for number in range(MAX_ATTRIBUTES + 5)]
    file.write_text("".join(f"{name}\t{moment}.5\t0.25\n" for moment in range(50) for name in names))
    assert file.stat().st_size > 900_000
    log = NumbersLog(str(tmp_path))
    log.add("root.x0", 100.5, 3.0, 0.0)
    log.flush()

    found = read_numbers(str(tmp_path))
    assert file.stat().st_size < 200_000
    assert list(found) == names[:MAX_ATTRIBUTES]
    assert (found["root.x0"][0], found["root.x0"][-1]) == ((0.5, 0.25), (100.5, 3.0))
    assert (found["root.x1"][0], found["root.x1"][-1]) == ((0.5, 0.25), (49.5, 0.25))


def test_a_torn_or_damaged_line_costs_only_itself(tmp_path: Path):
    file = tmp_path / NUMBERS_NAME
    log = NumbersLog(str(tmp_path))
    for number in range(20):
        log.add("root.x", float(number), float(number), 0.0)
        log.flush()
    whole = file.read_bytes()

    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        lines = whole[:size].count(b"\n")
        assert sum(map(len, read_numbers(str(tmp_path)).values())) == lines
        again = NumbersLog(str(tmp_path))
        again.add("root.x", 99.0, 99.0, 0.0)
        again.flush()
        (points,) = read_numbers(str(tmp_path)).values()
        assert [value for _, value in points] == [*map(float, range(lines)), 99.0]

    file.write_bytes(whole.replace(b"\t7.0\n", b"\t\xff\xfe\n"))
    assert [value for _, value in read_numbers(str(tmp_path))["root.x"]] == [*range(7), *range(8, 20)]


@pytest.mark.parametrize("kind", ["FIFO", "link", "folder"])
def test_a_file_that_can_not_be_written_ends_the_history_with_a_warning(tmp_path: Path, caplog, kind: str):
    file = tmp_path / NUMBERS_NAME
    {"FIFO": os.mkfifo, "folder": os.mkdir, "link": lambda path: os.symlink(tmp_path / "other", path)}[kind](
        file
    )
    log = NumbersLog(str(tmp_path))

    with caplog.at_level(logging.WARNING, logger="lightning_lite"):
        for number in range(2):
            log.add("root.x", 1.0, float(number), 0.0)
            log.flush()

    assert len(caplog.records) == 1
    assert str(file) in caplog.text
    assert not (tmp_path / "other").exists()
    with pytest.raises(OSError, match=r"regular file|symbolic links|directory"):
        read_numbers(str(tmp_path))


def add_for_ever(folder: Path, begun: int) -> NoReturn:
    """Go on with the numbers in a file; first write the number of the next point to a pipe."""
    numbers_log._ROOM = 3000
    log, number = NumbersLog(str(folder)), 0
    for points in read_numbers(str(folder)).values():
        number = int(points[-1][1]) + 1
    os.write(begun, str(number).encode())
    os.close(begun)
    while True:
        log.add("root.x", float(number), float(number), 0.0)
        log.flush()
        number += 1


def test_a_killed_process_leaves_a_file_that_the_next_one_continues(tmp_path: Path):
    """The kills hit appends and rewrites: the file is written again every 200 points or so.

    A slow machine needs more than twelve processes for so many points that there were rewrites.
    """
    rng, last, num_kills = random.Random(7), -1.0, 0
    while num_kills < 12 or last <= 1000:
        num_kills += 1
        pipe, begun = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                add_for_ever(tmp_path, begun)
            except BaseException:  # noqa: BLE001 - the process must not return into the test
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(begun)
        with open(pipe) as said:
            assert int(said.read()) == last + 1
        threading.Event().wait(rng.random() / 20)
        os.kill(pid, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL
        found = read_numbers(str(tmp_path)).get("root.x", [])
        values = [value for _, value in found]
        assert values == sorted(set(values))
        assert not values or values[-1] >= last
        last = values[-1] if values else last
    assert {path.name for path in tmp_path.glob("numbers*")} <= {NUMBERS_NAME, f"{NUMBERS_NAME}.new"}
