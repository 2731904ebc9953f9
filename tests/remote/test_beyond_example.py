"""The example of two nodes and a store on one machine: apps run on them, a node dies, and nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from pathlib import Path

import psutil
import pytest

from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE, finish, run_script, starting, wait_until_gone

pytestmark = pytest.mark.usefixtures("needs_ray")

EXAMPLES = Path(__file__).parents[2] / "examples"


def line_with(words: str, process: subprocess.Popen[str]) -> str:
    """Read the output of a process up to a line with these words; return that line."""
    while words not in (line := process.stdout.readline()):
        assert line, process.stderr.read()
    return line


def variables_in(path: Path) -> dict[str, str]:
    """Return the variables that a shell would have from the file."""
    return dict(re.findall(r"^export (\w+)=(.*)$", path.read_text(), re.MULTILINE))


@pytest.mark.timeout(600)  # most of it is the start of Ray, on a busy machine
def test_apps_run_on_the_cluster_of_the_example_one_survives_a_node_and_nothing_is_left(own_place: Path):
    # A short path, because that of a socket may have 107 characters only.
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="b") as temporary, starting() as start:
        everything = {"stdin": subprocess.PIPE, "env": {**os.environ, "TMPDIR": temporary}}
        cluster = start(EXAMPLES / "beyond/cluster.py", **everything)
        line_with("ready", cluster)
        environment = {**os.environ, **variables_in(own_place / "beyond.env")}

        printed = run_script(EXAMPLES / "drive/app.py", env=environment)
        assert printed.splitlines() == [
            "root.work_2 | ['a.txt']",
            "root.work_2 | False",
            "root.work_2 | True",
            "root.work_2 | Hello World !",
            "Application End!",
        ]

        app = start(EXAMPLES / "beyond/retries.py", 30, env=environment)
        for _ in range(6):
            line_with("| count", app)
        cluster.stdin.write("\n")
        cluster.stdin.flush()
        line_with("killed", cluster)
        code, out, err = finish(app)
        assert (code, out.splitlines()[-1]) == (0, "sum of the squares: 55"), out + err
        assert "| count" in out  # those of the node that died
        assert "raylet" not in out + err  # Ray's own lines are in a log

        pids = [process.pid for process in psutil.Process(cluster.pid).children(recursive=True)]
        cluster.send_signal(signal.SIGTERM)
        cluster.send_signal(signal.SIGINT)  # while it ends
        assert finish(cluster)[:2] == (0, "all is ended\n")
        wait_until_gone(*pids)
        poll_until(lambda: os.listdir(temporary) == [], DEADLINE)
    assert sorted(os.listdir(own_place)) in ([".lightning_lite"], [])
