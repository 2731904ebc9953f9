"""Apps on a real Ray cluster, from the command line as a user starts them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path

import psutil
import pytest
from two_nodes import ENVIRONMENT

from lightning_lite import CloudCompute, LightningApp, LightningWork
from lightning_lite.errors import RunnerError, WorkStartFailed
from lightning_lite.runners.remote import ray_cluster
from lightning_lite.runs.catalog import read_runs
from lightning_lite.settings import resolve_root
from lightning_lite.testing import poll_until

from tests.support.flows import OneWork, run_steps
from tests.support.processes import DEADLINE, finish, run_python, starting

HERE = Path(__file__).parent

#: The output of the app: both works have the address of their node.
PRINTED = {
    "root.here | twice 1",
    "root.there | twice 2",
    "here 2 127.0.0.1 127.0.0.1",
    "there 4 127.0.0.1 127.0.0.1",
}

LITE = ["-m", "lightning_lite"]


@pytest.fixture
def folder(cluster, monkeypatch, tmp_path) -> Path:
    """A folder with the app; the cluster is that of the settings."""
    monkeypatch.setenv("LIGHTNING_LITE_RUNNER", "ray")
    monkeypatch.setenv("LIGHTNING_LITE_RAY_ADDRESS", cluster.address)
    for name in ("ray_app.py", "module_of_the_app.py"):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path


class Plain(LightningWork):
    def run(self):
        return os.getpid()


def test_an_app_runs_on_the_cluster_with_the_modules_next_to_it(folder):
    done = run_python(*LITE, "run", "--runner", "ray", folder / "ray_app.py", "--plain")

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == PRINTED
    # On a busy machine, Ray takes longer than 10 seconds to start a process.
    assert [line for line in done.stderr.splitlines() if " waits for a place: Ray has not" not in line] == []


def test_a_killed_app_leaves_nothing_on_the_nodes_and_is_resumed(folder):
    go = folder / "go"
    with starting() as start:
        first = start(folder / "ray_app.py", go)
        poll_until(lambda: (folder / "up").exists() or first.poll() is not None, DEADLINE)
        (run,) = read_runs(resolve_root(None))
        first.kill()
        assert finish(first)[0] == -signal.SIGKILL
        poll_until(lambda: not works_of(run.path), DEADLINE)

        go.touch()
        done = run_python(folder / "ray_app.py", go, env={**os.environ, "LIGHTNING_LITE_RESUME": "1"})

    assert done.returncode == 0, done.stderr
    assert "found True" in done.stdout.splitlines()
    assert [(run.id, run.state) for run in read_runs(resolve_root(None))] == [(run.id, "stopped")]
    assert Path(run.path, "logs", "root.here.log").read_text().count("twice 1") == 1


def works_of(path: str) -> list[psutil.Process]:
    """Return the processes with this run's folder in their environment, those of its works."""
    root = f"LIGHTNING_LITE_ROOT={os.path.dirname(os.path.dirname(path))}"
    found = []
    for process in psutil.process_iter():
        try:
            environment = Path("/proc", str(process.pid), "environ").read_bytes().decode().split("\0")
            if root in environment and process.pid != os.getpid() and "worker" in str(process.cmdline()):
                found.append(process)
        except (OSError, UnicodeDecodeError, psutil.Error):  # it may end between these two lines
            continue
    return found


def test_what_no_node_has_is_refused_at_once_with_what_they_have(folder):
    app = LightningApp(OneWork(Plain(cloud_compute=CloudCompute("huge"))), compute={"huge": {"cpus": 500}})

    with pytest.raises(WorkStartFailed) as refused:
        app.run()  # the suite's own folder is not sent: it is no script

    assert (
        "root.work could not start: it needs 500 CPUs, and no node of the cluster has that: they have 4 CPUs"
        in str(refused.value)
    )


def test_without_a_cluster_at_the_address_one_line_says_what_to_do(folder, monkeypatch):
    monkeypatch.setenv("LIGHTNING_LITE_RAY_ADDRESS", "127.0.0.1:1")

    with pytest.raises(RunnerError, match=r"There is no Ray cluster at '127\.0\.0\.1:1': Connection refused"):
        LightningApp(OneWork(Plain())).run()


def test_without_the_token_of_the_cluster_the_error_says_where_it_goes(folder, monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    monkeypatch.setenv("HOME", str(folder))  # no token of this user

    with pytest.raises(RunnerError, match=r"it wants a token\. Set RAY_AUTH_MODE=token, and put the"):
        LightningApp(OneWork(Plain())).run()


def test_doctor_names_the_nodes_and_what_they_have(folder):
    done = run_python(*LITE, "doctor", "--json")
    findings = {finding["about"]: finding for finding in json.loads(done.stdout)["findings"]}

    python = "Python {}.{}".format(*sys.version_info)
    assert findings["ray cluster"]["value"].startswith("2 nodes; ")
    assert findings["ray cluster"]["value"].count(f"(127.0.0.1): {python}") == 2
    assert findings["ray"]["state"] == findings["ray cluster"]["state"] == "ok"


def test_a_folder_that_is_too_big_is_refused_with_what_to_do(folder, monkeypatch):
    with open(folder / "data.bin", "wb") as file:
        file.truncate(600 * 2**20)  # a sparse file, which takes no room
    monkeypatch.setenv("LIGHTNING_LITE_RAY_WORKING_DIR", str(folder))

    with pytest.raises(
        RunnerError, match="are too big to be sent to the machines: leave some out with ray_excl"
    ):
        LightningApp(OneWork(Plain())).run()

    monkeypatch.setenv("LIGHTNING_LITE_RAY_EXCLUDES", "*.bin")
    LightningApp(OneWork(Plain())).run()


class ListFiles(LightningWork):
    def run(self):
        found = []
        for folder, _, files in os.walk("."):
            found += [os.path.relpath(os.path.join(folder, name)) for name in files]
        return sorted(found)


def test_secrets_ignored_files_and_pipes_are_not_sent(folder, monkeypatch):
    for name in ("sent.txt", "data/sent [1].txt", ".env", "data/.env.local", "model.pt", "big.bin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    os.mkfifo(folder / "data" / "pipe [1] #x!")
    (folder / ".gitignore").write_text("*.pt\n")
    monkeypatch.setenv("LIGHTNING_LITE_RAY_WORKING_DIR", str(folder))
    monkeypatch.setenv("LIGHTNING_LITE_RAY_EXCLUDES", "*.bin, /root/")

    root = run_steps(lambda flow: flow.work.run(), "ray", work=ListFiles())

    modules = ["module_of_the_app.py", "ray_app.py"]
    assert root._answer == [".gitignore", "data/sent [1].txt", *modules, "sent.txt"]


def test_another_server_at_the_address_is_no_missing_cluster(folder, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_CONNECT_TIMEOUT", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("LIGHTNING_LITE_RAY_ADDRESS", address)

        with pytest.raises(RunnerError, match="but it did not answer as the head of a Ray cluster does"):
            LightningApp(OneWork(Plain())).run()


#: Prints the addresses at which processes of this test listen.
LISTENERS = """
import os, psutil
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def run(self):
        return sorted({each.laddr.ip for each in psutil.net_connections("tcp") if is_of_this_test(each)})

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.stop(f"listens at {self.work.run()}")

def is_of_this_test(connection):
    if connection.status != "LISTEN" or not connection.pid:
        return False
    mark = "LIGHTNING_LITE_TEST"
    try:
        return psutil.Process(connection.pid).environ().get(mark) == os.environ[mark]
    except psutil.Error:  # it has ended since then, or belongs to another user
        return False

LightningApp(Flow()).run(runner="ray")
"""


@pytest.mark.usefixtures("needs_ray")
def test_a_cluster_that_the_app_starts_listens_on_loopback_only(monkeypatch, tmp_path):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "app.py").write_text(LISTENERS)
    with tempfile.TemporaryDirectory(
        dir="/tmp"
    ) as files:  # short, because the path of a socket has 107 characters
        monkeypatch.setenv("RAY_TMPDIR", files)
        monkeypatch.setenv("HOME", files)  # there Ray writes a token, if it has none
        done = run_python(tmp_path / "app.py")

    addresses = set(re.findall(r"'([^']+)'", done.stdout))
    assert addresses, done.stderr
    assert addresses <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
