"""Actions on real apps: their effects, and that their answers name these."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.runs.catalog import RunSummary, read_run
from lightning_lite.testing import poll_until

from tests.cli.short_apps import RunningApp, running
from tests.support.page_servers import Reply, Server, serving
from tests.support.processes import DEADLINE, is_gone, suspended, wait_until_gone
from tests.support.run_folders import make_run_folder

pytestmark = pytest.mark.dependencies

#: An app that resumes: its work waits in the first run only.
RESUMED = """
import os, sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Wait(LightningWork):
    def run(self):
        print("waiting", flush=True)
        while not os.path.exists("go"):
            threading.Event().wait(0.02)
        return 1

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.wait = Wait()
    def run(self):
        print("up", flush=True)
        self.wait.run()
        self.stop("The end")

if os.path.exists("fail"):
    sys.exit(3)
LightningApp(Root()).run()
"""


class Steered:
    """A running app, and a server that steers it."""

    def __init__(self, app: RunningApp, server: Server) -> None:
        self.app = app
        self.server = server
        self.id = app.run.id

    def act(self, command: str, work: str | None = None, **fields: object) -> Reply:
        """Send a command."""
        return self.server.post(f"/api/runs/{self.id}/actions", command=command, work=work, **fields)

    def works(self) -> dict[str, Any]:
        """Return the works by name."""
        return {work["name"]: work for work in self.server.get(f"/api/runs/{self.id}").data["works"]}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Steered]:
    """An app that no test ends, and a server, on which other tests start apps of their own."""
    with running(tmp_path_factory.mktemp("shared")) as app:
        app.wait_for_output("up")
        with serving("--root", app.root) as server:
            yield Steered(app, server)


@pytest.fixture
def steered(own_place: Path, shared: Steered) -> Iterator[Steered]:
    """An app of the test, on the server of all."""
    with running(own_place, root=shared.app.root) as app:
        app.wait_for_output("up")
        yield Steered(app, shared.server)


def test_a_work_is_stopped_and_the_rest_goes_on_until_the_run_is_stopped(steered: Steered):
    works = steered.works()

    reply = steered.act("stop", "root.one")

    assert (reply.status, reply.data) == (200, {"text": None, "done": "root.one: stopped."})
    assert is_gone(works["root.one"]["pid"])
    poll_until(lambda: steered.works()["root.one"]["state"] == "stopped", DEADLINE)
    assert steered.works()["root.other"]["state"] == "running"
    assert steered.app.process.poll() is None

    assert steered.act("stop").data["done"] == f"{steered.id}: interrupted."
    assert steered.app.code() == 143
    assert steered.act("stop").status == 409


def test_a_work_is_restarted(shared: Steered):
    pid = shared.works()["root.one"]["pid"]

    reply = shared.act("restart", "root.one", timeout=30)

    assert reply.data["done"].startswith("root.one: restarted, ")
    assert is_gone(pid)
    poll_until(lambda: shared.works()["root.one"]["pid"] not in (None, pid), DEADLINE)
    poll_until(lambda: shared.works()["root.one"]["state"] == "running", DEADLINE)


def test_stacks_are_shown(shared: Steered):
    flow = shared.act("stack").data
    work = shared.act("stack", "root.one").data

    assert "app.run(" in flow["text"]
    assert "most recent call first" in work["text"]
    assert "in run" in work["text"]


def test_a_work_is_killed_and_then_its_run_even_if_that_is_suspended(steered: Steered):
    pids = [work["pid"] for work in steered.works().values()]
    other = steered.works()["root.other"]["pid"]
    assert steered.act("kill", "root.other").data["done"] == "root.other: killed."
    assert is_gone(other)
    assert steered.app.process.poll() is None
    assert steered.works()["root.one"]["state"] == "running"

    os.kill(steered.app.process.pid, signal.SIGSTOP)

    reply = steered.act("kill")

    assert reply.data["done"] == f"{steered.id}: killed."
    assert steered.app.code() == -signal.SIGKILL
    wait_until_gone(*pids)
    assert steered.server.get("/api/runs").data["runs"][0]["state"] == "killed"


def test_a_suspended_app_refuses_commands_to_its_works(shared: Steered):
    with suspended(shared.app.process.pid):
        reply = shared.act("stop", "root.one")

    assert reply.status == 503
    assert "does not answer" in reply.error


@pytest.mark.parametrize(
    ("fields", "status", "part"),
    [
        ({"command": "stop", "work": "root.nothing"}, 404, "no work 'root.nothing'"),
        ({"command": "stop", "work": "one"}, 404, "no work 'one'"),
        ({"command": "restart"}, 400, "work is missing"),
        ({"command": "dance"}, 400, "command must be stop or kill or restart or stack"),
        ({"command": "stop", "timeout": -1}, 400, "timeout must be"),
        ({"command": "stop", "timeout": "5"}, 400, "timeout must be"),
        ({"command": "stop", "timeout": True}, 400, "timeout must be"),
        ({"command": "stop", "timeout": 10**400}, 400, "timeout must be"),
        ({"command": "stop", "work": 5}, 400, "work must be"),
        ({}, 400, "command is missing"),
    ],
)
def test_what_can_not_be_done_is_refused(shared: Steered, fields: dict[str, object], status: int, part: str):
    reply = shared.server.post(f"/api/runs/{shared.id}/actions", **fields)

    assert reply.status == status
    assert part in reply.error


# Resume.


@pytest.fixture(scope="module")
def folder_of_died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of `died`."""
    return tmp_path_factory.mktemp("died")


@pytest.fixture(scope="module")
def died(folder_of_died: Path, shared: Steered) -> RunSummary:
    """A run of `RESUMED` whose process was killed, on the server of all; no test resumes it."""
    with running(folder_of_died, source=RESUMED, root=shared.app.root) as app:
        app.wait_for_output("up")
        app.process.kill()
        app.code()
        return app.run


def test_a_run_that_died_is_resumed_by_its_command_detached_from_the_server(own_place: Path):
    with running(own_place, source=RESUMED) as app:
        app.wait_for_output("up")
        with serving("--root", app.root) as server:
            app.process.kill()
            app.code()
            run = app.run
            poll_until(lambda: server.get("/api/runs").data["runs"][0]["state"] == "died", DEADLINE)
            assert server.get("/api/runs").data["runs"][0]["can_resume"]

            reply = server.post(f"/api/runs/{run.id}/resume")

            assert reply.status == 200
            pid = reply.data["pid"]
            assert f"resumed by process {pid}" in reply.data["done"]
            assert os.getsid(pid) == pid
            poll_until(lambda: read_run(run.path).state == "running", DEADLINE)
            assert server.post(f"/api/runs/{run.id}/resume").status == 409
            assert not server.get("/api/runs").data["runs"][0]["can_resume"]
            server.process.terminate()
            server.process.wait(DEADLINE)
            assert not is_gone(pid)

    Path(own_place, "go").touch()
    wait_until_gone(pid)
    assert read_run(run.path).state == "stopped"
    assert "The end" in Path(run.path, "resumed-output.log").read_text()


def test_a_program_that_fails_at_once_is_no_resume(folder_of_died: Path, shared: Steered, died: RunSummary):
    (folder_of_died / "fail").touch()

    reply = shared.server.post(f"/api/runs/{died.id}/resume", retry_failed=True)

    assert reply.status == 409
    assert "exit code 3" in reply.error


def test_a_run_whose_command_is_gone_is_not_resumed(folder_of_died: Path, shared: Steered, died: RunSummary):
    details = Path(died.path, "run.json")
    before = details.read_text()
    details.write_text(before.replace(str(folder_of_died) + '"', '/no/such/folder"'))

    try:
        reply = shared.server.post(f"/api/runs/{died.id}/resume")
    finally:
        details.write_text(before)

    assert reply.status in (404, 409)
    assert "/no/such/folder" in reply.error


def test_a_link_in_the_place_of_the_output_is_not_followed(shared: Steered, died: RunSummary, tmp_path: Path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    output = Path(died.path, "resumed-output.log")
    output.unlink(missing_ok=True)
    output.symlink_to(precious)

    try:
        reply = shared.server.post(f"/api/runs/{died.id}/resume")
    finally:
        output.unlink()

    assert reply.status == 409
    assert "symbolic link" in reply.error
    assert precious.read_text() == "precious"


def test_a_run_without_a_journal_is_not_resumed(shared: Steered):
    run = make_run_folder(Path(shared.app.root, "runs"), "20261122-035501123-9f3ac2", state="failed")

    reply = shared.server.post(f"/api/runs/{run.name}/resume")

    assert reply.status == 409
    assert "it has no journal" in reply.error


# Read-only.


def test_a_read_only_server_changes_nothing_but_gives_downloads(shared: Steered):
    with serving(shared.id, "--read-only", "--root", shared.app.root) as server:
        before = server.get("/api/runs").data["states"]
        for name in ("actions", "resume"):
            for fields in ({"command": "stop"}, {"command": "stack"}, {}):
                reply = server.post(f"/api/runs/{shared.id}/{name}", **fields)
                assert reply.status == 403
                assert "--read-only" in reply.error
        shown = server.get("/api/server").data
        assert (shown["read_only"], shown["can_resume"]) == (True, False)
        assert server.post("/api/tickets", kind="trace", run=shared.id).status == 200
        assert server.get("/api/runs").data["states"] == before
        assert before["running"] == 1

        session = {"X-Lightning-Session-UUID": "a", "X-Lightning-Session-ID": "b"}
        state = server.send("GET", "/api/v1/state", session).data
        assert state["works"]["one"]["vars"] == {"is_up": True}
        headers = {"Content-Type": "application/json", **session}
        assert server.send("POST", "/api/v1/delta", headers, b'{"changes": []}').status == 403
        assert server.send("POST", "/api/v1/state", headers, b'{"state": {}}').status == 403
