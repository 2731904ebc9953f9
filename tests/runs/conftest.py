"""A journal to write to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from small_journals import IDENTITY

from lightning_lite.runs.journal import Journal


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Journal]:
    new = Journal.create(str(tmp_path), IDENTITY)
    yield new
    new.close()
