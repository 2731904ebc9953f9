"""Checks Ray: whether it is installed, whether its cluster answers, and the versions on the nodes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from importlib import metadata
from threading import Event
from typing import Any

from lightning_lite.app.ray_runner import cluster_address
from lightning_lite.cli.checks.result import FAILURE, OK, WARNING, Check, Finding
from lightning_lite.distribution import NAME
from lightning_lite.errors import RunnerError
from lightning_lite.harmless_text import one_line
from lightning_lite.quantity_text import count
from lightning_lite.resources import Resources
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.cluster import Death
from lightning_lite.runners.remote.ray_cluster import RayCluster
from lightning_lite.runners.remote.work_server import versions

#: Seconds in which a node has to start a process that says which versions it has.
_PATIENCE = 60.0

#: Ray gives each node a resource with its address in its name. This amount of it leaves room for others.
_A_LITTLE = 0.001


def checks() -> Iterator[tuple[str, Check]]:
    """Yield the checks with their subjects; the cluster is only asked if an app here would use it."""
    yield "ray", _ray
    options = RunOptions.resolve(environ=dict(os.environ))
    is_used = options.runner == "ray" or cluster_address(options)
    if is_used and _version() is not None:
        yield "ray cluster", _cluster


def _version() -> str | None:
    try:
        return metadata.version("ray")
    except metadata.PackageNotFoundError:
        return None


def _ray() -> Finding:
    version = _version()
    if version is not None:
        return Finding("ray", version)
    is_wanted = RunOptions.resolve(environ=dict(os.environ)).runner == "ray"
    state, advice = (FAILURE, f"pip install '{NAME}[ray]'") if is_wanted else (OK, "")
    return Finding("ray", "not installed; only runner='ray' needs it", state, advice)


def _cluster() -> Finding:
    """Report the nodes of the cluster; each starts a process, as for a work, that says what it has."""
    options = RunOptions.resolve(environ=dict(os.environ))
    address = cluster_address(options)
    cluster = RayCluster(RemoteOptions(address=address or "auto"))
    with tempfile.TemporaryDirectory() as logs:
        try:
            cluster.open(logs)
        except RunnerError as error:
            if address is None:
                return Finding("ray cluster", "none here; an app starts one of this machine alone", WARNING)
            value = str(error).partition("; details")[0]  # which are in a file that is removed now
            return Finding("ray cluster", one_line(value), FAILURE)
        try:
            return _describe_nodes(cluster)
        finally:
            cluster.close()


def _describe_nodes(cluster: RayCluster) -> Finding:
    nodes = _ask_for_nodes(cluster)
    ours, lines, state = versions(), [], OK
    answers = [(address, _Answer(cluster, address)) for address in nodes]
    for address, answer in answers:
        found = answer.wait()
        if isinstance(found, str):
            state = FAILURE
            lines.append(f"{address}: {found}")
            continue
        different = [f"{name} {has}" for name, has in found["versions"].items() if has != ours.get(name)]
        state = FAILURE if different else state
        lines.append(
            f"{found['host']} ({address}): {', '.join(different) or 'Python {Python}'.format(**ours)}"
        )
    advice = f"all nodes need {', '.join(f'{name} {has}' for name, has in ours.items())}"
    value = f"{count(len(lines), 'node')}; {'; '.join(lines)}"
    return Finding("ray cluster", value, state, advice if state != OK else "")


def _ask_for_nodes(cluster: RayCluster) -> list[str]:
    """Return the addresses of all nodes that are alive.

    Raises:
        RunnerError: Ray does not answer.
    """
    found: list[list[str]] = []
    is_there = Event()

    def take(addresses: Any) -> None:
        found.append(addresses)
        is_there.set()

    cluster.list_nodes(take)
    if not is_there.wait(_PATIENCE):
        raise RunnerError("Ray does not say which nodes the cluster has.")
    return found[0]


class _Answer:
    """The answer of the server on one node about itself.

    Args:
        cluster: Starts the server.
        address: Address of the node.
    """

    def __init__(self, cluster: RayCluster, address: str) -> None:
        self._found: dict[str, Any] | str = f"it has started no process within {_PATIENCE:g} s"
        self._is_there = Event()
        there = Resources(custom=((f"node:{address}", _A_LITTLE),))
        placement = cluster.place(f"doctor at {address}", there, self._on_death)
        placement.call("describe", (), self._on_answer)

    def wait(self) -> dict[str, Any] | str:
        """Return the description of the server, or why there is none."""
        self._is_there.wait(_PATIENCE)
        return self._found

    def _on_death(self, death: Death) -> None:
        self._found = death.detail
        self._is_there.set()

    def _on_answer(self, value: Any, error: Exception | None) -> None:
        self._found = value if error is None else one_line(str(error))
        self._is_there.set()
