"""Users of a group share drives, and nothing else; each user here is a process with that user's rights."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.root_access import own_root
from lightning_lite.storage import Drive, FileSystem, Payload
from lightning_lite.storage.errors import DriveError, DriveRefused, DriveTypeError
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.local import drive_folders
from lightning_lite.storage.local.name_index import BIG
from lightning_lite.storage.transfer.staging import Staged, StagingFolder

from tests.support.files import pinned
from tests.support.users import (
    ALICE,
    BOB,
    EVE,
    LAB,
    Refused,
    User,
    act_as,
    finish,
    make_group_root,
    needs_users,
    start_as,
)

pytestmark = needs_users


@pytest.fixture
def root(shared_folder: Path) -> Path:
    """Give a group root that its owner has declared with the mode of the folder."""
    return make_group_root(shared_folder / "root")


def home_of(user: User, root: Path) -> Path:
    """Return the user's own folder for files outside of drives, with a work `w` in it."""
    home = root.parent / str(user.uid)
    if not home.exists():
        home.mkdir(mode=0o700)
        os.chown(home, user.uid, user.uid)
    return home


def drive_of(root: Path, **options) -> Drive:
    """Return the drive `d`; the caller is the user whose process it is."""
    return Drive("lit://d", root_dir=root, root_folder=root.parent / str(os.geteuid()), **options)


def put(user: User, root: Path, name: str, text: str, *, umask: int = 0o022, mode: int = 0o600) -> object:
    """Put a file as a user; `mode` is that of the user's file."""
    home = home_of(user, root)

    def job() -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
        (home / name).chmod(mode)
        drive_of(root).put(name)

    return act_as(user, job, umask=umask)


def read(user: User, root: Path, name: str) -> object:
    home = home_of(user, root)

    def job() -> str:
        return Path(drive_of(root).get(name, to="copy", overwrite=True)).read_text()

    found = act_as(user, job)
    assert not (home / "copy").exists() or (home / "copy").stat().st_uid == user.uid
    return found


# Files that the group shares.


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("name", ["a.txt", "folder/deep/a.txt"])
def test_users_of_the_group_get_replace_and_delete_each_others_files(root: Path, umask: int, name: str):
    assert put(ALICE, root, name, "from Alice", umask=umask) is None
    assert read(BOB, root, name) == "from Alice"
    assert put(BOB, root, name, "from Bob", umask=umask) is None
    assert read(ALICE, root, name) == "from Bob"
    assert act_as(ALICE, lambda: drive_of(root).delete(name.partition("/")[0])) is None
    assert act_as(BOB, lambda: drive_of(root).list()) == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_folder_of_one_user_is_replaced_by_another_one(root: Path, umask: int):
    for user, text in ((ALICE, "1"), (BOB, "2"), (ALICE, "3")):
        home = home_of(user, root)

        def job(home=home, text=text) -> None:
            (home / "tree" / "inner").mkdir(parents=True, exist_ok=True)
            (home / "tree" / "inner" / "a").write_text(text)
            (home / "tree").chmod(0o700)
            drive_of(root).put("tree")

        assert act_as(user, job, umask=umask) is None
    assert read(BOB, root, "tree/inner/a") == "3"
    leftovers = root / "drives" / "d" / ".lightning_lite" / "aside"
    assert list(leftovers.iterdir()) == [], "each user can remove files that the other one replaced"


def test_a_user_changes_a_folder_that_another_one_reads(root: Path):
    put(ALICE, root, "tree/a", "old")
    put(ALICE, root, "tree/b", "stays")
    with pinned(root / "drives" / "d" / "main" / "tree") as fd:
        assert put(BOB, root, "tree/a", "new") is None
        with open("a", opener=lambda name, flags: os.open(name, flags, dir_fd=fd)) as file:
            assert file.read() == "old", "the reader keeps its version"
    assert (read(ALICE, root, "tree/a"), read(ALICE, root, "tree/b")) == ("new", "stays")


def test_two_users_put_at_the_same_time(root: Path):
    def job() -> None:
        home = root.parent / str(os.geteuid())
        for number in range(15):
            (home / f"{os.getpid()}-{number}").write_text("x")
            drive_of(root).put(f"{os.getpid()}-{number}")

    for user in (ALICE, BOB):
        home_of(user, root)
    processes = [start_as(user, job, umask=0o077) for user in (ALICE, BOB, ALICE, BOB)]
    assert [finish(process) for process in processes] == [None] * 4
    assert len(act_as(BOB, lambda: drive_of(root).list())) == 60


def test_many_names_are_compared_for_both_users(root: Path):
    def job() -> list[str]:
        home = root.parent / str(os.geteuid())
        drive = drive_of(root)
        for number in range(150):
            (home / f"name-{number:03}-of-{os.geteuid()}-with-a-long-tail").write_text("")
        drive.put("*-tail")
        (home / "NAME-001-OF-64101-WITH-A-LONG-TAIL").write_text("")
        try:
            drive.put("NAME-001-OF-64101-WITH-A-LONG-TAIL")
        except DriveError as error:
            return [type(error).__name__]
        return []

    for user in (ALICE, BOB, ALICE):
        home_of(user, root)
        assert act_as(user, job, umask=0o077) == ["DriveNameClash"]
    folder = root / "drives" / "d"
    if (folder / "main").stat().st_size >= BIG and (folder / ".lightning_lite" / "names").exists():
        indexes = list((folder / ".lightning_lite" / "names").iterdir())
        assert {stat.S_IMODE(index.stat().st_mode) for index in indexes} == {0o660}


def test_a_user_finishes_the_exchange_that_a_dead_process_of_another_one_began(root: Path):
    put(ALICE, root, "tree/a", "old")
    put(ALICE, root, "other", "x")

    def die_between_two_steps() -> None:
        home = root.parent / str(os.geteuid())
        (home / "tree" / "a").write_text("new")
        syscalls.exchange = lambda *args: False
        renames = []

        def rename(source, target, **options):
            renames.append(target)
            if str(target).endswith("/main/tree"):
                os._exit(0)
            os.rename(source, target, **options)

        syscalls.rename = rename
        drive_of(root).put("tree")

    with pytest.raises(AssertionError, match="died"):
        act_as(ALICE, die_between_two_steps, umask=0o077)
    assert (root / "drives" / "d" / ".lightning_lite" / "aside" / drive_folders.INTENT).exists()
    assert put(BOB, root, "other", "y") is None
    assert read(BOB, root, "tree/a") == "new"


# The user that declares it.


@pytest.mark.parametrize("way", ["argument", "argument, empty folder", "variable", "mode of the folder"])
def test_the_owner_declares_a_group_root(shared_folder: Path, monkeypatch: pytest.MonkeyPatch, way: str):
    root = shared_folder / "root"
    if way == "mode of the folder":
        make_group_root(root)
    if way == "argument, empty folder":
        root.mkdir(0o755)
        os.chown(root, ALICE.uid, LAB)
    if way == "variable":
        monkeypatch.setenv("LIGHTNING_LITE_ROOT_MODE", "group")
    options = {"root_mode": "group"} if way.startswith("argument") else {}
    alice = User(ALICE.uid, (LAB,))
    (home_of(alice, root) / "a").write_text("shared")

    def job() -> None:
        drive_of(root, **options).list()
        drive_of(root, **options).put("a")

    os.chown(shared_folder, 0, LAB)
    shared_folder.chmod(0o3777)  # as a folder of a project: new files in it belong to the group
    assert act_as(alice, job, umask=0o077) is None
    monkeypatch.delenv("LIGHTNING_LITE_ROOT_MODE", raising=False)
    assert root.stat().st_mode & 0o2077 == 0o2070
    assert read(BOB, root, "a") == "shared"


@pytest.mark.parametrize("mode", [None, 0o700, 0o755], ids=["new folder", "700", "755"])
def test_a_folder_of_a_group_without_this_user_is_not_shared_and_keeps_its_mode(
    shared_folder: Path, mode: int | None
):
    os.chown(shared_folder, 0, LAB)
    shared_folder.chmod(0o3777)  # new files in it belong to the group of the lab
    root = shared_folder / "root"

    def job() -> None:
        if mode is not None:
            root.mkdir()
            root.chmod(mode)
        drive_of(root, root_mode="group").put("a")

    (home_of(EVE, root) / "a").write_text("a")
    refused = act_as(EVE, job)
    assert "DriveRefused" in refused.kinds
    assert f"'{root}' can't be shared: it belongs to group {LAB}, and you are not a member" in refused.text
    assert "run chgrp on it" in refused.text
    assert root.exists() == (mode is not None)
    if mode is not None:
        assert root.stat().st_mode & 0o777 == mode
        os.chown(root, EVE.uid, EVE.uid)  # as chgrp does it
        assert act_as(EVE, lambda: drive_of(root, root_mode="group").put("a")) is None


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_other_users_have_no_access_to_a_group_root(root: Path, umask: int):
    put(ALICE, root, "folder/a", "secret", umask=umask, mode=0o666)
    for job in (
        lambda: drive_of(root).get("folder/a", to="copy"),
        lambda: drive_of(root).list(),
        lambda: os.listdir(root),
    ):
        home_of(EVE, root)
        found = act_as(EVE, job)
        assert found == [] or "PermissionError" in found.kinds
    for path in (root, *root.rglob("*")):
        assert not path.lstat().st_mode & 0o002, path
    assert not (root / "drives").stat().st_mode & 0o007


def test_a_group_root_of_another_user_that_was_only_found_is_refused(shared_folder: Path):
    make_group_root(shared_folder / ".lightning_lite")

    def names(**options) -> object:
        os.chdir(shared_folder)
        return Drive("lit://d", **options).list()

    act_as(
        ALICE, lambda: (os.chdir(shared_folder), Drive("lit://d")._store()._folders.prepare(durable=False))
    )
    assert act_as(ALICE, names) == [], "it is the owner's"
    refused = act_as(BOB, names)
    assert "DriveRefused" in refused.kinds
    assert "not asked for by name" in refused.text
    assert act_as(BOB, lambda: names(root_mode="group")) == []
    assert act_as(BOB, lambda: names(root_dir=".lightning_lite")) == []


@pytest.mark.parametrize(
    ("mode", "error"), [(0o700, "is private"), (0o755, "is private"), (0o2700, "is private")]
)
def test_a_private_root_with_content_does_not_become_a_group_root(root: Path, mode: int, error: str):
    (root / "drives").mkdir()
    os.chown(root / "drives", ALICE.uid, LAB)
    root.chmod(mode)
    home_of(ALICE, root)
    found = act_as(ALICE, lambda: put_a(root, root_mode="group"))
    assert isinstance(found, Refused)
    assert error in found.text
    assert stat.S_IMODE(root.stat().st_mode) == mode


def put_a(root: Path, **options) -> None:
    (root.parent / str(os.geteuid()) / "a").write_text("a")
    drive_of(root, **options).put("a")


def test_a_group_root_is_refused_as_a_private_one(root: Path):
    home_of(ALICE, root)
    found = act_as(ALICE, lambda: put_a(root, root_mode="private"))
    assert "DriveRefused" in found.kinds
    assert "root_mode='group'" in found.text
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("mode", ["shared", "", 0o2770, "Group"])
def test_an_unknown_mode_is_refused(mode: object):
    with pytest.raises(DriveTypeError, match="root_mode"):
        Drive("lit://d", root_mode=mode)


def test_a_mode_survives_the_way_to_a_work_and_back():
    drive = Drive("lit://d", root_mode="group")
    assert Drive.from_dict(drive.to_dict()).root_mode == "group"
    assert "root_mode='group'" in repr(drive)


# Files that stay private in a group root.


def test_payloads_and_files_of_the_file_system_stay_private_to_each_user(root: Path):
    def store(value: str) -> tuple[object, list[str]]:
        home = root.parent / str(os.geteuid())
        with acting_as(Caller("work", "w", str(root))):
            payload = Payload(value)
            payload.attached("w", "data")
        (home / "note").write_text(value)
        files = FileSystem(root_dir=root)
        files.put(home / "note", f"/{value}")
        return payload, files.walk("/")

    for user in (ALICE, BOB):
        home_of(user, root)
    payload, _ = act_as(ALICE, lambda: store("alice"), umask=0)
    assert act_as(BOB, lambda: store("bob"))[1] == ["bob"]
    assert act_as(ALICE, lambda: payload.get()) == "alice"
    refused = act_as(BOB, lambda: payload.get())
    assert "DriveNotStored" in refused.kinds, "it is looked for in Bob's own folder only"
    for user in (ALICE, BOB):
        own = root / "users" / str(user.uid)
        assert (own.stat().st_uid, stat.S_IMODE(own.stat().st_mode) & 0o777) == (user.uid, 0o700)


@pytest.mark.parametrize("plant", ["folder", "link", "link to an own folder", "open folder"])
def test_a_folder_that_another_user_made_for_this_one_is_refused(root: Path, plant: str):
    users, theirs, home = root / "users", root / "users" / str(BOB.uid), home_of(BOB, root)

    def make() -> None:
        own_root(str(root), make=os.mkdir)
        if plant.startswith("link"):
            os.symlink(root.parent if plant == "link" else home, theirs)
        else:
            theirs.mkdir()
            theirs.chmod(0o777 if plant == "open folder" else 0o755)

    assert act_as(ALICE, make) is None
    assert stat.S_IMODE(users.stat().st_mode) == 0o3770, "no user removes the folder of another one"
    found = act_as(BOB, lambda: FileSystem(root_dir=root).walk("/"))
    assert {"RootRefused", "DriveRefused"} <= set(found.kinds)


def test_a_copy_is_never_staged_where_another_user_could_exchange_it(root: Path):
    put(ALICE, root, "a", "x")
    home = home_of(BOB, root)

    def job() -> list[str]:
        seen = []
        new_file = StagingFolder.new_file

        def noting(staging: StagingFolder) -> Staged:
            seen.append(os.path.realpath(staging.folder, strict=False) if staging.dir_fd is None else "near")
            return new_file(staging)

        StagingFolder.new_file = noting
        drive_of(root).get("a", to="copy")
        return seen

    assert act_as(BOB, job) == ["near"]
    assert (home / "copy").stat().st_gid == BOB.uid


# A private root.


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_private_root_is_closed_with_any_umask(shared_folder: Path, umask: int):
    root = shared_folder / "private"
    assert put(ALICE, root, "folder/deep/a", "secret", umask=umask, mode=0o666) is None
    folder = root / "drives" / "d"
    for path in (root, root / "drives", folder, folder / "main", folder / ".lightning_lite"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
    assert stat.S_IMODE((folder / ".lightning_lite" / "lock").stat().st_mode) == 0o600
    assert not (folder / "main" / "folder").stat().st_mode & 0o022
    home_of(BOB, root)
    found = act_as(BOB, lambda: drive_of(root).get("folder/deep/a", to="copy"))
    assert "PermissionError" in found.kinds or "DriveNotFound" in found.kinds


def test_what_inherits_the_group_of_a_project_is_not_shared(shared_folder: Path):
    os.chown(shared_folder, 0, LAB)
    shared_folder.chmod(0o3777)
    root = shared_folder / "root"
    put(ALICE, root, "a", "secret", umask=0o002)
    assert stat.S_IMODE(root.stat().st_mode) == 0o2700
    assert isinstance(read(BOB, root, "a"), Refused)


VERBS: dict[str, Callable[[Drive], object]] = {
    "put": lambda drive: drive.put("mine"),
    "get": lambda drive: drive.get("planted", to="copy"),
    "list": lambda drive: drive.list(),
    "delete": lambda drive: drive.delete("planted"),
    "wait": lambda drive: drive.get("planted", to="copy", timeout=5),
    "exists": lambda drive: drive.exists("planted"),
    "open": lambda drive: drive.open("planted"),
}


def use(root: Path) -> dict[str, str]:
    """Return the error of each verb of a drive whose content another user may have made."""
    (root.parent / str(os.geteuid()) / "mine").write_text("mine")
    found = {}
    for verb, job in VERBS.items():
        try:
            job(drive_of(root))
        except DriveRefused as error:
            found[verb] = error.message
    return found


PARTS = [(), ("drives",), ("drives", "d"), ("drives", "d", ".lightning_lite")]


@pytest.mark.parametrize("parts", [*PARTS, (*PARTS[-1], "aside")], ids="/".join)
def test_a_folder_that_others_could_have_filled_is_refused(shared_folder: Path, parts: tuple[str, ...]):
    root = shared_folder / "root"
    put(ALICE, root, "planted", "x")
    bad = root.joinpath(*parts)
    before = sorted(map(str, root.rglob("*")))
    for plant, user, mode in (("owner", EVE, 0o755), ("group", ALICE, 0o770), ("others", ALICE, 0o707)):
        os.chown(bad, user.uid, user.uid)
        bad.chmod(mode)
        found = act_as(ALICE, lambda: use(root))
        assert list(found) == list(VERBS), plant
        assert all(repr(str(bad)) in text for text in found.values()), plant
        assert sorted(map(str, root.rglob("*"))) == before, plant
        assert not (home_of(ALICE, root) / "copy").exists(), plant


@pytest.mark.parametrize("parts", PARTS[1:], ids="/".join)
def test_a_folder_that_is_a_link_is_refused(shared_folder: Path, parts: tuple[str, ...]):
    root = shared_folder / "root"
    put(ALICE, root, "planted", "x")
    bad = root.joinpath(*parts)
    bad.rename(shared_folder / "elsewhere")
    bad.symlink_to(shared_folder / "elsewhere")
    found = act_as(ALICE, lambda: use(root))
    assert list(found) == list(VERBS)
    assert all("symbolic link" in text for text in found.values())


def test_a_drive_that_is_exchanged_while_it_is_used_is_checked_again(shared_folder: Path):
    root = shared_folder / "root"
    put(ALICE, root, "planted", "x")
    theirs = shared_folder / "theirs"
    put(EVE, theirs, "planted", "y")
    for path in (theirs, *theirs.rglob("*")):
        path.chmod(0o755)

    def job() -> list[str]:
        drive = drive_of(root)
        found = drive.list()
        os.rename(root, shared_folder / "away")
        os.symlink(theirs, root)
        try:
            drive.list()
        except DriveRefused as error:
            return [*found, type(error).__name__]
        return found

    shared_folder.chmod(0o777)
    assert act_as(ALICE, job) == ["planted", "DriveRefused"]


@pytest.mark.parametrize(
    "target",
    [
        "../../escaped",
        "main/../../../../escaped",
        "/etc/escaped",
        "main",
        ".lightning_lite/aside",
        "main//a",
        "",
    ],
)
@pytest.mark.parametrize("field", ["target", "new", "old"])
def test_an_intent_with_a_name_that_leads_out_is_not_carried_out(drive: Drive, target: str, field: str):
    Path("a").write_text("a")
    drive.put("a")
    aside = Path(drive.root_dir) / "drives" / "d" / ".lightning_lite" / "aside"
    (aside / ".lightning_lite-1-1-1").mkdir()
    fields = {"new": ".lightning_lite-1-1-1", "target": "main/gone/b", "old": ".lightning_lite-1-1-2"}
    fields[field] = target
    (aside / drive_folders.INTENT).write_text(
        "\n".join(fields[name] for name in drive_folders.Intent._fields)
    )
    before = sorted(map(str, Path(drive.root_dir).rglob("*")))
    with pytest.raises(DriveError, match="is damaged"):
        drive.put("a")
    assert sorted(map(str, Path(drive.root_dir).rglob("*"))) == before


@pytest.mark.parametrize("target", ["main/link/b", "link/b"])
def test_an_intent_does_not_follow_a_link_out_of_the_drive(drive: Drive, own_place: Path, target: str):
    Path("a").write_text("a")
    drive.put("a")
    base = Path(drive.root_dir) / "drives" / "d"
    (own_place / "outside").mkdir()
    os.symlink(own_place / "outside", (base / target).parent)
    aside = base / ".lightning_lite" / "aside"
    (aside / ".lightning_lite-1-1-1").mkdir()
    (aside / drive_folders.INTENT).write_text(f".lightning_lite-1-1-1\n{target}\n.lightning_lite-1-1-2")
    with pytest.raises(DriveError):
        drive.put("a")
    assert list((own_place / "outside").iterdir()) == []
