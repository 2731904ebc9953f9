"""New names in big folders are not compared with all names, and still no second form of a name is stored."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from select import select

import pytest
import races
from faults import CHANGING, ERRNOS, Plan, fail, guarded, killed_at, leftovers

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import (
    DriveError,
    DriveIsDirectory,
    DriveNameClash,
    DriveNotADirectory,
    DriveNotFound,
    DriveNotOwner,
)
from lightning_lite.storage.fs import probe, syscalls
from lightning_lite.storage.local import name_index
from lightning_lite.storage.local.name_index import NameIndex
from lightning_lite.storage.names import folded
from lightning_lite.storage.transfer.staging import StagingFolder

from tests.support.files import pinned

#: Names of a folder that is big for the package, and of one that is big for a test.
MANY, FEW = 300, 60


@pytest.fixture
def big(quick_drive: Drive, monkeypatch: pytest.MonkeyPatch) -> Drive:
    """Return a drive with a big folder `x`, on any file system, that has an index."""
    monkeypatch.setattr(name_index, "BIG", 1)
    return fill(quick_drive, FEW)


def fill(drive: Drive, count: int = MANY) -> Drive:
    Path("file").write_text("file")
    shutil.rmtree("x", ignore_errors=True)
    Path("x").mkdir()
    for number in range(count):
        Path(f"x/Name-{number}").touch()
    drive.put("x")
    drive.put("file", to="x/The-first")
    if not index(drive).exists():
        pytest.skip("times of change are too coarse here")
    return drive


def place(drive: Drive) -> Path:
    return Path(drive.root_dir, "drives/d/main/x")


def index(drive: Drive) -> Path:
    """Return the file of the big folder's index."""
    return Path(drive.root_dir, f"drives/d/.lightning_lite/names/{place(drive).stat().st_ino:x}")


def indexes(drive: Drive) -> list[Path]:
    """Return the files of all indexes."""
    return sorted(Path(drive.root_dir, "drives/d/.lightning_lite/names").glob("*"))


def listings(do: Callable[[], object]) -> int:
    """Return how often the names of the big folder are listed."""
    count = 0

    def listdir(path: str) -> list[str]:
        nonlocal count
        count += str(path).endswith("/main/x")
        return os.listdir(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(syscalls, "listdir", listdir)
        do()
    return count


def refused(drive: Drive, name: str) -> None:
    with pytest.raises(DriveNameClash, match="are the same on macOS or Windows"):
        drive.put("file", to=f"x/{name}")


def test_a_new_name_in_a_big_folder_is_not_compared_with_all(quick_drive: Drive):
    drive = fill(quick_drive)
    Path("folder").mkdir()

    def put(name: str) -> None:
        assert listings(lambda: drive.put("file", to=f"x/{name}")) == 0

    for number in range(5):
        put(f"New-{number}")
        put(f"New-{number}")  # again
        put(str(number))
        put(f"After-a-number-{number}")
        drive.delete(f"x/Name-{number}")
        put(f"After-a-delete-{number}")
        races.together(lambda number=number: put(f"Other-{number}"))
        put(f"After-another-{number}")
        drive.put("folder", to="x/folder")
        drive.put("folder", to="x/folder")
        put(f"After-a-folder-{number}")
        shutil.copytree("folder", "moved")
        drive.put("moved", to=f"x/moved-{number}", move=True)
        put(f"After-a-move-{number}")
    refused(drive, "OTHER-4")


def test_a_name_that_is_put_and_deleted_does_not_rebuild_the_index(big: Drive):
    big.put("file", to="x/New")
    before = index(big).stat().st_ino
    for _ in range(5):
        big.delete("x/New")
        big.put("file", to="x/New")
    assert index(big).stat().st_ino == before


def test_a_check_without_the_lock_builds_no_index(big: Drive):
    by_hand(big)
    names = NameIndex(str(index(big).parent), StagingFolder(f"{big.root_dir}/drives/d/.lightning_lite/aside"))
    index(big).unlink()
    names.refuse_other_form(str(place(big)), ("New",), is_locked=False)
    assert not index(big).exists()
    names.refuse_other_form(str(place(big)), ("New",), is_locked=True)
    assert index(big).exists()


def test_nothing_stays_open(big: Drive):
    before = os.listdir("/dev/fd")
    for name in ("New", "New", "Name-3", "3"):
        big.put("file", to=f"x/{name}")
    refused(big, "NEW")
    by_hand(big)
    big.put("file", to="x/Newer")
    assert len(os.listdir("/dev/fd")) == len(before)


def test_an_existing_file_is_replaced_without_an_index(big: Drive):
    by_hand(big)
    assert listings(lambda: big.put("file", to="x/Name-3")) == 0
    assert listings(lambda: big.put("file", to="x/3")) == 0
    assert listings(lambda: big.delete("x/Name-3")) == 0
    assert listings(lambda: big.put("file", to="x/New")) > 0


def test_a_small_folder_needs_no_index(quick_drive: Drive):
    Path("file").touch()
    for number in range(10):
        quick_drive.put("file", to=f"x/Name-{number}")
    assert not indexes(quick_drive)
    refused(quick_drive, "name-3")


def put_file(drive: Drive) -> None:
    drive.put("file", to="x/File")


def put_elsewhere(drive: Drive) -> None:
    races.together(lambda: put_file(drive))


def put_folder(drive: Drive) -> None:
    Path("File").mkdir()
    drive.put("File", to="x/File")


def put_below(drive: Drive) -> None:
    drive.put("file", to="x/File/inner/file")


def move_file(drive: Drive) -> None:
    Path("File").touch()
    drive.put("File", to="x/File", move=True)


def move_folder(drive: Drive) -> None:
    Path("File").mkdir()
    drive.put("File", to="x/File", move=True)
    assert not Path("File").exists()


def put_in_two_steps(drive: Drive) -> None:
    put_folder(drive)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(syscalls, "exchange", lambda *places: False)
        drive.put("File", to="x/File")


def put_while_read(drive: Drive) -> None:
    with pinned(place(drive)):
        put_file(drive)


def replace_all(drive: Drive) -> None:
    Path("x/File").touch()
    drive.put("x")


def delete_and_put_all(drive: Drive) -> None:
    drive.delete("x")
    replace_all(drive)


def by_hand(drive: Drive) -> None:
    Path(place(drive), "File").touch()


def by_hand_and_by_name(drive: Drive) -> None:
    by_hand(drive)
    drive.put("file", to="x/Name-3")
    drive.delete("x/Name-4")
    drive.put("file", to="x/1")


@pytest.mark.parametrize(
    "come",
    [
        put_file,
        put_elsewhere,
        put_folder,
        put_below,
        put_in_two_steps,
        put_while_read,
        move_file,
        move_folder,
        replace_all,
        delete_and_put_all,
        by_hand,
        by_hand_and_by_name,
    ],
)
def test_a_second_form_of_a_name_is_refused_in_whichever_way_the_first_one_was_put(
    big: Drive, come: Callable[[Drive], None]
):
    come(big)
    refused(big, "FILE")
    big.put("file", to="x/Next")
    refused(big, "fILE")
    refused(big, "next")
    refused(big, "name-8")
    if come not in (by_hand, by_hand_and_by_name):
        big.delete("x/File")
        big.put("file", to="x/FILE")
        refused(big, "File")


@pytest.mark.parametrize(
    ("one", "other"),
    [("Straße", "STRASSE"), ("\u00e9", "\u00c9"), ("e\u0301", "\u00e9"), ("=\u0338", "\u2260")],
)
def test_names_that_are_not_ascii_are_found(big: Drive, one: str, other: str):
    anything = Drive(big.id, root_dir=big.root_dir, portable_names=False)
    anything.put("file", to=f"x/{one}")
    refused(big, other)
    anything.put("file", to=f"x/{other}")
    big.put("file", to="x/Last")
    assert {one, other} < set(os.listdir(place(big)))


def test_a_name_is_found_if_its_page_is_full(big: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(name_index, "_PAGE_SIZE", 64)
    by_hand(big)  # so that one with small pages is built
    for number in range(100):
        big.put("file", to=f"x/New-{number}")
        refused(big, f"NEW-{number}")


def test_a_hash_that_ends_with_zeros_is_not_overwritten(big: Drive, monkeypatch: pytest.MonkeyPatch):
    numbers = {"a": 1, "b": 0x0100, "c": 0x01000000, "d": 0x00010000}
    monkeypatch.setattr(name_index, "_hash", lambda name: numbers.get(name.lower(), 0xFFFFFFFF))
    by_hand(big)
    for name in numbers:
        big.put("file", to=f"x/{name}")
    for name in numbers:
        refused(big, name.upper())


def test_a_name_that_a_signal_handler_puts_is_found(drive: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(name_index, "BIG", 1)
    Path("file").touch()
    drive.put("file", to="A")
    number = 0
    was_cut = True
    # A put at each operation of another one, on the top level, where no process holds the folder.
    while was_cut:
        number += 1
        plan = Plan(number, lambda name, number=number: drive.put("file", to=f"Within-{number}"))
        with guarded(plan, ("pread", "pwrite", "fstat", "stat", "rename")):
            drive.put("file", to=f"Around-{number}")
        was_cut = plan.count >= number
        for name in (f"WITHIN-{number}", f"AROUND-{number}") if was_cut else ():
            with pytest.raises(DriveNameClash):
                drive.put("file", to=name)
    assert number > 10


@pytest.mark.parametrize("tick", [4_000_000, 1_000_000_000])
def test_all_names_are_compared_if_ctime_is_coarse(
    quick_drive: Drive, tick: int, monkeypatch: pytest.MonkeyPatch
):
    class Coarse:
        def __init__(self, found: os.stat_result) -> None:
            self._found = found

        def __getattr__(self, name: str) -> object:
            value = getattr(self._found, name)
            return value // tick * tick if name == "st_ctime_ns" else value

    for name in ("stat", "fstat"):
        function = getattr(syscalls, name)
        monkeypatch.setattr(syscalls, name, lambda *args, _f=function, **kwargs: Coarse(_f(*args, **kwargs)))
    monkeypatch.setattr(name_index, "BIG", 1)
    Path("file").touch()
    for number in range(50):
        quick_drive.put("file", to=f"x/Name-{number}")
        refused(quick_drive, f"NAME-{number}")
    assert not indexes(quick_drive)


def test_all_names_are_compared_on_a_network_file_system(quick_drive: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(name_index, "BIG", 1)
    Path("file").touch()
    quick_drive.put("file")
    monkeypatch.setattr(probe, "file_system_type", lambda folder: "nfs4")
    for number in range(5):
        Drive(quick_drive.id, root_dir=quick_drive.root_dir).put("file", to=f"x/Name-{number}")
    assert not indexes(quick_drive)


def test_a_put_that_dies_anywhere_leaves_no_name_that_the_index_lacks(big: Drive):
    number, killed = 0, True
    while killed:
        number += 1
        killed = killed_at(number, lambda number=number: big.put("file", to=f"x/Killed-{number}"))
        if Path(place(big), f"Killed-{number}").exists():
            refused(big, f"KILLED-{number}")
        else:
            big.put("file", to=f"x/KILLED-{number}")
            refused(big, f"Killed-{number}")
        assert not leftovers(Path(big.root_dir))
    assert number > 15


@pytest.mark.parametrize("is_built", [True, False])
@pytest.mark.parametrize("code", ERRNOS[::6])
def test_a_put_succeeds_and_no_name_is_missed_if_the_index_can_not_be_written(
    big: Drive, code: int, is_built: bool
):
    number, failed = 0, True
    while failed:
        number += 1
        if not is_built:
            by_hand(big)
        plan = Plan(number, fail(code))
        with guarded(plan, CHANGING):
            try:
                big.put("file", to=f"x/Failed-{number}")
            except DriveError:
                assert not Path(place(big), f"Failed-{number}").exists()
        failed = plan.count >= number
        big.put("file", to=f"x/Failed-{number}")
        refused(big, f"FAILED-{number}")
    assert number > 15


def test_an_index_that_was_written_in_part_is_not_used(big: Drive, monkeypatch: pytest.MonkeyPatch):
    by_hand(big)
    monkeypatch.setattr(name_index, "_PAGE_SIZE", 64)
    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "write", lambda fd, data: os.write(fd, data[:1000]))
        big.put("file", to="x/New")
    refused(big, "name-7")
    refused(big, "new")
    assert not leftovers(Path(big.root_dir))


@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.unlink(),
        lambda path: shutil.rmtree(path.parent),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:128]),
        lambda path: path.write_bytes(path.read_bytes()[:4000]),
        lambda path: path.write_bytes(os.urandom(9000)),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    ],
    ids=["gone", "all gone", "empty", "no page", "half a page", "nonsense", "a folder", "a FIFO", "a link"],
)
def test_a_damaged_index_is_not_used(big: Drive, harm: Callable[[Path], object]):
    harm(index(big))
    refused(big, "name-7")
    big.put("file", to="x/New")
    refused(big, "NEW")
    refused(big, "the-FIRST")


def test_an_index_is_built_again_after_a_boot(big: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(name_index, "boot_id", lambda: "another start")
    assert listings(lambda: big.put("file", to="x/New")) > 0
    assert listings(lambda: big.put("file", to="x/Newer")) == 0
    refused(big, "new")


def test_all_names_are_compared_if_the_system_has_no_boot_id(
    quick_drive: Drive, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(name_index, "BIG", 1)
    monkeypatch.setattr(name_index, "boot_id", lambda: None)
    Path("file").touch()
    for number in range(5):
        quick_drive.put("file", to=f"x/Name-{number}")
    assert not indexes(quick_drive)
    refused(quick_drive, "name-3")


def test_indexes_of_deleted_folders_are_removed(big: Drive, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(name_index, "MOST", 5)
    for number in range(20):
        big.put("file", to=f"folder-{number}/Name")
        big.put("file", to=f"folder-{number}/Other")
        assert len(indexes(big)) <= 5
        refused(big, "name-7")


def change_at_random(drive: Drive, luck: random.Random, turns: int) -> None:
    """Put and delete a few names in all their forms, as files and as folders."""
    here = Path(tempfile.mkdtemp(dir="."))  # no process id in its name: a thousand kills use up all of them
    (here / "folder").mkdir()
    (here / "file").touch()
    mine = Drive(drive.id, root_dir=drive.root_dir, root_folder=here)
    words = [f"{one}{other}" for one in "abcdef" for other in "uvw"]
    for _ in range(turns):
        path = "x/" + "".join(luck.choice((one.lower(), one.upper())) for one in luck.choice(words))
        try:
            if luck.random() < 0.4:
                mine.delete(path)
            else:
                mine.put(
                    luck.choice(("file", "file", "folder")), to=luck.choice((path, path, f"{path}/Inner"))
                )
        except (DriveNameClash, DriveNotFound, DriveNotOwner, DriveIsDirectory, DriveNotADirectory):
            continue


def no_name_is_there_twice(drive: Drive) -> None:
    names = os.listdir(place(drive))
    assert len({folded(name) for name in names}) == len(names)
    assert len(names) > FEW


@pytest.mark.parametrize("page", [8, 4096])
def test_random_puts_and_deletes_never_store_two_forms_of_a_name(
    big: Drive, page: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(name_index, "_PAGE_SIZE", page)  # small ones are full again and again
    races.together(*(lambda seed=seed: change_at_random(big, random.Random(seed), 80) for seed in range(4)))
    no_name_is_there_twice(big)


@pytest.mark.parametrize("kills", [5, pytest.param(1000, marks=pytest.mark.torture)])
@pytest.mark.parametrize("page", [8, 4096])
def test_random_kills_never_let_two_forms_of_a_name_be_stored(
    big: Drive, page: int, kills: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(name_index, "_PAGE_SIZE", page)
    luck = random.Random(page)
    for _ in range(kills):
        seeds = luck.random(), luck.random()
        ends = [races.fork(lambda s=seed: change_at_random(big, random.Random(s), 10_000)) for seed in seeds]
        select([], [], [], luck.random() * 0.03)
        for pid, pipe in ends:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            with open(pipe) as report:
                assert not report.read()
        no_name_is_there_twice(big)
