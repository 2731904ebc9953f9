"""Journals of the present version are read, those of an earlier one are refused by name.

`journals/v4` and so on hold a journal that was closed, one whose writer was killed, and one whose writer was
killed after a rewrite. They are never made again: a new form gets a new version and a new folder, by running
this file as a program. Only the last version was released; versions 2 and 3 were SQLite databases.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
from small_journals import IDENTITY, contents, read, write, write_and_die

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.cli.main import main
from lightning_lite.engine.history import read_history
from lightning_lite.errors import JournalVersion
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import VERSION
from lightning_lite.tree.class_identity import class_identity

KEPT = Path(__file__).with_name("journals")

WRITTEN = [b"\x80\x05arguments", b"1", b"loss" * 30, b"a big value" * 40, "root.état".encode()]


def make(folder: Path) -> None:
    """Write the journals of the present version."""
    folder.mkdir(parents=True)
    write(folder / "closed", WRITTEN)
    write_and_die(folder / "killed", WRITTEN)
    write_and_die(folder / "rewritten", WRITTEN, rewritten=2)
    for lock in folder.glob("*/journal.lock"):
        lock.unlink()


@pytest.mark.parametrize(
    "kept",
    sorted(KEPT.glob(f"v{VERSION}/*")),
    ids=lambda path: f"{path.parent.name} {path.name}",
)
def test_a_journal_of_the_present_version_is_read_and_continued(kept: Path, tmp_path: Path):
    shutil.copytree(kept, tmp_path / "run", copy_function=shutil.copyfile)

    assert read(tmp_path / "run") == WRITTEN
    more = Journal.open(str(tmp_path / "run"), IDENTITY)
    more.write(b"resumed")
    more.close()
    assert read(tmp_path / "run") == [*WRITTEN, b"resumed"]


@pytest.mark.parametrize(
    "kept", sorted(KEPT.glob("v[234]/*")), ids=lambda path: f"{path.parent.name} {path.name}"
)
def test_a_journal_of_an_earlier_version_is_refused_by_name(kept: Path, tmp_path: Path):
    shutil.copytree(kept, tmp_path / "run", copy_function=shutil.copyfile)

    for look in (read, lambda folder: read_history(str(folder))):
        with pytest.raises(JournalVersion, match=rf"has version [234], this lightning_lite knows {VERSION}"):
            look(tmp_path / "run")


@pytest.mark.parametrize(
    "kept", sorted(KEPT.glob("v[234]/*")), ids=lambda path: f"{path.parent.name} {path.name}"
)
def test_a_run_of_an_earlier_version_is_listed_and_neither_resumed_nor_shown(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    class Root(LightningFlow):
        def run(self):
            self.stop()

    identity = ":".join(class_identity(Root))
    run = tmp_path / "runs" / "20261122-035501123-9f3ac2"
    shutil.copytree(kept, run, copy_function=shutil.copyfile)
    (run / "run.json").write_text(json.dumps({"app": "Root", "state": "failed", "identity": identity}))
    (journal,) = (path for path in run.iterdir() if path.name in ("journal.db", "journal.log"))
    before = journal.read_bytes()
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(tmp_path))

    listed, shown, timeline = (call_verb(capfd, verb, run.name) for verb in ("ps", "status", "timeline"))

    assert listed[0] == 0
    assert run.name in listed[1]
    refusal = f"has version {kept.parent.name[1]}, this lightning_lite knows {VERSION}; resume with the "
    for code, text in (shown, timeline):
        assert code in (0, 1)
        assert refusal in text
        assert "Traceback" not in text
    assert timeline[0] == 1
    for resume in (True, run.name):
        with pytest.raises(JournalVersion, match=refusal):
            LightningApp(Root()).run(resume=resume)
    assert journal.read_bytes() == before
    assert contents(run).keys() <= {journal.name}
    assert json.loads((run / "run.json").read_text())["state"] == "failed"


def call_verb(capfd: pytest.CaptureFixture[str], verb: str, run_id: str) -> tuple[int, str]:
    """Return the exit code and the output of a verb of the command line."""
    with pytest.raises(SystemExit) as end:
        main([verb] if verb == "ps" else [verb, run_id])
    return int(end.value.code or 0), "".join(capfd.readouterr())


def test_there_is_a_journal_of_the_present_version():
    kinds = {path.name for path in KEPT.glob(f"v{VERSION}/*")}

    assert kinds == {"closed", "killed", "rewritten"}


if __name__ == "__main__":
    make(Path(sys.argv[1]))
