"""Servers of frontends: their content, when they start and end, and ports that are in use."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from lightning_lite import LightningApp, LightningFlow, timeouts
from lightning_lite.app.frontend_servers import FrontendServers
from lightning_lite.frontends import Frontend, PanelFrontend, StaticWebFrontend, StreamlitFrontend
from lightning_lite.frontends.port_owner import listens
from lightning_lite.sockets import find_free_port
from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE, finish, starting, wait_until_gone

pytestmark = pytest.mark.dependencies

APP = Path(__file__).with_name("layout_app.py")


def ask(port: int, path: str, host: str | None = None) -> tuple[int, str]:
    """Ask a server for a path as it is, also with `..` in it."""
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.putrequest("GET", path, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


@pytest.fixture
def serve(own_place: Path) -> Iterator[Callable[..., tuple[FrontendServers, list[str]]]]:
    """Serve frontends by the names of their flows until the end of the test."""
    opened: list[FrontendServers] = []

    def serve(
        frontends: dict[str, Frontend], changed: Callable[[], None] = lambda: None, **options: Any
    ) -> tuple[FrontendServers, list[str]]:
        said: list[str] = []
        servers = FrontendServers(str(own_place / "logs"), changed, said.append, **options)
        opened.append(servers)
        for flow, frontend in frontends.items():
            frontend.flow = SimpleNamespace(name=flow)
        servers.keep(frontends)
        return servers, said

    yield serve

    for servers in opened:
        servers.close()


def port_of(servers: FrontendServers, flow: str = "root") -> int:
    """Wait until a frontend answers, and return its port."""
    poll_until(lambda: servers.address_of(flow).url, DEADLINE)
    address = servers.address_of(flow).url
    assert address.endswith(f"/{flow}")
    return int(address.split(":")[2].partition("/")[0])


# The files of a folder.


@pytest.fixture
def site(own_place: Path) -> Path:
    folder = own_place / "a site"
    (folder / "inner").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>Home</h1>")
    (folder / "inner" / "data.json").write_text("{}")
    (own_place / "secret.txt").write_text("secret")
    (own_place / "outside").mkdir()
    (own_place / "outside" / "file.txt").write_text("secret")
    (folder / "link.txt").symlink_to(own_place / "secret.txt")
    (folder / "link").symlink_to(own_place / "outside")
    return folder


def test_a_folder_is_served_and_nothing_outside(serve, site):
    servers, said = serve({"root": StaticWebFrontend(site)})
    port = port_of(servers)

    assert ask(port, "/root/") == (200, "<h1>Home</h1>")
    assert ask(port, "/root")[0] == 307
    assert ask(port, "/root/inner/data.json") == (200, "{}")
    assert ask(port, "/root/healthz") == (200, "ok")
    for path in (
        "/root/../secret.txt",
        "/root/%2e%2e/secret.txt",
        "/root/inner/../../secret.txt",
        "/root//etc/passwd",
        "/root/link.txt",
        "/root/link/file.txt",
        "/root/none.txt",
        "/index.html",
    ):
        status, text = ask(port, path)
        assert status == 404, path
        assert "secret" not in text
    assert ask(port, "/root/", host=f"localhost:{port}")[0] == 200
    assert ask(port, "/root/", host="rebound.example")[0] == 400  # a name that leads to this machine
    assert said == []


def test_a_folder_may_appear_later(serve, own_place):
    port = port_of(serve({"root.a": StaticWebFrontend("later")})[0], "root.a")

    assert ask(port, "/root.a/") == (404, f"The folder {own_place / 'later'} does not exist now.")
    Path("later").mkdir()
    Path("later/index.html").write_text("now")
    assert ask(port, "/root.a/") == (200, "now")


# Start and end.


def servers_of(app: subprocess.Popen[str]) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(app.pid).children()
        if "lightning_lite.frontends.programs.static_server" in child.cmdline()
    ]


def layout_of_the_run() -> Any:
    [file] = Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*/layout.json")
    return json.loads(file.read_text())


def wait_for_page(app: subprocess.Popen[str]) -> psutil.Process:
    """Wait until the frontend of the app is up, and return its process."""

    def is_up() -> bool:
        assert app.poll() is None, Path("errors").read_text()
        try:
            return bool(layout_of_the_run()["tabs"][0]["url"])
        except ValueError:
            return False

    poll_until(is_up, DEADLINE)
    [server] = servers_of(app)
    return server


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_frontend_ends_with_the_app_however_it_ends(own_place, site, way):
    site.rename("site")
    text = APP.read_text()
    if way == "kill":  # an app that only serves frontends goes on, too
        text = text.replace("self.waiting.run()", "return")
    Path("app.py").write_text(text)
    with starting() as start, open("errors", "w") as errors:
        app = start(Path("app.py").absolute(), stderr=errors)
        server = wait_for_page(app)
        page = next(child for child in psutil.Process(app.pid).children() if "ui" in child.cmdline())
        works = list(psutil.Process(app.pid).children(recursive=True))
        poll_until(lambda: Path("errors").read_text().endswith("\n"), DEADLINE)
        if way == "stop":
            Path("end").touch()
            assert finish(app)[:2] == (0, "end of the app\n")
            assert not server.is_running()
        else:
            app.kill()
            assert app.wait(DEADLINE) == -signal.SIGKILL  # it was alive until then
        wait_until_gone(server.pid, page.pid, *(work.pid for work in works))
    assert [line.partition("http")[0] for line in Path("errors").read_text().splitlines()] == [
        "The page of this run: "
    ]


def test_without_the_page_no_frontend_is_served(own_place):
    with starting() as start:
        app = start(APP, "--no-ui")
        poll_until(lambda: list(Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*/layout.json")), DEADLINE)
        assert servers_of(app) == []
        [tab] = layout_of_the_run()["tabs"]
        assert (tab["url"], tab["note"]) == (
            "",
            "No page shows it: the app runs with ui=False, or without the extra ui.",
        )
        Path("end").touch()
        assert finish(app) == (0, "end of the app\n", "")


def test_without_the_extra_one_line_says_how_to_see_the_pages(own_place, forked_scripts):
    text = APP.read_text().replace('StaticWebFrontend("site")', "[]")
    Path("app.py").write_text(text.replace("import sys\n", "import sys\nsys.modules['uvicorn'] = None\n"))
    Path("end").touch()

    done = forked_scripts.run_to_end(Path("app.py").absolute())

    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "end of the app\n",
        "This app has pages for a browser; to see them: pip install 'lightning-lite-apps[ui]'\n",
    )


def test_a_frontend_that_is_gone_or_replaced_is_stopped(serve, site):
    kept = Own()
    servers, _ = serve({"root.a": kept, "root.b": StaticWebFrontend(site)})
    first = port_of(servers, "root.a"), port_of(servers, "root.b")
    same, other = StaticWebFrontend(site), StaticWebFrontend(site.parent)
    same.flow = other.flow = SimpleNamespace(name="root.b")

    servers.keep({"root.a": kept, "root.b": same})
    assert port_of(servers, "root.b") == first[1]

    servers.keep({"root.a": kept, "root.b": other})
    assert port_of(servers, "root.a") == first[0]
    assert port_of(servers, "root.b") != first[1]
    assert ask(port_of(servers, "root.b"), "/root.b/secret.txt") == (200, "secret")

    servers.keep({"root.a": kept})
    assert servers.address_of("root.b").url == ""
    with pytest.raises(OSError):  # noqa: PT011 - refused, or closed
        ask(first[1], "/root.b/")


# Trouble.


class Own(Frontend):
    """A frontend of a user: a server in a thread."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def start_server(self, host: str, port: int, root_path: str = "") -> None:
        if self.error is not None:
            raise self.error
        self.server = HTTPServer((host, port), BaseHTTPRequestHandler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def stop_server(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def ports_from(first: int) -> Callable[[str], int]:
    """Return a `find_port` that returns a given port first."""
    ports = [first]
    return lambda host: ports.pop() if ports else find_free_port(host)


def test_a_port_that_is_in_use_is_replaced_by_the_next_free_one(serve, site):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen, so nothing answers there
        servers, said = serve({"root": StaticWebFrontend(site)}, find_port=ports_from(taken.getsockname()[1]))
        assert port_of(servers) != taken.getsockname()[1]
    assert said == []


def test_a_page_of_another_program_on_the_chosen_port_is_never_shown(serve, site):
    shown = []
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:  # it listens, before the frontend
        servers, said = serve(
            {"root": StaticWebFrontend(site)},
            changed=lambda: shown.append(servers.address_of("root").url),
            find_port=ports_from(other.server_port),
        )
        port = port_of(servers)
        assert port != other.server_port
        assert ask(port, "/root/") == (200, "<h1>Home</h1>")
        poll_until(lambda: shown, DEADLINE)  # `changed` is called just after the address is set
    assert said == []
    assert shown == [f"http://127.0.0.1:{port}/root"]


def test_a_port_that_always_goes_to_another_program_is_named(serve, site):
    class NotMine(Own):
        def serves(self, host: str, port: int) -> bool:
            return False

    servers, said = serve({"root": NotMine()})
    poll_until(lambda: servers.address_of("root").note != "The page of root starts.", DEADLINE)
    assert said[0].startswith("The page of root can't be shown: another program has taken the port ")
    assert servers.address_of("root") == ("", said[0])


def test_a_frontend_of_a_user_gets_another_port_if_its_port_is_in_use(serve):
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        servers, said = serve({"root": Own()}, find_port=ports_from(other.server_port))
        assert port_of(servers) != other.server_port
    assert said == []


def test_a_server_of_a_user_may_be_a_process_of_a_process(serve):
    class Nested(Own):
        def start_server(self, host: str, port: int, root_path: str = "") -> None:
            serve = f"import http.server as s; s.HTTPServer(('{host}', {port}), s.BaseHTTPRequestHandler)"
            inner = [sys.executable, "-c", f"{serve}.serve_forever()"]
            outer = f"import subprocess, sys; subprocess.run({inner!r}, stdin=sys.stdin)"
            self.process = subprocess.Popen([sys.executable, "-c", outer])

        def stop_server(self) -> None:
            parent = psutil.Process(self.process.pid)
            for process in (*parent.children(), parent):
                process.kill()
            self.process.wait()

    assert port_of(serve({"root": Nested()})[0])


def test_only_the_process_that_listens_has_a_port():
    with socket.create_server(("127.0.0.1", 0)) as server, starting() as start:
        port = server.getsockname()[1]
        other = start("-c", "input()", stdin=subprocess.PIPE)
        assert listens("127.0.0.1", port)
        assert not listens("127.0.0.2", port)
        assert not listens("127.0.0.1", port, other.pid)
        other.communicate("\n")
        assert not listens("127.0.0.1", port, other.pid)


class Slow(Own):
    """A frontend whose start and stop wait until they may go on."""

    def __init__(self, *, start: bool = False, stop: bool = False) -> None:
        super().__init__()
        self.began, self.may_go_on = threading.Event(), threading.Event()
        self.slow_start, self.slow_stop = start, stop

    def start_server(self, host: str, port: int, root_path: str = "") -> None:
        if self.slow_start:
            self.began.set()
            self.may_go_on.wait(DEADLINE)
        super().start_server(host, port, root_path)

    def stop_server(self) -> None:
        if self.slow_stop:
            self.began.set()
            self.may_go_on.wait(DEADLINE)
        super().stop_server()


def test_nothing_waits_for_a_frontend_that_starts_slowly(serve):
    slow = Slow(start=True)
    servers, said = serve({"root.slow": slow, "root.other": Own()})
    assert slow.began.wait(DEADLINE)

    assert port_of(servers, "root.other")
    assert servers.address_of("root.slow") == ("", "The page of root.slow starts.")
    servers.keep({"root.slow": slow})
    assert servers.address_of("root.other").url == ""
    slow.may_go_on.set()
    assert port_of(servers, "root.slow")
    assert said == []


def test_nothing_waits_for_a_frontend_that_stops_slowly_but_its_successor(serve):
    slow = Slow(stop=True)
    servers, _ = serve({"root": slow})
    port_of(servers)

    successor = Own()
    successor.flow = SimpleNamespace(name="root")
    servers.keep({"root": successor})
    assert slow.began.wait(DEADLINE)
    assert servers.address_of("root") == ("", "The page of root starts.")
    assert not hasattr(successor, "server")
    slow.may_go_on.set()
    assert port_of(servers)


def test_the_end_of_the_app_does_not_wait_for_ever(serve, monkeypatch):
    monkeypatch.setattr(timeouts, "FRONTEND_STOP_TIMEOUT", 0.05)
    slow = Slow(stop=True)
    servers, said = serve({"root": slow})
    port_of(servers)
    [thread] = [each for each in threading.enumerate() if each.name == "lightning-lite-frontend"]

    servers.close()
    assert said == [
        "The page of root: Slow has not stopped within 0.05 seconds; the app ends without waiting for it."
    ]
    slow.may_go_on.set()
    thread.join(DEADLINE)


def test_a_frontend_that_does_not_run_says_why(serve, own_place):
    class Broken(StaticWebFrontend):
        _program = "lightning_lite.frontends.programs.none"

    servers, said = serve({"root": Broken("site")})
    poll_until(lambda: said and servers.address_of("root").note != "The page of root starts.", DEADLINE)

    log = own_place / "logs" / "root.log"
    assert said == [f"The page of root can't be shown: its server has ended with the exit code 1; see {log}."]
    assert servers.address_of("root") == ("", said[0])
    assert "No module named" in log.read_text()


class Leaving(Own):
    """A frontend whose methods call `sys.exit`, but for the start."""

    def failure(self) -> str | None:
        sys.exit("failure")

    def stop_server(self) -> None:
        super().stop_server()
        sys.exit("stop_server")


def test_a_frontend_of_a_user_is_started_and_stopped(serve):
    frontends = {
        "root.a": Own(),
        "root.b": Own(ValueError("no such page")),
        "root.c": Own(SystemExit("no option")),
        "root.d": Leaving(),
    }
    servers, said = serve(frontends)

    assert port_of(servers, "root.a")
    poll_until(lambda: len(said) == 3, DEADLINE)
    assert sorted(said) == [
        "The page of root.b can't be shown: ValueError: no such page.",
        "The page of root.c can't be shown: SystemExit: no option.",
        f"The page of root.d can't be shown: SystemExit: failure; see {servers._options.folder}/root.d.log.",
    ]


# Bad input.


def draw(state: object) -> None:
    raise AssertionError


class Pages:
    def draw(self) -> None:
        raise AssertionError


def test_stop_before_start_is_an_error():
    with pytest.raises(RuntimeError, match="Server is not running"):
        StaticWebFrontend("site").stop_server()


@pytest.mark.parametrize("kind", [StreamlitFrontend, PanelFrontend])
def test_a_function_that_the_process_can_t_find_is_refused(kind):
    with pytest.raises(TypeError, match=f"The `{kind.__name__}` doesn't support a method as its function"):
        kind(Pages().draw)
    with pytest.raises(
        TypeError, match=r"a function that its process can find by its name\. Found .*<lambda>"
    ):
        kind(lambda state: None)
    with pytest.raises(TypeError, match=f"The `{kind.__name__}` needs a function. Found 5"):
        kind(5)


@pytest.mark.parametrize(("kind", "package"), [(StreamlitFrontend, "streamlit"), (PanelFrontend, "panel")])
def test_a_package_that_is_missing_is_named_with_the_extra(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        kind(draw)
    assert str(caught.value) == (
        f"{kind.__name__} needs {package}, which is not installed: "
        "pip install 'lightning-lite-apps[lightning]'"
    )


def test_an_app_in_the_process_of_a_frontend_does_not_run(own_place, forked_scripts):
    script = (
        "import os\n"
        "from lightning_lite import LightningApp\n"
        "from lightning_lite.testing import EmptyFlow\n"
        "LightningApp(EmptyFlow()).run()\n"
    )
    prepare = (
        "from lightning_lite.frontends.programs.user_code import prepare\n"
        "prepare({'flow': 'root', 'run': '', 'sys_path': [], 'imports': []})\n"
    )
    start = "try:\n    LightningApp(EmptyFlow()).start()\nexcept RuntimeError as error:\n    print(error)\n"
    Path("page.py").write_text(prepare + script + start)
    done = forked_scripts.run_to_end(Path("page.py").absolute())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("app.start() was called in a file that the process of a frontend loads.")
    assert not Path(os.environ["LIGHTNING_LITE_ROOT"]).exists()


class Rated(LightningFlow):
    def __init__(self):
        super().__init__()
        self.rate = 0.5


class Rating(LightningFlow):
    def __init__(self):
        super().__init__()
        self.page = Rated()

    def run(self):
        if self.page.rate == 1.0:
            self.stop()


def test_the_function_of_a_page_reads_and_changes_the_state_of_its_flow(own_place, forked_scripts):
    app = LightningApp(Rating())
    running = app.start(on_idle="wait")
    run = poll_until(lambda: running.run_id, DEADLINE)
    settings = {
        "flow": "root.page",
        "run": os.path.join(os.environ["LIGHTNING_LITE_ROOT"], "runs", run),
        "sys_path": [],
        "imports": [],
        "argv": [],
        "file": os.path.abspath("page.py"),
        "function": "draw",
    }
    Path("page.py").write_text("def draw(state):\n    state.rate = 2 * state.rate\n    print(state.rate)\n")
    Path("program.py").write_text(
        "import json, sys\n"
        "from lightning_lite.frontends.programs.user_code import find_function, prepare\n"
        "settings = json.loads(sys.argv[1])\n"
        "prepare(settings)\n"
        "find_function()()\n"
    )
    done = forked_scripts.run_to_end(Path("program.py").absolute(), json.dumps(settings))
    assert (done.stdout, done.stderr) == ("1.0\n", "")
    running.wait(DEADLINE)
    assert app.root.page.rate == 1.0


def test_a_process_that_the_page_starts_may_run_an_app(own_place, forked_scripts):
    Path("page.py").write_text(
        "import subprocess, sys\n"
        "from lightning_lite.frontends.programs.user_code import prepare\n"
        "prepare({'flow': 'root', 'run': '', 'sys_path': [], 'imports': []})\n"
        "subprocess.run([sys.executable, 'inner.py'], check=True)\n"
    )
    Path("inner.py").write_text(
        "from lightning_lite import LightningApp, LightningFlow\n"
        "class Flow(LightningFlow):\n"
        "    def run(self):\n"
        "        self.stop('it runs')\n"
        "LightningApp(Flow()).run()\n"
    )
    done = forked_scripts.run_to_end(Path("page.py").absolute())
    assert (done.stdout, done.stderr) == ("it runs\n", "")


class Named(LightningFlow):
    def run(self) -> None:
        self.stop()

    def configure_layout(self) -> Any:
        return StaticWebFrontend("site")


def test_the_frontends_of_a_run_are_known_to_the_app(own_place, capfd, monkeypatch):
    for limit in ("PROGRAM_STOP_TIMEOUT", "FRONTEND_STOP_TIMEOUT"):
        monkeypatch.setattr(timeouts, limit, DEADLINE)  # the page is not killed before it prints its address
    app = LightningApp(Named())
    app.run()
    assert not app.is_headless
    assert capfd.readouterr().err.startswith("The page of this run: http://127.0.0.1:")
