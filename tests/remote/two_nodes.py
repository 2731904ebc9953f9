"""A Ray cluster on this machine, in a process of its own: the tests import no Ray, as an app does not.

Commands come on standard input, each answered by a line: `add` a node, `kill`, `freeze` or `thaw` the last
one, and `quit`. All servers listen on loopback only. Ray does that for the address 127.0.0.1 and no other,
not even 127.0.0.2; and it replaces 127.0.0.1 by the address of the machine, unless a variable is set.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

#: For the cluster and each program that uses it: 127.0.0.1 stays, Ray's makers get no report, and only these
#: programs may use it.
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
}

#: How often the cluster looks whether its nodes live: quickly, so that the tests see a dead one soon.
HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}

NODE: dict[str, Any] = {
    "num_cpus": 4,
    "object_store_memory": 100 * 2**20,
    "node_ip_address": "127.0.0.1",
    "include_dashboard": False,
}


class TwoNodes:
    """The cluster, with a head, which has the resource `first`, and a node with the resource `second`."""

    def __init__(self, log: str) -> None:
        self._files = tempfile.mkdtemp(dir="/tmp")  # short, because the path of a socket has 107 characters
        with open(log, "ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                start_new_session=True,
                env={**os.environ, **ENVIRONMENT, "RAY_TMPDIR": self._files},
            )
        self.address, self.raylet = self._answer()

    def command(self, command: str) -> None:
        """Carry out one command."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        if command != "quit":
            _, self.raylet = self._answer()

    def close(self) -> None:
        with self._process:
            self.command("quit")
            self._process.wait(60)
        shutil.rmtree(self._files)

    def _answer(self) -> tuple[str, int]:
        assert self._process.stdout is not None
        while not (line := self._process.stdout.readline()).startswith("READY "):
            assert line, "the cluster has ended"
        _, address, raylet = line.split()
        return address, int(raylet)


@contextmanager
def running_cluster(log: Path, **environ: str) -> Iterator[TwoNodes]:
    """Start a cluster, and end it with the block; this process and its children have its environment."""
    with patch.dict(os.environ, ENVIRONMENT | environ), closing(TwoNodes(str(log))) as cluster:
        yield cluster


def main() -> None:
    """Hold a cluster until `quit`, or until the input ends."""
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - in the process of the cluster alone

    cluster = Cluster(
        initialize_head=True, head_node_args=NODE | {"_system_config": HEALTH, "resources": {"first": 4}}
    )
    nodes = [cluster.add_node(**NODE, resources={"second": 4})]

    def raylet() -> int:
        return nodes[-1].all_processes["raylet"][0].process.pid if nodes else 0

    def say() -> None:
        sys.stdout.write(f"READY {cluster.address} {raylet()}\n")
        sys.stdout.flush()

    say()
    for line in sys.stdin:
        command = line.strip()
        if command == "add":
            nodes.append(cluster.add_node(**NODE, resources={"second": 4}))
        elif command == "kill":
            cluster.remove_node(nodes.pop(), allow_graceful=False)
        elif command == "freeze":
            os.kill(raylet(), signal.SIGSTOP)
        elif command == "thaw":
            os.kill(raylet(), signal.SIGCONT)
        elif command == "quit":
            break
        say()
    cluster.shutdown()


if __name__ == "__main__":
    main()
