from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ui.screens import Screen


@pytest.fixture
def screen() -> Iterator[Screen]:
    screen = Screen()
    yield screen
    screen.close()
