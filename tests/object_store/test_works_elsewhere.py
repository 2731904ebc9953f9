"""Works on machines that see no folder of the app: drives, paths and payloads go through the store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lightning_lite import LightningApp
from lightning_lite.errors import WorkStartFailed
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
