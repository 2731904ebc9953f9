"""A run, a value or a payload that another user could have made is refused before it is unpickled."""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.cli.checks import file_system
from lightning_lite.cli.checks.result import FAILURE, OK, WARNING
from lightning_lite.context import Caller, acting_as
from lightning_lite.errors import AppFailed, JournalError, RootRefused, ValueFileError
from lightning_lite.root_access import own_root
from lightning_lite.runs.catalog import find_resumable, read_runs, runs_folder
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.lock import RunLock
from lightning_lite.runs.retention import clean_runs, remove_run
from lightning_lite.storage import Drive, Payload
from lightning_lite.storage.errors import DriveError, DriveRefused
from lightning_lite.storage.stores import drive_names
from lightning_lite.values import value_files

from tests.cli.verbs import call
from tests.support.flows import run_inline
from tests.support.odd_files import IRREGULAR, each, put
from tests.support.run_folders import new_run
from tests.support.users import (
    ALICE,
    BOB,
    EVE,
    LAB,
    Refused,
    User,
    act_as,
    folder_for_all,
    make_group_root,
    needs_users,
)

MARKER = "LIGHTNING_LITE_TEST_MARKER"


class Planted:
    """An object whose unpickling makes a folder: code of the user who pickled it."""

    def __reduce__(self):
        return os.makedirs, (os.environ[MARKER], 0o777, True)


class Make(LightningWork):
    def run(self):
        return Planted()


class Root(LightningFlow):
    def __init__(self, message="not yet"):
        super().__init__()
        self.make = Make()
        self._message = message

    def run(self):
        value = self.make.run()
        if self._message:
            self.fail(f"{self._message} {value}")
        self.stop()


def run_app(root: Path, message: str = "not yet", resume: bool | str = False, **options) -> None:
    run_inline(Root(message), root, resume, **options)


def begin(root: Path) -> None:
    """Leave a run that can be resumed."""
    with pytest.raises(AppFailed):
        run_app(root)


@pytest.fixture(scope="module")
def all_modules(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let an app load all modules: the processes of other users can't read their files."""
    folder = tmp_path_factory.mktemp("warm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARKER, str(folder / "marker"))
        begin(folder / "root")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, own_place: Path, all_modules: None) -> Iterator[Path]:
    """Give a folder into which every user may write."""
    with folder_for_all() as folder:
        monkeypatch.setenv(MARKER, f"{folder}/marker")
        monkeypatch.chdir(folder)
        yield folder
        monkeypatch.chdir(own_place)


def clear_marker() -> None:
    shutil.rmtree(os.environ[MARKER], ignore_errors=True)


def open_to_all(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def give(path: Path, user: User) -> None:
    os.chown(path, user.uid, user.uid)


@needs_users
@pytest.mark.parametrize(
    "part",
    [
        "root",
        "runs",
        "run",
        "journal",
        "run.json",
        "runs that others write",
        "run that others write",
        "journal of a group",
        "run.json of a group",
    ],
)
def test_a_run_that_another_user_could_have_made_is_not_resumed(place: Path, part: str):
    root = place / "root"
    assert act_as(ALICE, lambda: begin(root)) is None
    open_to_all(root)
    (run,) = (root / "runs").iterdir()
    journal = run / "journal.log"
    match part:
        case "root":
            give(root, EVE)
        case "runs":
            give(root / "runs", EVE)
        case "run":
            give(run, EVE)
        case "journal":
            give(journal, EVE)
        case "run.json":
            give(run / "run.json", EVE)
        case "runs that others write":
            (root / "runs").chmod(0o777)
        case "run that others write":
            run.chmod(0o777)
        case "journal of a group":
            journal.chmod(0o664)
        case "run.json of a group":
            (run / "run.json").chmod(0o664)
    clear_marker()
    for resume in (True, run.name):
        found = act_as(ALICE, lambda resume=resume: run_app(root, "", resume))
        assert isinstance(found, Refused), resume
        kind = "JournalError" if part.startswith(("journal", "run.json")) else "RootRefused"
        assert kind in found.kinds, (resume, found)
        if part.endswith(" of a group"):
            assert f"run chmod -R go-w {run}" in found.text, resume
        if part == "run.json":
            assert f"can't be used: it belongs to user {EVE.uid}; resume it as that user" in found.text
        assert not Path(os.environ[MARKER]).exists(), "nothing was unpickled"


@needs_users
@pytest.mark.parametrize("part", ["run.json", "run"])
def test_another_user_can_not_let_an_app_pass_over_its_run(place: Path, part: str):
    root = place / "root"
    assert act_as(ALICE, lambda: begin(root)) is None
    (run,) = (root / "runs").iterdir()
    details = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**details, "state": "stopped", "identity": "other.py:Root"}))
    if part == "run.json":
        give(run / "run.json", EVE)
        (run / "run.json").chmod(0o644)
    else:
        run.chmod(0o777)
    found = act_as(ALICE, lambda: run_app(root, "", True))
    assert isinstance(found, Refused)
    assert ("JournalError" if part == "run.json" else "RootRefused") in found.kinds
    assert list((root / "runs").iterdir()) == [run], "no new run"


@needs_users
def test_another_user_can_not_let_an_app_pass_over_a_run_behind_a_link(place: Path):
    root = place / "root"
    assert act_as(ALICE, lambda: begin(root)) is None
    (run,) = (root / "runs").iterdir()
    moved = run.rename(place / "moved")
    run.symlink_to(moved)
    details = json.loads((moved / "run.json").read_text())
    (moved / "run.json").write_text(json.dumps({**details, "state": "stopped"}))
    assert act_as(ALICE, lambda: run_app(root, "", True)) is None, "its flow has ended it"

    root = place / "second"
    assert act_as(ALICE, lambda: begin(root)) is None
    (run,) = (root / "runs").iterdir()
    moved = run.rename(place / "moved too")
    run.symlink_to(moved)
    (moved / "run.json").write_text(json.dumps({**details, "state": "stopped"}))
    give(moved / "run.json", EVE)
    (moved / "run.json").chmod(0o644)
    found = act_as(ALICE, lambda: run_app(root, "", True))
    assert isinstance(found, Refused)
    assert "RootRefused" in found.kinds


@needs_users
def test_a_run_of_another_app_is_passed_over_if_its_own_journal_says_so(place: Path):
    root = place / "root"

    def begin_another() -> None:
        folder = new_run(str(root), app="Other", identity="other.py:Other")
        Journal.create(folder.path, "other.py:Other").close()

    assert act_as(ALICE, lambda: begin(root)) is None
    act_as(ALICE, begin_another)
    first, other = sorted((root / "runs").iterdir())
    give(other / "run.json", EVE)
    (other / "run.json").chmod(0o644)
    clear_marker()
    assert act_as(ALICE, lambda: run_app(root, "", True)) is None
    assert Path(os.environ[MARKER]).exists(), "the first run was resumed"
    give(other / "journal.log", EVE)
    (other / "journal.log").chmod(0o644)
    assert "JournalError" in act_as(ALICE, lambda: run_app(root, "", True)).kinds
    assert sorted((root / "runs").iterdir()) == [first, other]


@needs_users
def test_a_trusted_root_has_runs_with_files_of_other_users(place: Path):
    root = place / "root"
    assert act_as(ALICE, lambda: begin(root)) is None
    (run,) = (root / "runs").iterdir()
    (run / "run.json").chmod(0o666)
    give(run / "run.json", EVE)
    clear_marker()
    assert act_as(ALICE, lambda: run_app(root, "", True, root_mode="trusted")) is None
    assert Path(os.environ[MARKER]).exists()


@needs_users
@pytest.mark.parametrize("plant", ["owner", "group"])
def test_a_journal_that_is_exchanged_after_the_first_check_is_not_resumed(place: Path, plant: str):
    root = place / "root"
    act_as(ALICE, lambda: begin(root))
    (run,) = (root / "runs").iterdir()
    shutil.copy(run / "journal.log", run / "planted")
    (run / "planted").chmod(0o664)
    give(run / "planted", EVE if plant == "owner" else ALICE)
    clear_marker()

    def job() -> None:
        acquire = RunLock.acquire

        def exchange(lock: RunLock) -> None:
            acquire(lock)
            os.replace(run / "planted", run / "journal.log")

        RunLock.acquire = exchange  # the moment between the check of the path and the opening of the file
        run_app(root, "", True)

    found = act_as(ALICE, job)
    assert "JournalError" in found.kinds, found
    assert not (run / "planted").exists()
    assert not Path(os.environ[MARKER]).exists()


@needs_users
def test_an_own_run_is_resumed_also_below_a_root_that_others_may_read(place: Path):
    root = place / "root"
    act_as(ALICE, lambda: begin(root))
    open_to_all(root)
    clear_marker()
    assert act_as(ALICE, lambda: run_app(root, "", True)) is None
    assert Path(os.environ[MARKER]).exists(), "the test notices that the value is unpickled"


@needs_users
@pytest.mark.parametrize("part", ["root", "runs", "link"])
def test_each_use_of_a_foreign_folder_of_runs_is_refused(place: Path, part: str):
    root = place / "root"
    act_as(EVE if part != "link" else ALICE, lambda: begin(root))
    open_to_all(root)
    if part == "runs":
        give(root, ALICE)
    if part == "link":
        (root / "runs").rename(place / "elsewhere")
        (root / "runs").symlink_to(place / "elsewhere")
    before = sorted(map(str, place.rglob("*")))
    for name, use in {
        "ps": lambda: read_runs(str(root)),
        "resume": lambda: find_resumable(str(root), "app"),
        "clean": lambda: clean_runs(str(root), keep=1),
        "run": lambda: run_app(root, ""),
    }.items():
        found = act_as(ALICE, use)
        assert "RootRefused" in found.kinds, (name, found)
        assert sorted(map(str, place.rglob("*"))) == before, name


# Payloads and values.


def make_payload(root: Path, value: object = None, kind: type[Payload] = Payload) -> Payload:
    with acting_as(Caller("work", "w", str(root))):
        payload = kind(Planted() if value is None else value)
        payload.attached("w", "data")
    return payload


class InFolder(Payload):
    """Its object is in a folder, written with the umask of the work."""

    def save(self, obj, path):
        os.mkdir(path)
        Path(path, "part").write_bytes(value_files._pickle.dumps(obj))

    def load(self, path):
        return value_files._pickle.loads(Path(path, "part").read_bytes())


def copy_of(payload: Payload) -> Payload:
    """Return the copy that another process gets."""
    revive, arguments = payload.__reduce__()
    return revive(*arguments)


def file_of(root: Path) -> Path:
    (found,) = (path for path in (root / "drives" / ".payloads" / "w").rglob("*") if path.is_file())
    return found


@needs_users
@pytest.mark.parametrize("part", ["owner", "group", "root", "drives", "store"])
def test_a_payload_that_another_user_could_have_made_is_not_unpickled(place: Path, part: str):
    for kind in (Payload, InFolder):
        refuse_payload(place / kind.__name__, kind, part)


def refuse_payload(root: Path, kind: type[Payload], part: str) -> None:
    payload = act_as(ALICE, lambda: copy_of(make_payload(root, kind=kind)), umask=0o002)
    open_to_all(root)
    match part:
        case "owner":
            give(file_of(root), EVE)
        case "group":
            file_of(root).chmod(0o664)
        case "root":
            give(root, EVE)
        case "drives":
            (root / "drives").chmod(0o777)
        case "store":
            give(root / "drives" / ".payloads", EVE)
    clear_marker()
    found = act_as(ALICE, lambda: payload.value)
    assert "DriveRefused" in found.kinds, (kind, found)
    assert not Path(os.environ[MARKER]).exists()


@pytest.mark.parametrize("kind", [Payload, InFolder])
@pytest.mark.parametrize("change", ["another object", "longer", "one byte", "empty"])
def test_a_payload_whose_file_was_replaced_is_not_unpickled(own_place: Path, monkeypatch, kind, change: str):
    monkeypatch.setenv(MARKER, str(own_place / "marker"))
    root = own_place / "root"
    payload = copy_of(make_payload(root, "harmless text" * 100, kind))
    planted = own_place / "planted"
    make_payload(planted, kind=kind)
    file = file_of(root)
    data = {
        "another object": file_of(planted).read_bytes(),
        "longer": file.read_bytes() + b"x",
        "one byte": file.read_bytes().replace(b"h", b"H", 1),
        "empty": b"",
    }[change]
    new = own_place / "new"
    new.write_bytes(data)
    new.replace(file)
    clear_marker()
    with pytest.raises(DriveError, match="damaged or replaced"):
        payload.get()
    assert not (own_place / "marker").exists()


def test_a_payload_whose_file_grew_without_a_change_of_its_time_is_not_unpickled(own_place: Path):
    payload = copy_of(make_payload(own_place / "root", [1, 2]))
    file = file_of(own_place / "root")
    before = file.stat()
    file.chmod(0o600)
    with file.open("ab") as more:
        more.write(b"x")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DriveError, match=r"its size in bytes is \d+, not \d+"):
        payload.get()


@pytest.mark.parametrize("kind", [Payload, InFolder])
def test_a_payload_whose_file_was_copied_to_another_place_is_read(own_place: Path, kind):
    payload = copy_of(make_payload(own_place / "root", [1, 2], kind))
    shutil.copytree(own_place / "root", own_place / "copy")
    shutil.rmtree(own_place / "root")
    (own_place / "copy").rename(own_place / "root")
    assert payload.get() == [1, 2]


def test_a_payload_that_is_a_link_is_not_unpickled(own_place: Path, monkeypatch):
    monkeypatch.setenv(MARKER, str(own_place / "marker"))
    payload = copy_of(make_payload(own_place / "root"))
    file = file_of(own_place / "root")
    file.rename(own_place / "elsewhere")
    file.symlink_to(own_place / "elsewhere")
    clear_marker()
    with pytest.raises(DriveError, match="it is a symbolic link, not a file; it was damaged or replaced"):
        payload.get()
    assert not (own_place / "marker").exists()


@pytest.mark.parametrize("kind", each([kind for kind in IRREGULAR if "link" not in kind]))
def test_a_payload_that_is_something_else_is_named(own_place: Path, kind: str):
    payload = copy_of(make_payload(own_place / "root", [1, 2]))
    put(kind, file_of(own_place / "root"))

    with pytest.raises(DriveError, match=f"it is {kind}, not a file; it was damaged or replaced"):
        payload.get()


def test_a_reference_without_a_digest_is_refused(own_place: Path):
    revive, arguments = make_payload(own_place / "root", 1).__reduce__()
    with pytest.raises(DriveError, match="has no digest"):
        revive(*arguments[:-1]).get()


@needs_users
@pytest.mark.parametrize("change", ["owner of the file", "owner of the folder", "group", "content"])
def test_a_big_value_that_another_user_could_have_made_is_not_unpickled(place: Path, change: str):
    folder = place / "values"

    def store() -> bytes:
        draft = value_files.Draft()
        draft.write(value_files._pickle.dumps((Planted(), "x" * 100_000)))
        return draft.store(str(folder))

    packed = act_as(ALICE, store)
    (file,) = folder.iterdir()
    open_to_all(folder)
    match change:
        case "owner of the file":
            give(file, EVE)
        case "owner of the folder":
            give(folder, EVE)
        case "group":
            file.chmod(0o664)
        case "content":
            file.write_bytes(file.read_bytes().replace(b"x", b"y"))
    clear_marker()
    found = act_as(ALICE, lambda: value_files.load(packed))
    assert ValueFileError.__name__ in found.kinds
    assert not Path(os.environ[MARKER]).exists()


# A group root.


@pytest.fixture
def shared(place: Path) -> Path:
    return make_group_root(place / "shared")


@needs_users
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_each_user_has_own_runs_in_a_group_root(shared: Path, umask: int):
    for user in (ALICE, BOB):
        assert act_as(user, lambda: begin(shared), umask=umask) is None
    for user, other in ((ALICE, BOB), (BOB, ALICE)):
        runs = shared / "users" / str(user.uid) / "runs"
        (run,) = runs.iterdir()
        for path in (runs.parent, runs, run, run / "logs"):
            assert path.stat().st_uid == user.uid
            assert stat.S_IMODE(path.stat().st_mode) & 0o777 == 0o700, path
        assert act_as(user, lambda: [run.id for run in read_runs(str(shared))]) == [run.name]
        assert "PermissionError" in act_as(other, lambda run=run: os.listdir(run)).kinds


@needs_users
def test_each_user_resumes_and_cleans_own_runs_only(shared: Path):
    for user in (ALICE, BOB):
        act_as(user, lambda: begin(shared))
    (of_alice,) = (shared / "users" / str(ALICE.uid) / "runs").iterdir()
    refused = act_as(BOB, lambda: run_app(shared, "", True, root_mode="private"))
    assert "RootRefused" in refused.kinds, "before a run is looked for"
    assert act_as(BOB, lambda: run_app(shared, "", True)) is None, "his own"
    found = act_as(BOB, lambda: run_app(shared, "", of_alice.name))
    assert "NothingToResume" in found.kinds
    assert "JournalError" in act_as(BOB, lambda: remove_run(str(of_alice))).kinds
    act_as(BOB, lambda: [remove_run(run.path) for run in read_runs(str(shared))])
    assert act_as(BOB, lambda: read_runs(str(shared))) == []
    assert of_alice.exists()


@needs_users
@pytest.mark.parametrize("declared", ["root_mode='group'", "by the mode"])
def test_an_app_shares_its_drives_and_nothing_else(place: Path, shared: Path, declared: str):
    root, options = shared, {}
    if declared != "by the mode":
        root, options = place / "new", {"root_mode": "group"}
        os.chown(place, 0, LAB)
        place.chmod(0o3777)
    assert act_as(ALICE, lambda: run_app(root, "", **options)) is None
    assert sorted(path.name for path in root.iterdir()) == ["users"]
    assert act_as(BOB, lambda: run_app(root, "", root_mode="group")) is None
    assert "RootRefused" in act_as(BOB, lambda: run_app(root, "", root_mode="private")).kinds


@needs_users
def test_a_folder_that_another_user_made_for_the_runs_of_this_one_is_refused(shared: Path):
    def plant() -> None:
        own_root(str(shared), make=os.mkdir)
        os.makedirs(shared / "users" / str(BOB.uid) / "runs")

    act_as(ALICE, plant)
    for job in (
        lambda: run_app(shared, ""),
        lambda: read_runs(str(shared)),
        lambda: run_app(shared, "", True),
    ):
        assert "RootRefused" in act_as(BOB, job).kinds


def test_a_private_root_keeps_its_runs_where_they_were(own_place: Path):
    assert runs_folder(str(own_place / "none")) == str(own_place / "none" / "runs")
    begin_without_value(own_place / "root")
    assert [run.app for run in read_runs(str(own_place / "root"))] == ["Quiet"]


class Quiet(LightningFlow):
    def run(self):
        self.stop()


def begin_without_value(root: Path) -> None:
    run_inline(Quiet(), root)


def test_the_command_line_refuses_a_root_that_others_may_write(
    own_place: Path, capfd: pytest.CaptureFixture[str]
):
    begin_without_value(own_place / "root")
    Drive("lit://d", root_dir=own_place / "root").put(write(own_place / "a"))
    (own_place / "root").chmod(0o777)
    for verb in ("ps", "clean", "drive ls", "resume"):
        done = call(capfd, *verb.split(), "--root", own_place / "root")
        assert done.code != 0, verb
        assert "is writable by other users" in done.out + done.err, verb


@pytest.mark.parametrize(
    ("mode", "status", "text"),
    [
        (0o777, FAILURE, "chmod -R go-w"),
        (0o770, FAILURE, "chmod -R go-w"),
        (0o2770, OK, "shared"),
        (0o755, WARNING, ""),
    ],
)
def test_doctor_says_whether_a_root_is_refused_or_shared(own_place: Path, mode: int, status: str, text: str):
    root = own_place / "root"
    root.mkdir()
    root.chmod(mode)
    finding = dict(file_system.checks(str(root), str(own_place)))["root"]()
    assert finding.state == status
    assert text in f"{finding.value} {finding.advice}"


def write(path: Path) -> str:
    path.write_text("a")
    return path.name


def test_the_errors_say_which_folder_and_what_to_do(own_place: Path):
    (own_place / "root").mkdir(0o777)
    (own_place / "root").chmod(0o777)
    with pytest.raises(RootRefused, match=r"mode 777.*chmod -R go-w") as caught:
        read_runs(str(own_place / "root"))
    assert caught.value.path == str(own_place / "root")
    with pytest.raises(DriveRefused, match=r"^The folder .*chmod -R go-w.*\.$"):
        Drive("lit://d", root_dir=own_place / "root").list()
    with pytest.raises(DriveRefused):
        drive_names(str(own_place / "root"))
    assert issubclass(JournalError, Exception)


def test_a_private_root_with_runs_does_not_become_a_group_root_by_its_mode(tmp_path: Path) -> None:
    """Its runs would not be found any more, for example after `chmod -R g+rwxs` for a whole volume."""
    root = tmp_path / "root"
    new_run(str(root), app="Root")
    root.chmod(0o2770)

    with pytest.raises(RootRefused, match="is writable by other users"):
        read_runs(str(root))
    root.chmod(0o700)

    assert len(read_runs(str(root))) == 1
