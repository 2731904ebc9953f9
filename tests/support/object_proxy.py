"""A server between a store and its user that misbehaves as object stores and networks do."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from urllib.parse import urlsplit

CONDITIONS = ("if-match", "if-none-match")


@dataclass
class Proxy:
    """The faults of the server, and the requests that it has seen.

    Attributes:
        target: Port of the real server.
        endpoint: Address of this one.
        requests: Method and path of each request, in order.
        lost: Part of the conditional writes that are done, but not answered.
        loses_refusals: Whether that includes those whose condition did not hold.
        failed: Part of the requests that are answered with 503 and not done.
        ignores: Names of headers that are removed.
        wants_bare_tags: Whether a tag in a condition is compared with its quotes, as in Ceph 16.
        ages: Seconds by which the clock of the store is behind.
        refuse: Returns status and code of S3 for a request that is not done, or `None`.
        before: Called with method and path before a request is done.
        after: Called with method and path when it is done and not answered yet.
        close: Closes the port.
    """

    target: int
    endpoint: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    lost: float = 0.0
    loses_refusals: bool = True
    failed: float = 0.0
    ignores: tuple[str, ...] = ()
    wants_bare_tags: bool = False
    ages: float = 0.0
    refuse: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
    before: Callable[[str, str], None] = lambda method, path: None
    after: Callable[[str, str], None] = lambda method, path: None
    close: Callable[[], None] = lambda: None

    def count(self, part: str = "") -> int:
        """Return the number of requests whose path contains a text."""
        return sum(part in path for _, path in self.requests)


@contextmanager
def object_proxy(target: int) -> Iterator[Proxy]:
    """Run the server in a thread for the `with` block."""
    proxy = Proxy(target)

    class Handler(_Handler):
        rules = proxy

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    proxy.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    proxy.close = server.socket.close
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    rules: Proxy
    server: BaseServer

    def log_message(self, *_: object) -> None:
        pass

    def _do(self) -> None:
        rules, method = self.rules, self.command
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if len(body) < size:  # it was killed; the server would wait for the rest, also with other requests
            self.close_connection = True
            return
        rules.requests.append((method, self.path))
        rules.before(method, self.path)
        refused = rules.refuse(method, urlsplit(self.path).path)
        if refused is None and random.random() < rules.failed:
            refused = 503, "SlowDown"
        if refused is not None:
            self._answer(refused[0], [], f"<Error><Code>{refused[1]}</Code></Error>".encode())
            return
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("connection", *rules.ignores)
        }
        if rules.wants_bare_tags and (tag := headers.get("if-match")):
            headers["if-match"] = '"0"' if tag.startswith('"') else f'"{tag}"'
        is_conditional = method == "PUT" and any(name.lower() in CONDITIONS for name in headers)
        connection = HTTPConnection("127.0.0.1", rules.target)
        try:
            connection.request(method, self.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        rules.after(method, self.path)
        if is_conditional and (rules.loses_refusals or answer.status < 300) and random.random() < rules.lost:
            self.close_connection = True
            return
        self._answer(
            answer.status, self._headers(answer), self._aged(content), answer.getheader("Content-Length")
        )

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _do  # noqa: N815 - names of the base class

    def _headers(self, answer: HTTPResponse) -> list[tuple[str, str]]:
        kept = []
        for name, value in answer.getheaders():
            if name.lower() == "last-modified" and self.rules.ages:
                value = format_datetime(
                    parsedate_to_datetime(value) - timedelta(seconds=self.rules.ages), usegmt=True
                )
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "server", "date"):
                kept.append((name, value))
        return kept

    def _aged(self, content: bytes) -> bytes:
        """Return a listing with the times of a clock that is behind."""
        if not self.rules.ages or b"<LastModified>" not in content:
            return content

        def earlier(found: re.Match[bytes]) -> bytes:
            time = datetime.fromisoformat(found[1].decode()) - timedelta(seconds=self.rules.ages)
            return f"<LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z')}</LastModified>".encode()

        return re.sub(rb"<LastModified>([^<]*)</LastModified>", earlier, content)

    def _answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, size: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        is_head = self.command == "HEAD"
        self.send_header("Content-Length", (size or "0") if is_head else str(len(content)))
        self.send_header("Connection", "close")
        with suppress(ConnectionError):
            self.end_headers()
        if not is_head:
            with suppress(ConnectionError):  # the user of the store was killed
                self.wfile.write(content)
