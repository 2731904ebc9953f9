"""Access control lists: of the surroundings, which are no attribute of a user's file, and in group roots."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from lightning_lite.access_lists import ACCESS, DEFAULT, further_writers
from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveWarning

from tests.support.access_lists import lists_of, set_default_list, set_list
from tests.support.files import modes_below
from tests.support.run_folders import new_run
from tests.support.users import ALICE, BOB, EVE, LAB, Refused, act_as, make_group_root, needs_users, put_as

#: A further group.
STAFF = 64_301


@pytest.fixture
def project(own_place: Path) -> Path:
    """Give a folder whose files Eve may read and write by its default list."""
    folder = own_place / "project"
    folder.mkdir()
    set_default_list(folder, users={EVE.uid: 7})
    os.chdir(folder)
    return folder


# The default list of the folder of a project.


@pytest.mark.parametrize("root_dir", ["root", "../root"])
def test_lists_of_the_surroundings_are_not_told_as_lost(project: Path, root_dir: str):
    (project / "tree" / "inner").mkdir(parents=True)
    (project / "tree" / "inner" / "a").write_text("a")
    (project / "a").write_text("a")
    assert lists_of("a") == [ACCESS]
    assert lists_of("tree") == [ACCESS, DEFAULT]
    drive = Drive("lit://d", root_dir=root_dir)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a", "tree"):
            drive.put(name)
            drive.get(name, to=f"copy of {name}")
            drive.get(name, to=name, overwrite=True)
            drive.put(name, to=f"moved/{name}", move=True)


@pytest.mark.parametrize("where", ["a", "tree/b", "tree", "tree/inner"])
def test_a_list_that_the_user_made_is_told_as_lost(project: Path, where: str):
    (project / "tree" / "inner").mkdir(parents=True)
    (project / "a").write_text("a")
    (project / "tree" / "b").write_text("b")
    set_list(where, users={EVE.uid: 7, BOB.uid: 4})
    drive = Drive("lit://d", root_dir="../root")
    with pytest.warns(DriveWarning, match="does not keep access control lists"):
        drive.put("a" if where == "a" else "tree")
    assert os.getxattr(where, ACCESS), "the source keeps it"


def test_a_default_list_that_the_user_made_is_told_as_lost(own_place: Path):
    (own_place / "tree" / "inner").mkdir(parents=True)
    set_default_list("tree/inner", users={EVE.uid: 4})
    with pytest.warns(DriveWarning, match="does not keep access control lists"):
        Drive("lit://d").put("tree")


def test_what_is_in_a_root_has_no_list_and_the_modes_of_a_root_elsewhere(project: Path):
    (project.parent / "tree" / "inner").mkdir(parents=True)
    (project.parent / "tree" / "inner" / "a").write_text("a")
    for name in ("tree", "tree/inner", "tree/inner/a"):
        (project.parent / name).chmod(0o775 if name != "tree/inner/a" else 0o664)
    for root in (project / "root", project.parent / "other"):
        drive = Drive("lit://d", root_dir=root, root_folder=project.parent)
        drive.put("tree", to="deep/folder/tree")
        drive.put("tree/inner/a", to="other/a")
        new_run(str(root), app="A")
    for path in ("root/drives", "root/runs"):
        assert lists_of(path) == []
    assert [path for path in (project / "root").rglob("*") if lists_of(path)] == []
    assert modes_below(project / "root" / "drives") == modes_below(project.parent / "other" / "drives")


# A group root.


@needs_users
@pytest.mark.parametrize(
    ("name", "entries", "text"),
    [
        (ACCESS, {"users": {EVE.uid: 7}}, f"lets user {EVE.uid} write"),
        (DEFAULT, {"users": {EVE.uid: 2}, "groups": {STAFF: 7}}, f"group {STAFF} and user {EVE.uid}"),
        (ACCESS, {"groups": {STAFF: 6}}, f"lets group {STAFF} write"),
    ],
)
@pytest.mark.parametrize("part", ["", "drives", "drives/d", "drives/d/.lightning_lite/aside"])
def test_a_list_that_lets_others_write_is_refused(
    shared_folder: Path, name: str, entries, text: str, part: str
):
    root = make_group_root(shared_folder / "my root")
    assert put_as(ALICE, root) is None
    set_list(root / part, name, **entries)
    (root / part).chmod(0o2770)
    for user in (ALICE, BOB):
        refused = put_as(user, root)
        assert isinstance(refused, Refused)
        assert "DriveRefused" in refused.kinds
        assert text in refused.text
        assert f"run setfacl -R -b -k '{root}' && chmod g+rwxs '{root}', else" in refused.text
        assert repr(str(root / part).rstrip("/")) in refused.text


@needs_users
@pytest.mark.parametrize(
    "entries",
    [{"users": {EVE.uid: 5}}, {"groups": {STAFF: 4}}, {"groups": {LAB: 7}}],
    ids=["a reader", "a group that reads", "the group"],
)
def test_a_list_that_lets_only_the_group_write_is_accepted(shared_folder: Path, entries):
    root = make_group_root(shared_folder / "root")
    for name in (ACCESS, DEFAULT):
        set_list(root, name, **entries)
    root.chmod(0o2770)
    assert put_as(ALICE, root) is None
    assert put_as(BOB, root) is None


@needs_users
def test_a_group_root_that_we_make_gets_no_list_from_its_surroundings(shared_folder: Path):
    os.chown(shared_folder, 0, LAB)
    shared_folder.chmod(0o3777)
    set_default_list(shared_folder, users={EVE.uid: 7}, groups={STAFF: 7})
    root = shared_folder / "root"
    assert put_as(ALICE, root, root_mode="group") is None
    assert put_as(BOB, root) is None
    assert [path for path in (root, *root.rglob("*")) if lists_of(path)] == []
    assert "PermissionError" in act_as(EVE, lambda: os.listdir(root)).kinds


@needs_users
@pytest.mark.parametrize("is_empty", [True, False])
def test_an_own_folder_that_becomes_a_group_root_loses_its_lists(shared_folder: Path, is_empty: bool):
    root = shared_folder / "root"
    root.mkdir()
    set_default_list(root, users={EVE.uid: 7})
    set_list(root, users={EVE.uid: 7})
    os.chown(root, ALICE.uid, LAB)
    if not is_empty:
        root.chmod(0o2770)
        assert "lets user" in put_as(ALICE, root, root_mode="group").text
        return
    assert put_as(ALICE, root, root_mode="group") is None
    assert lists_of(root) == []


def test_a_file_system_without_lists_has_no_further_writers(monkeypatch: pytest.MonkeyPatch, own_place: Path):
    fd = os.open(own_place, os.O_RDONLY)
    try:
        monkeypatch.delattr(os, "getxattr")
        assert further_writers(fd, 0) == []
    finally:
        os.close(fd)
