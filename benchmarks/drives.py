"""D1 and D2: one big file, and a folder of many small ones, into a drive and out of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from benchmarks.measure import Measure
from lightning_lite.storage import Drive

BIG = 1 << 30
MANY = 10_000
SMALL = 1024

DISK = Path(tempfile.gettempdir())
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else DISK

_folders: list[tempfile.TemporaryDirectory[str]] = []


def workplace(place: Path) -> Path:
    """Return a new folder in `place` that goes with this process."""
    _folders.append(tempfile.TemporaryDirectory(dir=place, prefix="bench-drives-"))
    return Path(_folders[-1].name)


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


@cache
def with_big_file(place: Path) -> tuple[Path, Drive]:
    """Return a folder with a big file, and a drive that has it already."""
    folder = workplace(place)
    piece = os.urandom(1 << 20)
    with (folder / "big").open("wb") as file:
        for _ in range(BIG >> 20):
            file.write(piece)
    return folder, drive_in(folder, "big")


@cache
def with_many_files(place: Path) -> tuple[Path, Drive]:
    """Return a folder with a folder of small files, and a drive that has it already."""
    folder = workplace(place)
    (folder / "many").mkdir()
    for number in range(MANY):
        (folder / f"many/{number}").write_bytes(os.urandom(SMALL))
    return folder, drive_in(folder, "many")


def drive_in(folder: Path, name: str) -> Drive:
    """Return a drive whose root is in `folder`, with one of its files or folders put as `there`."""
    drive = Drive("lit://bench", root_dir=folder / "root", root_folder=folder)
    drive.put(name, to="there")
    return drive


def put(made: Callable[[], tuple[Path, Drive]], name: str) -> float:
    """Return the seconds of a put of something new."""
    _, drive = made()
    taken = seconds(lambda: drive.put(name, to="new"))
    drive.delete("new")
    return taken


def get(made: Callable[[], tuple[Path, Drive]]) -> float:
    """Return the seconds of a get to a place where nothing is."""
    folder, drive = made()
    taken = seconds(lambda: drive.get("there", to="got"))
    remove(folder / "got")
    return taken


def moved(made: Callable[[], tuple[Path, Drive]]) -> float:
    """Return the seconds of a put that uses up its source."""
    _, drive = made()
    drive.get("there", to="got")
    taken = seconds(lambda: drive.put("got", to="new", move=True))
    drive.delete("new")
    return taken


def opened(made: Callable[[], tuple[Path, Drive]]) -> float:
    """Return the seconds until a file is open in place."""
    _, drive = made()
    return seconds(lambda: drive.open("there", "rb").close())


def sendfile(made: Callable[[], tuple[Path, Drive]]) -> float:
    """Return the seconds of a bare copy by the kernel."""
    folder, _ = made()

    def copy() -> None:
        with (folder / "big").open("rb") as source, (folder / "copy").open("wb") as target:
            while os.sendfile(target.fileno(), source.fileno(), None, BIG):
                pass

    taken = seconds(copy)
    remove(folder / "copy")
    return taken


def cp(made: Callable[[], tuple[Path, Drive]]) -> float:
    """Return the seconds of `cp -rp`."""
    folder, _ = made()
    taken = seconds(lambda: subprocess.run(["cp", "-rp", folder / "many", folder / "copy"], check=True))
    remove(folder / "copy")
    return taken


def remove(path: Path) -> None:
    """Remove a file or a folder."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def nothing() -> float:
    """Return the limit of what costs next to nothing."""
    return 0.0


def big_measures(name: str, where: str, place: Path) -> list[Measure]:
    """Return the measures of the big file in one place."""
    made = partial(with_big_file, place)
    limit = partial(sendfile, made)
    copied = [("put", partial(put, made, "big")), ("get", partial(get, made))]
    instant = [("put with move=True", partial(moved, made)), ("open in place", partial(opened, made))]
    return [
        *(
            Measure(name, f"{verb} of 1 GiB, {where}", "sendfile", "s", 1.05, ours, limit, 5)
            for verb, ours in copied
        ),
        *(
            Measure(
                f"{name}b",
                f"{verb} of 1 GiB, {where}",
                "nothing",
                "s",
                0.001,
                ours,
                nothing,
                5,
                difference=True,
            )
            for verb, ours in instant
        ),
    ]


def many_measures(name: str, where: str, place: Path, goal: float) -> list[Measure]:
    """Return the measures of the many files in one place."""
    made = partial(with_many_files, place)
    rows = [
        ("put", partial(put, made, "many"), goal),
        ("get", partial(get, made), goal),
        ("put with move=True", partial(moved, made), 0.01),
    ]
    return [
        Measure(name, f"{verb} of 10,000 x 1 KiB, {where}", "cp -rp", "s", limit, ours, partial(cp, made), 5)
        for verb, ours, limit in rows
    ]


MEASURES = [
    *big_measures("D1", "disk", DISK),
    *many_measures("D2", "disk", DISK, 0.5),
    *many_measures("D2m", "memory", MEMORY, 1.0),
]
