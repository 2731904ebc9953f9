"""Journals of the present version are read, those of an earlier one are refused by name.

Each folder `journals/v<version>` has a journal that was closed, and one whose writer was killed. They are not
created again: a new format gets a new version and a new folder, which this file creates when it is run as a
program. Version 2 was never released.
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
from lightning_lite.runs import database, journal
from lightning_lite.runs.journal import Record
from lightning_lite.tree.identity import class_identity

KEPT = Path(__file__).with_name("journals")

WRITTEN = [
    [Record("asked", "root.train", "9f3a", b"\x80\x05arguments")],
    [Record("sent", "root.train", "9f3a", b"1"), Record("state", "root.train", "", b"loss" * 30)],
    [Record("ended", "root.train", "9f3a", b"a big value" * 40)],
    [Record("schedule", "root.état", "* * * * *", b"")],
]


def make(folder: Path) -> None:
    """Write the journals of the present version."""
    journal.INLINE_LIMIT = 400  # keeps the file of the big value small
    folder.mkdir(parents=True)
    write(folder / "closed", WRITTEN)
    write_and_die(folder / "killed", WRITTEN, moved=2)
    for rest in folder.glob("*/journal.[dl]*[kmh]"):  # the lock, and the shared memory of open connections
        rest.unlink()


@pytest.mark.parametrize(
    "kept",
    sorted(KEPT.glob(f"v{database.VERSION}/*")),
    ids=lambda path: f"{path.parent.name} {path.name}",
)
def test_a_journal_of_the_present_version_is_read_and_continued(kept: Path, tmp_path: Path):
    shutil.copytree(kept, tmp_path / "run", copy_function=shutil.copyfile)

    assert read(tmp_path / "run") == [record for transaction in WRITTEN for record in transaction]
    more = journal.Journal.open(str(tmp_path / "run"), IDENTITY)
    more.append(Record("resumed", "root", "", b""))
    more.close()
    assert read(tmp_path / "run")[-1] == Record("resumed", "root", "", b"")


@pytest.mark.parametrize("kept", sorted(KEPT.glob("v2/*")), ids=lambda path: path.name)
def test_a_journal_of_an_earlier_version_is_refused_by_name(kept: Path, tmp_path: Path):
    shutil.copytree(kept, tmp_path / "run", copy_function=shutil.copyfile)

    for reader in (read, lambda folder: read_history(str(folder))):
        with pytest.raises(JournalVersion, match="has version 2, this lightning_lite knows 3"):
            reader(tmp_path / "run")


@pytest.mark.parametrize("kept", sorted(KEPT.glob("v2/*")), ids=lambda path: path.name)
def test_a_run_of_an_earlier_version_is_listed_but_neither_resumed_nor_shown(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    class Root(LightningFlow):
        def run(self):
            self.stop()

    identity = ":".join(class_identity(Root))
    run = tmp_path / "runs" / "20261122-035501123-9f3ac2"
    shutil.copytree(kept, run, copy_function=shutil.copyfile)
    (run / "run.json").write_text(json.dumps({"app": "Root", "state": "failed", "identity": identity}))
    before = contents(run)
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", str(tmp_path))

    listed, shown, timeline = (call_verb(capfd, verb, run.name) for verb in ("ps", "status", "timeline"))

    assert listed[0] == 0
    assert run.name in listed[1]
    refusal = "has version 2, this lightning_lite knows 3; resume with the lightning_lite that wrote it"
    for code, text in (shown, timeline):
        assert code in (0, 1)
        assert refusal in text
        assert "Traceback" not in text
    assert timeline[0] == 1
    for resume in (True, run.name):
        with pytest.raises(JournalVersion, match=refusal):
            LightningApp(Root()).run(resume=resume)
    assert contents(run) == before
    assert json.loads((run / "run.json").read_text())["state"] == "failed"


def call_verb(capfd: pytest.CaptureFixture[str], verb: str, run_id: str) -> tuple[int, str]:
    """Return the exit code and the output of a verb of the command line."""
    with pytest.raises(SystemExit) as end:
        main([verb] if verb == "ps" else [verb, run_id])
    return int(end.value.code or 0), "".join(capfd.readouterr())


def test_there_is_a_journal_of_the_present_version():
    kinds = {path.name for path in KEPT.glob(f"v{database.VERSION}/*")}

    assert kinds == {"closed", "killed"}


if __name__ == "__main__":
    make(Path(sys.argv[1]))
