"""Apps in a real Jupyter kernel; one kernel runs all cells once, for all tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.dependencies

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 110

CELLS = {
    "classes": """
import inspect, os, pickle, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive

class Point:
    def __init__(self, x):
        self.x = x

def ratio(x):
    return x / (x - 2)

RATIO = inspect.getsource(ratio)

class Work(LightningWork):
    def __init__(self):
        super().__init__()
        self.text = "<b>bold</b>"

    def run(self, point):
        print("point", point.x)
        assert type(pickle.loads(pickle.dumps(point))) is Point
        assert inspect.getsource(ratio) == RATIO
        return Point(ratio(point.x))

    def on_exit(self):
        print("tidied up")

class Flow(LightningFlow):
    def __init__(self, x):
        super().__init__()
        self.x = x
        self.work = Work()

    def run(self):
        point = self.work.run(Point(self.x))
        self.stop(f"{type(point) is Point} {point.x}")
""",
    "run": "LightningApp(Flow(3)).run()",
    "fail": "LightningApp(Flow(2)).run()",
    "interrupt": {
        "code": """
class Forever(LightningWork):
    def run(self):
        open("interrupt.txt", "w").close()
        threading.Event().wait(60)
    def on_exit(self):
        print("tidied up")

LightningApp(Forever()).run()
""",
        "when": "interrupt.txt",
    },
    "nothing is left": "import psutil; [child.name() for child in psutil.Process().children()]",
    "start": """
app = LightningApp(Flow(4))
running = app.start()
running.wait(60)
running.state
""",
    "logs": "running.logs()",
    "stop": """
with LightningApp(Forever()).start() as running:
    print(running.state)
running.state
""",
    "start and fail": """
running = LightningApp(Flow(2)).start()
running.wait()
""",
    "app": "app",
    "flow": "app.root",
    "work": "app.root.work",
    "drive": "Drive('lit://data')",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Return the output of each cell, by its name."""
    folder = tmp_path_factory.mktemp("notebook")
    own = (
        "IPYTHONDIR",
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "LIGHTNING_LITE_ROOT",
    )
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("play.py")],
        input=json.dumps(list(CELLS.values())),
        env={**os.environ, **{name: str(folder / name) for name in own}},
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    return dict(zip(CELLS, json.loads(done.stdout), strict=True))


def printed(cell):
    return "".join(output["text"] for output in cell if output.get("name") == "stdout")


def error(cell):
    (found,) = [output for output in cell if output["output_type"] == "error"]
    trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(found["traceback"]))
    return found["ename"], trace


def value(cell, kind="text/plain"):
    (found,) = [output for output in cell if output["output_type"] == "execute_result"]
    return found["data"][kind]


def test_classes_of_cells_are_sent_to_works_and_back(outputs):
    assert outputs["classes"] == []
    assert printed(outputs["run"]) == "root.work | point 3\nTrue 3.0\nroot.work | tidied up\n"


def test_a_failure_shows_the_line_of_the_cell(outputs):
    name, trace = error(outputs["fail"])

    assert name == "ZeroDivisionError"
    assert "return x / (x - 2)" in trace
    assert "in root.work.run(<__main__.Point object at 0x" in trace
    assert "root.work printed last:\n    point 2" in trace
    assert "session.py" not in trace


def test_interrupting_a_cell_ends_the_app_in_order(outputs):
    assert error(outputs["interrupt"])[0] == "KeyboardInterrupt"
    assert printed(outputs["interrupt"]) == "root.work | tidied up\n"
    assert value(outputs["nothing is left"]) == "[]"


def test_the_handle_of_an_app_waits_and_shows_state_and_logs(outputs):
    assert value(outputs["start"]) == "'stopped'"
    assert "root.work | point 4" in printed(outputs["start"])
    assert value(outputs["logs"]) == r"'root.work | point 4\nroot | True 2.0\nroot.work | tidied up\n'"


def test_the_end_of_a_with_block_stops_its_app(outputs):
    assert printed(outputs["stop"]).startswith("running\n")
    assert value(outputs["stop"]) == "'interrupted'"


def test_wait_raises_the_error_of_the_app(outputs):
    name, trace = error(outputs["start and fail"])

    assert name == "ZeroDivisionError"
    assert "running.wait()" in trace


def test_apps_flows_works_and_drives_are_shown_as_tables(outputs):
    app, flow, work, drive = (value(outputs[name], "text/html") for name in ("app", "flow", "work", "drive"))

    assert app.startswith("<b>Flow: stopped</b><table>")
    assert "<td>root.work</td><td>Work</td><td>succeeded</td>" in app
    assert flow.startswith("<b>root (Flow)</b>")
    assert "<td>x</td><td>4</td>" in flow
    assert work.startswith("<b>root.work (Work): succeeded</b>")
    assert "&lt;b&gt;bold&lt;/b&gt;" in work
    assert "<b>bold" not in work
    assert "lit://data" in drive
