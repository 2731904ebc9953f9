"""A real server of objects on this machine, and the environment that leads to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import obstore
from obstore.store import S3Store

from lightning_lite.testing import poll_until

from tests.support.ports import free_port

#: Keys that are none of a real store; tests look for the second one in texts.
KEYS = {"AWS_ACCESS_KEY_ID": "an-access-key", "AWS_SECRET_ACCESS_KEY": "a-secret-key-of-the-tests"}

BUCKET = "drives"


class ObjectServer:
    """A server of objects with one bucket.

    Attributes:
        port: Its port on loopback.
        endpoint: Its address.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}"

    def new_url(self) -> str:
        """Return the address of an empty place for drives."""
        return f"s3://{BUCKET}/{uuid.uuid4().hex}"

    def warm_up(self) -> None:
        """Let the library of object stores start its threads, which stay until the end of the process."""
        store = S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            virtual_hosted_style_request=False,
            client_options={"allow_http": True},
        )
        obstore.put(store, "warm-up", b"")

    def environment(self) -> dict[str, str]:
        """Return the variables that lead to this server."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": "us-east-1"}


#: Names the endpoint of another server, which has the bucket `drives` and takes the keys in `KEYS`.
VARIABLE = "LIGHTNING_LITE_TEST_OBJECT_STORE"


@contextmanager
def any_server() -> Iterator[ObjectServer]:
    """Give the server that the variable names for the `with` block, else moto."""
    if endpoint := os.environ.get(VARIABLE):
        yield ObjectServer(int(endpoint.rpartition(":")[2]))
    else:
        with moto_server() as server:
            yield server


#: Ends with the process of the tests, also if a time limit has killed that: the pipe is closed then.
#: It answers one request after the other: moto looks at a condition and writes in two steps, and another
#: request could write between them.
#: All requests are for S3, but those for the keys of a machine in a cloud. To find that out, moto lists the
#: folders of all its services, twice per request, which takes almost as long as the rest; and its server
#: would write a line for each one.
_MOTO = """
import gc, logging, os, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import main

def end_with_parent():
    sys.stdin.read()
    os._exit(0)

lock = threading.Lock()
answer_any = DomainDispatcherApplication.__call__
answer_s3 = create_backend_app("s3")

def answer_alone(application, environ, start_response):
    with lock:
        if environ["PATH_INFO"].startswith("/latest/"):
            return answer_any(application, environ, start_response)
        return answer_s3(environ, start_response)

DomainDispatcherApplication.__call__ = answer_alone
logging.getLogger("werkzeug").setLevel("ERROR")
threading.Thread(target=end_with_parent, daemon=True).start()
gc.freeze()
main(sys.argv[1:])
"""


@contextmanager
def moto_server() -> Iterator[ObjectServer]:
    """Run moto as a server of its own process for the `with` block."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", _MOTO, "-H", "127.0.0.1", "-p", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = ObjectServer(port)
    try:
        poll_until(lambda: answers(port), timeout=60)
        make_bucket(server.endpoint, BUCKET)
        yield server
    finally:
        with process:
            process.kill()


def make_bucket(endpoint: str, name: str) -> None:
    """Create a bucket on a server that checks no keys."""
    with urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT")) as answer:
        answer.read()


def answers(port: int) -> bool:
    """Return whether a server accepts connections on a port of this machine."""
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
