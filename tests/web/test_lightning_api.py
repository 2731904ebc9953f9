"""State, components and status of an app over HTTP, and changes of its state, with a real app and server."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from lightning_lite.testing import poll_until
from lightning_lite.web.client_states import ClientStates
from lightning_lite.web.refusals import Refused
from lightning_lite.web.server_context import MAX_TURNS, ServerContext

from tests.support.page_servers import Reply, Server
from tests.support.processes import DEADLINE, starting

pytestmark = pytest.mark.dependencies

APP = Path(__file__).with_name("state_app.py")

SESSION = {"X-Lightning-Session-UUID": "a", "X-Lightning-Session-ID": "b"}


class RunningState:
    """A running app, and the server of its page."""

    def __init__(self, folder: Path, start) -> None:
        environ = {**os.environ, "LIGHTNING_LITE_ROOT": str(folder / "root"), "LIGHTNING_LITE_UI": "1"}
        self.folder, errors = folder, folder / "errors.txt"
        with open(errors, "w") as file:
            self.process = start(APP, cwd=folder, env=environ, stderr=file)
        poll_until(lambda: "#token=" in errors.read_text(), DEADLINE)
        self.server = Server(self.process, errors.read_text().split("The page of this run: ")[1].split()[0])

    def get(self, path: str) -> Reply:
        return self.server.send("GET", path, SESSION)

    @property
    def state(self):
        return self.get("/api/v1/state").data

    def change(self, *changes: tuple[str, str, object, object]) -> Reply:
        """Send changes: component, attribute, old and new value."""
        fields = ("component", "attribute", "old", "new")
        return self.post({"changes": [dict(zip(fields, change, strict=True)) for change in changes]})

    def post(self, data: object, path: str = "/api/v1/delta", session: str = "a", **options) -> Reply:
        headers = {"Content-Type": "application/json", **SESSION, "X-Lightning-Session-UUID": session}
        return self.server.send("POST", path, headers, json.dumps(data).encode(), **options)

    def send_back(self, state: object, session: str = "a") -> Reply:
        """Send a state back, as clients of Lightning App do."""
        return self.post({"state": state}, "/api/v1/state", session)

    def connect(self, path: str = "/api/v1/ws", **headers: str) -> ClientConnection:
        """Open a websocket, with these headers."""
        url = f"ws://{self.server.host}{path}"
        return connect(url, additional_headers=headers, open_timeout=DEADLINE, proxy=None)


def open_connections(server: Server) -> int:
    """Return how many connections this process has with the server of a page."""
    found = psutil.Process().net_connections("tcp")
    return sum(each.status == "ESTABLISHED" and each.raddr.port == server.port for each in found)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningState]:
    with starting() as start:
        running = RunningState(tmp_path_factory.mktemp("an app"), start)
        poll_until(lambda: running.get("/api/v1/status").data["work_statuses"]["root.wait"], DEADLINE)
        yield running
        (running.folder / "end").touch()
        out, _ = running.process.communicate(timeout=DEADLINE)
        assert running.process.returncode == 0, out


@contextmanager
def busy_flow(app: RunningState) -> Iterator[Path]:
    """Change the number, and let the pass after that be busy until the file that this gives is removed."""
    busy, is_busy = app.folder / "busy", app.folder / "is_busy"
    poll_until(lambda: (values := app.state["vars"])["seen"] == values["number"], DEADLINE)
    is_busy.unlink(missing_ok=True)
    busy.touch()
    try:
        number = app.state["vars"]["number"]
        assert app.change(("root", "number", number, number + 1)).status == 200
        poll_until(is_busy.exists, DEADLINE)
        yield busy
    finally:
        busy.unlink(missing_ok=True)  # else the app of all other tests would stay busy


def test_the_state_has_the_values_of_all_components(app: RunningState):
    state = app.state

    assert state["app_state"] == {"stage": "running"}
    assert state["vars"] | {"number": 0, "seen": 0} == {
        "number": 0,
        "seen": 0,
        "pair": [1, "two"],
        "ratio": "nan",
        "counted": {"a": 2},
        "drive": state["vars"]["drive"],
    }
    assert "lit://shared" in state["vars"]["drive"]
    assert state["flows"]["inner"]["vars"] == {"text": "x"}
    assert state["works"]["wait"]["vars"]["rate"] == 0.5
    assert sorted(state["structures"]["several"]["works"]) == ["0", "1"]


def test_the_components_have_their_classes(app: RunningState):
    spec = {each["name"]: each for each in app.get("/api/v1/spec").data}

    assert (spec["root"]["kind"], spec["root"]["class"]) == ("flow", "Root")
    assert (spec["root.several.1"]["kind"], spec["root.several.1"]["class"]) == ("work", "Other")


def test_the_layout_has_the_tabs_and_their_addresses(app: RunningState):
    manual, deep = "https://docs.example/manual", "https://docs.example/deep"

    assert app.get("/api/v1/layout").data == [
        {"name": "Manual", "content": manual, "target": manual},
        {
            "name": "Inner",
            "content": "root.inner",
            "target": "",
            "tabs": [{"name": "Deep", "content": deep, "target": deep}],
        },
    ]


def test_the_status_has_each_work(app: RunningState):
    status = app.get("/api/v1/status").data

    assert status["is_ui_ready"] is True
    assert sorted(status["work_statuses"]) == ["root.several.0", "root.several.1", "root.wait"]


def test_a_change_is_made_while_a_pass_waits_and_the_flow_sees_it(app: RunningState):
    number = app.state["vars"]["number"]

    assert app.change(("root", "number", number, number + 5)).status == 200

    assert app.state["vars"]["number"] == number + 5
    poll_until(lambda: app.state["vars"]["seen"] == number + 5, DEADLINE)


def test_a_change_from_a_value_that_is_not_there_any_more_is_refused(app: RunningState):
    number = app.state["vars"]["number"]

    reply = app.change(("root.inner", "text", "x", "y"), ("root", "number", number + 1, 0))

    assert reply.status == 409
    assert f"root.number is {number} by now, and the change starts from {number + 1}" in reply.error
    assert app.state["vars"]["number"] == number
    assert app.state["flows"]["inner"]["vars"] == {"text": "x"}


def test_of_many_that_start_from_one_value_one_wins(app: RunningState):
    number = app.state["vars"]["number"]
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda new: app.change(("root", "number", number, new)), range(100, 108)))

    statuses = [reply.status for reply in replies]
    assert sorted(statuses) == [200, *[409] * 7]
    assert app.state["vars"]["number"] == 100 + statuses.index(200)


def test_a_change_of_a_work_reaches_its_process(app: RunningState):
    assert app.change(("root.wait", "rate", 0.5, 0.25)).status == 200
    poll_until(lambda: app.state["works"]["wait"]["vars"]["seen"] == 0.25, DEADLINE)
    assert app.change(("root.wait", "rate", 0.25, 0.5)).status == 200


def test_a_tuple_stays_one(app: RunningState):
    assert app.change(("root", "pair", [1, "two"], [1, "three"])).status == 200
    assert app.change(("root", "pair", [1, "three"], [1, "two"])).status == 200
    assert app.state["vars"]["pair"] == [1, "two"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ([], "The body must be an object with the field changes"),
        ({"delta": {}}, "The body must be an object with the field changes"),
        ({"changes": []}, "changes must be a list of changes"),
        ({"changes": [1]}, "changes[0] must have component, attribute, old and new"),
        ({"changes": [{"component": "root"}]}, "changes[0] must have component, attribute, old and new"),
        (
            {"changes": [{"component": 1, "attribute": "a", "old": 1, "new": 1}]},
            "changes[0].component must be a text",
        ),
    ],
)
def test_another_form_is_refused(app: RunningState, data, sentence):
    reply = app.post(data)

    assert reply.status == 422
    assert sentence in reply.error


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("root.none", "a", 1, 2), "There is no flow or work 'root.none'."),
        (("other", "a", 1, 2), "There is no flow or work 'other'."),
        (("root.several", "a", 1, 2), "There is no flow or work 'root.several'."),
        (("root", "unknown", 1, 2), "root has no attribute 'unknown' in its state; it has counted, drive,"),
        (("root", "_private", 1, 2), "has no attribute '_private'"),
        (("root", "run", 1, 2), "has no attribute 'run'"),
        (("root", "drive", "x", "y"), "A Drive can't be changed from outside"),
        (("root", "number", True, 2), "starts from True"),
    ],
)
def test_only_declared_attributes_with_plain_data_can_be_changed(app: RunningState, change, sentence):
    reply = app.change(change)

    assert reply.status in (409, 422)
    assert sentence in reply.error


def test_a_body_that_is_not_json_is_refused(app: RunningState):
    headers = {"Content-Type": "application/json", **SESSION}

    assert app.server.send("POST", "/api/v1/delta", headers, b"{").status == 400


def test_a_state_that_is_sent_back_changes_what_differs_and_nothing_else(app: RunningState):
    state = app.state
    number = state["vars"]["number"]
    assert app.change(("root", "number", number, number + 10)).status == 200  # the flow has gone on

    state["flows"]["inner"]["vars"]["text"] = "sent"
    assert app.send_back(state).status == 200

    assert app.state["flows"]["inner"]["vars"] == {"text": "sent"}
    assert app.state["vars"]["number"] == number + 10
    assert app.send_back({"flows": {"inner": {"vars": {"text": "x"}}}}).status == 200
    assert app.state["flows"]["inner"]["vars"] == {"text": "x"}


def test_a_client_may_send_several_states_back_for_one_that_it_was_given(app: RunningState):
    state = app.state
    for text in ("one", "two", "x"):
        state["flows"]["inner"]["vars"]["text"] = text
        assert app.send_back(state).status == 200


def test_states_that_a_client_sends_back_at_the_same_time_all_count(app: RunningState):
    with busy_flow(app) as busy:
        state = app.state
        parts = [
            {"flows": {"inner": {"vars": {"text": "first"}}}},
            {"vars": {"pair": [1, "second"]}},
        ]
        with ThreadPoolExecutor(2) as pool:
            # Both are compared with the same state if both are sent before the end of the pass.
            replies = [pool.submit(app.send_back, part) for part in parts]
            poll_until(lambda: all(reply.running() for reply in replies), DEADLINE)
            busy.unlink()
            assert [reply.result().status for reply in replies] == [200, 200]

    # Both are known as given: a client that sends all back, as it has it, changes nothing.
    for part in parts:
        assert app.send_back(part).status == 200
    state["vars"] = {"pair": [1, "two"]}
    assert app.send_back(state).status == 200
    assert (app.state["flows"]["inner"]["vars"]["text"], app.state["vars"]["pair"]) == ("x", [1, "two"])


def test_what_a_client_has_read_in_between_is_kept():
    served = ClientStates()
    for state in ({"vars": {"a": 1, "b": 1}}, {"vars": {"a": 5, "b": 1}, "flows": {}}):
        served.keep("client", state)

    served.apply("client", [{"component": "root", "attribute": "a", "old": 1, "new": 2}])
    served.apply("client", [{"component": "root", "attribute": "b", "old": 1, "new": 2}])
    served.apply("client", [{"component": "root.removed", "attribute": "c", "old": 1, "new": 2}])
    served.apply("forgotten", [])

    assert served.given_to("client") == {"vars": {"a": 5, "b": 2}, "flows": {}}
    assert served.given_to("forgotten") is None


def test_a_state_that_is_sent_back_too_late_is_refused(app: RunningState):
    state = app.state
    number = state["vars"]["number"]
    assert app.change(("root", "number", number, number + 1)).status == 200
    state["vars"]["number"] = number - 1
    state["flows"]["inner"]["vars"]["text"] = "late"

    reply = app.send_back(state)

    assert reply.status == 409
    assert f"root.number is {number + 1} by now" in reply.error
    assert app.state["vars"]["number"] == number + 1
    assert app.state["flows"]["inner"]["vars"] == {"text": "x"}


def test_each_session_is_compared_with_what_it_was_given(app: RunningState):
    state = app.state

    reply = app.send_back(state, session="another")

    assert reply.status == 409
    assert "No state to compare with was sent" in reply.error


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ([], "root must be an object with app_state, flows, structures, vars, works. Found []"),
        ({"calls": {}}, "root must be an object with"),
        ({"vars": {"unknown": 1}}, "vars of root must be an object with names that the state has: counted,"),
        ({"vars": {"_private": 1}}, "vars of root must be an object with names that the state has"),
        ({"flows": {"inner": {"vars": 1}}}, "vars of root.inner must be an object with names"),
        ({"flows": {"other": {}}}, "flows of root must be an object with names that the state has: inner."),
        ({"app_state": {"stage": "stopping"}}, "app_state can't be changed; end the app with"),
        ({"vars": {"drive": "lit://other"}}, "A Drive can't be changed from outside"),
    ],
)
def test_a_state_with_other_parts_is_refused(app: RunningState, state, sentence):
    assert app.state

    reply = app.send_back(state)

    assert reply.status == 422
    assert sentence in reply.error


def test_a_state_may_be_long(app: RunningState):
    state = app.state
    state["flows"]["inner"]["vars"]["text"] = "x" * 100_000
    assert app.send_back(state).status == 200
    assert app.send_back({"flows": {"inner": {"vars": {"text": "x"}}}}).status == 200
    assert app.post({"stage": "stopping"}, "/api/v1/state").status == 422

    refused = app.send_back({"flows": {"inner": {"vars": {"text": "x" * 2 * 1024 * 1024}}}})
    assert refused.status == 413
    assert "takes commands of at most 2097152 bytes" in refused.error
    assert app.state["flows"]["inner"]["vars"] == {"text": "x"}


def test_each_client_of_the_websocket_hears_of_each_change(app: RunningState):
    token = f"Bearer {app.server.token}"
    with app.connect(Authorization=token) as first, app.connect(Authorization=token) as second:
        number = app.state["vars"]["number"]
        last = {}
        for new in (number + 1, number + 2):
            assert app.change(("root", "number", new - 1, new)).status == 200
            for name, client in (("first", first), ("second", second)):
                count = int(client.recv(DEADLINE))
                assert count > last.get(name, 0)
                last[name] = count


def test_a_client_that_talks_too_much_is_cut(app: RunningState):
    with app.connect(Authorization=f"Bearer {app.server.token}") as client:
        client.send("what it says has no meaning")
        client.send("x" * 10_000)
        with pytest.raises(ConnectionClosed):
            read_all(client)


def read_all(client: ClientConnection) -> None:
    """Read until the connection is closed: the flow may still react to a change of the test before."""
    while True:
        client.recv(DEADLINE)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "", "Origin": "http://evil.example"}, 403),
        ({"Authorization": "", "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_the_guard_stands_before_the_websocket(app: RunningState, headers, status):
    if headers.get("Authorization") == "":
        headers = {**headers, "Authorization": f"Bearer {app.server.token}"}

    with pytest.raises(InvalidStatus) as refused:
        app.connect(**headers)

    assert refused.value.response.status_code == status
    assert b"error" in refused.value.response.body


def test_another_name_of_the_server_is_refused_for_the_websocket(app: RunningState):
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://rebound.test:{app.server.port}/api/v1/ws",
            sock=socket.create_connection(("127.0.0.1", app.server.port)),
            additional_headers={"Authorization": f"Bearer {app.server.token}"},
            open_timeout=DEADLINE,
            proxy=None,
        )
    assert refused.value.response.status_code == 421


def test_the_address_of_the_websocket_is_for_nothing_else(app: RunningState):
    assert app.get("/api/v1/ws").status == 426


@pytest.mark.parametrize("path", ["/", "/api/v1/state", "/api/v1/nothing", "/of/the/app"])
def test_at_no_other_address_is_a_websocket(app: RunningState, path: str):
    with pytest.raises(InvalidStatus) as refused:
        app.connect(path, Authorization=f"Bearer {app.server.token}")

    assert refused.value.response.status_code == 404
    assert json.loads(refused.value.response.body) == {"error": f"There is no websocket at {path}."}


@pytest.mark.parametrize("path", ["/api/v1/state", "/api/v1/spec", "/api/v1/status", "/api/v1/layout"])
def test_the_headers_of_a_session_are_needed(app: RunningState, path: str):
    reply = app.server.send("GET", path, {"X-Lightning-Session-UUID": "a"})

    assert reply.status == 400
    assert "X-Lightning-Session-ID is missing" in reply.error
    assert app.server.send("POST", "/api/v1/delta", {"Content-Type": "application/json"}, b"{}").status == 400


def test_the_token_and_the_origin_are_checked_first(app: RunningState):
    for path in ("/api/v1/state", "/api/v1/spec", "/api/v1/status", "/api/v1/layout", "/healthz"):
        assert app.server.send("GET", path, SESSION, token=False).status == 401
        assert app.server.send("GET", path, {**SESSION, "Origin": "http://evil.example"}).status == 403
    assert app.post({"changes": []}, token=False).status == 401


def test_the_health_is_that_of_the_app(app: RunningState):
    reply = app.server.get("/healthz")

    assert (reply.status, reply.data) == (200, {"status": "ok"})
    for method in ("GET", "POST", "PUT", "DELETE"):  # this app has no routes
        assert app.server.send(method, "/api/v1/nothing").status == 404
    assert app.server.send("PATCH", "/api/v1/nothing").status == 405


def test_the_state_is_read_while_a_pass_takes_long(app: RunningState):
    number = app.state["vars"]["number"]
    with busy_flow(app):
        assert app.state["vars"]["number"] == number + 1

    poll_until(lambda: app.state["vars"]["seen"] == number + 1, DEADLINE)


def test_more_changes_at_once_than_an_app_takes_wait_for_their_turn(app: RunningState):
    text = app.state["flows"]["inner"]["vars"]["text"]
    same = {"changes": [{"component": "root.inner", "attribute": "text", "old": text, "new": text}]}
    many = 3 * MAX_TURNS
    # The flow answers none of them until all have arrived.
    with busy_flow(app) as busy, ThreadPoolExecutor(many) as pool:
        replies = [pool.submit(app.post, same) for _ in range(many)]
        poll_until(lambda: open_connections(app.server) >= many, DEADLINE)
        for _ in range(5):  # each is answered after the server has read the requests before it
            assert app.get("/api/v1/status").status == 200
        busy.unlink()

    assert {reply.result().status for reply in replies} == {200}


def test_the_wait_for_a_turn_is_answered_by_504(own_place: Path):
    async def wait_for_one_more() -> Refused:
        server_context = ServerContext(str(own_place))
        async with AsyncExitStack() as turns:
            for _ in range(MAX_TURNS):
                await turns.enter_async_context(server_context.turn(DEADLINE))
            with pytest.raises(Refused) as refused:
                await turns.enter_async_context(server_context.turn(0.01))
        async with server_context.turn(0.01):  # they were given back
            return refused.value

    assert asyncio.run(wait_for_one_more()).status == 504
