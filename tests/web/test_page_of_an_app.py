"""`app.run(ui=True)`: the server is a process of its own, and ends with the app, however that ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import psutil
import pytest

from lightning_lite import LightningApp
from lightning_lite.testing import poll_until

from tests.support.page_servers import Server
from tests.support.processes import DEADLINE, finish, is_gone, starting, wait_until_gone
from tests.web.paged_app import Root

pytestmark = pytest.mark.dependencies

APP = Path(__file__).with_name("paged_app.py")

#: Modules that the server imports, and the app does not.
HIDING = ("secrets", "uvicorn", "html")

Started = tuple["subprocess.Popen[str]", Server, int]


def address_in(text: str) -> str:
    found = re.search(r"^The page of this run: (http://\S+)$", text, re.MULTILINE)
    return found[1] if found else ""


@contextmanager
def running(folder: Path, *verb: str) -> Iterator[Started]:
    """Run a copy of the app in a folder; yield it, its server, and the process of its work.

    Args:
        folder: Its working directory.
        verb: The words before the path of the app, with the option; without them, the app takes the option.
    """
    output, program = folder / "errors", folder / "app.py"
    program.write_text(APP.read_text())
    with starting() as start, open(output, "w") as errors:
        words = (*verb, program) if verb else (program, "--ui")
        environ = {**os.environ, "LIGHTNING_LITE_ROOT": str(folder / "root")}
        process = start(*words, cwd=folder, env=environ, stderr=errors, process_group=0)
        poll_until(lambda: address_in(output.read_text()), DEADLINE)
        assert process.stdout is not None
        work = int(process.stdout.readline().split()[-1])
        yield process, Server(process, address_in(output.read_text())), work


@pytest.fixture
def app(own_place: Path) -> Iterator[Started]:
    """A running app that the test ends."""
    with running(own_place) as started:
        yield started


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A running app that no test changes, in a folder with names of modules that its server imports."""
    folder = tmp_path_factory.mktemp("shared")
    for name in HIDING:
        (folder / f"{name}.py").write_text("raise RuntimeError('this is no library')\n")
    with running(folder) as started:
        page = page_process(started[1])
        yield started
        (folder / "end").touch()
        assert finish(started[0])[0] == 0
    wait_until_gone(page.pid)


def page_process(server: Server) -> psutil.Process:
    """Return the process that listens on the port of a server."""
    return psutil.Process(server.get("/api/server").data["pid"])


def test_the_address_is_printed_and_leads_to_the_run(shared: Started):
    process, server, _ = shared

    [run] = server.get("/api/runs").data["runs"]
    assert run["state"] == "running"
    assert run["pid"] == process.pid
    assert server.address.endswith(f"&to=/runs/{run['id']}")
    assert server.get("/api/server").data["run"] == run["id"]


def test_the_server_is_a_process_without_the_terminal_of_the_app(shared: Started):
    process, server, _ = shared
    page = page_process(server)

    assert page.ppid() == process.pid
    assert os.getsid(page.pid) == page.pid
    assert server.token not in " ".join(page.cmdline())
    assert server.token not in " ".join(page.environ().values())


def test_no_work_holds_a_pipe_of_the_server(shared: Started):
    _, server, work = shared

    def pipes(pid: int) -> set[str]:
        folder = Path("/proc", str(pid), "fd")
        found = set()
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):  # it has closed it since
                found.add(os.readlink(folder / name))
        return {name for name in found if name.startswith("pipe:")}

    page = pipes(page_process(server).pid)
    assert page
    assert not page & pipes(work)


def test_an_open_page_sees_the_end_and_then_the_server_is_gone_and_no_file_has_its_token(app: Started):
    process, server, _ = app
    page = page_process(server)
    root = Path(server.get("/api/server").data["root"])
    states = []

    Path("end").touch()
    while True:
        try:
            states.append(server.get("/api/runs").data["runs"][0]["state"])
        except (OSError, HTTPException):  # the last answer may be cut
            break
    assert finish(process)[0] == 0
    assert states[-1] == "stopped"
    assert is_gone(page.pid)
    files = [file for file in root.rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if server.token.encode() in file.read_bytes()] == []


def test_ctrl_c_ends_both_without_a_traceback(app: Started):
    process, server, _ = app
    page = page_process(server)

    os.killpg(process.pid, signal.SIGINT)

    assert finish(process)[0] == -signal.SIGINT
    assert is_gone(page.pid)
    assert "Traceback" not in Path("errors").read_text()


def test_a_killed_app_leaves_no_server(app: Started):
    process, server, work = app
    page = page_process(server)

    process.kill()

    wait_until_gone(page.pid, work)


def test_a_server_that_is_suspended_does_not_hold_the_app_for_long(app: Started):
    process, server, _ = app
    page = page_process(server)

    page.suspend()
    Path("end").touch()

    assert finish(process)[0] == 0
    assert is_gone(page.pid)


def test_a_killed_server_does_not_disturb_the_app(own_place: Path, monkeypatch: pytest.MonkeyPatch):
    """The option of the verb serves the page, whatever the variable says."""
    monkeypatch.setenv("LIGHTNING_LITE_UI", "0")
    with running(own_place, "-m", "lightning_lite", "run", "--ui") as (process, server, _):
        page_process(server).kill()

        Path("end").touch()
        code, out, _ = finish(process)
        assert (code, out.splitlines()[-1]) == (0, "The end")


def test_without_the_option_there_is_no_server(capfd: pytest.CaptureFixture[str]):
    Path("end").touch()
    LightningApp(Root()).run()

    assert address_in(capfd.readouterr().err) == ""


def test_a_folder_with_names_of_the_library_does_not_break_the_server(shared: Started):
    process, server, _ = shared
    folder = psutil.Process(process.pid).cwd()

    assert all(Path(folder, f"{name}.py").exists() for name in HIDING)
    assert page_process(server).cwd() == folder
    assert server.get("/api/server").status == 200


# Without the packages of the extra.


@pytest.fixture
def without(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next processes find no starlette."""
    folder = own_place / "blocker"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['starlette'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))


def test_without_the_extra_the_app_does_not_begin(without: None, own_place: Path):
    with starting() as start:
        code, out, err = finish(start(APP, "--ui"))

    assert (code, out) == (1, "")
    last = err.splitlines()[-1]
    assert "pip install 'lightning-lite-apps[ui]'" in last
    assert not Path(os.environ["LIGHTNING_LITE_ROOT"]).exists()


def test_without_the_extra_the_verb_says_how_to_install_it(without: None):
    with starting() as start:
        code, out, err = finish(start("-m", "lightning_lite", "ui"))

    assert (code, out) == (2, "")
    assert err == (
        "Error: ui needs starlette, which is not installed: pip install 'lightning-lite-apps[ui]'.\n"
    )


def test_the_package_loads_neither_server_nor_framework():
    code = (
        "import sys, lightning_lite, lightning_lite.app.app, lightning_lite.cli.main\n"
        "from lightning_lite import LightningApp\n"
        "print([name for name in ('starlette', 'uvicorn', 'anyio', 'asyncio') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert out == "[]\n"


# In the background.


def test_an_app_in_a_thread_serves_its_page_each_time(capfd: pytest.CaptureFixture[str]):
    app = LightningApp(Root())
    for _ in range(2):
        printed = ""
        running = app.start(ui=True)

        def is_printed() -> bool:
            nonlocal printed
            printed += capfd.readouterr().err
            return bool(address_in(printed))

        poll_until(is_printed, DEADLINE)
        server = Server(None, address_in(printed))  # type: ignore[arg-type] # the process is the app's
        page = page_process(server)
        assert server.get("/api/server").data["run"] == running.run_id

        running.stop()

        assert is_gone(page.pid)
