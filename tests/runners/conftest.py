"""What the tests of runners share; that nothing is left behind is seen to at the top."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bench import Bench


@pytest.fixture
def bench(tmp_path) -> Iterator[Bench]:
    bench = Bench(str(tmp_path))
    yield bench
    bench.runner.close(5.0)
