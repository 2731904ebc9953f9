"""D3, D4 and D5: long lists, puts of several processes into one drive, and gets during puts."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache, partial
from pathlib import Path

import filelock

from benchmarks.drives import DISK, MEMORY, new_folder, nothing, seconds
from benchmarks.measure import Measure
from lightning_lite.storage import Drive

ENTRIES = 100_000
PROCESSES = 4
PUTS = 500
SIZE = 4096

#: Takes a lock for a `with` block.
Lock = Callable[[], AbstractContextManager[object]]


@cache
def with_many_names() -> tuple[Path, Drive]:
    """Return a folder with many empty files, and a drive that has a copy of it."""
    folder = new_folder(MEMORY)
    (folder / "names").mkdir()
    for number in range(ENTRIES):
        (folder / f"names/{number:06}").touch()
    drive = Drive("lit://bench", root_dir=folder / "root", root_folder=folder)
    drive.put("names")
    return folder, drive


def names() -> float:
    """Return the seconds of a list."""
    _, drive = with_many_names()
    return seconds(lambda: drive.list("names"))


def entries() -> float:
    """Return the seconds of a list with sizes."""
    _, drive = with_many_names()
    return seconds(lambda: drive.entries("names"))


def bare_names() -> float:
    """Return the seconds of a bare list."""
    folder, _ = with_many_names()
    return seconds(lambda: os.listdir(folder / "names"))


def bare_entries() -> float:
    """Return the seconds of a bare list with sizes."""

    def look() -> None:
        with os.scandir(folder / "names") as found:
            for entry in found:
                entry.stat()

    folder, _ = with_many_names()
    return seconds(look)


def in_processes(job: Callable[[int], None]) -> float:
    """Return the seconds until `PROCESSES` forked processes have run `job` at the same time."""

    def run() -> None:
        pids = []
        for number in range(PROCESSES):
            pid = os.fork()
            if pid == 0:
                try:
                    job(number)
                finally:
                    os._exit(0)
            pids.append(pid)
        for pid in pids:
            os.waitpid(pid, 0)

    return seconds(run)


def puts(place: Path, name: str) -> float:
    """Return the seconds of all puts.

    Args:
        place: Folder for the drive.
        name: Beginning of the names of the files.
    """
    folder = new_folder(place)
    (folder / "file").write_bytes(os.urandom(SIZE))
    drive = Drive("lit://bench", root_dir=folder / "root", root_folder=folder)
    drive.put("file")

    def job(number: int) -> None:
        for turn in range(PUTS):
            drive.put("file", to=f"{name}{number}-{turn}")

    taken = in_processes(job)
    assert len(drive.list()) == PROCESSES * PUTS + 1
    return taken


def copies(place: Path, lock: Callable[[Path], Lock]) -> float:
    """Return the seconds of the same number of copies with `sendfile`, each under a lock."""
    folder = new_folder(place)
    (folder / "file").write_bytes(os.urandom(SIZE))

    def job(number: int) -> None:
        locked = lock(folder)
        for turn in range(PUTS):
            with (
                locked(),
                (folder / "file").open("rb") as source,
                (folder / f"{number}-{turn}").open("wb") as target,
            ):
                os.sendfile(target.fileno(), source.fileno(), None, SIZE)

    return in_processes(job)


def by_flock(folder: Path) -> Lock:
    """Return a function that takes a lock with `flock`."""
    fd = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)

    @contextmanager
    def locked() -> Iterator[None]:
        fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)

    return locked


def by_filelock(folder: Path) -> Lock:
    """Return a function that takes a lock with `filelock`."""
    return filelock.FileLock(folder / "lock").acquire


def torn() -> float:
    """Return the number of 2,000 gets that were incomplete or mixed while another process put."""
    folder = new_folder(MEMORY)
    drive = Drive("lit://bench", root_dir=folder / "root", root_folder=folder)

    def put(turn: int) -> None:
        data = os.urandom(8) * (turn % 20_000)
        (folder / "file").write_bytes(hashlib.sha256(data).digest() + data)
        drive.put("file")

    put(0)
    pid = os.fork()
    if pid == 0:
        try:
            turn = 0
            while not (folder / "stop").exists():
                turn += 997
                put(turn)
        finally:
            os._exit(0)
    count = 0
    for _ in range(2000):
        data = Path(drive.get("file", to="got")).read_bytes()
        count += hashlib.sha256(data[32:]).digest() != data[:32]
    (folder / "stop").touch()
    os.waitpid(pid, 0)
    return float(count)


def put_measures(
    name: str, where: str, place: Path, goal: float, lock: Callable[[Path], Lock], lock_name: str
) -> list[Measure]:
    """Return the measures of puts into a drive in the folder `place`.

    A drive refuses names that differ only in case, so a new name with letters takes longer than one without.

    Args:
        name: Name of the measures.
        where: Name of the place.
        place: Folder for the drive.
        goal: The highest accepted ratio to the limit.
        lock: Returns the lock of the limit.
        lock_name: Name of that lock.
    """
    return [
        Measure(
            name,
            f"4 processes x 500 puts of 4 KiB, {kind}, {where}",
            f"{lock_name}, sendfile",
            "s",
            goal,
            partial(puts, place, begin),
            partial(copies, place, lock),
            5,
        )
        for kind, begin in (("names of digits", ""), ("names with letters", "part-"))
    ]


MEASURES = [
    Measure("D3", "names of 100,000 entries", "listdir", "s", 2, names, bare_names),
    Measure("D3b", "100,000 entries with sizes", "scandir, stat", "s", 1.2, entries, bare_entries),
    *put_measures("D4", "disk", DISK, 2.0, by_flock, "flock"),
    *put_measures("D4m", "memory", MEMORY, 1.11, by_filelock, "filelock"),
    Measure(
        "D5", "torn gets of 2,000 against a writer", "none", "gets", 0, torn, nothing, 5, difference=True
    ),
]
