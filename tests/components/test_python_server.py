"""`PythonServer`: requests, wrong ones, parallel ones, and how it ends."""

from __future__ import annotations

import base64
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from lightning_lite import LightningApp
from lightning_lite.components import Category, Image, Number, PythonServer, Text
from lightning_lite.components.multi_node import find_main_port
from lightning_lite.components.server_port import PortInUse, bind, bind_next, listen
from lightning_lite.errors import ComponentError
from lightning_lite.testing import poll_until

from tests.components.served_works import (
    Add,
    Blocks,
    Fails,
    Late,
    Mortal,
    Point,
    Shout,
    Slow,
    StopsWork,
    TwoAtOnePort,
)
from tests.components.serving import DEADLINE, get, post, serving, working_in
from tests.support.processes import finish, starting, wait_until_gone

pytestmark = pytest.mark.dependencies


def test_a_request_is_answered_with_the_value_of_predict_and_hundred_parallel_ones_are_counted():
    with serving(Shout()) as work:
        url = f"{work.url}/predict"
        answer = post(url, json={"payload": "hello"})
        poll_until(lambda: work.count == 1, timeout=DEADLINE)

        assert (answer.status_code, answer.json()) == (200, {"prediction": "HELLO!"})
        assert work.ready
        assert work.url == f"http://127.0.0.1:{work.port}"

        with httpx.Client(timeout=DEADLINE) as client, ThreadPoolExecutor(20) as threads:
            answers = list(
                threads.map(lambda i: client.post(url, json={"payload": f"n{i}"}).json(), range(100))
            )
        poll_until(lambda: work.count == 101, timeout=DEADLINE)

    assert answers == [{"prediction": f"N{i}!"} for i in range(100)]


def test_a_body_that_is_not_declared_as_json_is_refused(shared_add):
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        headers = {"Content-Type": kind} if kind else {}
        refused = post(shared_add, content=b'{"x": 1, "y": 2}', headers=headers)
        assert (refused.status_code, "must be JSON" in refused.text) == (415, True), kind


def test_models_of_pydantic_describe_requests_and_answers(shared_add):
    server = shared_add.removesuffix("/predict")
    answer = post(shared_add, json={"x": 1, "y": 2.5})
    description = get(f"{server}/openapi.json").json()

    assert answer.json() == {"total": 3.5}
    assert {"Point", "Sum"} <= description["components"]["schemas"].keys()
    assert description["info"]["title"] == "Add"
    assert get(f"{server}/docs").status_code == 200


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ('{"x": 1}', ["body", "y"]),
        ('{"x": -1, "y": 1}', ["body", "x"]),
        ('{"x": "one", "y": 1}', ["body", "x"]),
        ("[1, 2]", ["body"]),
        ("", ["body"]),
    ],
)
def test_a_wrong_body_is_answered_with_422_and_the_field(shared_add, content, field):
    answer = post(shared_add, content=content, headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == field


def test_what_is_no_json_and_what_is_not_there_is_refused(shared_add):
    header = {"Content-Type": "application/json"}

    assert post(shared_add, content=b"{\xff", headers=header).status_code in (400, 422)
    assert post(shared_add, content="{", headers=header).status_code == 422
    assert get(shared_add).status_code == 405
    assert get(f"{shared_add}/nothing").status_code == 404


def test_a_name_of_another_site_that_leads_here_is_refused(shared_add):
    answer = post(shared_add, json={"payload": 1}, headers={"Host": "evil.example:80"})

    assert answer.status_code == 400


@pytest.fixture(scope="module")
def shared_add(tmp_path_factory):
    """The address of a server that the tests of requests share."""
    with working_in(tmp_path_factory.mktemp("add")), serving(Add()) as work:
        yield f"{work.url}/predict"


def test_an_exception_and_a_wrong_answer_are_500_with_the_traceback_in_the_log_only(capfd):
    with serving(Fails()) as work:
        answers = [
            post(f"{work.url}/predict", json={"payload": kind}) for kind in ("raise", "number", "none")
        ]

    assert [answer.status_code for answer in answers] == [500, 500, 500]
    assert "broken" not in answers[0].text
    log = "".join(capfd.readouterr())
    assert "RuntimeError: the model is broken" in log
    assert "ResponseValidationError" in log


# How it ends.


def test_a_stop_ends_a_prediction_that_would_take_for_ever_and_answers_503():
    app = LightningApp(StopsWork(Slow()))
    with app.start() as running, ThreadPoolExecutor(3) as threads:
        url = poll_until(lambda: app.root.work.url, timeout=DEADLINE)
        asked = [threads.submit(post, f"{url}/predict", json={"payload": "x"}) for _ in range(3)]
        running.wait(DEADLINE)

    # A request that came after the stop may find no server, or one that closes its connection.
    codes = [each.result().status_code for each in asked if each.exception() is None]
    assert set(codes) == {503}
    lost = {httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError}
    assert {type(each.exception()) for each in asked} <= {type(None), *lost}
    assert app.root.work.status.stage == "stopped"
    assert app.root.work.url == ""


def test_an_event_loop_that_hangs_does_not_keep_the_work_from_ending():
    app = LightningApp(StopsWork(Blocks()))
    with app.start() as running, ThreadPoolExecutor(1) as threads:
        url = poll_until(lambda: app.root.work.url, timeout=DEADLINE)
        asked = threads.submit(post, f"{url}/predict", json={"payload": "x"})
        running.wait(DEADLINE)

    assert asked.exception() is not None
    assert app.root.work.status.stage == "stopped"


def test_a_killed_server_with_a_retry_serves_again_at_the_same_port():
    with serving(Mortal(retries=1, retry_delay=0.01)) as work:
        url = work.url
        first = post(f"{url}/predict", json={"payload": "pid"}).json()
        with pytest.raises(httpx.HTTPError):
            post(f"{url}/predict", json={"payload": "die"})
        poll_until(lambda: work.num_failures == 1 and work.url, timeout=DEADLINE)
        second = post(f"{url}/predict", json={"payload": "pid"}).json()

        assert work.url == url
        assert first != second


APP = """
import os
from lightning_lite import LightningApp
from lightning_lite.components import PythonServer

class Server(PythonServer):
    def setup(self):
        print("pid", os.getpid(), flush=True)

    def predict(self, request):
        return {"prediction": "x"}

    def on_exit(self):
        print("on_exit", flush=True)

LightningApp(Server()).run()
"""


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_the_server_ends_with_its_app_however_that_ends(signum, code, own_place):
    (own_place / "app.py").write_text(APP)
    with starting() as start:
        process = start("app.py")
        pid = int(process.stdout.readline().split()[-1])
        process.send_signal(signum)
        returned, out, err = finish(process)
        wait_until_gone(pid)

    assert returned in (code, -signum)
    if signum != signal.SIGKILL:
        assert "on_exit" in out
    assert "Traceback" not in err.replace("Traceback (most recent call last)", "", signum == signal.SIGINT)


# Ports.


def test_a_fixed_port_that_is_in_use_is_an_error_that_names_it_and_its_holder():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        app = LightningApp(Shout(port=port))

        with pytest.raises(
            OSError, match=rf"root\.work can't serve at port {port}: .+ \(process {os.getpid()}\) uses it"
        ) as caught:
            app.run()

    assert "pass another port=" in str(caught.value)


def test_two_works_with_one_fixed_port_are_an_error_also_before_the_first_one_listens():
    port = find_main_port("127.0.0.1")  # no program gets it by chance before the work binds it

    with pytest.raises(OSError, match=rf"root\.second can't serve at port {port}: another program uses it"):
        LightningApp(TwoAtOnePort(port)).run()


def test_the_next_free_port_is_the_one_after_those_in_use():
    with bind("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with bind_next("127.0.0.1", port) as second, bind_next("127.0.0.1", port) as third:
            assert port < second.getsockname()[1] < third.getsockname()[1] <= port + 20


def test_a_port_whose_server_has_closed_a_connection_can_be_bound_again_but_not_twice():
    with bind("127.0.0.1", 0) as server:
        listen(server)
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""  # the system keeps the port of the side that has closed first

    with bind("127.0.0.1", port) as again:
        listen(again)
        with pytest.raises(PortInUse, match=rf"port {port} is in use by .+ \(process {os.getpid()}\)"):
            bind("127.0.0.1", port)


def test_no_other_program_can_bind_the_port_before_the_server_listens_nor_after_that():
    with bind("127.0.0.1", 0) as server:
        for prepare in (server.getsockname, lambda: listen(server)):
            prepare()
            with socket.socket() as other:
                other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with pytest.raises(OSError, match="in use"):
                    other.bind(server.getsockname())


def test_a_free_port_that_another_program_has_taken_is_replaced_and_said_once(capfd):
    with serving(Late()) as work:
        assert post(f"{work.url}/predict", json={"payload": "a"}).json() == {"prediction": "A!"}

    assert "".join(capfd.readouterr()).count("is in use, ") == 1


def test_an_address_of_another_machine_is_an_error_that_names_it():
    with pytest.raises(OSError, match=r"root\.work can't serve at 192\.0\.2\.1: "):
        LightningApp(Shout(host="192.0.2.1")).run()


# Without an app.


ALONE = """
import sys
from lightning_lite.components import PythonServer

class Server(PythonServer):
    def setup(self, mark):
        self._mark = mark

    def predict(self, request):
        return {"prediction": request.payload + self._mark}

server = Server(port=int(sys.argv[1]))
server.run("?")
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_in_a_plain_process_too(signum, own_place):
    port = find_main_port("127.0.0.1")  # no program gets it by chance before the server binds it
    (own_place / "alone.py").write_text(ALONE)

    def ask():
        try:
            return post(f"http://127.0.0.1:{port}/predict", json={"payload": "a"}).json()
        except httpx.ConnectError:
            return None

    with starting() as start:
        process = start("alone.py", port)
        answer = poll_until(ask, timeout=DEADLINE)
        process.send_signal(signum)
        code, _, err = finish(process)

    assert answer == {"prediction": "a?"}
    assert code in (-signum, 1, 130)
    assert "KeyboardInterrupt" in err or signum == signal.SIGTERM


# Types and samples.


@pytest.mark.parametrize("argument", ["input_type", "output_type"])
@pytest.mark.parametrize("found", [dict, "Image", None, Point(x=1, y=1)])
def test_a_type_that_is_no_model_is_refused(argument, found):
    with pytest.raises(TypeError, match=f"^{argument} must be a pydantic BaseModel class"):
        PythonServer.__init__(Shout.__new__(Shout), **{argument: found})


def test_a_server_without_predict_is_refused():
    class Empty(PythonServer):
        pass

    with pytest.raises(ComponentError, match=r"Empty` is missing the `predict\(\)` method"):
        Empty()


def test_a_server_is_parallel_whatever_it_is_given():
    assert Shout(parallel=False).parallel


@pytest.mark.parametrize("model", [Image, Category, Text, Number])
def test_the_sample_of_a_type_is_valid(model):
    assert model(**model.get_sample_data()).model_dump() == model.get_sample_data()


def test_the_code_sample_is_a_program_that_works(own_place, monkeypatch):
    class Echo(PythonServer):
        def __init__(self):
            super().__init__(input_type=Image, output_type=Image)

        def predict(self, request):
            return {"image": request.image}

    picture = base64.b64decode(Image.get_sample_data()["image"])
    (own_place / "image.png").write_bytes(picture)
    with serving(Echo()) as work:
        exec(Echo().get_code_sample(f"{work.url}/predict"), {})

    assert (own_place / "response.png").read_bytes() == picture
    assert Shout().get_code_sample("http://x") is None
