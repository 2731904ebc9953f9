"""The verbs of a drive when nothing goes wrong, and which caller may use them."""

from __future__ import annotations

import copy
import os
import pickle
import stat
import sys
from pathlib import Path

import pytest
from faults import Plan, guarded

from lightning_lite.context import Caller, acting_as
from lightning_lite.storage import Drive
from lightning_lite.storage.artifacts import Artifacts
from lightning_lite.storage.errors import (
    DriveAmbiguous,
    DriveContextError,
    DriveDuplicate,
    DriveExists,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveNotFound,
    DriveNotOwner,
)

from tests.support.files import write

pytestmark = pytest.mark.usefixtures("drives_place")

#: Not on an object store: it is about plain files.
only_files = pytest.mark.parametrize("drives_place", ["files"], indirect=True)


def work(name: str, root: Path | None = None) -> Caller:
    return Caller("work", name, root=None if root is None else str(root))


def test_the_whole_example_works_in_a_plain_script(drive: Drive):
    assert drive.list() == []
    write("a.txt", "Hello World !")
    drive.put("a.txt")
    assert drive.list() == ["a.txt"]
    os.unlink("a.txt")
    assert drive.get("a.txt") == os.path.abspath("a.txt")
    assert Path("a.txt").read_text() == "Hello World !"
    drive.delete("a.txt")
    assert drive.list() == []


def test_a_folder_comes_back_as_it_was_with_its_empty_folders(drive: Drive):
    write("folder/a")
    write("folder/x/b", "b")
    os.makedirs("folder/empty/too")
    drive.put("folder")
    got = Path(drive.get("folder", to="copy"))
    assert sorted(str(path.relative_to(got)) for path in got.rglob("*")) == [
        "a",
        "empty",
        "empty/too",
        "x",
        "x/b",
    ]
    assert (got / "x/b").read_text() == "b"


def test_putting_a_folder_again_replaces_it(drive: Drive):
    write("folder/old")
    drive.put("folder")
    os.unlink("folder/old")
    write("folder/new")
    drive.put("folder")
    assert drive.list("folder") == ["folder/new"]


def test_putting_a_file_again_replaces_it(drive: Drive):
    for text in ("one", "two"):
        write("a", text)
        drive.put("a")
    assert Path(drive.get("a", to="b")).read_text() == "two"


def test_to_names_the_path_in_the_drive_and_the_local_one(drive: Drive):
    write("a")
    drive.put("a", to="deep/er/b")
    assert drive.list(recursive=True) == ["deep/er/b"]
    assert drive.get("deep/er/b", to="local/c") == os.path.abspath("local/c")
    assert Path("local/c").read_text() == "text"


def test_an_absolute_path_inside_the_folder_is_taken_relative(drive: Drive):
    write("x/a")
    drive.put(os.path.abspath("x/a"))
    assert drive.list("x") == ["x/a"]
    assert drive.get(os.path.abspath("x/a")) == os.path.abspath("x/a")
    assert drive.exists(Path("x/a").absolute())
    drive.delete(Path("x/a").absolute())
    assert drive.list("x") == []


def test_list_is_sorted_and_names_each_path_once(drive: Drive):
    for name in ("b", "a", "c/d"):
        write(name)
        drive.put(name)
    other = Drive("lit://d", allow_duplicates=True, component_name="other")
    other.put("a")
    assert drive.list() == ["a", "b", "c"]
    assert drive.list("c") == ["c/d"]
    assert drive.list("b") == ["b"]
    assert drive.list("nothing") == drive.list("b/below a file") == []
    assert drive.list(component_name="other") == ["a"]


def test_permissions_and_times_are_kept(drive: Drive):
    modes = [0o644, 0o600, 0o755, 0o444, 0o400, 0o664, 0o640, 0o777]
    for mode in modes:
        write(f"folder/{mode:o}")
        os.chmod(f"folder/{mode:o}", mode)
        os.utime(f"folder/{mode:o}", ns=(1, 1_234_567_891_234_567_891))
    os.chmod("folder", 0o750)
    os.utime("folder", ns=(1, 1_134_567_891_234_567_891))
    drive.put("folder")
    drive.get("folder", to="copy")
    for mode in modes:
        drive.put(f"folder/{mode:o}", to=f"{mode:o}")
        for got in (Path("copy", f"{mode:o}"), Path(drive.get(f"{mode:o}"))):
            assert stat.S_IMODE(got.stat().st_mode) == mode, got
            assert got.stat().st_mtime_ns == 1_234_567_891_234_567_891, got
    assert stat.S_IMODE(Path("copy").stat().st_mode) == 0o750
    assert Path("copy").stat().st_mtime_ns == 1_134_567_891_234_567_891


@only_files
def test_set_id_bits_are_dropped_and_stored_files_can_not_be_written(drive: Drive):
    write("a").chmod(0o6755)
    drive.put("a")
    assert stat.S_IMODE(Path(drive.get("a", to="b")).stat().st_mode) == 0o755
    stored = Path(drive.root_dir, "drives/d/main/a")
    assert stored.read_text() == "text"  # people can look
    assert not stored.stat().st_mode & stat.S_IWUSR


def test_a_read_only_folder_comes_back_read_only(drive: Drive):
    write("folder/a")
    os.chmod("folder", 0o555)
    drive.put("folder")
    drive.put("folder")
    copy_ = Path(drive.get("folder", to="copy"))
    assert stat.S_IMODE(copy_.stat().st_mode) == 0o555
    for path in ("folder", "copy"):
        os.chmod(path, 0o755)


@only_files
def test_holes_stay_holes_and_big_files_are_whole(drive: Drive):
    with open("big", "wb") as file:
        file.seek(3_000_000)
        file.write(b"x" * 300_000)
        file.truncate(9_000_000_000)
    drive.put("big")
    got = Path(drive.get("big", to="copy"))
    assert got.stat().st_size == 9_000_000_000
    assert got.stat().st_blocks * 512 < 10_000_000
    with got.open("rb") as file:
        file.seek(3_000_000 - 1)
        assert file.read(300_002) == b"\0" + b"x" * 300_000 + b"\0"


def test_each_way_of_copying_gives_the_same(drive: Drive, monkeypatch):
    data = os.urandom(3_000_001)
    Path("a").write_bytes(data)
    for missing in ("copy_file_range", "sendfile"):
        drive.put("a")
        assert Path(drive.get("a", to="b")).read_bytes() == data
        monkeypatch.setattr(f"lightning_lite.storage.fs.syscalls.{missing}", None)
    drive.put("a")
    assert Path(drive.get("a", to="b")).read_bytes() == data


# Owners.


def test_files_belong_to_the_work_that_runs_the_code(own_place: Path):
    drive = Drive("lit://d")
    write("a")
    with acting_as(work("root.producer")):
        drive.put("a")
    assert [(entry.name, entry.owner) for entry in drive.entries()] == [("a", "root.producer")]
    with acting_as(work("root.consumer")):
        assert drive.get("a", to="b")


def test_a_given_component_name_precedes_that_of_the_caller(drive: Drive):
    write("a")
    with acting_as(work("root.producer")):
        Drive("lit://d", component_name="me").put("a")
    assert drive.entries()[0].owner == "me"


@pytest.mark.parametrize("kind", ["flow", "init"])
def test_the_flow_and_a_constructor_may_not_use_the_files_of_a_drive(drive: Drive, kind):
    write("a")
    drive.put("a")
    for verb, words in (
        (lambda: drive.put("a"), "put files into"),
        (lambda: drive.list(), "list files from"),
        (lambda: drive.get("a"), "get files from"),
        (lambda: drive.delete("a"), "delete files from"),
        (lambda: drive.open("a"), "open files of"),
        (lambda: drive.entries(), "list files from"),
        (lambda: drive.exists("a"), "list files from"),
    ):
        with (
            acting_as(Caller(kind, "root")),
            pytest.raises(DriveContextError, match=f"isn't allowed to {words} a Drive") as caught,
        ):
            verb()
        assert isinstance(caught.value, RuntimeError)
        if kind == "flow":
            assert str(caught.value).startswith("The flow isn't allowed to")


def test_another_component_can_not_put_the_same_path(drive: Drive):
    write("a", "mine")
    drive.put("a")
    other = Drive("lit://d", component_name="other")
    write("a", "theirs")
    with pytest.raises(
        DriveDuplicate, match=r"can't be added as already found in the Drive.*'main'.*component_name='main'"
    ) as caught:
        other.put("a")
    assert caught.value.owner == "main"
    assert isinstance(caught.value, FileExistsError)
    assert pickle.loads(pickle.dumps(caught.value)).owner == "main"
    with drive.open("a") as file:
        assert file.read() == "mine"


def test_a_get_of_a_path_with_several_owners_must_name_one(drive: Drive):
    for name in ("main", "other"):
        write("a", name)
        Drive("lit://d", allow_duplicates=True, component_name=name).put("a")
    with pytest.raises(
        DriveAmbiguous, match=r"several matching files created by multiple components: .*main.*other"
    ):
        drive.get("a")
    assert Path(drive.get("a", component_name="other")).read_text() == "other"
    with pytest.raises(DriveNotFound, match="of the component 'third'"):
        drive.get("a", component_name="third")


def test_only_the_component_that_put_a_path_deletes_it(drive: Drive):
    write("folder/a")
    drive.put("folder")
    with pytest.raises(
        DriveNotOwner, match=r"The component 'other' has no file .*belongs to 'main'"
    ) as caught:
        Drive("lit://d", component_name="other").delete("folder")
    assert isinstance(caught.value, PermissionError)
    drive.delete("folder")
    with pytest.raises(DriveNotFound, match=r"The component 'main' has no file "):
        drive.delete("folder")


# Files in the place of folders, and folders in the place of files.


def test_a_file_never_replaces_a_folder_nor_a_folder_a_file_in_a_drive(drive: Drive):
    write("file")
    write("folder/a")
    drive.put("file", to="x")
    drive.put("folder", to="y")
    with pytest.raises(DriveNotADirectory, match="can't replace the file"):
        drive.put("folder", to="x")
    write("y")
    with pytest.raises(DriveIsDirectory, match="can't replace the folder"):
        drive.put("y")
    with pytest.raises(DriveNotADirectory, match="'x' in the drive is a file"):
        drive.put("file", to="x/below")
    assert drive.list(recursive=True) == ["x", "y/a"]


def test_what_a_get_may_replace(drive: Drive):
    write("file", "new")
    write("folder/new")
    drive.put("file")
    drive.put("folder")
    write("file", "old")
    drive.get("file")
    assert Path("file").read_text() == "new"
    write("folder/old")
    with pytest.raises(DriveExists, match=r"was found. Add get\(..., overwrite=True\) to replace it"):
        drive.get("folder")
    assert Path("folder/old").exists()
    drive.get("folder", overwrite=True)
    assert os.listdir("folder") == ["new"]
    os.unlink("file")
    os.mkdir("file")
    for overwrite in (False, True):
        with pytest.raises(DriveIsDirectory, match="with a '/' at its end"):
            drive.get("file", overwrite=overwrite)
    os.rmdir("file")
    write("file", "old")
    for overwrite in (False, True):
        with pytest.raises(DriveNotADirectory):
            drive.get("folder", to="file", overwrite=overwrite)
        with pytest.raises(DriveNotADirectory):
            drive.get("folder", to="file/below", overwrite=overwrite)


# The root.


@only_files
def test_the_root_is_resolved_at_first_use_and_stays(own_place: Path, monkeypatch):
    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    drive = Drive("lit://d")
    os.mkdir("elsewhere")
    os.chdir("elsewhere")
    write("a")
    drive.put("a")
    os.chdir("..")
    assert drive.root_dir == os.path.abspath("elsewhere/.lightning_lite")
    assert drive.list() == ["a"]
    assert stat.S_IMODE(os.stat(drive.root_dir).st_mode) == 0o700


@only_files
def test_the_own_root_precedes_that_of_the_app_and_that_of_the_environment(own_place: Path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", "variable")
    assert Drive("lit://d").root_dir == os.path.abspath("variable")
    with acting_as(work("root.w", Path("/app"))):
        assert Drive("lit://d").root_dir == "/app"
        assert Drive("lit://d", root_dir="own").root_dir == os.path.abspath("own")


@only_files
def test_a_work_that_changes_its_folder_moves_nothing(own_place: Path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", "root")
    with acting_as(work("root.w")):
        drive = Drive("lit://d").before_run("root.w")
        os.mkdir("elsewhere")
        os.chdir("elsewhere")
        assert drive.root_dir == str(own_place / "root")


@only_files
def test_durability_is_read_from_the_environment_at_first_use(own_place: Path, monkeypatch):
    monkeypatch.setenv("LIGHTNING_LITE_DURABLE", "1")
    drive = Drive("lit://d")
    write("a")
    drive.put("a")
    monkeypatch.delenv("LIGHTNING_LITE_DURABLE")
    for again, is_flushed in ((drive, True), (Drive("lit://d"), False)):
        with guarded(Plan(), ("fsync",)) as plan:
            again.put("a")
        assert bool(plan.count) == is_flushed


@only_files
@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("kind", ["drive", "path"])
def test_in_an_app_its_own_durability_counts_not_that_of_the_environment(
    own_place: Path, monkeypatch, kind: str, is_durable: bool
):
    write("a")
    monkeypatch.setenv("LIGHTNING_LITE_DURABLE", str(int(not is_durable)))

    with (
        acting_as(work("root.w", own_place / "root")._replace(durable=is_durable)),
        guarded(Plan(), ("fsync",)) as plan,
    ):
        if kind == "drive":
            Drive("lit://d").put("a")
        else:
            Artifacts(".paths").keep("root.w", ("a",), str(own_place / "a"))

    assert bool(plan.count) == is_durable


@only_files
def test_outside_of_an_app_the_environment_says_whether_files_of_paths_are_durable(
    own_place: Path, monkeypatch
):
    write("a")
    monkeypatch.setenv("LIGHTNING_LITE_DURABLE", "1")

    with guarded(Plan(), ("fsync",)) as plan:
        Artifacts(".paths").keep("main", ("a",), str(own_place / "a"))

    assert plan.count


def test_the_root_folder_is_made_absolute_when_given_and_else_asked_at_each_verb(own_place: Path):
    os.mkdir("one")
    given, asking = Drive("lit://d", root_folder="one"), Drive("lit://e")
    write("one/a")
    os.mkdir("two")
    os.chdir("two")
    write("b")
    given.put("a")
    asking.put("b")
    assert given.get("a", to="c") == str(own_place / "one/c")
    assert asking.get("b", to="c") == str(own_place / "two/c")


def test_a_root_folder_that_is_not_a_folder_is_refused(own_place: Path):
    with pytest.raises(DriveNotADirectory, match=r"The provided root_folder isn't a directory: .*nothing"):
        Drive("lit://d", root_folder="nothing")


def test_the_root_may_be_on_another_file_system(quick_place: Path, own_place: Path):
    os.chdir(own_place)
    drive = Drive("lit://d", root_dir=quick_place / "root")
    write("file", "new")
    write("folder/x/a", "new")
    drive.put("file")
    drive.put("folder")
    for name in ("file", "folder"):
        for target in (f"copy-{name}", f"new/folders/{name}"):
            drive.get(name, to=target)
            drive.get(name, to=target, overwrite=True)
    assert Path("new/folders/folder/x/a").read_text() == "new"
    assert not [name for name in os.listdir() if name.startswith(".lightning")]
    drive.put("folder", to="moved", move=True)
    assert not Path("folder").exists()
    assert drive.list("moved", recursive=True) == ["moved/x/a"]


def test_get_works_when_the_drive_can_only_be_read(drive: Drive, own_place: Path, monkeypatch):
    write("a")
    drive.put("a")
    aside = Path(drive.root_dir, "drives/d/.lightning_lite/aside")
    real = os.open

    def read_only(path, flags, *args, **kwargs):
        if str(path).startswith(str(aside)) and flags & os.O_CREAT:
            raise OSError(30, "Read-only file system", path)
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr("lightning_lite.storage.fs.syscalls.open_file", read_only)
    assert Path(drive.get("a", to="b")).read_text() == "text"


# Pickling, comparing, showing.


def test_a_drive_can_be_pickled_compared_and_shown(own_place: Path):
    drive = Drive("lit://d", allow_duplicates=True, component_name="me", root_folder=".", root_dir="root")
    assert drive.list() == []
    for other in (pickle.loads(pickle.dumps(drive)), copy.deepcopy(drive), copy.copy(drive)):
        assert other == drive
        assert hash(other) == hash(drive)
        assert other.list() == []
    assert drive != Drive("lit://d")
    assert Drive("lit://d") != Drive("lit://e")
    assert drive != "lit://d"
    assert str(drive) == "lit://d"
    assert repr(Drive("lit://d")) == "Drive('lit://d')"
    assert eval(repr(drive)) == drive


@only_files
def test_the_call_key_is_the_id_and_the_root(own_place: Path, monkeypatch):
    drive = Drive("lit://d")
    with acting_as(Caller("flow", "root", root="/app")):
        assert drive.call_key() == ("lit://d", "/app")
    assert drive.call_key() == ("lit://d", os.environ["LIGHTNING_LITE_ROOT"])
    assert Drive("lit://d", root_dir="x").call_key() == ("lit://d", str(own_place / "x"))


def test_a_drive_is_cheap_to_import():
    heavy = (
        "filelock",
        "ctypes",
        "rich",
        "logging",
        "asyncio",
        "dataclasses",
        "inspect",
        "tempfile",
        "subprocess",
        "pathlib",
    )
    code = (
        "import sys; before = set(sys.modules); from lightning_lite.storage import Drive; "
        f"print(sorted(set({heavy!r}) & (set(sys.modules) - before)))"
    )
    import subprocess  # noqa: PLC0415 - only this test starts an interpreter

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
