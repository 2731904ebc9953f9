"""The guard: each rule, on a real server. `tests/web` shares one, which none of these requests changes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lightning_lite.api import is_reserved
from lightning_lite.web.guard import OPEN, Guard

from tests.support.page_servers import Server, serving
from tests.support.run_folders import make_run_folder

pytestmark = pytest.mark.dependencies


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("root")
    make_run_folder(root / "runs", "20261122-035501123-9f3ac2", {"root.train": "hello\n"})
    with serving("--root", root) as started:
        yield started


def test_a_request_with_the_token_is_answered(server: Server):
    reply = server.get("/api/server")

    assert reply.status == 200
    assert reply.data["run"] is None


# The token.


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_without_the_token_nothing_is_answered_but_the_page(server: Server, method: str):
    for path in ("/api/server", "/api/runs", "/api/nothing", "/nothing", "//", "/Static/a"):
        assert server.send(method, path, token=False).status == 401, path


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer x", "Bearer {}x", "Basic {}", "{}", "Bearer \xe9"])
def test_a_wrong_token_is_refused(server: Server, given: str):
    reply = server.send(
        "GET", "/api/server", {"Authorization": given.format(server.token).encode("latin-1")}, token=False
    )

    assert reply.status == 401
    assert "open the address" in reply.error


def test_two_tokens_are_refused_even_if_one_is_right(server: Server):
    assert server.send("GET", "/api/server", {"Authorization": "Bearer x"}).status == 401


def test_a_token_in_the_query_or_in_a_cookie_is_no_token(server: Server):
    for path, headers in (
        (f"/api/server?token={server.token}", {}),
        ("/api/server", {"Cookie": f"token={server.token}; Authorization=Bearer {server.token}"}),
    ):
        assert server.send("GET", path, headers, token=False).status == 401


def test_no_answer_sets_a_cookie_or_lets_another_site_read_it(server: Server):
    for path in ("/", "/api/server", "/nothing"):
        names = server.get(path).headers.keys()
        assert "set-cookie" not in names
        assert not [name for name in names if name.startswith("access-control-")]


# Host: a name of another site that leads to 127.0.0.1.


@pytest.mark.parametrize(
    "host",
    ["evil.example:{}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{}", "127.0.0.1.:{}", None],
)
def test_another_host_is_refused(server: Server, host: str | None):
    for path in ("/", "/static/index.html", "/download/x", "/api/server"):
        if host is None:  # HTTP/1.1 has no request without it
            with socket.create_connection(("127.0.0.1", server.port)) as connection:
                connection.sendall(
                    f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode()
                )
                assert b" 421 " in connection.makefile("rb").readline(), path
        else:
            assert server.send("GET", path, host=host.format(server.port)).status == 421, path


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_the_names_of_the_loopback_are_hosts(server: Server, name: str):
    assert server.send("GET", "/api/server", host=f"{name}:{server.port}").status == 200


# Origin and Sec-Fetch-Site: headers of a browser about the sender.


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{}", "http://127.0.0.1:1", ""]
)
def test_another_origin_is_refused(server: Server, origin: str):
    for path in ("/", "/static/index.html", "/download/x", "/api/server"):
        assert server.get(path, Origin=origin.format(server.port)).status == 403, path


def test_our_own_origin_is_accepted(server: Server):
    assert server.get("/api/server", Origin=f"http://{server.host}").status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "other"])
def test_another_site_is_refused(server: Server, site: str):
    for path in ("/", "/static/index.html", "/download/x", "/preview/x", "/frame/x", "/api/server"):
        assert server.send("GET", path, {"Sec-Fetch-Site": site}).status == 403, path


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_our_own_site_is_accepted(server: Server, site: str):
    assert server.send("GET", "/api/server", {"Sec-Fetch-Site": site}).status == 200


def test_a_link_of_another_site_may_open_the_page_but_nothing_else(server: Server):
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

    assert server.send("GET", "/", link, token=False).status == 200
    assert server.send("POST", "/", link).status == 403
    for path in ("/static/index.html", "/download/x", "/preview/x", "/frame/x", "/api/server"):
        assert server.send("GET", path, link).status == 403
    for part in ({"Sec-Fetch-Dest": "iframe"}, {"Sec-Fetch-Mode": "no-cors"}):
        assert server.send("GET", "/", {**link, **part}).status == 403


# Methods.


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"]
)
def test_other_methods_are_refused(server: Server, method: str):
    for path in ("/", "/static/index.html", "/api/server", "/api/runs/x/actions", "/api/v1/state"):
        reply = server.send(method, path)

        assert reply.status == 405, path
        assert reply.headers["allow"] == "GET, POST", path


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "put", "get"])
def test_other_methods_are_refused_for_the_routes_of_apps(server: Server, method: str):
    for path in ("/nothing", "/api/v1/nothing"):
        reply = server.send(method, path)

        assert reply.status == 405, path
        assert reply.headers["allow"] == "GET, POST, PUT, DELETE", path


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/nothing"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_server_without_an_app_has_no_routes_of_one(server: Server, method: str, path: str):
    assert server.send(method, path).status == 404
    assert server.send(method, path, token=False).status == 401
    assert server.send(method, path, host="evil.example").status == 421
    assert server.send(method, path, {"Origin": "http://evil.example"}).status == 403
    assert server.send(method, path, {"Sec-Fetch-Site": "cross-site"}).status == 403


@pytest.mark.parametrize("path", ["/static/a%00", "/static/%0a", "/api/runs/%00", "/download/%1b"])
def test_a_path_with_control_characters_is_refused(server: Server, path: str):
    reply = server.get(path)

    assert reply.status == 400
    assert reply.error.startswith("Invalid path ")


@pytest.mark.parametrize("path", ["/", "/static/index.html", "/download/x", "/preview/x"])
def test_nothing_can_be_sent_to_the_open_paths(server: Server, path: str):
    reply = server.send("POST", path)

    assert (reply.status, reply.error) == (405, "Only GET is possible here.")


def test_a_websocket_is_refused_as_any_other_request(server: Server):
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "x" * 22 + "==",
    }

    for path in ("/api/server", "/api/v1/ws", "/names"):
        assert server.send("GET", path, upgrade, token=False).status == 401
        assert server.send("GET", path, {**upgrade, "Origin": "http://evil.example"}).status == 403
    assert server.send("GET", "/api/server", upgrade).status == 404
    assert server.send("GET", "/", upgrade).status == 404


# Without a server: the requests that the application behind the guard would get.


def pass_through(scope: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the types of the scopes that pass the guard, and the messages that it sends."""
    passed: list[str] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["type"])

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(app, "secret", ["127.0.0.1:1"])(scope, receive, send))
    return passed, sent


def test_a_websocket_without_the_token_and_nothing_unknown_passes():
    headers = [(b"host", b"127.0.0.1:1")]
    passed, sent = pass_through({"type": "websocket", "path": "/api/v1/ws", "headers": headers})
    assert (passed, sent[0]["type"], sent[0]["status"]) == ([], "websocket.http.response.start", 401)
    assert sent[1]["type"] == "websocket.http.response.body"

    headers.append((b"authorization", b"Bearer secret"))
    socket = {"type": "websocket", "path": "/api/v1/ws", "headers": headers}
    assert pass_through(socket) == (["websocket"], [])
    passed, sent = pass_through({**socket, "type": "webtransport"})
    assert (passed, sent) == ([], [{"type": "websocket.close", "code": 1008}])

    assert pass_through({"type": "lifespan"}) == (["lifespan"], [])
    http = {"type": "http", "method": "GET", "path": "/api/server", "headers": headers}
    assert pass_through(http) == (["http"], [])


def test_a_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch):
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return False

    monkeypatch.setattr("lightning_lite.web.guard.hmac.compare_digest", compare)
    headers = [(b"host", b"127.0.0.1:1"), (b"authorization", b"Bearer secret")]
    passed, sent = pass_through({"type": "http", "method": "GET", "path": "/api/server", "headers": headers})

    assert (passed, sent[0]["status"]) == ([], 401)
    assert compared == [(b"secret", b"secret")]


# Bodies.


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_a_body_of_another_type_is_refused(server: Server, kind: str | None):
    headers = {} if kind is None else {"Content-Type": kind}

    assert server.send("POST", "/api/tickets", headers, b"{}").status == 415


def test_the_type_of_a_body_may_have_parameters(server: Server):
    reply = server.send("POST", "/api/tickets", {"Content-Type": "Application/JSON; charset=utf-8"}, b"{}")

    assert reply.status == 400
    assert reply.error.startswith("kind is missing")


def test_a_long_body_is_refused_and_one_of_the_limit_is_not(server: Server):
    def send(size: int) -> int:
        body = b'{"kind": "log"' + b" " * (size - 15) + b"}"
        return server.send("POST", "/api/tickets", {"Content-Type": "application/json"}, body).status

    assert send(64 * 1024) == 400
    assert send(64 * 1024 + 1) == 413


def test_a_long_body_in_pieces_is_refused(server: Server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            f"POST /api/tickets HTTP/1.1\r\nHost: {server.host}\r\nAuthorization: Bearer {server.token}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        for _ in range(65):
            connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")
        assert b" 413 " in connection.makefile("rb").readline()


def test_a_body_that_is_no_json_object_is_refused(server: Server):
    for body in (b"", b"[]", b"{", b"\xff", b"[" * 50_000, b"null"):
        reply = server.send("POST", "/api/tickets", {"Content-Type": "application/json"}, body)
        assert reply.status == 400, body


# Headers of answers.

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/static/index.html"),
        ("GET", "/static/nothing.js"),
        ("GET", "/api/server"),
        ("GET", "/api/runs/nothing"),
        ("GET", "/download/x"),
        ("GET", "/frame/x"),
        ("DELETE", "/"),
        ("HEAD", "/api/runs"),
    ],
)
def test_each_answer_has_the_headers_of_security(server: Server, method: str, path: str):
    for reply in (server.send(method, path), server.send(method, path, host="evil.example")):
        assert reply.headers["content-security-policy"] == PAGE_POLICY
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
        assert reply.headers["cache-control"] == "no-store"
        assert "server" not in reply.headers


def test_the_answer_of_an_app_has_no_script_and_an_origin_of_its_own(server: Server):
    policy = server.get("/nothing").headers["content-security-policy"]

    assert policy == "sandbox; default-src 'none'; frame-ancestors 'none'"


def test_a_preview_has_an_origin_of_its_own(server: Server):
    policy = server.get("/preview/x").headers["content-security-policy"]

    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "connect-src" not in policy
    assert "default-src 'unsafe-inline' data: blob:" in policy
    assert "frame-ancestors 'self'" in policy


def test_errors_have_a_sentence_and_no_traceback(server: Server):
    for path, status in (("/api/nothing", 404), ("/api/runs?limit=0", 400), ("/download/x", 410)):
        reply = server.get(path)
        assert reply.status == status
        assert reply.headers["content-type"] == "application/json"
        assert reply.error.endswith(".")
        assert b"Traceback" not in reply.body


def test_no_route_of_an_app_can_have_an_address_that_needs_no_token():
    assert [path for path in OPEN if not is_reserved(path)] == []
