"""The root or the journal is removed while an app runs: the app ends at its next turn, and says why."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from call_works import Gives, Takes

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.engine import recorder
from lightning_lite.errors import JournalGone, ValueFileError
from lightning_lite.runs import journal as journal_module
from lightning_lite.runs.journal import Journal

from tests.support.forked_scripts import ForkedScripts
from tests.support.odd_files import put

RUNNERS = ["inline", "processes"]


class Root(LightningFlow):
    """Removes something in its tenth step, and asks for calls until its thousandth."""

    def __init__(self, remove: Callable[[Path], None], size: int = 0, *, catches: bool = False) -> None:
        super().__init__()
        self.work = Gives()
        self._remove = remove
        self._size = size
        self._catches = catches
        self._ended: list[int] = []

    def run(self) -> None:
        for number in range(1000):
            try:
                if self.work.run(number, self._size) is None:
                    return
            except Exception:
                if not self._catches:
                    raise
            if number not in self._ended:
                self._ended.append(number)
                if number == 10:
                    self._remove(Path(os.environ["LIGHTNING_LITE_ROOT"]))
        self.stop()


@pytest.fixture
def always_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each write check that the journal exists, not only one write in a hundredth of a second."""
    monkeypatch.setattr(journal_module, "_CHECK_INTERVAL", 0.0)


def only_run(root: Path) -> Path:
    (run,) = (root / "runs").iterdir()
    return run


REMOVALS: dict[str, Callable[[Path], None]] = {
    "the root": shutil.rmtree,
    "all runs": lambda root: shutil.rmtree(root / "runs"),
    "the run": lambda root: shutil.rmtree(only_run(root)),
    "the journal": lambda root: (only_run(root) / "journal.log").unlink(),
    "the journal, for another file": lambda root: os.replace(_copy(root), only_run(root) / "journal.log"),
}


def _put_in_its_place(kind: str) -> Callable[[Path], None]:
    return lambda root: put(kind, only_run(root) / "journal.log")


for _kind in ("a folder", "a FIFO", "a dangling link"):
    REMOVALS[f"the journal, for {_kind}"] = _put_in_its_place(_kind)


def _copy(root: Path) -> Path:
    return Path(shutil.copy(only_run(root) / "journal.log", root / "copy"))


@pytest.mark.usefixtures("always_checks")
@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("what", REMOVALS)
def test_the_app_ends_at_the_next_turn_with_one_error_that_says_why(what: str, runner: str):
    root = Root(REMOVALS[what])

    with pytest.raises(
        JournalGone, match=r"was removed while the app was running: .*; start a new run"
    ) as caught:
        LightningApp(root).run(runner)

    assert len(root._ended) == 11
    assert caught.value.file.endswith("journal.log")
    assert "\n" not in str(caught.value)
    assert caught.value.__context__ is None
    if what in ("the root", "all runs", "the run"):
        assert not list(Path(os.environ["LIGHTNING_LITE_ROOT"]).rglob("run.json"))


@pytest.mark.usefixtures("always_checks")
@pytest.mark.parametrize("what", [what for what in REMOVALS if "for " in what])
@pytest.mark.parametrize("reason", [None, ValueError("mine")])
def test_another_thing_in_the_place_of_the_journal_is_named_and_no_resume_is_advised(
    what: str, reason: Exception | None, capfd: pytest.CaptureFixture[str]
):
    def remove_and_end(root: Path) -> None:
        REMOVALS[what](root)
        if reason is not None:
            raise reason

    with pytest.raises(JournalGone if reason is None else ValueError) as caught:
        LightningApp(Root(remove_and_end)).run("inline")

    kind = what.removeprefix("the journal, for ").replace("dangling", "symbolic").replace("another", "a")
    text = str(caught.value) + capfd.readouterr().err
    assert text.count(f"was removed while the app was running: {kind} is in its place, and later events") == 1
    assert getattr(caught.value, "__notes__", []) == []


class Big(LightningFlow):
    """Removes the run in a pass, and then asks for a call with a big argument or a big answer."""

    def __init__(self, argument: int, answer: int) -> None:
        super().__init__()
        self.work = Takes()
        self._argument, self._answer = bytes(argument), answer

    def run(self) -> None:
        self.work.run(b"", 1)
        shutil.rmtree(os.environ["LIGHTNING_LITE_ROOT"], ignore_errors=True)
        self.work.run(self._argument, self._answer)
        self.stop()


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(("argument", "answer"), [(2_000_000, 1), (1, 2_000_000), (200_000, 1), (1, 200_000)])
def test_a_big_value_right_after_the_removal_is_not_the_reason(
    monkeypatch: pytest.MonkeyPatch, runner: str, argument: int, answer: int
):
    monkeypatch.setattr(journal_module, "_CHECK_INTERVAL", 1000.0)  # no write checks

    with pytest.raises(JournalGone, match="was removed while the app was running: later") as caught:
        LightningApp(Big(argument, answer)).run(runner)

    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert getattr(caught.value, "__notes__", []) == []


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_big_value_that_can_not_be_written_for_another_reason_is_told(tmp_path: Path, runner: str):
    class Full(Big):
        def run(self) -> None:
            self.work.run(b"", 1)
            (only_run(Path(os.environ["LIGHTNING_LITE_ROOT"])) / "values").touch()
            self.work.run(self._argument, self._answer)

    with pytest.raises(ValueFileError, match="it is a file, not a folder"):
        LightningApp(Full(2_000_000, 1)).run(runner)


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_app_ends_soon_although_not_each_write_checks(runner: str) -> None:
    root = Root(shutil.rmtree)

    with pytest.raises(JournalGone):
        LightningApp(root).run(runner)

    assert 11 <= len(root._ended) < 1000


@pytest.mark.usefixtures("always_checks")
@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_the_same_with_values_that_have_files_of_their_own(size: int):
    root = Root(shutil.rmtree, size)

    with pytest.raises(JournalGone):
        LightningApp(root).run()

    assert len(root._ended) == 11


def test_a_flow_that_catches_all_exceptions_does_not_catch_it():
    with pytest.raises(JournalGone):
        LightningApp(Root(shutil.rmtree, catches=True)).run()


def test_a_flow_that_stops_in_the_same_pass_is_told_too():
    class Stops(LightningFlow):
        def run(self) -> None:
            shutil.rmtree(os.environ["LIGHTNING_LITE_ROOT"])
            self.stop("all is well")

    with pytest.raises(JournalGone):
        LightningApp(Stops()).run("inline")


def test_an_app_that_runs_in_an_except_block_is_told_too():
    class Stops(LightningFlow):
        def run(self) -> None:
            shutil.rmtree(os.environ["LIGHTNING_LITE_ROOT"])
            self.stop("all is well")

    try:
        raise ValueError("of the caller")
    except ValueError:
        with pytest.raises(JournalGone):
            LightningApp(Stops()).run("inline")


def test_a_journal_that_is_removed_while_it_is_compacted_is_gone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorder, "_MIN_GROWTH", 2000)
    monkeypatch.setattr(recorder, "_GROWTH_FACTOR", 0.0)
    root = Root(shutil.rmtree)

    with pytest.raises(JournalGone):
        LightningApp(root).run("inline")

    assert len(root._ended) == 11


def test_a_journal_that_was_moved_is_written_on_and_can_be_resumed_there(tmp_path: Path):
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal.create(str(folder), "app.py:Root")
    journal.write(b"before")
    folder.rename(tmp_path / "moved")
    journal.write(b"after")
    journal.close()

    again = Journal.open(str(tmp_path / "moved"), "app.py:Root")
    assert list(again.entries()) == [b"before", b"after"]
    again.close()


def run_app(forked_scripts: ForkedScripts, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `app.py` in a folder, with the default root."""
    return forked_scripts.run_to_end(
        folder / "app.py", cwd=folder, env={**os.environ, "LIGHTNING_LITE_ROOT": ""}
    )


def test_the_program_ends_with_one_traceback_after_a_big_argument(
    forked_scripts: ForkedScripts, tmp_path: Path
):
    (tmp_path / "app.py").write_text(
        ENDING.format(end="self.work.run(bytes(2_000_000))").replace(
            "def run(self):\n        pass", "def run(self, data=b''):\n        pass"
        )
    )

    done = run_app(forked_scripts, tmp_path)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("lightning_lite.errors.JournalGone: the journal ")
    assert done.stderr.count("Traceback") == 1, done.stderr
    assert done.stderr.count("was removed while the app was running") == 1
    assert "PickleTooLarge" not in done.stderr


def test_the_program_ends_with_one_traceback(forked_scripts: ForkedScripts):
    Path("app.py").write_text(
        "import os, shutil\n"
        "from lightning_lite import LightningApp, LightningFlow, LightningWork\n"
        "class Work(LightningWork):\n"
        "    def run(self, i):\n"
        "        return i\n"
        "class Root(LightningFlow):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.work = Work()\n"
        "    def run(self):\n"
        "        for i in range(1, 100_000):\n"
        "            self.work.run(i)\n"
        "            if i == 5:\n"
        "                shutil.rmtree(os.environ['LIGHTNING_LITE_ROOT'], ignore_errors=True)\n"
        "            assert i < 99_999\n"
        "LightningApp(Root()).run()\n"
    )

    done = forked_scripts.run_to_end(Path("app.py").absolute())

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("lightning_lite.errors.JournalGone: the journal ")
    assert done.stderr.count("Traceback") == 1, done.stderr


ENDING = """
import shutil, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def run(self):
        pass

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run()
        shutil.rmtree(".lightning_lite")
        {end}

LightningApp(Root()).run(view=False)
"""


@pytest.mark.parametrize(
    ("end", "shown", "code"),
    [
        ('raise ValueError("mine")', "ValueError: mine", 1),
        ('self.fail("mine")', "AppFailed: mine", 1),
        ("sys.exit(7)", "", 7),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", -signal.SIGINT),
    ],
)
def test_an_app_that_ends_for_another_reason_shows_that_one_and_a_line_about_the_journal(
    forked_scripts: ForkedScripts, tmp_path: Path, end: str, shown: str, code: int
) -> None:
    (tmp_path / "app.py").write_text(ENDING.format(end=end))

    done = run_app(forked_scripts, tmp_path)

    assert (done.returncode, "JournalGone" in done.stderr) == (
        code if code != 130 else done.returncode,
        False,
    )
    assert shown in done.stderr
    assert (done.stdout + done.stderr).count("was removed while the app was running") == 1


def test_an_end_that_could_not_be_recorded_because_the_root_was_moved_is_an_error(
    forked_scripts: ForkedScripts, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(
        ENDING.format(end="self.stop()").replace(
            'rmtree(".lightning_lite")', "move('.lightning_lite', 'moved')"
        )
    )

    done = run_app(forked_scripts, tmp_path)

    assert done.returncode == 1
    assert "RunnerError: the end of the run can't be recorded" in done.stderr
