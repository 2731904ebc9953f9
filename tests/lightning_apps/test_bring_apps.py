"""Apps in the manner of Lightning's examples run as they are: only the names lead to lightning_lite."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.dependencies

APPS = Path(__file__).parent / "apps"

#: The output of each app at its end, the works' lines with their name first.
PRINTED = {
    "boring_app.py": ["Good morning! root.source", "Boring end"],
    "dag_app.py": ["['power_2', 'power_3']", "All graphs have ended."],
    "database_app.py": ["Database end [Counter(id=1, count=3)]"],
    "drive_app.py": [
        "root.reader | ['report.txt'] False",
        "root.reader | 42 rows",
        "Both works have ended.",
    ],
    "dynamic_app.py": ["root.step root.branch.step 2", "Dynamic end"],
    "layout_app.py": ["['Links', 'Files']", "Layout end"],
    "payload_app.py": ["root.user | sum 6", "Payload end"],
    "scaler_app.py": [
        "root.client | {'prediction': 4} {'prediction': 4}",
        "root.client | {'outputs': [{'prediction': 3}]}",
        "2 servers",
    ],
    "schedule_app.py": ["{'vars': {'titles': ['a', 'b']}}", "Schedule end"],
    "scripts_app.py": [
        "root.train | script ['--rate=0.1', 'size=3'] one two three",
        "root.job | popen",
        "model ['127.0.0.1 2 0', '127.0.0.1 2 1']",
        "Scripts end",
    ],
    "structures_app.py": [
        "[('root.queue.0', 4), ('root.named.late', 9), ('root.fixed.0', 16), ('root.fixed.1', 25)]",
        "Structures end",
    ],
}


#: Options of single apps; the app with arguments gets those after `--app_args`.
OPTIONS = {
    "dag_app.py": ["--start-method", "forkserver"],
    "payload_app.py": ["--runner", "inline"],
    "schedule_app.py": ["--app_args", "--titles", "a", "b"],
}


def test_each_app_has_its_output():
    assert sorted(PRINTED) == sorted(file.name for file in APPS.glob("*.py"))


@pytest.mark.parametrize("app", sorted(PRINTED.keys() - {"layout_app.py"}))
def test_an_app_of_lightning_runs_unmodified(app, verb):
    done = verb("run", "app", APPS / app, "--open-ui", "false", "--without-server", *OPTIONS.get(app, []))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == PRINTED[app]


def test_an_app_with_a_layout_runs_unmodified_and_serves_its_page_without_being_asked(verb):
    done = verb("run", "app", APPS / "layout_app.py")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == PRINTED["layout_app.py"]
    assert done.stderr == "" or done.stderr.startswith("The page of this run: http://127.0.0.1:")
