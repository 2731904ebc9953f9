"""The lines of `doctor` about Ray, without Ray and without a cluster; `tests/remote` has one."""

from __future__ import annotations

import pytest

from lightning_lite.cli.checks import cluster
from lightning_lite.cli.checks.result import examine

pytestmark = pytest.mark.dependencies


@pytest.fixture
def ray(monkeypatch):
    """Sets which version of Ray seems to be installed."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return lambda version: monkeypatch.setattr(cluster, "_version", lambda: version)


def findings():
    return [tuple(finding) for finding in examine(cluster.checks())]


def test_a_missing_ray_is_broken_only_if_apps_here_need_it(ray, monkeypatch):
    ray(None)
    value = "not installed; only runner='ray' needs it"
    assert findings() == [("ray", value, "ok", "")]

    monkeypatch.setenv("LIGHTNING_LITE_RUNNER", "ray")
    assert findings() == [("ray", value, "failure", "pip install 'lightning-lite-apps[ray]'")]


def test_no_cluster_is_asked_for_by_apps_of_one_machine(ray):
    ray("2.60.0")

    assert findings() == [("ray", "2.60.0", "ok", "")]


def test_a_cluster_that_does_not_answer_is_broken(ray, monkeypatch):
    ray("2.60.0")
    monkeypatch.setenv("LIGHTNING_LITE_RAY_ADDRESS", "127.0.0.1:1")

    _, (about, value, state, _) = findings()
    assert (about, state) == ("ray cluster", "failure")
    assert value.startswith("There is no Ray cluster at '127.0.0.1:1': Connection refused.")
