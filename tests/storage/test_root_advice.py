"""The advice in an error of a root works, if a user does it literally; each user is a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from lightning_lite.runs.catalog import read_runs
from lightning_lite.storage import Drive

from tests.support.run_folders import new_run
from tests.support.users import ALICE, BOB, LAB, Refused, User, act_as, make_group_root, needs_users, put_as

pytestmark = needs_users


@pytest.fixture
def root(shared_folder: Path) -> Path:
    """Give the path of a root that does not exist, with characters that mean something to a shell."""
    return shared_folder / "my root; it's $HOME"


def get(user: User, root: Path, name: str = "a") -> object:
    def job() -> str:
        drive = Drive("lit://d", root_dir=root, root_folder=root.parent / str(os.geteuid()))
        return Path(drive.get(name, to="copy", overwrite=True)).read_text()

    return act_as(user, job)


def follow(user: User | None, refused: object) -> None:
    """Run the command that an error names, as a user or as the administrator."""
    assert isinstance(refused, Refused)
    command = re.search(r", run (.*?)(, else| as the administrator)", refused.text)
    assert command is not None, refused.text

    def job() -> tuple[int, str]:
        done = subprocess.run(["/bin/sh", "-c", command[1]], capture_output=True, text=True)
        return done.returncode, done.stderr

    assert (job() if user is None else act_as(user, job)) == (0, "")


@pytest.mark.parametrize("change", [0o020, 0o002], ids=["g+w", "o+w"])
def test_one_command_mends_a_private_root_with_many_open_folders(root: Path, change: int):
    assert put_as(ALICE, root) is None
    act_as(ALICE, lambda: new_run(str(root), app="A"))
    folders = [path for path in (root, *root.rglob("*")) if path.is_dir()]
    for path in folders:
        path.chmod(path.stat().st_mode | change)
    assert len(folders) > 5
    refused = put_as(ALICE, root)
    assert "chmod -R go-w " in refused.text
    follow(ALICE, refused)
    assert put_as(ALICE, root) is None
    assert get(ALICE, root) == "a"
    assert len(act_as(ALICE, lambda: [run.id for run in read_runs(str(root))])) == 1


def test_one_command_mends_a_group_root_that_others_may_write(root: Path):
    make_group_root(root)
    assert put_as(ALICE, root) is None
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(path.stat().st_mode | 0o002)
    follow(ALICE, put_as(BOB, root) and put_as(ALICE, root))
    assert put_as(BOB, root, "b") is None
    assert get(ALICE, root, "b") == "b"


def test_a_root_that_is_a_link_is_mended_where_it_is(root: Path):
    elsewhere = root.parent / "elsewhere"
    assert put_as(ALICE, elsewhere) is None
    root.symlink_to(elsewhere)
    for path in (elsewhere, elsewhere / "drives"):
        path.chmod(0o770)
    follow(ALICE, put_as(ALICE, root))
    assert get(ALICE, root) == "a"


@pytest.mark.parametrize("by_link", [False, True])
def test_a_group_root_whose_group_was_changed_is_mended_by_the_command(root: Path, by_link: bool):
    path = root
    if by_link:
        path = root.parent / "link"
        path.symlink_to(root)
    assert put_as(ALICE, root, root_mode="group") is None
    assert root.stat().st_gid == ALICE.uid, "the group of Alice alone"
    assert act_as(ALICE, lambda: os.chown(root, -1, LAB)) is None
    for refused in (put_as(BOB, path, "b"), put_as(ALICE, path, "b")):
        assert "DriveRefused" in refused.kinds
        assert f"belongs to group {ALICE.uid}, the root to group {LAB}" in refused.text
        assert "go-w" not in refused.text
    follow(ALICE, refused)
    assert get(BOB, path) == "a"
    assert put_as(BOB, path, "b") is None
    assert get(ALICE, path, "b") == "b"
    for folder in (root / "drives").rglob("*"):
        assert folder.stat().st_gid == LAB


def test_a_group_root_with_files_of_several_users_is_mended_by_the_administrator(root: Path):
    other = 64_401
    users = [User(user.uid, (LAB, other)) for user in (ALICE, BOB)]
    make_group_root(root)
    for user in users:
        assert put_as(user, root, str(user.uid)) is None
        act_as(user, lambda: new_run(str(root), app="A"))
    os.chown(root, -1, other)
    for path in (root / "drives").rglob("*"):
        if path.is_dir():
            path.chmod(path.stat().st_mode & ~0o2000)  # as some programs that copy a folder leave it
    follow(None, put_as(ALICE, root))
    for user, name in ((users[0], BOB.uid), (users[1], ALICE.uid)):
        assert get(user, root, str(name)) == str(name)
        assert put_as(user, root, str(name)) is None
        assert len(act_as(user, lambda: read_runs(str(root)))) == 1
    groups = {path.stat().st_gid for path in (root / "drives").rglob("*")}
    assert groups == {other}, "later files belong to the group, too"
