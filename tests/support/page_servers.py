"""Starts real servers of the page, and sends requests to them, with any header or none."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, NamedTuple

from tests.support.processes import DEADLINE, starting


class Reply(NamedTuple):
    """The answer to a request; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The decoded JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The sentence of a refusal."""
        return str(self.data["error"])


class Server(NamedTuple):
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str

    @property
    def token(self) -> str:
        """The token in its address."""
        return self.address.partition("token=")[2].partition("&")[0]

    @property
    def host(self) -> str:
        """Name and port, as in the header `Host`."""
        return self.address.partition("://")[2].partition("/")[0]

    @property
    def port(self) -> int:
        """The port that it has bound."""
        return int(self.host.rpartition(":")[2])

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes | None = None,
        *,
        token: bool = True,
        host: str | None = "",
    ) -> Reply:
        """Send one request, with these headers, the token, and the right `Host` if no other is given."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if host is not None:
                connection.putheader("Host", host or self.host)
            if token:
                connection.putheader("Authorization", f"Bearer {self.token}")
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """Read something, with the token."""
        return self.send("GET", path, headers)

    def post(self, path: str, /, **fields: object) -> Reply:
        """Send a JSON object, with the token."""
        return self.send("POST", path, {"Content-Type": "application/json"}, json.dumps(fields).encode())


@contextmanager
def serving(*words: object, **environ: str) -> Iterator[Server]:
    """Yield a running server on a free port; it is killed at the end.

    Args:
        words: Arguments of `lightning-lite ui`.
        environ: More variables of its environment.
    """
    with starting() as start:
        process = start(
            "-m",
            "lightning_lite",
            "ui",
            "--no-browser",
            "--port",
            "0",
            *words,
            env={**os.environ, **environ},
        )
        yield Server(process, read_address(process))


def read_address(process: subprocess.Popen[str]) -> str:
    """Return the address that a server prints."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert "#token=" in line, (line, process.stderr.read())
    return line.split()[-1]
