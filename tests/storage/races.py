"""Processes that use one drive at the same time, and checks of their views."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveDuplicate, DriveNotFound

#: Seconds after which a process that hangs is ended; the long runs take minutes where the machine is busy.
DEADLINE = 1800

#: User and group without rights.
NOBODY = 65534


def together(*jobs: Callable[[], object]) -> None:
    """Do each job in a forked process of its own, and fail with the error of the first one that fails."""
    ends = [fork(job) for job in jobs]
    reports = []
    for pid, pipe in ends:
        with open(pipe) as file:
            reports.append(file.read())
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            reports.append(f"a process did not end within {DEADLINE} s")
    for report in reports:
        assert not report, report


def fork(job: Callable[[], object]) -> tuple[int, int]:
    """Do a job in a forked process; return its id and a pipe from which to read why it failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # not the test runner's
        signal.alarm(DEADLINE)
        job()
    except BaseException as error:  # noqa: BLE001 - the parent reports it
        os.write(writer, f"{type(error).__name__}: {error}".encode()[:4000] or b"failed")
    finally:
        os._exit(0)


def as_nobody(job: Callable[[], object]) -> None:
    """Do a job in a forked process that is not root, and fail with its error."""

    def confined() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        job()

    together(confined)


def own_folder(drive: Drive, name: str) -> Drive:
    """Return a handle whose local files are in a new folder, for one process."""
    folder = Path(name)
    folder.mkdir()
    return Drive(
        drive.id, root_dir=drive.root_dir, root_folder=folder, allow_duplicates=drive.allow_duplicates
    )


def no_get_is_torn(drive: Drive, gets: int, largest: int = 200_000) -> None:
    """Get a file while two others put it; each version contains its own checksum."""
    Path("stop").unlink(missing_ok=True)

    def sealed(random_: random.Random) -> bytes:
        data = random_.randbytes(4) * random_.randrange(largest // 4)
        return hashlib.sha256(data).digest() + data

    def write(number: int) -> None:
        mine = own_folder(drive, f"writer-{number}")
        random_ = random.Random(number)
        while not Path("stop").exists():
            Path(f"writer-{number}/file").write_bytes(sealed(random_))
            mine.put("file")

    def read(number: int) -> None:
        mine = own_folder(drive, f"reader-{number}")
        try:
            for _ in range(gets // 2):
                data = Path(mine.get("file")).read_bytes()
                assert hashlib.sha256(data[32:]).digest() == data[:32], "torn"
        finally:
            Path("stop").touch()

    Path("file").write_bytes(sealed(random.Random(0)))
    drive.put("file")
    together(*(lambda n=n: write(n) for n in range(2)), *(lambda n=n: read(n) for n in range(2)))


def no_folder_is_mixed(drive: Drive, gets: int, files: int = 30) -> None:
    """Get and list a folder while two others put it; all files of a version have the same text."""
    Path("stop").unlink(missing_ok=True)

    def write_version(mine: Drive, text: str) -> None:
        assert mine.root_folder is not None
        for name in range(files):
            path = Path(mine.root_folder, f"folder/{name % 3}/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        mine.put("folder")

    def write(number: int) -> None:
        mine = own_folder(drive, f"writer-{number}")
        turn = 0
        while not Path("stop").exists():
            turn += 1
            write_version(mine, f"{number}-{turn}")

    def read(number: int) -> None:
        mine = own_folder(drive, f"reader-{number}")
        try:
            for _ in range(gets):
                got = Path(mine.get("folder", overwrite=True))
                texts = [path.read_text() for path in got.rglob("*") if path.is_file()]
                assert len(texts) == files, f"mixed: {len(texts)} {set(texts)}"
                assert len(set(texts)) == 1, f"mixed: {len(texts)} {set(texts)}"
                assert len(mine.list("folder", recursive=True)) == files
                assert len(mine.list(recursive=True)) == files
                assert len(mine.entries(recursive=True)) == files
        finally:
            Path("stop").touch()

    write_version(own_folder(drive, "first"), "first")
    together(*(lambda n=n: write(n) for n in range(2)), lambda: read(0))


def no_folder_changes_while_it_is_read(drive: Drive, gets: int) -> None:
    """Get a folder while another process puts single files into it, always `a` before `b`."""
    Path("stop").unlink(missing_ok=True)
    os.makedirs("folder/deep")
    for name in ("folder/deep/a", "folder/b", *(f"folder/ballast-{n}" for n in range(200))):
        Path(name).write_text("0")
    drive.put("folder")

    def write() -> None:
        mine = own_folder(drive, "writer")
        os.makedirs("writer/folder/deep")
        turn = 0
        while not Path("stop").exists():
            turn += 1
            for name in ("folder/deep/a", "folder/b"):
                Path("writer", name).write_text(str(turn))
                mine.put(name)

    def read() -> None:
        mine = own_folder(drive, "reader")
        try:
            for _ in range(gets):
                got = Path(mine.get("folder", overwrite=True))
                a, b = int((got / "deep/a").read_text()), int((got / "b").read_text())
                assert a - b in (0, 1), f"mixed: a is of turn {a}, b of {b}"
        finally:
            Path("stop").touch()

    together(write, read)


def one_component_wins(drive: Drive, rounds: int) -> None:
    """Let components put the same path at the same time; check that each round has one winner."""
    Path("wins").write_text("")

    def compete(component: str) -> None:
        mine = Drive(drive.id, root_dir=drive.root_dir, component_name=component)
        Path(component).write_text(component)
        for turn in range(rounds):
            meet("start", turn, 3)
            try:
                mine.put(component, to=f"path-{turn}")
            except DriveDuplicate:
                continue
            with open("wins", "a") as file:
                file.write(f"{turn}\n")

    together(*(lambda name=name: compete(name) for name in ("anna", "berta", "carla")))
    assert sorted(map(int, Path("wins").read_text().split())) == list(range(rounds))
    assert [entry.name for entry in drive.entries()] == sorted(f"path-{turn}" for turn in range(rounds))


def meet(name: str, turn: int, count: int) -> None:
    """Wait until `count` processes have called this."""
    fd = os.open(f"{name}-{turn}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, b".")
        while os.fstat(fd).st_size < count:
            os.sched_yield()
    finally:
        os.close(fd)


def change_at_random(drive: Drive, number: int) -> None:
    """Put, get and delete files and folders until killed."""
    mine = own_folder(drive, f"victim-{number}")
    random_ = random.Random(number)
    folder = Path(f"victim-{number}")
    while True:
        text = str(random_.random())
        shutil.rmtree(folder / "folder", ignore_errors=True)
        (folder / "folder").mkdir()
        for name in ("file", "folder/a", "folder/b"):
            (folder / name).write_text(text)
        try:
            random_.choice(
                (
                    lambda: mine.put("file"),
                    lambda: mine.put("folder"),
                    lambda: mine.get("folder", overwrite=True),
                    lambda: mine.delete("file"),
                    lambda: mine.delete("folder"),
                )
            )()
        except DriveNotFound:
            continue
