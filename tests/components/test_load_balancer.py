"""`LoadBalancer` alone: which requests it takes, when the proxy answers, and its rotation of servers."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from lightning_lite.components import LoadBalancer
from lightning_lite.components.server_rotation import ServerRotation
from lightning_lite.testing import poll_until

from tests.components.serving import DEADLINE, post, serving

pytestmark = pytest.mark.dependencies


class Echo(ThreadingHTTPServer):
    """Returns each text with its path; `wait` waits until the gate of its path is open.

    Attributes:
        gates: By paths.
        under_way: The paths of the requests that wait.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.gates = {path: threading.Event() for path in ("/predict", "/proxy")}
        self.under_way: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Echo

    def do_POST(self) -> None:
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if text == "wait":
            self.server.under_way.append(self.path)
            assert self.server.gates[self.path].wait(DEADLINE)
        answer = json.dumps(f"{self.path}: {text}").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def echo() -> Iterator[Echo]:
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_request_is_json_of_any_type_and_comes_from_no_other_site():
    options = {"is_batched": False, "max_batch_size": 1, "timeout_keep_alive": 5}
    with echo() as server:
        balancer = LoadBalancer(str, str, "predict", cold_start_proxy=f"{server.url}/proxy", **options)
        balancer.servers = [f"{server.url}/"]
        with serving(balancer) as work:
            url = f"{work.url}/predict"
            assert post(url, json="hello").json() == "/predict: hello"
            missing = post(url, params={"inputs": "hello"})
            assert (missing.status_code, missing.json()["detail"][0]["loc"]) == (422, ["body"])
            for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
                refused = post(url, content=b'"a"', headers={"Content-Type": kind} if kind else {})
                assert (refused.status_code, "must be JSON" in refused.text) == (415, True), kind
            for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                refused = post(url, json="a", headers=headers)
                assert (refused.status_code, "another site" in refused.text) == (403, True), headers
            check_who_answers(server, url)


def check_who_answers(server: Echo, url: str) -> None:
    """Check that the proxy answers while the one server is busy, and not because it is busy itself."""
    with httpx.Client(timeout=DEADLINE, verify=False) as client, ThreadPoolExecutor(2) as threads:
        asked = []
        for path in ("/predict", "/proxy"):
            asked.append(threads.submit(client.post, url, json="wait"))
            poll_until(lambda path=path: server.under_way[-1:] == [path], timeout=DEADLINE)
        server.gates["/predict"].set()
        assert asked[0].result().json() == "/predict: wait"
        third = client.post(url, json="next").json()
        server.gates["/proxy"].set()
        assert (third, asked[1].result().json()) == ("/predict: next", "/proxy: wait")


def rotation_of_single_requests(changed: Callable[[list[str]], object]) -> ServerRotation:
    return ServerRotation(
        "/predict",
        max_batch_size=1,
        timeout_batching=0,
        timeout=DEADLINE,
        is_batched=True,
        changed=changed,
    )


def test_a_server_that_comes_back_to_the_rotation_answers_its_batch_before_it_gets_another():
    asyncio.run(check_a_return())


async def check_a_return() -> None:
    gate, seen = asyncio.Event(), []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"]}")
        seen.append(len(seen))
        await gate.wait()
        body = b'{"outputs": [1]}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        in_use: list[Any] = []
        rotation = rotation_of_single_requests(in_use.append)
        rotation.set_servers([url])
        first = asyncio.create_task(rotation.ask(1))
        async with asyncio.timeout(DEADLINE):
            while not seen:
                await asyncio.sleep(0)
        rotation.set_servers([])
        rotation.set_servers([url])
        second = asyncio.create_task(rotation.ask(2))
        for _ in range(200):  # turns of the event loop in which a second batch would be sent
            await asyncio.sleep(0)
        assert (len(seen), rotation.num_unanswered) == (1, 2)
        gate.set()
        assert [await first, await second] == [1, 1]
        assert in_use == [[url]]
        await rotation.close()


def test_servers_are_listed_in_the_order_of_the_flow():
    asyncio.run(check_the_order())


async def check_the_order() -> None:
    first, second, third = (f"http://127.0.0.1:{port}" for port in (1, 2, 3))
    rotation = rotation_of_single_requests(lambda urls: None)
    rotation.set_servers([second])
    rotation.set_servers([third, first, second])
    assert rotation.ready_servers == [third, first, second]
    await rotation.close()
