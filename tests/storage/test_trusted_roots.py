"""Roots on file systems that keep no owners or modes, and roots whose user trusts all with write access."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.cli.checks import file_system
from lightning_lite.cli.checks.result import FAILURE, OK, WARNING
from lightning_lite.errors import AppFailed
from lightning_lite.runs.catalog import read_runs
from lightning_lite.storage import Drive, Payload
from lightning_lite.storage.errors import DriveWarning
from lightning_lite.storage.transfer import snapshot
from lightning_lite.trusted_roots import is_trusted, trust

from tests.cli.verbs import call
from tests.support.flows import run_inline
from tests.support.forked_scripts import ForkedScripts
from tests.support.ownerless import ownerless
from tests.support.users import ALICE, BOB, EVE, Refused, act_as, folder_for_all, needs_users

VARIABLE = "LIGHTNING_LITE_ROOT_MODE"


class Make(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.data = None

    def run(self) -> list[int]:
        self.data = Payload([1, 2])
        return [3]


class Use(LightningWork):
    def run(self, found: list[int], data: Payload) -> str:
        return f"{data.get()} {found}"


class Root(LightningFlow):
    def __init__(self, fails: bool) -> None:
        super().__init__()
        self.make, self.use = Make(), Use()
        self._fails = fails

    def run(self) -> None:
        found = self.use.run(self.make.run(), self.make.data)
        if self._fails:
            self.fail(found)
        self.stop()


def run_app(root: Path, fails: bool = False, resume: bool = False, **options: Any) -> None:
    run_inline(Root(fails), root, resume, **options)


@pytest.fixture(scope="module")
def all_modules(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let an app load all modules: the processes of other users can't read their files."""
    run_app(tmp_path_factory.mktemp("warm") / "root")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, own_place: Path, all_modules: None) -> Iterator[Path]:
    """Give a folder into which every user may write."""
    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    with folder_for_all() as folder:
        monkeypatch.chdir(folder)
        yield folder
        monkeypatch.chdir(own_place)


def use(root: Path, **options: Any) -> list[str]:
    """Use all verbs of a drive with files and folders, and return its names at the end."""
    home = root.parent / f"home of {os.geteuid()}"
    (home / "tree" / "inner").mkdir(parents=True, exist_ok=True)
    (home / "tree" / "inner" / "a").write_text("a")
    (home / "a").write_text("a")
    drive = Drive("lit://d", root_dir=root, root_folder=home, **options)
    for _ in range(2):
        drive.put("a")
        drive.put("tree")
    assert Path(drive.get("a", to="copy")).read_text() == "a"
    assert (Path(drive.get("tree", to="copied")) / "inner" / "a").read_text() == "a"
    drive.delete("a")
    drive.put("copied", move=True)
    return drive.list()


# A file system that keeps no owners or no modes.

OTHER_OWNER = f"keeps no owners: a new file belongs to user {EVE.uid}, not to user {ALICE.uid}"


@needs_users
@pytest.mark.parametrize(
    ("chmod", "user", "mode", "text"),
    [
        ("ignored", EVE, 0o777, OTHER_OWNER),
        ("refused", EVE, 0o700, OTHER_OWNER),
        ("refused", ALICE, 0o777, "keeps no modes: a new file has the mode 777, not 600"),
        ("ignored", ALICE, 0o775, "keeps no modes: a new file has the mode 775, not 600"),
    ],
)
def test_the_file_system_is_named_with_two_ways_on(place: Path, user, mode: int, text: str, chmod: str):
    with ownerless(place, user=user.uid, mode=mode, chmod=chmod) as mount:
        for root_mode in (None, "group"):
            root = mount / f"root {root_mode}"
            refused = refusals(root, root_mode)
            if root_mode == "group" and user is ALICE:
                assert refused.pop() == [], "an empty folder becomes a group root at the first put"
            for error in refused:
                assert isinstance(error, Refused)
                assert "RootRefused" in error.kinds
                assert f"'{root}' is on a file system (fuse.ownerless) that {text}" in error.text
                assert "root_dir= or LIGHTNING_LITE_ROOT" in error.text
                assert f"root_mode='trusted' or set {VARIABLE}=trusted" in error.text
            assert list(root.iterdir()) == [], "nothing is left of the test of the file system"


def refusals(root: Path, root_mode: Any) -> list[Any]:
    """Use a root as Alice, with a drive and an app before it exists, and with a drive when it exists."""
    found = [
        act_as(ALICE, lambda: use(root, root_mode=root_mode)),
        act_as(ALICE, lambda: run_app(root, root_mode=root_mode)),
    ]
    assert not root.exists(), "no folder is left"
    root.mkdir()
    found.append(act_as(ALICE, lambda: Drive("lit://d", root_dir=root, root_mode=root_mode).list()))
    return found


@needs_users
@pytest.mark.parametrize(("chmod", "way"), [("ignored", "argument"), ("refused", "variable")])
def test_all_verbs_work_in_a_trusted_root_there(
    place: Path, monkeypatch: pytest.MonkeyPatch, chmod: str, way: str
):
    if way == "variable":
        monkeypatch.setenv(VARIABLE, "trusted")
    options = {"root_mode": "trusted"} if way == "argument" else {}
    with ownerless(place, user=EVE.uid, chmod=chmod) as mount:
        assert act_as(ALICE, lambda: use(mount / "root", **options)) == ["copied", "tree"]
        failed = act_as(ALICE, lambda: run_app(mount / "root", fails=True, **options))
        assert failed.text == "[1, 2] [3]"
        assert act_as(ALICE, lambda: run_app(mount / "root", resume=True, **options)) is None


@needs_users
def test_a_folder_with_a_file_that_grows_is_put_there(place: Path, monkeypatch: pytest.MonkeyPatch):
    real = snapshot.states_of_folder

    def grow_and_look(fd: int, path: str = "") -> dict[str, int]:
        if not path and (log := place / "home" / "t" / "log").stat().st_size < 10:
            log.write_text("first line\nsecond line\n")
        return real(fd, path)

    monkeypatch.setattr(snapshot, "states_of_folder", grow_and_look)
    (place / "home" / "t").mkdir(parents=True)
    (place / "home" / "t" / "log").write_text("first")
    with ownerless(place, user=EVE.uid, chmod="refused") as mount:
        drive = Drive("lit://d", root_dir=mount / "root", root_folder=place / "home", root_mode="trusted")
        with pytest.warns(DriveWarning, match="t/log' grew while"):
            drive.put("t")
        with drive.open("t/log") as file:
            assert file.read() == "first line\nsecond line\n"


@needs_users
def test_a_file_system_that_shows_this_user_as_the_only_writer_needs_no_trust(place: Path):
    with ownerless(place, user=ALICE.uid, mode=0o755, chmod="refused") as mount:
        assert act_as(ALICE, lambda: use(mount / "root")) == ["copied", "tree"]
        assert act_as(ALICE, lambda: run_app(mount / "root")) is None


APP = """
import os, subprocess, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive, Payload

# For each process, the root of the app is trusted, and no other one.
ASK = '''
import sys
from lightning_lite.storage import Drive
for root in sys.argv[1:]:
    try:
        print("its program:", Drive("lit://d", root_dir=root).list())
    except OSError as error:
        print("its program:", type(error).__name__)
'''

class Make(LightningWork):
    def __init__(self):
        super().__init__()
        self.data = None
    def run(self, drive):
        with open("a", "w") as file:
            file.write("text")
        drive.put("a")
        self.data = Payload([1, 2])
        return bytes(3_000_000)

class Use(LightningWork):
    def run(self, big, data, drive):
        drive.get("a", component_name="root.make", to="b")
        with open("b") as file:
            print(len(big), data.get(), file.read())
        for root in sys.argv[1], sys.argv[3]:
            try:
                print("this process:", Drive("lit://d", root_dir=root).list())
            except OSError as error:
                print("this process:", type(error).__name__, flush=True)
        subprocess.run([sys.executable, "-c", ASK, sys.argv[1], sys.argv[3]], check=True)

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.make, self.use, self.drive = Make(), Use(), Drive("lit://d")
    def run(self):
        self.use.run(self.make.run(self.drive), self.make.data, self.drive)
        self.stop()

LightningApp(Root(), root_dir=sys.argv[1], root_mode="trusted").run(start_method=sys.argv[2])
"""


@needs_users
@pytest.mark.parametrize(("start_method", "variable"), [("spawn", ""), ("forkserver", "private")])
def test_an_app_with_processes_runs_in_a_trusted_root_there(
    place: Path,
    forked_scripts: ForkedScripts,
    start_method: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    (place / "app.py").write_text(APP)
    with ownerless(place, user=EVE.uid, chmod="refused") as mount:
        root = mount / "root"
        other = mount / "other root"
        other.mkdir()
        environ = {**os.environ, VARIABLE: variable}
        printed = forked_scripts.run(place / "app.py", root, start_method, other, cwd=mount, env=environ)
        assert "3000000 [1, 2] text" in printed
        for process in ("this process:", "its program:"):
            own, foreign = (line for line in printed.splitlines() if process in line)
            assert "['a']" in own
            assert "DriveRefused" in foreign
        assert "keeps no owners" in call(capfd, "ps", "--root", str(root)).err
        monkeypatch.setenv(VARIABLE, "trusted")
        for verb in ("ps", "drive ls", "drive verify", "clean --all --yes"):
            shown = call(capfd, *verb.split(), "--root", str(root))
            assert shown.code == 0, (verb, shown.out, shown.err)


@needs_users
def test_doctor_says_what_a_file_system_does_not_keep(place: Path, monkeypatch: pytest.MonkeyPatch):
    def look(root: Path, probe: Path) -> dict[str, Any]:
        places = str(root), str(probe)
        checks = [*file_system.checks(*places), *file_system.run_checks(*places)]
        return {about: check() for about, check in checks}

    with ownerless(place, user=EVE.uid, chmod="refused") as mount:
        (mount / "root").mkdir()
        for name in ("one", "two"):
            (mount / name).mkdir()
        found = look(mount / "root", mount / "one")
        assert found["root"].state == FAILURE
        assert found["owners, modes"].state == FAILURE
        assert f"{VARIABLE}=trusted" in found["owners, modes"].advice
        assert found["command channel"].state == WARNING
        monkeypatch.setenv(VARIABLE, "trusted")
        found = look(mount / "root", mount / "two")
        assert (found["root"].state, found["owners, modes"].state) == (OK, OK)
        assert "trusted" in found["root"].value
        assert "the root is trusted" in found["owners, modes"].value


# The meaning of trust elsewhere.


@needs_users
@pytest.mark.parametrize("part", ["", "drives", "drives/d", "runs", "runs/*", "runs/*/journal.log"])
def test_trust_skips_the_checks_of_owner_and_mode_in_that_root_only(place: Path, part: str):
    roots = [place / "one", place / "other"]

    def fill() -> list[str]:
        """Make both roots, with a drive and a run that has failed; return the errors."""
        found = []
        for root in roots:
            Drive("lit://d", root_dir=root)._store()._folders.prepare(durable=False)
            with pytest.raises(AppFailed) as failed:
                run_app(root, fails=True)
            found.append(str(failed.value))
        return found

    assert act_as(ALICE, fill) == ["[1, 2] [3]"] * 2
    for root in roots:
        (bad,) = root.glob(part) if part else [root]
        for path in (root, *root.rglob("*")):
            path.chmod(0o777)  # so that Alice may read files of Eve
        for path in (root, *root.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.chown(bad, EVE.uid, EVE.uid)
        bad.chmod(0o777)

    def job() -> list[object]:
        trust(str(roots[0]))
        found: list[object] = []
        for root in roots:
            try:
                found.append((Drive("lit://d", root_dir=root).list(), len(read_runs(str(root)))))
                run_app(root, resume=True)
                found.append("resumed")
            except Exception as error:  # noqa: BLE001 - the test looks at it
                found.append(type(error).__name__)
        return found

    trusted, resumed, *other = act_as(ALICE, job)
    assert (trusted, resumed) == (([], 1), "resumed")
    assert other[-1] in ("DriveRefused", "RootRefused", "JournalError")


@needs_users
@pytest.mark.parametrize("part", ["drives", "runs"])
def test_a_link_is_refused_in_a_trusted_root(place: Path, part: str):
    root = place / "root"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    (place / "elsewhere").mkdir()
    (root / part).symlink_to(place / "elsewhere")
    job = run_app if part == "runs" else use
    refused = act_as(ALICE, lambda: job(root, root_mode="trusted"))
    assert "is a symbolic link" in refused.text


@needs_users
def test_a_mode_in_the_code_has_priority_over_the_variable(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(VARIABLE, "trusted")
    root = place / "root"
    root.mkdir()
    root.chmod(0o777)
    for user in (ALICE, BOB):
        for job in (use, run_app):
            assert "RootRefused" in act_as(user, lambda job=job: job(root, root_mode="private")).kinds


@needs_users
def test_a_root_of_another_user_on_a_usual_file_system_is_not_blamed_on_it(place: Path):
    root = place / "root"
    root.mkdir()
    os.chown(root, EVE.uid, EVE.uid)
    root.chmod(0o777)
    refused = act_as(ALICE, lambda: use(root))
    assert f"belongs to user {EVE.uid}" in refused.text
    assert "trusted" not in refused.text
    assert list(root.iterdir()) == []


def test_trust_is_declared_for_a_root_and_what_is_in_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lightning_lite.trusted_roots._trusted", set())
    assert not is_trusted("/srv/a")
    trust("/srv/a")
    assert [is_trusted(path) for path in ("/srv/a", "/srv/a/runs", "/srv/ab", "/srv")] == [
        True,
        True,
        False,
        False,
    ]
    monkeypatch.setenv(VARIABLE, "trusted")
    assert is_trusted("/srv")


def test_a_thread_may_declare_trust_while_another_one_asks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lightning_lite.trusted_roots._trusted", set())
    has_ended = threading.Event()

    def ask() -> int:
        count = 0
        while not has_ended.is_set() or not count:
            assert not is_trusted("/srv/z")
            count += 1
        return count

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(3) as pool:
            asked = [pool.submit(ask) for _ in range(3)]
            for number in range(3000):
                trust(f"/srv/a{number}")
            has_ended.set()
            assert all(one.result() for one in asked)
    finally:
        has_ended.set()
        sys.setswitchinterval(interval)
