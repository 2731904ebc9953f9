"""The promises of every runner to the machine, on a Ray cluster of two nodes."""

from __future__ import annotations

import pytest
from test_conformance import Conformance

from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.ray_cluster import RayCluster
from lightning_lite.runners.remote.runner import RemoteRunner


class TestRay(Conformance):
    @pytest.fixture(autouse=True)
    def runner_on_the_cluster(self, cluster):
        remote = RemoteOptions(address=cluster.address)
        type(self).runner_class = staticmethod(
            lambda options: RemoteRunner(options._replace(remote=remote), RayCluster(remote))
        )
