"""The server as a process: ports, addresses, its end, slow clients, and errors in a root."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.testing import poll_until
from lightning_lite.web.server import (
    BrowserLink,
    PageServer,
    PortsInUse,
    can_open_browser,
    hosts_of,
    token_in,
)
from lightning_lite.web.server_context import ServerContext

from tests.cli.short_apps import running
from tests.cli.verbs import call, is_refused
from tests.support.page_servers import Server, read_address, serving
from tests.support.processes import DEADLINE, finish, starting
from tests.support.run_folders import make_run_folder, runs_folder

pytestmark = pytest.mark.dependencies

RUN = "20261122-035501123-9f3ac2"

#: Ids of the runs that tests change.
IDS = (f"20261122-03550200{number}-0a1b2c" for number in range(10))


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that the test ends."""
    make_run_folder(runs_folder(), RUN, {"root.train": "hello\n"}, state="stopped")
    with serving() as started:
        yield started


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of `shared`, with a run that no test changes."""
    root = tmp_path_factory.mktemp("shared")
    run = make_run_folder(root / "runs", RUN, {"root.train": "hello\n"}, state="stopped")
    (run / "run.log").write_text("secret")
    return root


@pytest.fixture(scope="module")
def shared(root: Path) -> Iterator[Server]:
    """A server that no test ends."""
    with serving("--root", root) as started:
        yield started


@pytest.fixture
def run(root: Path) -> Iterator[Path]:
    """The folder of one more run of `shared`, which the test may change."""
    folder = make_run_folder(root / "runs", next(IDS), {"root.train": "hello\n"}, state="stopped")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def listed(server: Server, run: Path) -> Any:
    """Return the entry of a run in the list of runs, or `None`."""
    runs = server.get("/api/runs").data["runs"]
    return next((each for each in runs if each["id"] == run.name), None)


# The address.


def test_the_address_is_of_the_loopback_and_has_a_token_in_its_fragment(shared: Server):
    assert shared.address == f"http://127.0.0.1:{shared.port}/#token={shared.token}"
    assert len(shared.token) == 32
    [listening] = [
        each for each in psutil.Process(shared.process.pid).net_connections() if each.status == "LISTEN"
    ]
    assert listening.laddr.ip == "127.0.0.1"


def test_the_token_is_in_no_command_line_and_in_no_variable(shared: Server):
    process = psutil.Process(shared.process.pid)

    assert shared.token not in " ".join([*process.cmdline(), *process.environ().values()])


@pytest.mark.parametrize(
    ("mode", "text", "part"),
    [
        (0o640, "x" * 32, "others may read or write it"),
        (0o602, "x" * 32, "others may read or write it"),
        (0o600, "x" * 31, "has no token of 32 to 200"),
        (0o600, "x" * 31 + "\u00e9", "has no token of 32 to 200"),
        (0o600, "x" * 300, "has no token of 32 to 200"),
        (0o600, "", "has no token of 32 to 200"),
    ],
)
def test_a_file_that_can_not_keep_the_token_is_refused(
    capfd: pytest.CaptureFixture[str], mode: int, text: str, part: str
):
    Path("token").write_text(text)
    Path("token").chmod(mode)

    is_refused(call(capfd, "ui", "--token-file", "token"), 2, part)


def test_a_link_is_no_file_for_the_token(tmp_path: Path):
    Path("real").write_text("x" * 32)
    Path("real").chmod(0o600)
    Path("token").symlink_to("real")
    with pytest.raises(OSError, match="symbolic link"):
        token_in("token")


def test_a_second_server_has_the_next_port_and_another_token_and_may_show_a_run_first(shared: Server):
    make_run_folder(runs_folder(), RUN, name="monday")
    with starting() as start:
        process = start("-m", "lightning_lite", "ui", "--no-browser", "--port", shared.port, "monday")
        second = Server(process, read_address(process))

        assert shared.port < second.port <= shared.port + 100
        assert second.address.endswith(f"&to=/runs/{RUN}")
        assert second.get("/api/server").data["run"] == RUN
        headers = {"Authorization": f"Bearer {second.token}"}
        assert shared.token != second.token
        assert shared.send("GET", "/api/server", headers, token=False).status == 401


def test_a_hundred_ports_in_use_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr("lightning_lite.web.server._MAX_TRIES", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PortsInUse, match="choose one with --port"):
            PageServer(ServerContext(str(tmp_path)), port=taken.getsockname()[1])


def test_a_port_can_be_taken_again_at_once_and_a_file_keeps_the_token():
    make_run_folder(runs_folder(), RUN)
    host = "127.0.0.3"  # at this address, no other test takes the port in between
    with serving("--host", host, "--token-file", "token") as first:
        with socket.create_connection((host, first.port)) as client:
            client.sendall(f"GET / HTTP/1.1\r\nHost: {first.host}\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
            first.process.terminate()  # it closes the connection, so the system keeps the port for a while
            finish(first.process)
        with starting() as start:
            words = ("ui", "--no-browser", "--port", first.port, "--host", host, "--token-file", "token")
            process = start("-m", "lightning_lite", *words)
            assert read_address(process) == first.address

    assert stat.S_IMODE(os.stat("token").st_mode) == 0o600
    assert Path("token").read_text().strip() == first.token


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--host", "256.1.1.1"], "256.1.1.1:8765 can't be served"),
        (["--host", "192.0.2.1"], "192.0.2.1:8765 can't be served"),
        (["--port", "70000"], "70000 is not in the range"),
        (["nothing"], "there is no run 'nothing'"),
        (["--root", "none"], "there is no such folder"),
    ],
)
def test_what_can_not_be_served_is_an_error_in_one_line(
    capfd: pytest.CaptureFixture[str], words: list[str], part: str
):
    make_run_folder(runs_folder(), RUN)

    is_refused(call(capfd, "ui", "--no-browser", *words), 2, part)


def test_a_host_that_other_machines_reach_is_bound_with_a_warning_and_a_root_without_a_run_is_served():
    with starting() as start:
        process = start("-m", "lightning_lite", "ui", "--no-browser", "--port", "0", "--host", "0.0.0.0")
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Warning: other machines can reach this server")
        server = Server(process, read_address(process))
        assert server.get("/api/runs").data["runs"] == []  # the root of the environment is not there
        make_run_folder(runs_folder(), RUN)
        assert [run["id"] for run in server.get("/api/runs").data["runs"]] == [RUN]

        assert server.send("GET", "/api/server", host=f"127.0.0.1:{server.port}").status == 200
        assert server.send("GET", "/api/server", host=server.host).status == 200
        assert server.send("GET", "/api/server", host=f"0.0.0.0:{server.port}").status == 421
        assert server.send("GET", "/api/server", host=f"evil.example:{server.port}").status == 421


def test_the_hosts_of_all_addresses_are_those_of_this_machine():
    assert hosts_of("0.0.0.0")[:3] == ["127.0.0.1", "localhost", "[::1]"]
    assert "0.0.0.0" not in hosts_of("0.0.0.0")
    assert hosts_of("::1") == ["127.0.0.1", "localhost", "[::1]"]
    assert hosts_of("fd00::5")[-1] == "[fd00::5]"


# The browser.


def test_the_browser_gets_a_private_file_and_not_the_address(own_place: Path):
    """A program in the place of a browser writes down its arguments, and the address that it was sent to."""
    make_run_folder(runs_folder(), RUN)
    program, browser = own_place / "browser.py", own_place / "browser"
    # A shell starts it, because the path of Python after `#!` may have no space.
    browser.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, str(program)])} "$@"\n')
    program.write_text(
        "import os, sys\n"
        "path = sys.argv[1].removeprefix('file://')\n"
        "text = f'{sys.argv[1]}\\n{oct(os.stat(path).st_mode & 0o777)}\\n{open(path).read()}'\n"
        "open('opened.new', 'w').write(text)\n"
        "os.rename('opened.new', 'opened')\n"
    )
    browser.chmod(0o700)
    code = (
        "import os, sys\n"
        "os.isatty = lambda fd: True\n"
        "sys.stdout.isatty = lambda: True\n"
        "from lightning_lite.cli.main import main\n"
        "main(['ui', '--port', '0', '--plain'])\n"
    )
    with starting() as start:
        command = f"{shlex.quote(str(browser))} %s"
        process = start("-c", code, env={**os.environ, "BROWSER": command, "DISPLAY": ":9"})
        server = Server(process, read_address(process))
        poll_until(Path("opened").exists, DEADLINE)
        argument, mode, text = Path("opened").read_text().split("\n", 2)

        assert server.token not in argument
        assert mode == "0o600"
        assert server.address in text
        process.send_signal(signal.SIGTERM)
        assert finish(process)[0] == 143
        assert not Path(argument.removeprefix("file://")).exists()


def test_the_file_for_the_browser_escapes_the_address():
    link = BrowserLink('http://127.0.0.1:1/#token=a"><script>&to=/x')
    try:
        assert stat.S_IMODE(os.stat(link.path).st_mode) == 0o600
        assert "<script>" not in Path(link.path).read_text()
    finally:
        link.remove()
        link.remove()  # it may be gone already
    assert not os.path.exists(link.path)


def test_without_a_terminal_or_a_display_no_browser_is_opened(monkeypatch: pytest.MonkeyPatch):
    class Terminal:
        def isatty(self) -> bool:
            return True

    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BROWSER", "true")
    assert not can_open_browser()  # the output is captured
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert can_open_browser()
    monkeypatch.delenv("BROWSER")
    assert not can_open_browser()


# The end.


def test_ctrl_c_ends_the_server_without_a_traceback(server: Server):
    with socket.create_connection(("127.0.0.1", server.port)) as waiting:  # kept open, without a request
        waiting.sendall(b"GET / HTTP/1.1\r\nHost: ")
        server.get("/api/server")
        server.process.send_signal(signal.SIGINT)
        code, out, err = finish(server.process)

    assert (code, out, err.strip()) == (130, "", "")


def test_a_second_ctrl_c_is_no_traceback_either(server: Server):
    for _ in range(3):
        server.process.send_signal(signal.SIGINT)

    code, _, err = finish(server.process)
    assert code in (130, -signal.SIGINT)
    assert "Traceback" not in err


def test_with_a_parent_the_server_ends_with_its_standard_input():
    """`test_page_of_an_app` shows that a line ends it, too."""
    make_run_folder(runs_folder(), RUN)
    words = ("-m", "lightning_lite", "ui", "--with-parent", "--port", "0")
    with starting() as start:
        process = start(*words, stdin=subprocess.PIPE)
        read_address(process)
        _, err = process.communicate("", timeout=DEADLINE)
        assert (process.returncode, err) == (0, "")


# Clients.


def test_a_hundred_slow_clients_delay_no_answer(shared: Server):
    clients = [socket.create_connection(("127.0.0.1", shared.port)) for _ in range(100)]
    try:
        for number, client in enumerate(clients):
            client.sendall(b"GET /api/server HTTP/1.1\r\nHost: "[: 5 + number % 25])
        assert shared.get("/api/runs").status == 200
        before = psutil.Process(shared.process.pid).num_threads()
        assert shared.get("/api/server").status == 200
        assert psutil.Process(shared.process.pid).num_threads() <= before + 2
    finally:
        for client in clients:
            client.close()


def test_a_client_that_does_not_read_its_download_delays_no_answer(shared: Server, run: Path):
    with open(run / "logs" / "root.big.log", "wb") as log:
        log.truncate(200 * 1024 * 1024)
    url = shared.post("/api/tickets", kind="log", run=run.name, work="root.big").data["url"]
    with socket.create_connection(("127.0.0.1", shared.port)) as client:
        client.sendall(f"GET {url} HTTP/1.1\r\nHost: {shared.host}\r\n\r\n".encode())
        assert b"200 OK" in client.recv(100)

        assert shared.get("/api/server").status == 200
        assert psutil.Process(shared.process.pid).memory_info().rss < 150 * 1024 * 1024


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(shared: Server, request_line: bytes):
    with socket.create_connection(("127.0.0.1", shared.port)) as client:
        client.sendall(request_line)
        client.shutdown(socket.SHUT_WR)
        assert b"200 OK" not in client.makefile("rb").read()

    assert shared.get("/api/server").status == 200


# Paths.


@pytest.mark.parametrize(
    "path",
    [
        "/static/../guard.py",
        "/static/%2e%2e/guard.py",
        "/static/..%2fguard.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/",
        "/static",
    ],
)
def test_static_files_are_those_of_the_page_only(shared: Server, path: str):
    reply = shared.send("GET", path, token=path == "/static")

    assert reply.status == 404
    assert b"root:" not in reply.body


@pytest.mark.parametrize(
    "run", ["..", ".", "%2e%2e", "..%2f..%2fetc", "x", RUN.upper(), f"{RUN}%2f", f"{RUN}x"]
)
def test_only_ids_of_runs_are_runs(shared: Server, run: str):
    for path in (
        "",
        "/usage",
        "/timeline",
        "/calls",
        "/state",
        "/graph",
        "/numbers",
        "/logs",
        "/logs/search?q=a",
    ):
        reply = shared.get(f"/api/runs/{run}{path}")
        assert reply.status == 404, path
        assert "Traceback" not in reply.body.decode()
    for name in ("actions", "resume"):
        assert (
            shared.post(f"/api/runs/{run}/{name}", **{"command": "stop"} if name == "actions" else {}).status
            == 404
        )


@pytest.mark.parametrize(
    "work", ["../../run", "../run.json", "/etc/passwd", "root.train.log", "root.train\0", "", "."]
)
def test_only_names_of_logs_are_logs(shared: Server, work: str):
    reply = shared.post("/api/tickets", kind="log", run=RUN, work=work)
    assert reply.status == 404
    for path in ("logs?", "logs/search?q=a&"):
        assert shared.get(f"/api/runs/{RUN}/{path}work={work}".replace("\0", "%00")).status == 404


def test_a_log_of_a_work_that_is_in_no_journal_is_shown(shared: Server, run: Path):
    (run / "logs" / "root.earlier.log").write_text("from before\n")

    (line,) = shared.get(f"/api/runs/{run.name}/logs?work=root.earlier").data["lines"]
    assert line["text"] == "from before"


def test_while_the_journal_cannot_be_read_each_name_may_be_a_work(shared: Server, run: Path):
    (run / "journal.log").write_text("no journal")

    assert shared.get(f"/api/runs/{run.name}/logs?work=root.any").status == 200


def test_a_linked_log_is_not_read(shared: Server, run: Path, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (run / "logs" / "root.link.log").symlink_to(secret)

    reply = shared.post("/api/tickets", kind="log", run=run.name, work="root.link")
    assert reply.status == 409
    assert "symbolic link" in reply.error
    for path in ("logs", "logs/search?q=secret"):
        assert b"secret" not in shared.get(f"/api/runs/{run.name}/{path}").body.replace(b"q=secret", b"")


def test_a_linked_folder_of_logs_is_not_read(shared: Server, run: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "root.other.log").write_text("secret")
    logs = run / "logs"
    (logs / "root.train.log").unlink()
    logs.rmdir()
    logs.symlink_to(other)

    for reply in (
        shared.get(f"/api/runs/{run.name}/logs"),
        shared.get(f"/api/runs/{run.name}/logs/search?q=secret"),
        shared.post("/api/tickets", kind="log", run=run.name, work="root.other"),
    ):
        assert reply.status == 409
        assert b"secret" not in reply.body


def test_a_linked_run_is_listed_but_not_read(shared: Server, root: Path, tmp_path: Path):
    real = make_run_folder(
        tmp_path / "elsewhere", "20261122-035501125-9f3ac2", {"root.a": "secret\n"}, name="secret"
    )
    link = root / "runs" / real.name
    link.symlink_to(real)

    found = listed(shared, real)
    assert (found["state"], found["name"]) == ("unknown", None)
    assert "symbolic link" in found["trouble"]
    for path in ("", "/logs", "/state", "/numbers"):
        reply = shared.get(f"/api/runs/{real.name}{path}")
        assert reply.status == 409
        assert "symbolic link" in reply.error
    link.unlink()


# Downloads.


def test_a_download_is_the_file_and_works_once(shared: Server, run: Path):
    data = os.urandom(700_001)
    (run / "logs" / "root.train.log").write_bytes(data)
    url = shared.post("/api/tickets", kind="log", run=run.name, work="root.train").data["url"]

    reply = shared.send("GET", url, token=False)
    assert reply.body == data
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"].startswith("attachment; ")
    again = shared.send("GET", url, token=False)
    assert again.status == 410
    assert "used" in again.error


def test_a_ticket_of_a_download_is_none_of_a_preview(shared: Server):
    url = shared.post("/api/tickets", kind="log", run=RUN, work="root.train").data["url"]

    assert shared.send("GET", url.replace("/download/", "/preview/"), token=False).status == 404
    assert shared.send("GET", url, token=False).status == 410


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"kind": "log", "run": RUN}, "work"),
        ({"kind": "log", "work": "a"}, "run"),
        ({"kind": "trace"}, "run"),
        ({"kind": "file", "drive": "a"}, "path"),
    ],
)
def test_an_incomplete_wish_for_a_ticket_is_refused(shared: Server, fields: dict[str, str], missing: str):
    reply = shared.post("/api/tickets", **fields)

    assert reply.status == 400
    assert reply.error.startswith(f"{missing} is missing")


# Errors.


def test_a_server_without_an_app_has_no_state(shared: Server):
    session = {"X-Lightning-Session-UUID": "a", "X-Lightning-Session-ID": "b"}
    assert shared.send("GET", "/api/v1/state", session).status == 404
    assert shared.send("GET", "/api/v1/layout", session).status == 404
    with pytest.raises(InvalidStatus) as refused:
        connect(
            f"ws://{shared.host}/api/v1/ws",
            additional_headers={"Authorization": f"Bearer {shared.token}"},
            open_timeout=DEADLINE,
            proxy=None,
        )
    assert refused.value.response.status_code == 404
    assert shared.get("/healthz").status == 500


def test_a_run_that_vanishes_is_said_to_be_gone(shared: Server, run: Path):
    assert shared.get(f"/api/runs/{run.name}").status == 200
    for path in sorted(run.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    run.rmdir()

    reply = shared.get(f"/api/runs/{run.name}")
    assert reply.status == 404
    assert "was removed" in reply.error
    assert listed(shared, run) is None


def test_a_damaged_journal_is_a_trouble_and_the_rest_is_shown(shared: Server, run: Path):
    (run / FILE_NAME).write_bytes(b"no journal at all" * 100)

    shown = shared.get(f"/api/runs/{run.name}").data
    assert shown["trouble"]
    assert shown["run"]["state"] == "stopped"
    assert shared.get(f"/api/runs/{run.name}/logs").data["lines"][0]["text"] == "hello"
    assert shared.get(f"/api/activity?run={run.name}").data[run.name].keys() == {"trouble"}


def test_a_damaged_run_json_is_a_trouble_of_its_run(shared: Server, run: Path):
    (run / "run.json").write_text("{")

    assert "run.json can't be read" in listed(shared, run)["trouble"]
    assert shared.get(f"/api/runs/{run.name}").status == 200


def test_texts_of_users_arrive_as_they_are(shared: Server, run: Path):
    name = "<img src=x onerror=alert(1)>\udcff\u202e"
    (run / "run.json").write_text(json.dumps({"id": run.name, "app": name}))

    assert listed(shared, run)["app"] == name


def test_a_suspended_app_delays_neither_other_answers_nor_the_end(own_place: Path):
    with running(own_place) as app:
        app.wait_for_output("up")
        make_run_folder(Path(app.root, "runs"), RUN, state="stopped")
        with serving("--root", app.root) as server:
            # A busy machine may not let the app answer in time.
            poll_until(lambda: server.get(f"/api/runs/{app.run.id}").data["answering"], DEADLINE)
            os.kill(app.process.pid, signal.SIGSTOP)
            with ExitStack() as hanging:
                hanging.callback(os.kill, app.process.pid, signal.SIGCONT)

                def send(request: str, body: bytes = b"", length: int = 0) -> None:
                    client = hanging.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                    client.sendall(
                        f"{request} HTTP/1.1\r\nHost: {server.host}\r\n"
                        f"Authorization: Bearer {server.token}\r\n"
                        f"Content-Length: {length or len(body)}\r\n"
                        "Content-Type: application/json\r\n\r\n".encode()
                        + body
                    )

                for _ in range(50):
                    send(f"GET /api/runs/{app.run.id}")
                began = time.monotonic()
                assert server.get(f"/api/runs/{RUN}").status == 200
                assert server.get("/api/runs").status == 200
                # A bound on waiting for the app, whose answers may take three seconds each.
                assert time.monotonic() - began < 20

                def shown() -> Any:
                    return server.get(f"/api/runs/{app.run.id}").data

                poll_until(lambda: not shown()["answering"], DEADLINE)  # an answer is used for a moment
                assert "does not answer" in shown()["trouble"]
                assert {work["name"] for work in shown()["works"]} == {"root.one", "root.other"}

                send("POST /api/tickets", length=9)  # its body never comes
                send(f"POST /api/runs/{app.run.id}/actions", b'{"command": "stack"}')
                server.get("/api/server")
                server.process.terminate()
                code, _, err = finish(server.process)
                assert (code, err) == (143, "")
