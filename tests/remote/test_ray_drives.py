"""An example of drives, unchanged, with its works on a Ray cluster and its drives on an object store."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from two_nodes import TwoNodes, running_cluster

from lightning_lite.storage.stores import drive_names

from tests.support.object_stores import ObjectServer
from tests.support.processes import run_script

EXAMPLES = Path(__file__).parents[2] / "examples/drive"


@pytest.fixture(scope="module")
def cluster_with_keys(
    needs_ray: None, running_object_server: ObjectServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TwoNodes]:
    """A cluster whose nodes have the keys of the store in their environment, as in a cluster of a user."""
    with running_cluster(
        tmp_path_factory.mktemp("cluster") / "cluster.log", **running_object_server.environment()
    ) as cluster:
        yield cluster


@pytest.mark.parametrize("example", ["app", "producer_consumer", "three_works"])
def test_an_example_prints_the_same_on_a_cluster_with_drives_on_an_object_store(
    example: str, cluster_with_keys: TwoNodes, remote_place: str, own_place: Path, tmp_path: Path
):
    script = EXAMPLES / f"{example}.py"
    far = {"LIGHTNING_LITE_RUNNER": "ray", "LIGHTNING_LITE_RAY_ADDRESS": cluster_with_keys.address}
    remote = run_script(script, cwd=own_place, env=os.environ | far)

    near = {name: value for name, value in os.environ.items() if name != "LIGHTNING_LITE_DRIVES"}
    assert remote == run_script(script, cwd=tmp_path, env=near)
    assert drive_names(remote_place) != []
