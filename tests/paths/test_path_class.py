"""`Path` is a `pathlib.Path` that keeps its origin, on each version of Python."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import pickle
import subprocess
import sys

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.storage import Drive, Path
from lightning_lite.storage.errors import (
    DriveContextError,
    DriveDetached,
    DriveExists,
    DriveIdError,
    DriveNotStored,
    DrivePathError,
    DriveTypeError,
)

FLOW = Caller("flow", "root")


def path_of(work: str, *segments) -> Path:
    path = Path(*segments)
    path.attached(work, "path")
    return path


@pytest.fixture
def path(own_place: pathlib.Path) -> Path:
    """Return a path that is a folder with a file in it."""
    (own_place / "a/b").mkdir(parents=True)
    (own_place / "a/b/file.txt").touch()
    return path_of("root.train", "a", "b")


DERIVED = {
    "/": lambda path: path / "c",
    "/ on its right": lambda path: "c" / path,
    "/ on the right of a path of pathlib": lambda path: pathlib.Path("c") / path,
    "parent": lambda path: path.parent,
    "parents": lambda path: path.parents[0],
    "with_name": lambda path: path.with_name("c"),
    "with_stem": lambda path: path.with_stem("c"),
    "with_suffix": lambda path: path.with_suffix(".ckpt"),
    "relative_to": lambda path: path.relative_to("a"),
    "relative_to a path": lambda path: path.relative_to(Path("a")),
    "joinpath": lambda path: path.joinpath("c", "d"),
    "resolve": lambda path: path.resolve(),
    "absolute": lambda path: path.absolute(),
    "expanduser": lambda path: path.expanduser(),
    "iterdir": lambda path: next(path.iterdir()),
    "glob": lambda path: next(path.glob("*")),
    "rglob": lambda path: next(path.rglob("*.txt")),
    "the constructor": lambda path: Path(path, "c"),
    "the constructor, behind another": lambda path: Path("c", path),
    "joining it to a path without an origin": lambda path: Path("c") / path,
    "pickle": lambda path: pickle.loads(pickle.dumps(path)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("derive", DERIVED.values(), ids=DERIVED.keys())
def test_what_is_derived_from_a_path_keeps_its_origin_and_consumer(path: Path, derive):
    path.attached("root.test", "data")

    derived = derive(path)

    assert type(derived) is Path
    assert (derived.origin_name, derived.consumer_name) == ("root.train", "root.test")


@pytest.mark.parametrize("derive", DERIVED.values(), ids=DERIVED.keys())
def test_what_is_derived_from_a_path_is_where_pathlib_says(path: Path, derive):
    assert derive(path) == derive(pathlib.Path("a/b"))


@pytest.mark.parametrize(
    "join",
    [Path, lambda one, other: one / other, lambda one, other: one.joinpath(other)],
    ids=["constructor", "/", "joinpath"],
)
def test_paths_of_two_works_are_not_joined(join):
    with pytest.raises(TypeError, match="from multiple other Paths that originate from different"):
        join(path_of("root.train", "a"), path_of("root.test", "b"))


def test_it_is_equal_and_hashes_like_a_path_of_pathlib(path: Path):
    assert path == pathlib.Path("a/b") == Path("a/b")
    assert path.parents == [pathlib.Path("a"), pathlib.Path()]
    assert path in {pathlib.Path("a/b")}
    assert sorted([Path("b"), Path("a")]) == [pathlib.Path("a"), pathlib.Path("b")]
    assert isinstance(path, pathlib.Path)
    assert os.fspath(path) == "a/b"
    assert repr(path) == "Path('a/b')"


def test_the_first_work_is_the_origin_and_the_last_one_the_consumer():
    path = path_of("root.train", "a")
    assert (path.origin_name, path.consumer_name) == ("root.train", "root.train")

    path.attached("root.test", "data")

    assert (path.origin_name, path.consumer_name) == ("root.train", "root.test")


def test_a_work_outside_of_a_tree_is_not_an_origin():
    assert path_of("", "a").origin_name == ""


def test_a_work_that_uses_none_of_it_loads_none_of_it():
    code = "import sys, lightning_lite.tree.work; print([n for n in sys.modules if 'lite.storage.' in n])"

    printed = subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60)

    assert printed == "[]\n"


def test_the_hash_is_of_origin_and_text():
    assert Path("a").hash is None
    assert path_of("root.train", "a").hash == path_of("root.train", "a").hash
    assert path_of("root.train", "a").hash != path_of("root.test", "a").hash
    assert path_of("root.train", "a").hash != path_of("root.train", "b").hash


def test_the_call_key_is_of_origin_and_text_and_not_of_the_content(path: Path):
    before = (path / "file.txt").call_key()
    (path / "file.txt").write_text("changed")

    assert (path / "file.txt").call_key() == before == ("root.train", "a/b/file.txt")


def test_a_lit_path_is_in_the_root_in_each_working_directory(tmp_path: pathlib.Path):
    path = Path("lit://models/best.ckpt")

    assert path == tmp_path / "root/paths/models/best.ckpt"
    assert Path("lit://models", "best.ckpt") == path
    with acting_as(Caller("work", "root.train", str(tmp_path / "app"))):  # a work creates the folder `paths`
        assert Path("lit://models") == tmp_path / "app/paths/models"


def test_to_dict_has_all_that_a_path_knows(path: Path):
    assert path.to_dict() == {
        "path": "a/b",
        "origin_name": "root.train",
        "consumer_name": "root.train",
        "metadata": {"folder": None, "guess": None},
    }
    assert path.__json__() == path.to_dict()
    with acting_as(Caller("work", "root.use")):
        path.attached("root.use", "path")
        again = Path.from_dict(json.loads(json.dumps(path.to_dict())))
    assert again == path
    assert again.to_dict() == path.to_dict()
    bare = {"path": "a", "origin_name": None, "consumer_name": None}
    assert Path.from_dict(bare) == Path("a")


def test_a_drive_takes_the_path_that_a_component_has_made_of_its_id():
    assert Path("lit://models").located == "lit://models"
    assert Drive(Path("lit://models")) == Drive("lit://models")
    assert Path("lit://a/b").located == "lit://a/b"
    assert Path("models").located is None
    with pytest.raises(DriveTypeError, match="got Path"):
        Drive(Path("models"))
    with pytest.raises(DriveIdError, match="has a '/'"):
        Drive(Path("lit://a/b"))


@pytest.mark.parametrize("text", ["lit:///etc", "lit://../a", "lit://a/../../b", "lit://a\0b"])
def test_a_lit_path_can_not_leave_its_folder(text: str):
    with pytest.raises(DrivePathError):
        Path(text)


def test_exists_asks_here_and_then_where_it_comes_from(path: Path):
    assert path.exists()
    assert path.exists_local()
    assert path.exists_remote()
    assert not (path / "nothing").exists()
    assert not Path("nothing").exists()
    assert Path("a").exists()


def test_a_path_without_an_origin_does_not_exist_elsewhere():
    with pytest.raises(DriveDetached, match="Trying to check if the file 'a' exists, but the path is not"):
        Path("a").exists_remote()
    with pytest.raises(RuntimeError, match="Trying to get the file 'a', but the path is not attached to a L"):
        Path("a").get()


@pytest.mark.parametrize("kind", ["flow", "init"])
def test_the_flow_gets_no_files(kind, path: Path):
    with acting_as(FLOW._replace(kind=kind)), pytest.raises(DriveContextError, match="can only be called"):
        path.get()


def test_an_existing_file_is_not_replaced_without_overwrite(path: Path):
    with pytest.raises(DriveExists, match=r"exists locally. Pass `overwrite=True`"):
        path.get()


def test_a_path_that_is_not_stored_can_not_be_got():
    with pytest.raises(DriveNotStored, match="not available in the artifact store") as caught:
        path_of("root.train", "nothing").get()
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, RuntimeError)


def test_what_is_kept_comes_back_whole_and_the_origins_own_file_is_never_touched(path: Path):
    file = path / "file.txt"
    file.write_text("one")
    path.after_run("root.train")
    file.write_text("two")
    before = file.stat()

    assert path.get(overwrite=True) == path.absolute()
    assert file.stat() == before
    assert path.get(to="copy").origin_name == "root.train"
    assert pathlib.Path("copy/file.txt").read_text() == "one"
    file.unlink()
    file.get()
    assert file.read_text() == "one"


def test_what_is_kept_is_replaced_at_the_end_of_the_next_run_also_by_something_of_another_kind(path: Path):
    place = path / "out"
    for number, make in enumerate((place.write_text, place.write_text, pathlib.Path.mkdir, place.write_text)):
        if place.exists_local():
            place.rmdir() if place.is_dir() else place.unlink()
        make(place if make is pathlib.Path.mkdir else str(number))
        place.after_run("root.train")
        place.get(overwrite=True, to=f"copy{number}")
        assert pathlib.Path(f"copy{number}").is_dir() == place.is_dir()
        assert place.is_dir() or pathlib.Path(f"copy{number}").read_text() == str(number)

    place.unlink()
    place.mkdir()
    (place / "inner").write_text("inner")
    (place / "inner").after_run("root.train")
    (place / "inner").get(to="inner")
    assert pathlib.Path("inner").read_text() == "inner"


def test_to_is_a_new_name_or_a_folder_as_for_drives(path: Path):
    file = path / "file.txt"
    file.write_text("text")
    file.after_run("root.train")
    assert file.get(to="new/") == pathlib.Path("new/file.txt").absolute()
    file.unlink()
    assert file.get(to="new", overwrite=True) == pathlib.Path("new/file.txt").absolute()
    assert pathlib.Path("new/file.txt").read_text() == "text"

    file.write_text("text")
    path.after_run("root.train")
    with pytest.raises(DriveExists):
        path.get(to="new")
    assert path.get(to="new/") == pathlib.Path("new", path.name).absolute()


def test_a_path_that_another_work_made_is_not_kept(path: Path, tmp_path: pathlib.Path):
    path.after_run("root.test")
    Path("a").after_run("root.test")

    assert not (tmp_path / "root").exists()


def test_an_unchanged_file_is_not_stored_again(path: Path, tmp_path: pathlib.Path):
    file = path / "file.txt"
    os.utime(file, (1, 1))

    def kept() -> int:
        path.after_run("root.train")
        (found,) = (tmp_path / "root/drives/.paths").rglob("file.txt")
        return found.stat().st_ino

    first = kept()
    while kept() != first:  # as long as it has changed just now
        first = kept()
    file.write_text("")
    os.utime(file, (1, 1))

    assert kept() != first
