"""The `.gitignore` of a new default root."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lightning_lite import Drive, LightningApp
from lightning_lite.testing import EmptyWork

pytestmark = pytest.mark.dependencies


@pytest.mark.parametrize("user", ["drive", "app"])
def test_git_does_not_see_a_new_default_root(own_place: Path, monkeypatch, user: str):
    monkeypatch.delenv("LIGHTNING_LITE_ROOT", raising=False)
    Path("f").write_text("text")
    if user == "drive":
        Drive("lit://d").put("f")
    else:
        LightningApp(EmptyWork()).run(runner="inline")
    subprocess.run(["git", "init", "-q"], check=True)
    seen = subprocess.run(
        ["git", "status", "--short", "--untracked-files=all"], capture_output=True, text=True, check=True
    )
    assert seen.stdout == "?? f\n"


def test_a_root_that_is_there_or_has_another_name_gets_none(own_place: Path, monkeypatch):
    monkeypatch.delenv("LIGHTNING_LITE_ROOT", raising=False)
    Path("f").write_text("text")
    os.mkdir(".lightning_lite", 0o700)
    Drive("lit://d").put("f")
    Drive("lit://d", root_dir="other").put("f")
    assert not Path(".lightning_lite/.gitignore").exists()
    assert not Path("other/.gitignore").exists()
