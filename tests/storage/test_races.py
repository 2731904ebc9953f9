"""Many processes on one drive: no torn file, no mixed folder, one winner, a linearizable history."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import threading
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
import races
from faults import content, leftovers

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveNotFound
from lightning_lite.storage.fs import locks, syscalls
from lightning_lite.storage.local import lookup, store

from tests.support.linear import Operation, is_linearizable


@pytest.fixture
def drive(quick_drive: Drive) -> Drive:
    return quick_drive


def test_no_get_is_torn(drive: Drive):
    races.no_get_is_torn(drive, gets=200)


def test_no_folder_is_mixed(drive: Drive):
    races.no_folder_is_mixed(drive, gets=20)


def test_no_folder_is_mixed_where_folders_are_replaced_in_two_steps(drive: Drive, monkeypatch):
    monkeypatch.setattr(syscalls, "exchange", lambda *places: False)
    races.no_folder_is_mixed(drive, gets=15)


@pytest.mark.parametrize("steps", [1, 2])
def test_gets_that_replace_the_same_folder_do_not_disturb_each_other(drive: Drive, monkeypatch, steps: int):
    if steps == 2:
        monkeypatch.setattr(syscalls, "exchange", lambda *places: False)
    os.makedirs("folder/inner")
    for name in ("folder/a", "folder/inner/b"):
        Path(name).write_text(name)
    drive.put("folder")

    def replace() -> None:
        for _ in range(40):
            drive.get("folder", to="copy", overwrite=True)

    races.together(*[replace] * 3)
    # Removes folders that a reader still held when they were replaced.
    drive.get("folder", to="copy", overwrite=True)
    drive.put("folder")
    assert content(Path("copy")) == content(Path("folder"))
    assert set(os.listdir()) == {"copy", "folder", "root"}
    assert not leftovers(Path(drive.root_dir))


def test_no_folder_changes_while_it_is_read(drive: Drive):
    races.no_folder_changes_while_it_is_read(drive, gets=20)
    drive.put("folder/b", to="unrelated")
    assert not leftovers(Path(drive.root_dir))


def test_exactly_one_of_three_components_wins_a_path(drive: Drive):
    races.one_component_wins(drive, rounds=30)


@pytest.mark.torture
def test_no_get_is_torn_in_a_long_run(drive: Drive):
    for _ in range(20):
        races.no_get_is_torn(drive, gets=2000)
        for folder in ("writer-0", "writer-1", "reader-0", "reader-1"):
            shutil.rmtree(folder)


@pytest.mark.torture
def test_no_folder_is_mixed_in_a_long_run(drive: Drive):
    races.no_folder_is_mixed(drive, gets=500, files=300)


def run_killed(drive: Drive, kills: int) -> None:
    """Kill processes at random moments; after each kill, the drive is whole and usable."""
    random_ = random.Random(kills)
    check = races.own_folder(drive, "check")
    for number in range(kills):
        pid, pipe = races.fork(lambda number=number: races.change_at_random(drive, number))
        pause(0.02 + random_.random() * 0.05)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with open(pipe) as report:
            assert not report.read()
        Path("check/probe").write_text("x")
        check.put("probe")
        assert not leftovers(Path(drive.root_dir))
        seen = content(Path(drive.root_dir, "drives/d/main"))
        assert set(seen) <= {"file", "folder", "probe"}
        if "folder" in seen:
            assert len(set(seen["folder"].values())) == 1
            assert len(seen["folder"]) == 2
        local = set(os.listdir(f"victim-{number}")) if Path(f"victim-{number}").exists() else set()
        assert local <= {"file", "folder"}
        shutil.rmtree(f"victim-{number}", ignore_errors=True)


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_a_drive_is_whole_after_eight_random_kills(drive: Drive):
    run_killed(drive, 8)


@pytest.mark.torture
def test_a_drive_is_whole_after_a_thousand_random_kills(drive: Drive):
    run_killed(drive, 1000)


NAMES = ("x", "y", "z")


def history_of(
    drive: Drive, seed: int, processes: int = 8, operations: int = 60
) -> dict[str, list[Operation]]:
    """Let processes put, get and delete three names, some of them killed; return their results, by name."""
    drive = Drive(f"lit://h{seed}", root_dir=drive.root_dir)
    os.makedirs(f"run-{seed}")

    def work(number: int) -> None:
        folder = f"run-{seed}/{number}"
        mine = races.own_folder(drive, folder)
        random_ = random.Random(seed * 1000 + number)
        killed_at = random_.randrange(operations) if random_.random() < 0.1 else None
        with open(f"{folder}.log", "w", buffering=1) as log:
            for turn in range(operations):
                name = random_.choice(NAMES)
                kind = random_.choices(("put", "get", "delete"), (5, 6, 1))[0]
                value: str | bool | None = f"{number}-{turn}"
                begin = time.monotonic()
                log.write(json.dumps([name, kind, value if kind == "put" else None, begin]) + "\n")
                if turn == killed_at:
                    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
                    signal.setitimer(signal.ITIMER_REAL, random_.random() * 0.002)
                try:
                    if kind == "put":
                        Path(folder, name).write_text(str(value))
                        mine.put(name)
                    elif kind == "get":
                        value = Path(mine.get(name, to="got")).read_text()
                    else:
                        mine.delete(name)
                        value = True
                except DriveNotFound:
                    value = None if kind == "get" else False
                log.write(json.dumps([value, time.monotonic()]) + "\n")

    races.together(*(lambda n=n: work(n) for n in range(processes)))
    found: dict[str, list[Operation]] = {name: [] for name in NAMES}
    for number in range(processes):
        lines = [json.loads(line) for line in Path(f"run-{seed}/{number}.log").read_text().splitlines()]
        for asked, answer in zip(lines[::2], [*lines[1::2], [None, math.inf]], strict=False):
            name, kind, value, begin = asked
            if answer[1] < math.inf or kind != "get":
                found[name].append(Operation(kind, value if kind == "put" else answer[0], begin, answer[1]))
    return found


def check_histories(drive: Drive, seeds: range) -> None:
    for seed in seeds:
        for name, history in history_of(drive, seed).items():
            assert is_linearizable(history), f"seed {seed}, name {name}: {history}"
        shutil.rmtree(f"run-{seed}")


def test_histories_of_eight_processes_are_linearizable(drive: Drive):
    check_histories(drive, range(2))


@pytest.mark.torture
def test_two_hundred_histories_are_linearizable(drive: Drive):
    check_histories(drive, range(1000, 1200))


def test_the_search_finds_a_stale_read(drive: Drive):
    for history in history_of(drive, seed=7, processes=4, operations=40).values():
        assert is_linearizable(history)
        ends = max(operation.end for operation in history if operation.end < math.inf)
        stale = Operation("get", "never put", ends + 1, ends + 2)
        assert not is_linearizable([*history, stale])
    first, second = Operation("put", "old", 0, 1), Operation("put", "new", 2, 3)
    assert not is_linearizable([first, second, Operation("get", "old", 4, 5)])
    assert is_linearizable([first, second, Operation("get", "old", 2.5, 5)])


# Each harness fails when the rule that it checks is broken.


def put_in_place(self: store.Put, on_progress) -> None:
    target = Path(self._folders.base, self._owner, *self._parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    if self._is_folder:
        shutil.copytree(self._source.path, target, dirs_exist_ok=True)
    else:
        data = Path(self._source.path).read_bytes()
        with open(target, "wb") as file:
            for start in range(0, len(data), 10_000):
                file.write(data[start : start + 10_000])
                file.flush()


def test_the_harness_for_torn_files_fails_if_files_are_written_in_place(drive: Drive, monkeypatch):
    monkeypatch.setattr(store.Put, "copy", put_in_place)
    with pytest.raises(AssertionError, match=r"torn|changed while it was copied"):
        races.no_get_is_torn(drive, gets=4000)


def test_the_harness_for_mixed_folders_fails_if_folders_are_copied_in_place(drive: Drive, monkeypatch):
    monkeypatch.setattr(store.Put, "copy", put_in_place)
    with pytest.raises(AssertionError, match=r"mixed|changed while it was copied"):
        races.no_folder_is_mixed(drive, gets=400)


def test_the_harness_for_mixed_folders_fails_if_readers_do_not_pin(drive: Drive, monkeypatch):
    monkeypatch.setattr(lookup, "_pin", lambda fd, path, lock: True)
    with pytest.raises(AssertionError, match=r"mixed: |changed while it was copied"):
        races.no_folder_changes_while_it_is_read(drive, gets=2000)


def test_the_harness_for_races_fails_without_the_lock(drive: Drive, monkeypatch):
    admit = store.Put._check_place

    def admit_and_sleep(self: store.Put, **options: bool) -> None:
        admit(self, **options)
        pause(0.001)  # the other processes run here

    monkeypatch.setattr(locks.DriveLock, "held", nullcontext)
    monkeypatch.setattr(store.Put, "_check_place", admit_and_sleep)
    with pytest.raises(AssertionError):
        races.one_component_wins(drive, rounds=100)
