"""D1 and D2: put and get of one big file, and of a folder with many small files.

The copies of the many files stay on the disk until the process exits. ext4 without a journal gives a new file
no inode that was freed in the last minutes, and looks at each of them: after the removal of 10,000 files,
to create a file takes ten times as long, for ours and for the limit.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import Measure
from lightning_lite.storage import Drive

BIG = 1 << 30
MANY = 10_000
SMALL = 1024

DISK = Path(tempfile.gettempdir())
MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else DISK

_folders: list[tempfile.TemporaryDirectory[str]] = []
_numbers = count()


class Data(NamedTuple):
    """The data of a measure.

    Attributes:
        folder: Folder with the files to put.
        drive: A drive that has a copy of it.
        keeps_copies: Whether each further copy stays until this process exits.
    """

    folder: Path
    drive: Drive
    keeps_copies: bool


def new_folder(place: Path) -> Path:
    """Return a new folder in `place` that is removed when this process exits."""
    _folders.append(tempfile.TemporaryDirectory(dir=place, prefix="bench-drives-"))
    return Path(_folders[-1].name)


def seconds(action: Callable[[], object]) -> float:
    """Return the duration of `action` in seconds."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


@cache
def with_big_file(place: Path) -> Data:
    """Return a folder with a big file, and a drive that has a copy of it."""
    folder = new_folder(place)
    data = os.urandom(1 << 20)
    with (folder / "big").open("wb") as file:
        for _ in range(BIG >> 20):
            file.write(data)
    return Data(folder, drive_in(folder, "big"), keeps_copies=False)


@cache
def with_many_files(place: Path) -> Data:
    """Return a folder with a folder of small files, and a drive that has a copy of it."""
    folder = new_folder(place)
    (folder / "many").mkdir()
    for number in range(MANY):
        (folder / f"many/{number}").write_bytes(os.urandom(SMALL))
    return Data(folder, drive_in(folder, "many"), keeps_copies=place == DISK)


def drive_in(folder: Path, name: str) -> Drive:
    """Return a drive whose root is in `folder`, with the file or folder `name` stored as `stored`."""
    drive = Drive("lit://bench", root_dir=folder / "root", root_folder=folder)
    drive.put(name, to="stored")
    return drive


#: Returns the data of a measure.
Setup = Callable[[], Data]


def put(setup: Setup, name: str) -> float:
    """Return the seconds of a put to a new path."""
    data, new = setup(), new_name()
    taken = seconds(lambda: data.drive.put(name, to=new))
    discard_put(data, new)
    return taken


def get(setup: Setup) -> float:
    """Return the seconds of a get to a new path."""
    data, new = setup(), new_name()
    taken = seconds(lambda: data.drive.get("stored", to=new))
    discard(data, new)
    return taken


def put_by_move(setup: Setup) -> float:
    """Return the seconds of a put that moves its source."""
    data, got, new = setup(), new_name(), new_name()
    data.drive.get("stored", to=got)
    taken = seconds(lambda: data.drive.put(got, to=new, move=True))
    discard_put(data, new)
    return taken


def open_in_place(setup: Setup) -> float:
    """Return the seconds to open and close a file in the drive."""
    drive = setup().drive
    return seconds(lambda: drive.open("stored", "rb").close())


def sendfile(setup: Setup) -> float:
    """Return the seconds of a copy with `sendfile`."""
    data, new = setup(), new_name()

    def copy() -> None:
        with (data.folder / "big").open("rb") as source, (data.folder / new).open("wb") as target:
            while os.sendfile(target.fileno(), source.fileno(), None, BIG):
                pass

    taken = seconds(copy)
    discard(data, new)
    return taken


def cp(setup: Setup) -> float:
    """Return the seconds of `cp -rp`."""
    data, new = setup(), new_name()
    command = ["cp", "-rp", str(data.folder / "many"), str(data.folder / new)]
    taken = seconds(lambda: subprocess.run(command, check=True))
    discard(data, new)
    return taken


def new_name() -> str:
    """Return a name for a copy that no other copy has."""
    return f"copy{next(_numbers)}"


def discard(data: Data, name: str) -> None:
    """Remove a copy in the folder, unless it is kept."""
    if data.keeps_copies:
        return
    path = data.folder / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def discard_put(data: Data, name: str) -> None:
    """Remove a copy in the drive, unless it is kept."""
    if not data.keeps_copies:
        data.drive.delete(name)


def nothing() -> float:
    """Return 0, the limit of operations that should cost almost nothing."""
    return 0.0


def big_measures(name: str, where: str, place: Path) -> list[Measure]:
    """Return the measures of the big file in the folder `place`."""
    setup = partial(with_big_file, place)
    limit = partial(sendfile, setup)
    copied = [("put", partial(put, setup, "big")), ("get", partial(get, setup))]
    instant = [
        ("put with move=True", partial(put_by_move, setup)),
        ("open in place", partial(open_in_place, setup)),
    ]
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
    """Return the measures of the many files in the folder `place`."""
    setup = partial(with_many_files, place)
    rows = [
        ("put", partial(put, setup, "many"), goal),
        ("get", partial(get, setup), goal),
        ("put with move=True", partial(put_by_move, setup), 0.01),
    ]
    return [
        Measure(name, f"{verb} of 10,000 x 1 KiB, {where}", "cp -rp", "s", limit, ours, partial(cp, setup), 5)
        for verb, ours, limit in rows
    ]


MEASURES = [
    *big_measures("D1", "disk", DISK),
    *many_measures("D2", "disk", DISK, 0.5),
    *many_measures("D2m", "memory", MEMORY, 1.0),
]
