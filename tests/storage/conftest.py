"""Fixtures of the tests of storage."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite.storage import Drive

from tests.support.users import ALICE, BOB, folder_for_all

MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_place(own_place: Path) -> Iterator[Path]:
    """Go to a folder in memory where there is one: thousands of small files are slow on a disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else own_place) as folder:
        os.chdir(folder)
        yield Path(folder)
        os.chdir(own_place)


@pytest.fixture
def drive(own_place: Path) -> Drive:
    return Drive("lit://d")


@pytest.fixture
def quick_drive(quick_place: Path) -> Drive:
    return Drive("lit://d", root_dir=quick_place / "root")


@pytest.fixture
def shared_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder into which every user may write, as `/tmp`, with a folder for each of two users in it."""
    monkeypatch.delenv("LIGHTNING_LITE_ROOT")
    with folder_for_all(ALICE, BOB) as folder:
        yield folder
