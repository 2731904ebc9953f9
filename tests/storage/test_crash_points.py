"""A process is killed at each file operation of a verb: all is old or new, and the next verb cleans up."""

from __future__ import annotations

import os
import random
import shutil
import stat
import warnings
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest
from faults import CHANGING, ERRNOS, OPERATIONS, Plan, content, fail, guarded, killed_at, leftovers

from lightning_lite.storage import Drive
from lightning_lite.storage.errors import DriveError, DriveExists, DriveOSError, DriveWarning
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.local import drive_folders
from lightning_lite.storage.transfer import delivery
from lightning_lite.storage.transfer.staging import StagingFolder

from tests.support.files import modes_below, while_read


class Case:
    """One verb in one situation.

    Args:
        verb: Does it, in the current folder.
        before: Makes the content before the verb, in an empty drive and an empty folder.
    """

    def __init__(
        self, name: str, verb: Callable[[Drive], object], *before: Callable[[Drive], object]
    ) -> None:
        self.name = name
        self.verb = verb
        self.before = before

    def __repr__(self) -> str:
        return self.name


def files(text: str, folder: str = "folder") -> Callable[[Drive], object]:
    def make(drive: Drive) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(f"{folder}/inner/empty")
        for name in ("a", "inner/b"):
            Path(folder, name).write_text(f"{text} of {name}")

    return make


def file(text: str, name: str = "file") -> Callable[[Drive], object]:
    return lambda drive: Path(name).write_text(text)


def put(*args, **kwargs) -> Callable[[Drive], object]:
    return lambda drive: drive.put(*args, **kwargs)


def get(*args, **kwargs) -> Callable[[Drive], object]:
    return lambda drive: drive.get(*args, **kwargs)


def delete(*args) -> Callable[[Drive], object]:
    return lambda drive: drive.delete(*args)


def durable(verb: Callable[[Drive], object]) -> Callable[[Drive], object]:
    return lambda drive: verb(Drive(drive.id, root_dir=drive.root_dir, durable=True))


PUT_FOLDER = (files("old"), put("folder"))
PUT_FILE = (file("old"), put("file"))

DRIVE_CASES = [
    Case("put a new file", put("file"), file("new")),
    Case("put a file again", put("file"), *PUT_FILE, file("new")),
    Case("put a file below new folders", put("file", to="x/y/z"), file("new")),
    Case("put a file into a folder", put("file", to="folder/inner/b"), *PUT_FOLDER, file("new")),
    Case(
        "put a file into one that is read", while_read(put("file", to="folder/a")), *PUT_FOLDER, file("new")
    ),
    Case(
        "put a file deep into one that is read",
        while_read(put("file", to="folder/p/q")),
        *PUT_FOLDER,
        file("n"),
    ),
    Case("put a new folder", put("folder"), files("new")),
    Case("put a folder again", put("folder"), *PUT_FOLDER, files("new")),
    Case(
        "put a folder into one that is read",
        while_read(put("folder", to="folder/x")),
        *PUT_FOLDER,
        files("new"),
    ),
    Case("put a folder, durable", durable(put("folder")), *PUT_FOLDER, files("new")),
    Case("put a file below new folders, durable", durable(put("file", to="x/y")), file("new")),
    Case("delete a file", delete("file"), *PUT_FILE),
    Case("delete a folder", delete("folder"), *PUT_FOLDER),
    Case("delete a file in a folder that is read", while_read(delete("folder/inner/b")), *PUT_FOLDER),
    Case("delete a folder in a folder that is read", while_read(delete("folder/inner")), *PUT_FOLDER),
]

GET_CASES = [
    Case("get a new file", get("file", to="copy"), *PUT_FILE),
    Case("get a file onto a file", get("file", to="copy"), *PUT_FILE, file("mine", "copy")),
    Case("get a file below new folders", get("file", to="x/y/z"), *PUT_FILE),
    Case("get a new folder", get("folder", to="copy"), *PUT_FOLDER),
    Case(
        "get a folder onto one", get("folder", to="copy", overwrite=True), *PUT_FOLDER, files("mine", "copy")
    ),
]

MOVE_CASES = [
    Case("move a new file", put("file", move=True), file("new")),
    Case("move a file onto one", put("file", move=True), *PUT_FILE, file("new")),
    Case("move a new folder", put("folder", move=True), files("new")),
    Case("move a folder onto one", put("folder", move=True), *PUT_FOLDER, files("new")),
]


#: Lets each operation fail with each error.
EACH_ERRNO = [(code,) for code in ERRNOS]


class Scenario:
    """Sets a case up repeatedly, and reports what is visible."""

    def __init__(self, case: Case, place: Path) -> None:
        self.case = case
        self.root = place / "scenario-root"
        self.here = place / "scenario"

    def set_up(self) -> Drive:
        os.chdir(self.here.parent)
        for folder in (self.root, self.here):
            shutil.rmtree(folder, ignore_errors=True)
        self.here.mkdir()
        os.chdir(self.here)
        drive = self.drive()
        drive.put(self.unrelated(), to="unrelated")
        for step in self.case.before:
            step(drive)
        return drive

    def drive(self) -> Drive:
        return Drive("lit://d", root_dir=self.root)

    def unrelated(self) -> str:
        Path(".unrelated").write_text("unrelated")
        return ".unrelated"

    def seen(self) -> tuple[object, object]:
        """Return the content of the drive and of the user's folder, as a reader finds it."""
        self.drive().list(recursive=True)  # completes an exchange in two steps
        return content(self.root / "drives/d/main"), content(self.here)

    def outcomes(self) -> tuple[object, object]:
        self.set_up()
        before = self.seen()
        self.case.verb(self.drive())
        after = self.seen()
        assert before != after
        self.check((after,))
        return before, after

    def check(self, allowed: tuple[object, ...]) -> None:
        assert self.seen() in allowed
        self.drive().put(self.unrelated(), to="unrelated")
        assert self.seen() in allowed
        assert not leftovers(self.root)


class ScenarioOfTwoSteps(Scenario):
    """… where a `get` into a folder restores a file that another one took from its place there."""

    def seen(self) -> tuple[object, object]:
        self.drive().get("unrelated", to=".unrelated")
        return super().seen()


@contextmanager
def without_exchange(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "exchange", lambda *places: False)
        yield


def first_kill(scenario: Scenario, operations: tuple[str, ...], step: int) -> int:
    """Return the number of an operation of the verb, at random, the first of a series with this step."""
    drive = scenario.set_up()
    with guarded(Plan(), operations) as plan:
        scenario.case.verb(drive)
    return random.randint(1, min(step, plan.count))


def survives_each_kill(scenario: Scenario, operations: tuple[str, ...] = CHANGING, step: int = 1) -> int:
    """Kill the verb at each operation, or at each `step`-th from a random one; return the number of kills."""
    allowed = scenario.outcomes()
    number, kills = first_kill(scenario, operations, step), 0
    while True:
        drive = scenario.set_up()
        killed = killed_at(number, lambda drive=drive: scenario.case.verb(drive), operations)
        scenario.check(allowed)
        if not killed:
            return kills
        number, kills = number + step, kills + 1


@pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize("case", [*DRIVE_CASES, *GET_CASES], ids=repr)
def test_a_verb_that_is_killed_anywhere_has_happened_or_has_not(case: Case, step: int, quick_place: Path):
    assert survives_each_kill(Scenario(case, quick_place), step=step) * step > 5


@pytest.mark.torture
@pytest.mark.parametrize("case", [*DRIVE_CASES, *GET_CASES], ids=repr)
def test_a_verb_that_is_killed_at_a_reading_operation_has_happened_or_has_not(case: Case, quick_place: Path):
    assert survives_each_kill(Scenario(case, quick_place), OPERATIONS) > 10


@pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize("case", [DRIVE_CASES[4], DRIVE_CASES[7], DRIVE_CASES[8]], ids=repr)
def test_the_same_holds_where_folders_are_replaced_in_two_steps(
    case: Case, step: int, quick_place: Path, monkeypatch
):
    with without_exchange(monkeypatch):
        assert survives_each_kill(Scenario(case, quick_place), step=step) * step > 10


@pytest.mark.parametrize(
    ("step", "series"),
    [(4, [ERRNOS]), pytest.param(1, EACH_ERRNO, marks=pytest.mark.torture)],
    ids=["some", "all"],
)
def test_the_same_holds_where_a_get_replaces_a_folder_in_two_steps(
    step: int, series: list[tuple[int, ...]], quick_place: Path, monkeypatch
):
    with without_exchange(monkeypatch):
        assert survives_each_kill(ScenarioOfTwoSteps(GET_CASES[4], quick_place), step=step) * step > 10
        fails_everywhere(ScenarioOfTwoSteps(GET_CASES[4], quick_place), *series)


def test_the_old_folder_is_restored_if_a_get_was_killed_between_its_two_steps(quick_place: Path, monkeypatch):
    with without_exchange(monkeypatch):
        scenario = Scenario(GET_CASES[4], quick_place)
        before, _ = scenario.outcomes()
        drive = scenario.set_up()
        assert killed_at(2, lambda: scenario.case.verb(drive), ("rename",))
        assert content(scenario.here / ".lightning_lite.replaced/copy") == before[1]["copy"]
        assert not (scenario.here / "copy").exists()
        with pytest.raises(DriveExists):
            scenario.drive().get("folder", to="copy")
        assert scenario.seen() == before


@pytest.mark.parametrize(
    ("case", "module", "recovery"),
    [
        (DRIVE_CASES[7], drive_folders, "recover"),
        (DRIVE_CASES[7], StagingFolder, "sweep"),
        (GET_CASES[4], delivery, "_restore"),
    ],
    ids=["no recovery of a put", "no sweep", "no recovery of a get"],
)
def test_the_harness_fails_without_recovery(
    case: Case, module: object, recovery: str, quick_place: Path, monkeypatch
):
    scenario = ScenarioOfTwoSteps(case, quick_place)
    with without_exchange(monkeypatch), monkeypatch.context() as patch:
        patch.setattr(module, recovery, lambda *args: None)
        with pytest.raises(AssertionError):
            survives_each_kill(scenario, ("rename",))


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.torture)])
@pytest.mark.parametrize("case", MOVE_CASES, ids=repr)
def test_a_source_that_is_moved_is_never_lost(case: Case, step: int, quick_place: Path):
    scenario = Scenario(case, quick_place)
    (old, source), (new, _) = scenario.outcomes()
    number, killed = first_kill(scenario, CHANGING, step) - step, True
    while killed:
        number += step
        drive = scenario.set_up()
        killed = killed_at(number, lambda drive=drive: case.verb(drive))
        there, here = scenario.seen()
        assert not writable(scenario.root / "drives/d/main")
        # The drive has all of it, or the source still has: a folder being removed may be half gone by then.
        assert there == new or (there, here) == (old, source)
        scenario.check(((there, here),))
    assert number > step, "killed nowhere"


def writable(folder: Path) -> list[Path]:
    """Return the files in a folder whose owner may write to them."""
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & stat.S_IWUSR]


@pytest.mark.parametrize("case", MOVE_CASES, ids=repr)
def test_a_source_that_can_not_be_moved_stays_as_it_was(case: Case, quick_place: Path):
    scenario = Scenario(case, quick_place)
    scenario.outcomes()
    number, failed = 0, True
    while failed:
        number += 1
        drive = scenario.set_up()
        for path in scenario.here.rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o640 if path.name == "a" else 0o440)
        before = modes_below(scenario.here)
        plan = Plan(number, fail(ERRNOS[0]))
        refused = False
        with guarded(plan), warnings.catch_warnings():
            warnings.simplefilter("ignore", DriveWarning)  # that the source stays, which is the subject
            try:
                case.verb(drive)
            except DriveError:
                refused = True
        failed = plan.count >= number
        assert not writable(scenario.root / "drives/d/main")
        if refused or any(source.exists() for source in (scenario.here / "file", scenario.here / "folder")):
            assert modes_below(scenario.here) == before, plan.log[number - 1]
    assert number > 5


def test_a_recovery_that_is_killed_anywhere_is_finished_by_the_next_one(quick_place: Path, monkeypatch):
    with without_exchange(monkeypatch):
        scenario = Scenario(DRIVE_CASES[7], quick_place)
        allowed = scenario.outcomes()

        def half_done() -> Drive:
            drive = scenario.set_up()
            plan = Plan()
            with guarded(plan, ("rename",)):
                scenario.case.verb(drive)
            drive = scenario.set_up()
            assert killed_at(plan.count, lambda: scenario.case.verb(drive), ("rename",))
            return scenario.drive()

        number, killed = 0, True
        while killed:
            number += 1
            drive = half_done()
            killed = killed_at(number, lambda drive=drive: drive.list())
            scenario.check(allowed)
        assert number > 5


@pytest.mark.parametrize("case", [DRIVE_CASES[1], DRIVE_CASES[2], DRIVE_CASES[7], *GET_CASES[2:]], ids=repr)
def test_a_verb_that_fails_anywhere_has_happened_or_has_not(case: Case, quick_place: Path):
    fails_everywhere(Scenario(case, quick_place), ERRNOS)


@pytest.mark.torture
@pytest.mark.parametrize("case", [*DRIVE_CASES, *GET_CASES], ids=repr)
def test_each_errno_at_each_operation_of_each_verb(case: Case, quick_place: Path):
    fails_everywhere(Scenario(case, quick_place), *EACH_ERRNO)


def fails_everywhere(scenario: Scenario, *series: tuple[int, ...]) -> None:
    """Let each operation of the verb fail, once for each series: with its errors in turn."""
    allowed = scenario.outcomes()
    for codes in series:
        number, failed, first = 0, True, random.randrange(len(codes))
        while failed:
            number += 1
            drive = scenario.set_up()
            plan = Plan(number, fail(codes[(first + number) % len(codes)]))
            error = None
            with guarded(plan):
                try:
                    scenario.case.verb(drive)
                except DriveError as caught:
                    error = caught
            failed = plan.count >= number
            if error is not None:
                assert isinstance(error, DriveOSError), error
                assert "\n" not in str(error)
            scenario.check(allowed)
        assert number > 3
