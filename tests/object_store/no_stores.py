"""Servers at the address of an object store that are none: a console, a sign-in page, another protocol."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer


def page(status: str, kind: str, content: str, *headers: str) -> bytes:
    """Return the answer of a web server."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", content]).encode()


HTML = page("200 OK", "text/html", "<html></html>")

#: Answers to each request.
ANSWERS = {
    "html": HTML,
    "html with a tag": page(
        "200 OK",
        "text/html; charset=utf-8",
        "<html></html>",
        'ETag: "5f-1"',
        "Last-Modified: Mon, 02 Mar 2026 10:00:00 GMT",
    ),
    "html that is no xml": page("200 OK", "text/html", "<html><br><p>Sign in</html>"),
    "json": page("200 OK", "application/json", "{}"),
    "nothing in it": page("200 OK", "text/html", ""),
    "a redirection": page("302 Found", "text/html", "<html></html>", "Location: /sign-in"),
    "a redirection without an end": page("302 Found", "text/html", "", "Location: /again"),
    "not found": page("404 Not Found", "text/html", "<html>404</html>"),
    "not allowed": page("405 Method Not Allowed", "text/plain", "405"),
    "forbidden": page("403 Forbidden", "text/html", "<html>403</html>"),
    "http to tls": page("400 Bad Request", "text/plain", "Client sent an HTTP request to an HTTPS server."),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "alert of tls": b"\x15\x03\x01\x00\x02\x02\x46",
    "an end": b"",
}


class _Handler(StreamRequestHandler):
    answer: bytes

    def handle(self) -> None:
        path, size = self.rfile.readline().split()[1], 0
        while line := self.rfile.readline().strip():
            if line.lower().startswith(b"content-length:"):
                size = int(line.partition(b":")[2])
        self.rfile.read(size)
        self.wfile.write(HTML if path == b"/sign-in" else self.answer)


@contextmanager
def no_store(answer: bytes) -> Iterator[str]:
    """Run a server that gives one answer to each request for the `with` block, and give its address."""
    server = ThreadingTCPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"answer": answer}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
