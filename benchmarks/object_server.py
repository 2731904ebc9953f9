"""A server of objects on loopback, moto, which the rows R2 share."""

from __future__ import annotations

import os
import sys
import urllib.request
from importlib.util import find_spec

from benchmarks.programs import AskedProgram

#: Only `make bench-remote` installs them.
IS_INSTALLED = bool(find_spec("obstore") and find_spec("moto"))

BUCKET = "bench"

_running: list[tuple[AskedProgram, str]] = []


def endpoint() -> str:
    """Return the address of the server; start it if it does not run."""
    if not _running:
        program = AskedProgram(__name__, "serve")
        _running.append((program, f"http://127.0.0.1:{program.figure():.0f}"))
    return _running[0][1]


def stop() -> None:
    """End the server if it runs."""
    while _running:
        _running.pop()[0].end()


def lead_to(address: str) -> None:
    """Set the variables of this process that lead to the server."""
    os.environ.update(
        AWS_ENDPOINT_URL=address,
        AWS_ACCESS_KEY_ID="any",
        AWS_SECRET_ACCESS_KEY="any",
        AWS_REGION="us-east-1",
    )


def serve() -> None:
    """Hold a server with one bucket until the input ends; answer each line with its port."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - of the tests alone, some hundred modules

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT")
    with urllib.request.urlopen(request):
        print("ready", flush=True)
    for _ in sys.stdin:
        print(port, flush=True)
    server.stop()
