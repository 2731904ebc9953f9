"""`AutoScaler` and `LoadBalancer`: batches, errors, scaling, deaths of servers under load."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from lightning_lite import CloudCompute, LightningApp, LightningWork
from lightning_lite.app import session
from lightning_lite.components import AutoScaler, ColdStartProxy, LoadBalancer
from lightning_lite.errors import AppFailed, ComponentError
from lightning_lite.main_messages import StartWork
from lightning_lite.messages import StopWork
from lightning_lite.testing import poll_until

from tests.components.scaled_works import (
    BrokenAtStart,
    LateProxy,
    Number,
    Scaled,
    Shout,
    Square,
    Steered,
)
from tests.components.serving import DEADLINE, post, serving
from tests.support.processes import wait_until_gone
from tests.support.simulation import MachineDriver, only

pytestmark = pytest.mark.dependencies

#: Arguments of an `AutoScaler` whose servers get batches of numbers.
OPTIONS: dict[str, Any] = {
    "input_type": Number,
    "output_type": dict[str, float],
    "max_batch_size": 4,
    "timeout_batching": 0.05,
}


@pytest.fixture(autouse=True)
def forked_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the servers of an app from a process that has imported theirs, and fastapi with it.

    That import takes most of the time of a server. `test_python_server.py` has servers that are spawned.
    """
    listed = session._modules_for_works
    monkeypatch.setattr(session, "_modules_for_works", lambda method: [*listed(method), Square.__module__])
    monkeypatch.setenv("LIGHTNING_LITE_START_METHOD", "forkserver")


@contextmanager
def scaled(work_cls: type[LightningWork], **options: Any) -> Iterator[tuple[Any, str]]:
    """Run an app with an `AutoScaler`; yield it and the address of requests, once all servers are ready."""
    app = LightningApp(Scaled(work_cls, **options))
    scaler = app.root.scaler
    with app.start(ui=False) as running:
        poll_until(
            lambda: (
                running.done
                or (scaler.load_balancer.url and len(scaler.load_balancer.in_use) >= scaler.min_replicas)
            ),
            timeout=DEADLINE,
        )
        yield scaler, scaler.load_balancer.url + scaler.load_balancer.endpoint


class Clients:
    """Clients that ask at the same time.

    Args:
        url: The address of requests.
        number: How many there are.
    """

    def __init__(self, url: str, number: int = 16) -> None:
        self._url = url
        self._client = httpx.Client(timeout=DEADLINE, verify=False)
        self._threads = ThreadPoolExecutor(number)

    def __enter__(self) -> Clients:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()
        self._client.close()

    def ask(self, number: float) -> tuple[int, Any]:
        """Return status and body of the answer for a number."""
        answer = self._client.post(self._url, json={"number": number})
        return answer.status_code, answer.json()

    def submit(self, number: float) -> Future[tuple[int, Any]]:
        """Do the same in a thread."""
        return self._threads.submit(self.ask, number)

    def ask_all(self, numbers: list[float]) -> list[tuple[int, Any]]:
        """Ask for all numbers at the same time."""
        return [each.result() for each in [self.submit(number) for number in numbers]]


def square(number: float) -> tuple[int, Any]:
    return 200, {"square": number**2}


def sizes_of(scaler: Any, total: int) -> list[int] | None:
    """Return the sizes of all batches, once they have arrived in the flow."""
    sizes = [size for work in scaler.workers for size in work.sizes]
    return sizes if sum(sizes) == total else None


# Answers to clients.


def test_each_client_gets_its_own_answer_or_its_own_error_from_a_batch(monkeypatch):
    monkeypatch.setenv("AUTO_SCALER_AUTH_PASSWORD", "open sesame")
    with scaled(Square, min_replicas=2, max_replicas=2, **OPTIONS) as (scaler, url), Clients(url) as clients:
        numbers = [float(number) for number in range(40)]
        assert clients.ask_all(numbers) == [square(number) for number in numbers]
        sizes = poll_until(lambda: sizes_of(scaler, 40), timeout=DEADLINE)
        assert max(sizes) > 1
        assert max(sizes) <= 4
        assert all(work.sizes for work in scaler.workers)
        # `forked_servers` still does what it says: the process that forks both has imported their module.
        assert len({work.imported_by for work in scaler.workers}) == 1

        answers = clients.ask_all([1, 2, -1, 3, -2, 4, -4, 5])
        assert [answers[place] for place in (0, 1, 3, 5, 7)] == [square(n) for n in (1, 2, 3, 4, 5)]
        assert answers[2] == (418, {"detail": "minus one has no square here"})
        assert answers[4] == (500, {"detail": "Internal Server Error"})
        assert answers[6][0] == 502
        assert "one item for each input, 1 in all; it has 0" in answers[6][1]["detail"]

        wrong = post(url, json={"text": "a"})
        assert (wrong.status_code, wrong.json()["detail"][0]["loc"]) == (422, ["body", "number"])
        assert post(url, json={"number": 1}, headers={"Host": "evil.example"}).status_code == 400
        check_what_it_says(scaler, num_requests=48)


def check_what_it_says(scaler: Any, num_requests: int) -> None:
    """Check the pages of a load balancer with a password, after so many requests to two servers."""
    address = scaler.load_balancer.url
    info = f"{address}/system/info"
    with httpx.Client(timeout=DEADLINE, verify=False) as client:
        assert client.get(f"{address}/num-requests").json() == 0
        assert client.get(info).status_code == 401
        assert client.get(info, auth=("lightning", "wrong")).status_code == 401
        known = client.get(info, auth=("lightning", "open sesame")).json()
        assert known["servers"] == [work.url for work in scaler.workers]
        found = known["num_workers"], known["num_requests"], known["global_request_count"]
        assert found == (2, 0, num_requests)
        assert client.get(address).headers["location"] == "/docs"
        assert scaler.configure_layout()[0]["content"] == f"{address}/docs"


def test_a_server_without_batches_gets_each_request_as_it_is():
    # No second server: on a busy machine, the first one may be ready only after `scale_out_interval`.
    with scaled(Shout, endpoint="shout", max_replicas=1) as (scaler, url):
        assert url.endswith("/shout")
        with httpx.Client(timeout=DEADLINE) as client, ThreadPoolExecutor(8) as threads:
            answers = threads.map(lambda n: client.post(url, json={"payload": f"n{n}"}).json(), range(50))
            assert list(answers) == [{"prediction": f"N{number}"} for number in range(50)]
            refused = client.post(url, json={"other": 1})
        assert (refused.status_code, refused.json()["detail"][0]["loc"]) == (422, ["body", "payload"])
        poll_until(lambda: scaler.workers[0].num_answers == 50, timeout=DEADLINE)


def test_a_request_that_takes_too_long_is_a_504_and_the_next_one_is_answered():
    options = OPTIONS | {"min_replicas": 2, "max_replicas": 2, "timeout_inference_request": 5.0}
    with scaled(Square, **options) as (_, url), Clients(url) as clients:
        assert clients.ask(-5) == (504, {"detail": "there was no answer in 5 s"})
        assert clients.ask(3) == square(3)


def test_without_a_ready_server_a_request_is_a_503_or_answered_by_the_proxy():
    with scaled(Square, min_replicas=0, scale_out_interval=3600, **OPTIONS) as (_, url):
        refused = post(url, json={"number": 1})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"detail": "no server is ready yet, try again later"}
    options = {**OPTIONS, "min_replicas": 0, "scale_out_interval": 3600, "cold_start_proxy": LateProxy("")}
    with scaled(Square, **options) as (scaler, url), Clients(url) as clients:
        assert scaler.ready
        assert clients.ask(1) == (200, {"square": -1})
        assert clients.ask(0) == (502, {"detail": "Error in proxy: ZeroDivisionError"})


def test_the_default_proxy_sends_the_request_to_another_service():
    with serving(Shout()) as other:
        options = {"min_replicas": 0, "scale_out_interval": 3600, "cold_start_proxy": f"{other.url}/predict"}
        with scaled(Shout, **options) as (_, url):
            assert post(url, json={"payload": "a"}).json() == {"prediction": "A"}
            refused = post(url, json={"other": "a"})
    assert refused.status_code == 502
    assert refused.json()["detail"].startswith("Error in proxy: Client error '422")


# Scaling, and its costs.


def test_servers_are_added_under_load_and_leave_after_their_last_answer(tmp_path):
    gate = tmp_path / "gate"
    options = {**OPTIONS, "max_batch_size": 2, "scale_out_interval": 0, "scale_in_interval": 0.2}
    with scaled(Square, max_replicas=3, gate=str(gate), **options) as (scaler, url), Clients(url) as clients:
        asked = [clients.submit(number) for number in range(12)]
        poll_until(lambda: [bool(work.sizes) for work in scaler.workers] == [True] * 3, timeout=DEADLINE)
        gate.touch()
        assert [each.result() for each in asked] == [square(number) for number in range(12)]
        poll_until(lambda: len(scaler.servers) == 1, timeout=DEADLINE)
        assert clients.ask(4) == square(4)
        assert scaler.num_replicas == 1


def test_requests_under_way_are_answered_by_servers_that_leave(tmp_path):
    options = {**OPTIONS, "scale_in_interval": 0, "max_batch_size": 1, "gate": str(tmp_path / "gate")}
    root = Scaled(Square, Steered, min_replicas=0, max_replicas=2, scale_out_interval=0, **options)
    app, scaler = LightningApp(root), root.scaler
    scaler.wanted = 2
    with app.start(ui=False) as running:
        # The load balancer itself says `in_use`; it may not have `servers` of the flow yet.
        url = poll_until(
            lambda: len(scaler.load_balancer.in_use) == 2 and scaler.load_balancer.url, timeout=DEADLINE
        )
        with Clients(f"{url}/api/predict") as clients:
            asked = [clients.submit(number) for number in (5, 6)]
            poll_until(lambda: all(work.pid for work in scaler.workers), timeout=DEADLINE)
            app.set_state({"vars": {}, "flows": {"scaler": {"vars": {"wanted": 0}}}})
            poll_until(lambda: not scaler.load_balancer.servers, timeout=DEADLINE)
            refused = poll_until(lambda: clients.ask(7), timeout=DEADLINE)
            assert (refused[0], len(scaler.servers), len(scaler.workers)) == (503, 2, 0)
            (tmp_path / "gate").touch()
            assert [each.result() for each in asked] == [square(5), square(6)]
        poll_until(lambda: not scaler.servers, timeout=DEADLINE)
        assert not running.done


def test_a_stop_of_the_app_answers_the_requests_under_way_with_503():
    options = OPTIONS | {"max_batch_size": 1, "pause": DEADLINE}
    app = LightningApp(Scaled(Square, **options))
    balancer = app.root.scaler.load_balancer
    with app.start(ui=False) as running:
        url = poll_until(lambda: balancer.in_use and balancer.url, timeout=DEADLINE)
        with Clients(url + balancer.endpoint) as clients:
            asked = [clients.submit(number) for number in range(6)]
            poll_until(lambda: balancer.num_requests == 6, timeout=DEADLINE)
            running.stop()
            assert {each.result()[0] for each in asked} == {503}


# Deaths.


def test_servers_that_die_under_load_are_replaced_and_only_a_request_that_kills_them_fails():
    options = OPTIONS | {"min_replicas": 3, "max_replicas": 3}
    with scaled(Square, pause=0.02, **options) as (scaler, url), Clients(url) as clients:
        asked = [clients.submit(number) for number in range(200)]
        victim = poll_until(lambda: scaler.workers[0].pid, timeout=DEADLINE)
        name = scaler.workers[0].name
        os.kill(victim, signal.SIGKILL)
        assert [each.result() for each in asked] == [square(number) for number in range(200)]
        poll_until(lambda: name not in [work.name for work in scaler.workers], timeout=DEADLINE)
        wait_until_gone(victim)
        poll_until(lambda: are_all_ready(scaler, 3), timeout=DEADLINE)

        answers = clients.ask_all([1, 2, -3, 3])
        assert [answers[place] for place in (0, 1, 3)] == [square(1), square(2), square(3)]
        assert answers[2][0] == 502
        assert "two servers were lost while they had this request" in answers[2][1]["detail"]
        poll_until(lambda: are_all_ready(scaler, 3), timeout=DEADLINE)
        assert clients.ask_all([1, 2, 3]) == [square(1), square(2), square(3)]


def are_all_ready(scaler: Any, number: int) -> bool:
    """Return whether so many servers get requests."""
    urls = [work.url for work in scaler.workers]
    return len(urls) == number and all(urls) and sorted(urls) == scaler.load_balancer.in_use


def test_servers_that_can_not_start_end_the_app_with_their_error():
    with pytest.raises(
        AppFailed, match=r"root\.scaler\.servers\.0 has failed before it was ready: .*no weights"
    ):
        LightningApp(Scaled(BrokenAtStart)).run(ui=False)


# The rules, without processes.


def served(driver: MachineDriver, *names: str) -> None:
    """Let servers of the simulated app be ready."""
    driver.up(*(f"root.scaler.{name}" for name in names))
    for place, name in enumerate(names):
        driver.change(f"root.scaler.{name}", _url=f"http://127.0.0.1:{1000 + place}")


def test_an_idle_app_runs_no_pass_and_waits_for_no_time():
    driver = MachineDriver(Scaled(Shout))
    served(driver, "load_balancer", "servers.0")
    passes = driver.machine.num_passes

    for _ in range(100):
        driver.advance(60.0)

    assert driver.machine.num_passes == passes
    assert driver.machine.wake_at is None
    assert driver.root.scaler.load_balancer.servers == ["http://127.0.0.1:1001"]


def test_the_number_of_servers_changes_when_an_interval_has_passed_and_not_before():
    driver = MachineDriver(Scaled(Shout, scale_out_interval=10, scale_in_interval=30))
    scaler = driver.root.scaler
    served(driver, "load_balancer", "servers.0")

    driver.change("root.scaler.load_balancer", num_requests=20)
    driver.advance(9.0)
    assert scaler.num_replicas == 1
    driver.advance(1.0)
    assert scaler.num_replicas == 2
    assert [each.work for each in only(driver.sent, StartWork)][-1] == "root.scaler.servers.1"
    driver.change("root.scaler.load_balancer", num_requests=0)
    driver.advance(29.0)
    assert scaler.num_replicas == 2
    driver.advance(1.0)
    assert scaler.num_replicas == 1
    driver.advance(1.0)
    assert driver.machine.wake_at is None


def test_a_resumed_app_has_as_many_servers_as_before():
    root = Scaled(Shout)
    root.scaler.num_replicas = 3  # as the saved state says

    driver = MachineDriver(root)

    assert [work.name for work in driver.root.scaler.workers] == [
        f"root.scaler.servers.{n}" for n in range(3)
    ]
    assert len(only(driver.sent, StartWork)) == 4


def test_a_server_is_stopped_only_after_its_last_answer():
    driver = MachineDriver(Scaled(Shout, min_replicas=2, max_replicas=2, scale_in_interval=0))
    scaler = driver.root.scaler
    served(driver, "load_balancer", "servers.0", "servers.1")
    first, second = (work.url for work in scaler.workers)
    driver.change("root.scaler.load_balancer", in_use=[first, second])

    scaler.min_replicas = 1
    driver.settle()
    assert scaler.load_balancer.servers == [first]
    assert only(driver.sent, StopWork) == []
    newest = 2 + len(scaler.load_balancer.servers)
    driver.change("root.scaler.load_balancer", applied=newest, in_use=[first])
    assert [each.work for each in only(driver.sent, StopWork)] == ["root.scaler.servers.1"]


def test_a_server_that_fails_again_and_again_is_replaced_later_each_time():
    driver = MachineDriver(Scaled(Shout, min_replicas=2, max_replicas=2))
    served(driver, "load_balancer", "servers.0", "servers.1")
    pauses = []
    for number in range(1, 5):
        driver.exit(f"root.scaler.servers.{number}")
        pauses.append(0.0)
        while f"root.scaler.servers.{number + 1}" not in [each.work for each in only(driver.sent, StartWork)]:
            driver.advance(0.5)
            pauses[-1] += 0.5
        served(driver, f"servers.{number + 1}")

    assert pauses == [0.0, 1.0, 2.0, 4.0]


def test_servers_are_removed_also_while_one_waits_for_its_replacement():
    driver = MachineDriver(Scaled(Shout, Steered, min_replicas=3, max_replicas=3, scale_in_interval=0))
    scaler = driver.root.scaler
    served(driver, "load_balancer", "servers.0", "servers.1", "servers.2")
    driver.exit("root.scaler.servers.2")
    served(driver, "servers.3")
    driver.exit("root.scaler.servers.3")  # the second one in a minute is replaced a second later

    scaler.min_replicas, scaler.wanted = 1, 1
    driver.settle()

    assert [work.name for work in scaler.workers] == ["root.scaler.servers.0"]
    assert scaler.num_replicas == 1
    driver.advance(60.0)
    assert len(scaler.servers) == 1


def test_a_server_that_was_stopped_or_has_returned_is_replaced():
    driver = MachineDriver(Scaled(Shout, min_replicas=2, max_replicas=2))
    scaler = driver.root.scaler
    served(driver, "load_balancer", "servers.0", "servers.1")

    scaler.servers[0].stop()
    driver.settle()
    driver.exit("root.scaler.servers.0", 0)
    assert [work.name for work in scaler.servers] == ["root.scaler.servers.1", "root.scaler.servers.2"]
    served(driver, "servers.2")
    driver.answer("root.scaler.servers.1")
    driver.advance(1.0)
    assert [work.name for work in scaler.servers] == ["root.scaler.servers.2", "root.scaler.servers.3"]


def test_a_server_that_returns_before_it_was_ready_ends_the_app():
    driver = MachineDriver(Scaled(Shout))
    driver.up("root.scaler.load_balancer", "root.scaler.servers.0")
    driver.change("root.scaler.load_balancer", _url="http://127.0.0.1:1000")

    driver.answer("root.scaler.servers.0")

    assert "servers.0 has returned before it was ready" in str(driver.machine.error)


def test_each_server_has_the_policy_that_replaces_it_and_no_more_are_created_than_needed():
    class Own(AutoScaler):
        def create_work(self):
            self._num_created = getattr(self, "_num_created", 0) + 1
            return Shout(raise_exception=True)

    driver = MachineDriver(Scaled(Shout, Own, min_replicas=2, max_replicas=2))
    assert driver.root.scaler._num_created == 2
    served(driver, "load_balancer", "servers.0", "servers.1")
    driver.exit("root.scaler.servers.0")
    driver.exit("root.scaler.servers.1")

    assert [work.name for work in driver.root.scaler.servers] == ["root.scaler.servers.2"]
    assert not any(work._policy.raise_exception for work in driver.root.scaler.servers)


def test_what_is_no_work_is_refused_as_a_server():
    class Wrong(AutoScaler):
        def create_work(self):
            return Shout

    with pytest.raises(ComponentError, match=r"Wrong\.create_work must return a LightningWork; it is <class"):
        Wrong(Shout)


@pytest.mark.parametrize(
    ("replicas", "pending", "starting", "wanted"),
    [(1, 1, 0, 2), (1, 1, 1, 1), (8, 1, 0, 7), (8, 2, 0, 8), (0, 0, 0, 0), (0, 3, 0, 1)],
)
def test_scale_follows_the_requests_for_each_server(replicas, pending, starting, wanted):
    scaler = AutoScaler(Shout, max_replicas=8, max_batch_size=1)

    assert scaler.scale(replicas, {"pending_requests": pending, "pending_works": starting}) == wanted


def test_a_rule_of_the_user_stays_within_the_limits_and_works_without_an_app(monkeypatch):
    class Moves(AutoScaler):
        def scale(self, replicas, metrics):
            return replicas + self._step

    monkeypatch.setattr(LoadBalancer, "url", "http://127.0.0.1:1")
    scaler = Moves(Shout, min_replicas=2, max_replicas=5, scale_out_interval=0, scale_in_interval=0)
    for step, limit in ((1, 5), (-1, 2)):
        scaler._step = step
        for _ in range(8):
            scaler.run()
        assert scaler.num_replicas == len(scaler.workers) == limit


def test_each_server_has_its_own_cloud_compute_and_the_balancer_the_port():
    compute = CloudCompute("gpu")
    scaler = AutoScaler(Shout, min_replicas=2, cloud_compute=compute, port=8123)

    assert len({id(compute), *(id(work.cloud_compute) for work in scaler.workers)}) == 3
    assert scaler.load_balancer.port == 8123
    assert all(work._port is None and not work._policy.raise_exception for work in scaler.workers)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_replicas": 5, "max_replicas": 4}, "`max_replicas=4` must be at least 1, and at least"),
        ({"min_replicas": -1}, "`min_replicas=-1` must be a whole number"),
        ({"max_replicas": 0, "min_replicas": 0}, "`max_replicas=0` must be at least 1"),
        ({"scale_in_interval": "1"}, "`scale_in_interval='1'` must be a number of seconds"),
        ({"input_type": 7}, "input_type=7: it must be a type"),
        ({"max_batch_size": 0}, "max_batch_size=0: it must be a whole number, 1 or more"),
        ({"timeout_batching": -1}, "timeout_batching=-1: it must be a number of seconds"),
        ({"endpoint": "/docs"}, "endpoint='/docs': the load balancer needs this path itself"),
        ({"endpoint": "/"}, "endpoint='/': it must be the path of an address"),
        ({"cloud_compute": "gpu"}, "`cloud_compute='gpu'` must be a CloudCompute, or None"),
        ({"cold_start_proxy": 7}, "cold_start_proxy must be of type ColdStartProxy or str; found 7"),
    ],
)
def test_a_wrong_argument_is_named(options, words):
    with pytest.raises(ValueError, match=words):
        AutoScaler(Shout, **options)


def test_a_class_that_is_no_work_and_a_proxy_that_is_not_async_are_refused():
    with pytest.raises(ValueError, match="must be a class derived from LightningWork"):
        AutoScaler(Number)

    class Plain(ColdStartProxy):
        def handle_request(self, request):
            return {}

    with pytest.raises(TypeError, match="handle_request must be an `async` function"):
        Plain("http://127.0.0.1:1")
    with pytest.raises(ValueError, match="timeout_keep_alive='long': it must be a whole number, 0 or more"):
        LoadBalancer(dict, dict, "predict", timeout_keep_alive="long")


def test_a_rule_that_returns_no_number_ends_the_app():
    class Wrong(AutoScaler):
        def scale(self, replicas, metrics):
            return "two"

    scaler = Wrong(Shout)
    with pytest.raises(ComponentError, match="scale must return a number of servers; it is 'two'"):
        scaler.autoscale()
