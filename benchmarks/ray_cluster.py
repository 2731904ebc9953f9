"""A Ray cluster of this machine, which the rows R1 and R3 share; its servers listen on loopback only."""

from __future__ import annotations

import os
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from benchmarks.programs import AskedProgram

#: Only `make bench-remote` installs it.
IS_INSTALLED = find_spec("ray") is not None

#: Ray keeps 127.0.0.1 as the address of its node, and reports nothing to its makers.
VARIABLES = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}

_running: list[tuple[AskedProgram, tempfile.TemporaryDirectory[str]]] = []


def address() -> str:
    """Return the address of the cluster; start it if it does not run."""
    if not _running:
        # Short, because the path of a socket has 107 characters.
        folder = tempfile.TemporaryDirectory(dir="/tmp")
        _running.append((AskedProgram(__name__, "serve", folder.name), folder))
    _, folder = _running[0]
    return Path(folder.name, "address").read_text()


def stop() -> None:
    """End the cluster if it runs, and remove its files."""
    while _running:
        program, folder = _running.pop()
        program.end()
        folder.cleanup()


def serve(folder: str) -> None:
    """Hold a cluster until the input ends; its address and its files are in the folder."""
    os.environ.update(VARIABLES, RAY_TMPDIR=folder)
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - reads these variables when it is imported

    node = {"node_ip_address": "127.0.0.1", "include_dashboard": False, "object_store_memory": 100 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "num_cpus": 2})
    Path(folder, "address").write_text(cluster.address)
    print("ready", flush=True)
    sys.stdin.read()
    cluster.shutdown()
