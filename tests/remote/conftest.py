"""A Ray cluster of two nodes for all tests of this folder, which are skipped without the package ray."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from two_nodes import TwoNodes, running_cluster

# The suite of all runners, and the works that it starts.
sys.path.append(str(Path(__file__).parent.parent / "runners"))


@pytest.fixture(scope="session")
def needs_ray() -> None:
    """Skip the tests without the package ray."""
    if find_spec("ray") is None:
        pytest.skip("these tests need the package ray, see `make test-remote`")


@pytest.fixture(scope="session")
def cluster(needs_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    with running_cluster(tmp_path_factory.mktemp("cluster") / "cluster.log") as cluster:
        yield cluster
