"""Starts a Ray cluster of two nodes and an S3 store on this machine; Ctrl-C ends all and leaves nothing.

All servers listen on loopback only. The file `beyond.env` in this folder has the variables that let an app
use them: `. ./beyond.env`. Enter kills the second node like a power failure; Enter again starts a new one.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from moto.server import ThreadedMotoServer

HOST = "127.0.0.1"
BUCKET = "beyond"
ENVIRONMENT = Path("beyond.env")

#: Signals that end the program.
ENDINGS = signal.SIGINT, signal.SIGTERM, signal.SIGHUP

#: Without them, Ray would replace 127.0.0.1 by the address of this machine, and report its use to its makers.
RAY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}

#: Ray looks often whether its nodes live, so that a dead one is known within seconds, and not half a minute.
HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


@contextmanager
def object_store() -> Iterator[dict[str, str]]:
    """Run a store with one bucket in a thread; give the variables that lead to it. It takes any keys."""
    server = ThreadedMotoServer(ip_address=HOST, port=0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")):
            pass
        yield {
            "LIGHTNING_LITE_DRIVES": f"s3://{BUCKET}/drives",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_REGION": "us-east-1",
        }
    finally:
        server.stop()


class Nodes:
    """The nodes of a cluster. The first one is its head; the works are on both."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster  # noqa: PLC0415 - reads the variables in RAY when it is imported

        self._options: dict[str, Any] = {
            "node_ip_address": HOST,
            "num_cpus": 2,
            "object_store_memory": 100 * 2**20,  # bytes; the least that Ray accepts is 75 MiB
            "include_dashboard": False,
        }
        head = {**self._options, "_system_config": HEALTH}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        self._second = self._cluster.add_node(**self._options)
        self.address: str = self._cluster.address

    def kill_or_start(self) -> str:
        """Kill the second node, or start a new one; return a line that says so."""
        if self._second is None:
            self._second = self._cluster.add_node(**self._options)
            return "a new node has started"
        self._cluster.remove_node(self._second, allow_graceful=False)
        self._second = None
        return "the second node is killed"

    def close(self) -> None:
        """End all processes of all nodes."""
        self._cluster.shutdown()


def write_environment(variables: dict[str, str]) -> None:
    """Write the file for apps; a shell reads it."""
    ENVIRONMENT.write_text("".join(f"export {name}={value}\n" for name, value in variables.items()))


def serve() -> None:
    """Run everything until Ctrl-C."""
    with ExitStack() as ends:
        variables = RAY | ends.enter_context(object_store())
        folder = tempfile.mkdtemp(prefix="beyond-")
        ends.callback(shutil.rmtree, folder)
        # Works inherit the variables from the nodes: the keys of the store are among them.
        os.environ.update(variables, RAY_TMPDIR=folder)
        nodes = Nodes()
        ends.callback(nodes.close)
        handle_endings()  # Ray has set a handler of SIGTERM, which would end one node only
        app = {"LIGHTNING_LITE_RUNNER": "ray", "LIGHTNING_LITE_RAY_ADDRESS": nodes.address}
        ends.callback(ENVIRONMENT.unlink, missing_ok=True)
        ends.callback(ignore_endings)
        write_environment(variables | app | {"LIGHTNING_LITE_RAY_LEASE": "3"})
        say(
            f"ready: in another terminal, `. ./{ENVIRONMENT}` and run an app. Enter kills a node, Ctrl-C ends"
        )
        for _ in sys.stdin:
            say(nodes.kill_or_start())
        signal.pause()  # without a terminal


def handle_endings() -> None:
    """Let each signal in `ENDINGS` end the program."""
    for number in ENDINGS:
        signal.signal(number, end_once)


def end_once(*_: object) -> None:
    """End the program; a second Ctrl-C does not stop the end."""
    ignore_endings()
    raise KeyboardInterrupt


def ignore_endings() -> None:
    """Let later signals have no effect. Not SIG_IGN, which the processes of Ray would inherit."""
    for number in ENDINGS:
        signal.signal(number, lambda *_: None)


def say(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)


if __name__ == "__main__":
    logging.disable(logging.INFO)  # one line for each request to the store
    handle_endings()
    try:
        serve()
    except KeyboardInterrupt:
        say("all is ended")
