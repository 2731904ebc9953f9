"""A run damaged after its end is refused by name, and no call runs. A death at its end is no damage."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.engine import recorder
from lightning_lite.engine.history import read_history
from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.runs import journal
from lightning_lite.runs.journal import Journal

from tests.support.flows import run_inline
from tests.support.journal_files import cuts, end_of_rewrite, ends_of_entries

ran: list[int] = []


class Count(LightningWork):
    def run(self, number: int) -> int:
        ran.append(number)
        return number


class Root(LightningFlow):
    """Asks for six calls; a function is its end."""

    def __init__(self, end: Callable[[], object]) -> None:
        super().__init__()
        self.count = Count()
        self._how = end

    def run(self) -> None:
        for number in range(6):
            self.count.run(number)
        self._how()
        self.stop()


def fail() -> None:
    raise RuntimeError("not yet")


def interrupt() -> None:
    raise KeyboardInterrupt


ENDS: dict[str, Callable[[], object]] = {"failed": fail, "interrupted": interrupt, "stopped": lambda: None}


def run(root: Path, end: str, resume: bool | str = False) -> str:
    """Run the app to an end, and return the id of its run."""
    try:
        run_inline(Root(ENDS[end]), root, resume)
    except (RuntimeError, KeyboardInterrupt):
        assert end != "stopped"
    name = max(os.listdir(root / "runs"))
    assert details(root / "runs" / name)["state"] == end
    return name


def details(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Path]:
    """Give a root, which has no run yet."""
    ran.clear()
    yield tmp_path / "root"
    ran.clear()


def is_refused(root: Path, name: str, resume: bool | str, kind: type[JournalError] = JournalCorrupt) -> str:
    """Assert that a run is refused by name, unchanged, and without a call or a new run; return the error."""
    before = {
        path: path.read_bytes() for path in root.rglob("*") if path.is_file() and path.stat().st_mode & 0o400
    }
    ran.clear()
    with pytest.raises(JournalError) as caught:
        run_inline(Root(ENDS["stopped"]), root, resume)
    assert isinstance(caught.value, kind)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ran == []
    assert os.listdir(root / "runs") == [name]
    for path, content in before.items():
        assert path.read_bytes() == content or path.name == "journal.lock", path
    return str(caught.value)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("run.json", _truncate),
        ("run.json", _replace_by_folder),
        ("run.json", lambda path: path.write_text("[]")),
        ("run.json", Path.unlink),
        ("journal.log", Path.unlink),
        ("journal.log", _replace_by_folder),
    ],
)
def test_a_damaged_run_is_not_passed_over(kept: Path, file: str, damage: Callable[[Path], object]):
    name = run(kept, "failed")
    damage(kept / "runs" / name / file)

    assert file in is_refused(kept, name, resume=True, kind=JournalError)


def _replace_by_copy(path: Path, data: bytes) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(data)
    copy.chmod(0o600)
    copy.replace(path)


@pytest.fixture(params=[Path.write_bytes, _replace_by_copy], ids=["in place", "copy"])
def put(request: pytest.FixtureRequest) -> Callable[[Path, bytes], object]:
    """Return a function that gives a file another content: the same file, or a copy in its place."""
    return request.param


@pytest.mark.parametrize("end", ENDS)
def test_a_journal_that_is_cut_after_an_end_is_refused(
    kept: Path, end: str, put: Callable[[Path, bytes], object]
):
    name = run(kept, end)
    journal = kept / "runs" / name / "journal.log"
    data, ends = journal.read_bytes(), ends_of_entries(journal)
    assert ends[-1] == len(data)
    for size in [*ends[:-1], *(size - 3 for size in ends[1:]), len(data) // 2]:
        put(journal, data[:size])

        text = is_refused(kept, name, resume=name)

        assert re.search(
            r"journal.log' is damaged at entry \d+: entries that run.json knows of are missing", text
        )
        if end != "stopped":
            assert is_refused(kept, name, resume=True) == text

    put(journal, data)
    run_inline(Root(ENDS["stopped"]), kept, name)
    assert ran == [], "it is whole again"


@pytest.fixture
def compacts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the journal of each run be compacted at its end."""
    monkeypatch.setattr(recorder, "_MIN_GROWTH_AT_END", -1)


@pytest.mark.usefixtures("compacts")
def test_a_compacted_journal_that_is_cut_in_its_snapshot_is_refused_also_after_a_kill(kept: Path):
    name = run(kept, "failed")
    folder = kept / "runs" / name
    found = details(folder)
    del found["journal_end"]
    (folder / "run.json").write_text(json.dumps({**found, "state": "running"}))  # as after a kill
    journal, data = folder / "journal.log", (folder / "journal.log").read_bytes()
    whole = end_of_rewrite(journal)
    assert whole < len(data)
    for size in [size for size in cuts(journal) if size < whole]:
        journal.write_bytes(data[:size])

        text = is_refused(kept, name, resume=True)

        assert re.search(r"journal.log' is damaged at entry \d+: the end of its snapshot is missing", text)
        assert is_refused(kept, name, resume=name) == text
        with pytest.raises(JournalCorrupt, match="the end of its snapshot is missing"):
            read_history(str(folder))

    journal.write_bytes(data[:whole])
    run_inline(Root(ENDS["stopped"]), kept, name)
    assert ran == [], "only the mark of the end is missing"


@pytest.mark.usefixtures("compacts")
def test_a_compacted_journal_that_is_cut_after_an_end_is_refused(
    kept: Path, put: Callable[[Path, bytes], object]
):
    name = run(kept, "failed")
    journal = kept / "runs" / name / "journal.log"
    data = journal.read_bytes()
    for size in list(cuts(journal)):
        put(journal, data[:size])

        is_refused(kept, name, resume=True)


@pytest.mark.usefixtures("compacts")
def test_a_journal_from_before_a_compaction_is_refused(kept: Path, put: Callable[[Path, bytes], object]):
    name = run(kept, "failed")
    journal = kept / "runs" / name / "journal.log"
    first = journal.read_bytes()
    run(kept, "failed", resume=True)
    put(journal, first)

    assert "entries that run.json knows of are missing" in is_refused(kept, name, resume=True)


def test_the_journal_of_another_run_of_the_app_is_refused(kept: Path, tmp_path: Path):
    name = run(kept, "failed")
    other = run(tmp_path / "other", "interrupted")
    data = (tmp_path / "other" / "runs" / other / "journal.log").read_bytes()
    (kept / "runs" / name / "journal.log").write_bytes(data)

    assert "entries that run.json knows of are missing" in is_refused(kept, name, resume=True)


def test_an_end_in_run_json_that_is_no_number_is_refused(kept: Path):
    name = run(kept, "failed")
    found = details(kept / "runs" / name)
    found["journal_end"]["entries"] = "7"
    (kept / "runs" / name / "run.json").write_text(json.dumps(found))

    assert "the end that run.json knows of is damaged" in is_refused(kept, name, resume=True)


def test_each_flipped_byte_of_the_last_entry_is_noticed_after_an_end(kept: Path):
    name = run(kept, "failed")
    journal = kept / "runs" / name / "journal.log"
    data = journal.read_bytes()
    for place in range(ends_of_entries(journal)[-2], len(data)):
        changed = bytearray(data)
        changed[place] ^= 0x40
        journal.write_bytes(changed)

        is_refused(kept, name, resume=True)


def test_a_cut_to_the_end_of_an_earlier_process_is_refused(kept: Path):
    name = run(kept, "failed")
    journal = kept / "runs" / name / "journal.log"
    first = journal.read_bytes()
    run(kept, "failed", resume=True)
    assert journal.read_bytes().startswith(first)
    journal.write_bytes(first)

    is_refused(kept, name, resume=True)


def die(when: Callable[[], None]) -> None:
    """Run the app in a process until it fails or is killed; it is prepared by a function."""
    pid = os.fork()
    if not pid:
        try:
            when()
            run_inline(Root(fail), Path(os.environ["LIGHTNING_LITE_ROOT"]), resume=True)
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def _kill(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_at_any_write_of_its_end_leaves_a_run_that_is_resumed(
    kept: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(kept))
    name = run(kept, "failed")
    original = kept.with_name("original")
    shutil.copytree(kept, original)
    ends = set()
    for number in count(1):

        def prepare(number: int = number) -> None:
            calls = count(1)
            for function in ("write", "replace", "fsync"):
                call = getattr(os, function)

                def killing(*args: Any, call: Callable[..., Any] = call, **options: Any) -> Any:
                    if next(calls) == number:
                        _kill()
                    return call(*args, **options)

                setattr(os, function, killing)
            close = Journal.close

            def close_and_die(*args: Any) -> None:
                close(*args)
                _kill()

            Journal.close = close_and_die

        die(prepare)
        found = details(kept / "runs" / name)
        ends.add((found["state"], "journal_end" in found))
        ran.clear()

        run_inline(Root(ENDS["stopped"]), kept, resume=True)

        assert ran == []
        assert os.listdir(kept / "runs") == [name]
        if found != details(original / "runs" / name) and found.get("journal_end"):
            break  # it died after all its writes
        shutil.rmtree(kept)
        shutil.copytree(original, kept)
    assert ends == {("failed", True), ("running", False), ("failed", False)}


def test_a_run_that_was_killed_after_a_resume_may_have_an_incomplete_end(
    kept: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(kept))
    name = run(kept, "failed")
    die(lambda: setattr(Journal, "close", _kill))
    assert (details(kept / "runs" / name)["state"], "journal_end" in details(kept / "runs" / name)) == (
        "failed",
        False,
    )
    journal = kept / "runs" / name / "journal.log"
    os.truncate(journal, journal.stat().st_size - 3)
    ran.clear()

    run_inline(Root(ENDS["stopped"]), kept, resume=True)

    assert ran == []


def test_a_run_whose_end_could_not_be_written_is_resumed(kept: Path, monkeypatch: pytest.MonkeyPatch):
    def has_no_space(self: Journal) -> None:
        raise JournalError("no space", file=self.path)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_flush", has_no_space)
        with pytest.raises(JournalError, match="no space"):
            run(kept, "failed")
    (name,) = os.listdir(kept / "runs")
    assert "journal_end" not in details(kept / "runs" / name)

    run(kept, "failed", resume=True)
    assert details(kept / "runs" / name)["journal_end"]
    is_whole = kept / "runs" / name / "journal.log"
    os.truncate(is_whole, is_whole.stat().st_size - 1)
    is_refused(kept, name, resume=True)


def note_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the names of later system calls for files are added."""
    steps: list[str] = []
    for name in ("fsync", "replace", "write"):
        call = getattr(os, name)

        def noting(*args: Any, name: str = name, call: Callable[..., Any] = call, **options: Any) -> Any:
            steps.append(name)
            return call(*args, **options)

        monkeypatch.setattr(os, name, noting)
    return steps


def test_a_durable_journal_is_on_the_disk_before_run_json_says_where_it_ends(
    kept: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_DURABLE", "1")
    steps = note_steps(monkeypatch)

    name = run(kept, "failed")

    assert steps[-5:] == ["replace", "write", "fsync", "fsync", "replace"]
    assert details(kept / "runs" / name)["journal_end"]["boot"] is None


def test_after_a_boot_the_end_of_a_journal_may_be_lost(kept: Path, monkeypatch: pytest.MonkeyPatch):
    steps = note_steps(monkeypatch)
    name = run(kept, "failed")
    assert "fsync" not in steps  # so a loss of power may take the end of the journal
    file = kept / "runs" / name / "journal.log"
    os.truncate(file, ends_of_entries(file)[-2])
    is_refused(kept, name, resume=True)

    monkeypatch.setattr(journal, "boot_id", lambda: "another boot")
    run_inline(Root(ENDS["stopped"]), kept, resume=True)

    assert os.listdir(kept / "runs") == [name]


@pytest.mark.parametrize("growth", [-1, 1024 * 1024], ids=["compacted since", "continued since"])
def test_a_run_json_that_is_older_than_the_journal_prevents_no_resume(
    kept: Path, monkeypatch: pytest.MonkeyPatch, growth: int
):
    name = run(kept, "failed")
    file = kept / "runs" / name / "run.json"
    older = file.read_bytes()
    monkeypatch.setattr(recorder, "_MIN_GROWTH_AT_END", growth)
    run(kept, "failed", resume=True)
    file.write_bytes(older)
    ran.clear()

    run_inline(Root(ENDS["stopped"]), kept, resume=True)

    assert ran == []


@pytest.mark.parametrize("left", [{"run.json": b""}, {".nfs00001": b"x"}, {"run.json": b"", "logs/": b""}])
def test_a_folder_without_a_journal_that_a_loss_of_power_has_left_prevents_no_new_run(
    kept: Path, left: dict[str, bytes]
):
    folder = kept / "runs" / "20200101-000000000-abcdef"
    folder.mkdir(parents=True)
    (kept / "runs").chmod(0o700)
    for name, content in left.items():
        if name.endswith("/"):
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)

    run_inline(Root(ENDS["stopped"]), kept, resume=True)

    assert ran == [0, 1, 2, 3, 4, 5]
