"""Fixtures of the tests of storage."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite.storage import Drive

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
