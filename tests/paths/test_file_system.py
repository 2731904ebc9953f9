"""`FileSystem`: files that belong to no component, in the same store as drives."""

from __future__ import annotations

import os
import pathlib
import pickle

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import FileSystem
from lightning_lite.storage.errors import DriveError, DriveNotStored, DrivePathError

pytestmark = pytest.mark.usefixtures("drives_place")

#: Not on an object store: it is about plain files.
only_files = pytest.mark.parametrize("drives_place", ["files"], indirect=True)


@pytest.fixture
def files(own_place: pathlib.Path) -> FileSystem:
    (own_place / "a.txt").write_text("example")
    (own_place / "info.txt").write_text("example")
    (own_place / "checkpoints/empty").mkdir(parents=True)
    (own_place / "checkpoints/a.txt").write_text("example")
    return FileSystem()


def test_put_walk_get_and_rm(files: FileSystem):
    assert files.listdir("/") == files.walk("/") == []
    files.put("a.txt", "/a.txt")
    files.put("info.txt", "/info.txt")
    assert files.listdir("/") == ["a.txt"]
    assert files.isfile("/a.txt")
    assert files.isfile("/info.txt")
    files.put("checkpoints", "/checkpoints")
    assert files.isdir("/checkpoints")
    assert not files.isfile("/checkpoints")
    assert files.listdir("/checkpoints") == ["a.txt", "empty"]
    assert files.walk("/") == ["a.txt", "checkpoints/a.txt"]
    assert files.walk("/checkpoints/") == ["a.txt"]

    os.remove("a.txt")
    files.get("/a.txt", "a.txt")
    assert pathlib.Path("a.txt").read_text() == "example"
    files.rm("/a.txt")
    files.rm("/checkpoints/a.txt")
    assert files.listdir("/") == ["checkpoints"]
    with pytest.raises(OSError, match="'/checkpoints' is not empty"):
        files.rm("/checkpoints")
    files.rm("/checkpoints/empty")
    files.rm("/checkpoints/")
    assert files.listdir("/") == []
    assert not files.isdir("/checkpoints")


def test_what_is_put_at_the_top_keeps_its_name_and_replaces_what_is_there(files: FileSystem):
    files.put(os.path.abspath("a.txt"), "/")
    pathlib.Path("a.txt").write_text("new")
    files.put("a.txt", "/")
    files.put("checkpoints", "/a.txt")
    assert files.walk("/") == ["a.txt/a.txt"]

    files.put("a.txt", "/a.txt")
    files.get("/a.txt", "deep/er/copy.txt")
    assert pathlib.Path("deep/er/copy.txt").read_text() == "new"


def test_an_existing_file_is_replaced_unless_overwrite_is_false(files: FileSystem):
    files.put("checkpoints", "/c")
    pathlib.Path("a.txt").write_text("own")
    with pytest.raises(FileExistsError, match="Pass `overwrite=True`"):
        files.get("/c/a.txt", "a.txt", overwrite=False)
    assert pathlib.Path("a.txt").read_text() == "own"

    files.get("/c/a.txt", "a.txt")
    files.get("/c", "checkpoints")
    assert pathlib.Path("a.txt").read_text() == "example"
    with pytest.raises(DriveError):
        files.get("/c", "a.txt")


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        ("put", ("a.txt", "x"), "The provided destination 'x' needs to start with `/`"),
        ("get", ("x", "a.txt"), "The provided source 'x' needs to start with `/`"),
        ("listdir", ("x",), "needs to start with `/`"),
        ("put", ("a.txt", "/../x"), r"'\.\.' is not allowed"),
        ("put", ("a.txt", "/.lightning_lite"), "reserved"),
        ("rm", ("/",), "is the top"),
        ("get", ("/", "a"), "is the top"),
    ],
)
def test_a_wrong_path_is_refused(files: FileSystem, verb, arguments, message):
    with pytest.raises(DrivePathError, match=message):
        getattr(files, verb)(*arguments)


@pytest.mark.parametrize("verb", ["listdir", "walk", "rm"])
def test_the_error_names_a_missing_path(files: FileSystem, verb):
    with pytest.raises(DriveNotStored, match="The provided path '/nothing' doesn't exist") as caught:
        getattr(files, verb)("/nothing")
    assert isinstance(caught.value, RuntimeError)


def test_a_missing_path_can_not_be_put_or_got(files: FileSystem):
    with pytest.raises(FileNotFoundError, match="nothing' doesn't exist") as caught:
        files.put("nothing", "/x")
    assert isinstance(caught.value, FileExistsError)  # as apps of Lightning catch it
    pathlib.Path("link").symlink_to("nothing")
    with pytest.raises(FileExistsError, match="can't be read"):
        files.put("link", "/x")
    with pytest.raises(FileNotFoundError, match="'/nothing' doesn't exist"):
        files.get("/nothing", "x")


@only_files
def test_its_root_is_resolved_at_first_use_and_pickled(files: FileSystem, own_place, monkeypatch):
    files.put("a.txt", "/")
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(own_place / "other"))

    assert pickle.loads(pickle.dumps(files)).listdir("/") == ["a.txt"]
    assert FileSystem().listdir("/") == []
    assert FileSystem(root_dir=own_place / "mine").listdir("/") == []


class Put(LightningWork):
    def run(self):
        pathlib.Path("work.txt").write_text("of a work")
        FileSystem().put("work.txt", "/work.txt")


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.put = Put()

    def run(self):
        self.put.run()
        FileSystem().get("/work.txt", "flow.txt")
        self.stop()


@only_files
def test_works_and_flow_share_it(own_place, tmp_path):
    LightningApp(Root(), root_dir=tmp_path / "app").run("inline")

    assert pathlib.Path("flow.txt").read_text() == "of a work"
    assert FileSystem(root_dir=tmp_path / "app").walk("/") == ["work.txt"]
