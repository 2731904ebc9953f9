"""The API of an app: `configure_api`, with a real app, the server of its page, and requests to it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightning_lite.api import is_reserved
from lightning_lite.runs.catalog import read_runs
from lightning_lite.testing import poll_until
from lightning_lite.web.endpoint_table import ENDPOINTS
from lightning_lite.web.lightning_api import make_state_routes
from lightning_lite.web.server_context import MAX_TURNS

from tests.support.page_servers import Reply, Server
from tests.support.processes import DEADLINE, starting

pytestmark = pytest.mark.dependencies

APP = Path(__file__).with_name("api_app.py")


class RunningApi:
    """A running app with an API, and the server that hands requests to it."""

    def __init__(self, folder: Path, *arguments: str, start) -> None:
        self.folder = folder
        self._errors = folder / "errors.txt"
        environ = {**os.environ, "LIGHTNING_LITE_ROOT": str(folder / "root")}
        with open(self._errors, "w") as errors:
            self.process = start(APP, *arguments, cwd=folder, env=environ, stderr=errors)
        self.server = Server(self.process, poll_until(self._address, DEADLINE))

    @property
    def errors(self) -> str:
        """The text that the app has written to its standard error."""
        return self._errors.read_text()

    def _address(self) -> str:
        assert self.process.poll() is None, self.errors
        found = re.search(r"^The page of this run: (http://\S+)$", self.errors, re.MULTILINE)
        return found[1] if found else ""

    def send(self, method: str, path: str, data: object = ..., **options) -> Reply:
        """Send a request, with the token and with a JSON body if `data` is given."""
        body = None if data is ... else json.dumps(data).encode()
        headers = {"Content-Type": "application/json"} | options.pop("headers", {})
        return self.server.send(method, path, headers, body, **options)

    def end(self) -> str:
        """Let the app end; return its output."""
        (self.folder / "end").touch()
        out, _ = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0, self.errors
        return out


@contextmanager
def running_api(folder: Path, *arguments: str) -> Iterator[RunningApi]:
    with starting() as start:
        yield RunningApi(folder, *arguments, start=start)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApi]:
    """A running app that the tests of this module share."""
    with running_api(tmp_path_factory.mktemp("an app")) as running:
        yield running
        running.end()


def test_a_method_changes_the_state_while_a_pass_waits_and_the_flow_sees_it(api: RunningApi):
    reply = api.send("POST", "/guests", {"name": "Ada"})

    assert (reply.status, reply.data) == (201, ["Ada"])
    poll_until(lambda: api.send("GET", "/guests").data["seen"] == 1, DEADLINE)
    assert (api.send("DELETE", "/guests/Ada").status, api.send("GET", "/guests").data["names"]) == (200, [])


def test_a_wrong_body_is_refused_with_the_field(api: RunningApi):
    reply = api.send("POST", "/guests", {"name": 3, "age": "old"})

    assert reply.status == 422
    assert [each["loc"] for each in reply.data["detail"]] == [["body", "name"], ["body", "age"]]
    assert api.send("POST", "/guests", ...).status == 422


def test_a_wrong_query_is_refused_with_the_field(api: RunningApi):
    assert api.send("GET", "/double?number=21").data == 42
    reply = api.send("GET", "/double?number=x")
    assert (reply.status, reply.data["detail"][0]["loc"]) == (422, ["query", "number"])


def test_an_http_exception_is_the_answer(api: RunningApi):
    reply = api.send("POST", "/guests", {"name": "teapot"})

    assert (reply.status, reply.data) == (418, {"detail": "a teapot is no guest"})


@pytest.mark.parametrize(
    ("method", "path", "data", "error", "line"),
    [
        ("POST", "/guests", {"name": "worse"}, "ValueError: a method has failed", "in add"),
        ("GET", "/fail", ..., "LookupError: a function has failed", "in fail"),
    ],
)
def test_the_traceback_of_a_handler_is_in_the_log_only(api: RunningApi, method, path, data, error, line):
    before = len(api.errors)

    reply = api.send(method, path, data)

    assert reply.status == 500
    assert b"failed" in reply.body
    assert error.encode() not in reply.body
    assert b"Traceback" not in reply.body
    told = api.errors[before:]
    assert f"{method} {path} has failed:" in told
    assert error in told
    assert line in told
    assert "site-packages" not in told
    assert api.send("GET", "/double?number=1").status == 200
    poll_until(
        lambda: any(error in log.read_text() for log in api.folder.glob("root/runs/*/logs/root.log")),
        DEADLINE,
    )


def test_a_function_that_exits_ends_its_request_only(api: RunningApi):
    assert api.send("GET", "/fail?kind=exit").status == 500
    assert api.send("GET", "/double?number=1").status == 200


@pytest.mark.parametrize("path", ["/mirror", "/mirror/by-another"])
def test_a_method_may_be_or_return_a_coroutine_that_reads_the_request(api: RunningApi, path: str):
    reply = api.send("PUT", path, {"a": [1]}, headers={"X-Of-Mine": "yes"})

    assert reply.data == {"body": {"a": [1]}, "header": "yes", "method": "PUT"}


def test_a_coroutine_that_waits_would_hold_the_flow_and_is_refused(api: RunningApi):
    assert api.send("POST", "/sleep").status == 500
    assert "Root.sleep waits in `await`" in api.errors


def test_a_method_that_takes_too_long_is_answered_by_504(api: RunningApi):
    try:
        reply = api.send("POST", "/hang")
    finally:
        (api.folder / "hang_no_more").touch()

    assert reply.status == 504
    assert "within 0.2 s" in reply.data["detail"]


def test_a_flow_below_the_root_has_routes_once(api: RunningApi):
    assert [api.send("POST", "/below/count").data for _ in range(3)] == [1, 2, 3]


def test_unknown_routes_and_methods_are_refused(api: RunningApi):
    assert api.send("GET", "/nothing").status == 404
    assert api.send("PUT", "/guests", {}).status == 405
    assert api.send("PATCH", "/guests", {}).status == 405
    assert api.send("PUT", "/api/server", {}).status == 405
    assert api.send("GET", "/api/nothing").status == 404


def test_a_plain_method_reads_the_request_without_await(api: RunningApi):
    assert api.send("POST", "/echo", {"a": [1]}).data == ["POST", {"a": [1]}, 10]


def test_the_description_of_the_api_has_all_routes(api: RunningApi):
    description = api.send("GET", "/openapi.json").data

    assert sorted(description["paths"]) == [
        "/api/v1/guests",
        "/below/count",
        "/double",
        "/echo",
        "/end",
        "/fail",
        "/guests",
        "/guests/{name}",
        "/hang",
        "/mirror",
        "/mirror/by-another",
        "/sleep",
    ]
    assert description["paths"]["/guests"]["post"]["description"] == "Add a guest, and return all."
    assert "Guest" in description["components"]["schemas"]


def test_requests_at_the_same_time_lose_nothing(api: RunningApi):
    names = [f"guest {number}" for number in range(24)]
    with ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(lambda name: api.send("POST", "/guests", {"name": name}).status, names))

    assert set(statuses) == {201}
    assert sorted(api.send("GET", "/guests").data["names"]) == sorted(names)
    for name in names:
        api.send("DELETE", f"/guests/{name.replace(' ', '%20')}")


def test_more_requests_at_once_than_an_app_takes_wait_for_their_turn(api: RunningApi):
    numbers = range(4 * MAX_TURNS)
    with ThreadPoolExecutor(len(numbers)) as pool:
        replies = list(pool.map(lambda number: api.send("GET", f"/double?number={number}"), numbers))

    assert [reply.data for reply in replies] == [2 * number for number in numbers]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"token": False}, 401),
        ({"token": False, "headers": {"Authorization": "Bearer wrong"}}, 401),
        ({"host": "evil.example"}, 421),
        ({"headers": {"Origin": "http://evil.example"}}, 403),
        ({"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
    ],
    ids=["no token", "wrong token", "Host", "Origin", "Sec-Fetch-Site"],
)
def test_the_guard_stands_before_the_app(api: RunningApi, options, status):
    for method, path in [
        ("POST", "/guests"),
        ("GET", "/guests"),
        ("PUT", "/mirror"),
        ("DELETE", "/guests/x"),
    ]:
        assert api.send(method, path, {"name": "intruder"}, **options).status == status
    assert "intruder" not in api.send("GET", "/guests").data["names"]


def test_the_app_never_gets_the_token(api: RunningApi):
    reply = api.send("PUT", "/mirror", {}, headers={"X-Of-Mine": "x"})

    assert reply.status == 200
    assert api.server.token not in json.dumps(reply.data)


def test_an_answer_may_do_nothing_in_a_browser(api: RunningApi):
    """It has the origin of the page, whose token it could read."""
    policy = api.send("GET", "/guests").headers["content-security-policy"]

    assert policy == "sandbox; default-src 'none'; frame-ancestors 'none'"


def test_a_body_may_have_a_megabyte_and_no_more(api: RunningApi):
    assert len(api.send("PUT", "/mirror", "x" * 1_000_000).data["body"]) == 1_000_000
    assert api.send("PUT", "/mirror", "x" * 1_100_000).status == 413


def test_no_address_of_the_page_can_be_a_route():
    of_the_state = [route.path for route in make_state_routes(None)]  # type: ignore[arg-type] # not called
    paths = [*(endpoint.path for endpoint in ENDPOINTS), *of_the_state]
    assert "/api/v1/state" in paths
    assert [path for path in paths if not is_reserved(path)] == []


def test_a_route_may_be_beside_those_of_the_state(api: RunningApi):
    assert api.send("GET", "/api/v1/guests").data == api.send("GET", "/guests").data
    assert api.send("GET", "/api/v1/state").status == 400  # of the page: it needs a session


def test_a_killed_app_is_resumed_with_the_state_that_requests_have_changed(tmp_path: Path):
    """A request then ends it."""
    with running_api(tmp_path) as api:
        for name in ("Ada", "Grace"):
            assert api.send("POST", "/guests", {"name": name}).status == 201
        api.process.kill()
        assert api.process.wait(DEADLINE) == -signal.SIGKILL

    with running_api(tmp_path, "--resume") as api:
        assert api.send("GET", "/guests").data["names"] == ["Ada", "Grace"]
        reply = api.send("POST", "/end")
        assert (reply.status, reply.data) == (200, None)
        out, _ = api.process.communicate(timeout=DEADLINE)
        assert (api.process.returncode, out) == (0, "ended by a request\n")
    assert len(read_runs(str(tmp_path / "root"))) == 1
