"""Works on machines that see no folder of the app: drives, paths and payloads go through the store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.app import ray_runner
from lightning_lite.errors import WorkStartFailed
from lightning_lite.runners.remote import runner
from lightning_lite.storage.stores import drive_names

from tests.support.other_node import use_other_node
from tests.support.sharing import Sharing

pytestmark = pytest.mark.dependencies


def test_files_and_objects_of_works_elsewhere_go_through_the_store(
    remote_place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use_other_node(os.getpid(), monkeypatch, sees_root=False)
    app = LightningApp(Sharing(), drives=remote_place)

    app.run("ray")

    assert app.root._answer == ("hello", "hello", ["hello"])
    assert not (tmp_path / "root/drives").exists()
    assert drive_names(remote_place) == ["d"]


def test_with_drives_in_a_folder_they_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_other_node(os.getpid(), monkeypatch, sees_root=False)
    monkeypatch.delenv("LIGHTNING_LITE_DRIVES", raising=False)

    with pytest.raises(WorkStartFailed, match=r"does not see .*/drives', in which .* or an object store"):
        LightningApp(Sharing(), drives=tmp_path / "drives").run("ray")


class ImportsLate(LightningWork):
    """Uses files on its machine with classes that the app has never imported."""

    def __init__(self, **options):
        super().__init__(**options)
        self.result = None

    def run(self, way):
        from lightning_lite.storage import Drive, FileSystem, Path  # noqa: PLC0415 - the subject of the test

        with open("result.txt", "w") as file:
            file.write("42")
        if way == "path":
            self.result = Path("result.txt")
            return None
        program = "from lightning_lite.storage import Drive; Drive('lit://results').put('result.txt')"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        messages = {"program": done.stderr.splitlines()[-1]}
        for kind, use in (
            ("drive", lambda: Drive("lit://results").put("result.txt")),
            ("file system", lambda: FileSystem().put("result.txt", "/results/result.txt")),
        ):
            try:
                use()
            except OSError as error:
                messages[kind] = str(error)
        return messages


class AsksForFiles(LightningFlow):
    def __init__(self):
        super().__init__()
        self.uses, self.keeps = ImportsLate(), ImportsLate(raise_exception=False)
        self._messages = {}

    def run(self):
        messages = self.uses.run("verbs")
        self.keeps.run("path")
        self._messages = {**messages, "path": self.keeps.status.message}
        self.stop()


def test_a_work_that_imports_drives_late_is_refused_when_it_uses_one(tmp_path: Path, monkeypatch):
    """The app can't know at its start that it keeps files, and files of the work would be lost with it."""
    monkeypatch.setattr(ray_runner, "_USERS_OF_FILES", ())
    monkeypatch.setattr(runner, "_write", lambda path, text: None)  # the probe, so that no server finds it
    use_other_node(os.getpid(), monkeypatch, sees_root=False)
    app = LightningApp(AsksForFiles())

    app.run("ray")

    assert sorted(app.root._messages) == ["drive", "file system", "path", "program"]
    for kind, message in app.root._messages.items():
        assert f"This machine does not see '{tmp_path}/root', in which the app keeps its drives" in message, (
            kind
        )
        assert "or an object store (drives='s3://bucket/prefix'" in message, kind
