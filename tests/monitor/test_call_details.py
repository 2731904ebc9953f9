"""The list of the calls of a run, and one call in detail."""

from __future__ import annotations

import json
import os
import pickle
import sys

import pytest

from lightning_lite.engine.history import read_history
from lightning_lite.monitor.call_details import CallList, describe_call, find_files
from lightning_lite.runs.catalog import read_runs
from lightning_lite.storage.drive import Drive

from tests.monitor.histories import Story
from tests.support.processes import run_python

TRACEBACK = """\
Traceback (most recent call last):
  File "/home/ada/app.py", line 3, in load
    open(name)
FileNotFoundError: no data

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/home/ada/app.py", line 7, in run
    self.train(rate)
    ~~~~~~~~~~^^^^^^
  File "/home/ada/model.py", line 12, in train
    return numpy.linalg.solve(a, b)
  File "/usr/lib/python3.12/site-packages/numpy/linalg.py", line 90, in solve
    raise LinAlgError("Singular matrix")
numpy.linalg.LinAlgError: Singular matrix
"""


def page(story: Story, calls: CallList | None = None, **options):
    found = (calls or CallList(story.history)).page(**{"is_running": True, **options})
    json.dumps(found, allow_nan=False)
    return found


def names(found: dict) -> list[str]:
    return [f"{call['work'].removeprefix('root.')}{call['number']}" for call in found["calls"]]


def two_works() -> Story:
    """Return a story of four calls: done, failed, running and pending."""
    story = Story("a", "b")
    story.call("a", 1.0, 2.0, 3.0, "first", value=1)
    number = story.ask("b", 2.0, "second")
    story.change("b", number, 2.5, "running")
    story.fail("b", number, 3.5, message="no such file")
    story.change("a", story.ask("a", 4.0, "third"), 5.0, "running")
    story.ask("b", 6.0, rate=0.5)
    return story


def test_calls_of_all_works_come_newest_first():
    found = page(two_works())

    assert names(found) == ["b2", "a2", "b1", "a1"]
    assert (found["total"], found["more"], found["next"]) == (4, False, None)
    assert found["calls"][2] == {
        "work": "root.b",
        "number": 1,
        "key": "b-1",
        "stage": "failed",
        "asked": 2.0,
        "began": 2.5,
        "ended": 3.5,
        "attempts": 1,
        "arguments": "'second'",
        "message": "no such file",
    }
    assert found["calls"][0] | {"key": "", "message": ""} == {
        "work": "root.b",
        "number": 2,
        "key": "",
        "stage": "pending",
        "asked": 6.0,
        "began": None,
        "ended": None,
        "attempts": 0,
        "arguments": "rate=0.5",
        "message": "",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"works": ["root.a"]}, ["a2", "a1"]),
        ({"works": ["root.a", "root.b", "root.a"]}, ["b2", "a2", "b1", "a1"]),
        ({"outcome": "failed"}, ["b1"]),
        ({"outcome": "running"}, ["a2"]),
        ({"outcome": "succeeded", "works": ["root.b"]}, []),
        ({"outcome": "lost"}, []),
        ({"outcome": "lost", "is_running": False}, ["b2", "a2"]),
        ({"outcome": "pending", "is_running": False}, []),
        ({"text": "FIRST"}, ["a1"]),
        ({"text": "such file"}, ["b1"]),
        ({"text": "0.5", "works": ["root.b"]}, ["b2"]),
        ({"text": "nothing"}, []),
    ],
)
def test_filters(options, expected):
    assert names(page(two_works(), **options)) == expected


def test_pages_follow_each_other_while_calls_are_added():
    story = Story("a")
    for number in range(10):
        story.call("a", number, number + 0.1, number + 0.2)
    calls = CallList(story.history)
    found = page(story, calls, limit=4)
    seen = names(found)
    while found["more"]:
        story.call("a", 100.0, 100.0, 100.0)
        found = page(story, calls, limit=4, before=found["next"])
        seen += names(found)

    assert seen == [f"a{number}" for number in range(10, 0, -1)]


def test_pages_of_a_search_follow_each_other():
    story = Story("a")
    for number in range(10):
        story.call("a", number, number + 0.1, number + 0.2, "even" if number % 2 else "odd")
    calls = CallList(story.history)
    found = page(story, calls, limit=2, text="even")
    seen = names(found)
    while found["more"]:
        found = page(story, calls, limit=2, text="even", before=found["next"])
        seen += names(found)

    assert seen == ["a10", "a8", "a6", "a4", "a2"]
    assert found["total"] is None


def test_the_outcome_is_that_of_the_end():
    story = Story("a")
    number = story.ask("a", 1.0)
    calls = CallList(story.history)
    story.change("a", number, 2.0, "running")
    story.change("a", number, 3.0, "failed")
    assert names(page(story, calls, outcome="failed")) == ["a1"]
    story.change("a", number, 4.0, "running", 2)
    assert names(page(story, calls, outcome="failed")) == []
    story.succeed("a", number, 5.0)
    assert names(page(story, calls, outcome="failed")) == []
    assert names(page(story, calls, outcome="succeeded")) == ["a1"]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"outcome": "done"}, ValueError, "invalid outcome 'done': use one of failed, lost"),
        ({"limit": 0}, ValueError, "the limit must be from 1 to 1000, got 0"),
        ({"before": "x"}, ValueError, "invalid place 'x' in the list of calls"),
        ({"works": ["root.c"]}, LookupError, r"no work 'root\.c'"),
    ],
)
def test_bad_arguments_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        page(two_works(), **options)


def describe(story: Story, work: str, number: int, **options):
    found = describe_call(
        story.history, f"root.{work}", number, **{"root": None, "is_running": True, **options}
    )
    json.dumps(found, allow_nan=False)
    return found


def test_a_call_in_detail():
    story = two_works()

    found = describe(story, "a", 1)

    assert found["arguments"] == "'first'"
    assert found["value"] == {"text": "1", "type": "int", "size": 5, "truncated": False}
    assert [status["stage"] for status in found["statuses"]] == ["pending", "running", "succeeded"]
    assert found["attempts"] == [
        {"number": 1, "began": 2.0, "ended": 3.0, "outcome": "succeeded", "reason": None, "message": ""}
    ]
    assert found["error"] is None
    assert found["log"] == {"from": 2.0, "to": 3.0}


def test_long_arguments_come_on_lines():
    story = Story("a")
    number = story.ask("a", 1.0, "x" * 80, ["y"], rate=0.5, name="z" * 30)

    found = describe(story, "a", number)["arguments"]

    assert found == f"'{'x' * 80}',\n['y'],\nrate=0.5,\nname='{'z' * 30}'"


def test_arguments_that_the_journal_has_not_are_unknown():
    story = Story("a")
    number = story.ask("a", 1.0, packed=b"\x80\x05nonsense")
    story.history.works["root.a"].calls[0]._arguments = None

    found = describe(story, "a", number)

    assert (found["arguments"], found["is_known"]) == ("...", False)


def test_odd_arguments_and_values_are_shown_as_unreadable():
    story = Story("a")
    number = story.ask("a", 1.0, packed=b"\x80\x05nonsense")
    story.change("a", number, 1.0, "running")
    story.succeed("a", number, 2.0, packed=b"")

    found = describe(story, "a", number)

    assert found["arguments"].startswith("not readable")
    assert found["value"]["text"].startswith("not readable")


def test_the_error_has_the_frames_of_the_user_first():
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 1.0, "running")
    story.fail("a", number, 2.0, message="call 1 has failed", traceback=TRACEBACK)

    error = describe(story, "a", number)["error"]

    assert (error["type"], error["reason"]) == ("numpy.linalg.LinAlgError", "user_exception")
    assert (error["message"], error["traceback"]) == ("call 1 has failed", TRACEBACK)
    assert [(frame["file"], frame["line"], frame["user"]) for frame in error["frames"]] == [
        ("/home/ada/model.py", 12, True),
        ("/home/ada/app.py", 7, True),
        ("/usr/lib/python3.12/site-packages/numpy/linalg.py", 90, False),
    ]
    assert error["frames"][1] == {
        "file": "/home/ada/app.py",
        "line": 7,
        "function": "run",
        "source": "self.train(rate)",
        "user": True,
    }


def test_the_error_of_an_attempt_that_is_tried_again_is_shown():
    story = Story("a")
    number = story.ask("a", 1.0)
    story.change("a", number, 1.0, "running")
    story.change("a", number, 2.0, "failed", reason="crashed", message="killed by signal 9")
    story.change("a", number, 3.0, "running", 2)

    error = describe(story, "a", number)["error"]

    assert (error["reason"], error["message"], error["frames"]) == ("crashed", "killed by signal 9", [])


def test_a_lost_call_says_so():
    story = Story("a")
    story.change("a", story.ask("a", 1.0), 2.0, "running")

    found = describe(story, "a", 1, is_running=False)

    assert (found["stage"], found["attempts"][0]["outcome"]) == ("lost", "lost")


@pytest.mark.parametrize(
    ("work", "number", "says"),
    [
        ("c", 1, r"no work 'root\.c'"),
        ("a", 3, r"root\.a has made 2 calls, so there is no call 3"),
        ("a", 0, "there is no call 0"),
    ],
)
def test_a_call_that_is_not_there_is_refused(work, number, says):
    with pytest.raises(LookupError, match=says):
        describe(two_works(), work, number)


def test_files_that_came_while_the_call_ran_are_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = str(tmp_path / "root")
    (tmp_path / "a.txt").write_text("old", "utf-8")
    os.utime(tmp_path / "a.txt", (1.0, 1.0))  # a put keeps this time
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "loss.png").write_bytes(b"png")
    mine = Drive("lit://models", component_name="root.a", root_dir=root)
    mine.put("a.txt")
    mine.put("plots")
    Drive("lit://other", component_name="root.b", root_dir=root).put("plots")
    arrived = os.stat(tmp_path / "root/drives/models/root.a/a.txt").st_ctime

    found, are_all = find_files(root, "root.a", arrived, arrived + 10)

    assert are_all
    assert sorted((file["drive"], file["path"], file["size"]) for file in found) == [
        ("models", "a.txt", 3),
        ("models", "plots/loss.png", 3),
    ]
    assert found[-1]["component"] == "root.a"
    assert find_files(root, "root.a", arrived + 10, None) == ([], True)
    assert find_files(root, "root.a", arrived - 20, arrived - 10) == ([], True)
    assert find_files(root, "../root.a", arrived, None) == ([], True)
    assert find_files(str(tmp_path / "no root"), "root.a", arrived, None) == ([], True)


SCRIPT = """
import numpy as np
from lightning_lite import Drive, LightningApp, LightningFlow, LightningWork, Path, Payload

class Settings:
    def __init__(self, rate):
        self.rate = rate

class Make(LightningWork):
    def __init__(self):
        super().__init__()
        self.model = None
        self.data = None

    def run(self, rate, drive):
        self.model = Path("model.txt")
        self.model.write_text("weights")
        self.data = Payload([1, 2, 3])
        with open("plot.svg", "w") as file:
            file.write("<svg/>")
        drive.put("plot.svg")
        return {"weights": np.zeros((600, 400)), "settings": Settings(rate)}

class Use(LightningWork):
    def run(self, model, data):
        raise ValueError("odd model")

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.make = Make()
        self.use = Use()

    def run(self):
        self.make.run(0.5, Drive("lit://plots"))
        self.use.run(self.make.model, self.make.data)

LightningApp(Root()).run()
"""


def test_a_real_run_is_described_without_its_classes(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(SCRIPT, "utf-8")
    root = str(tmp_path / "root")
    env = {**os.environ, "LIGHTNING_LITE_ROOT": root, "LIGHTNING_LITE_RUNNER": "inline"}
    assert "odd model" in run_python("app.py", cwd=tmp_path, env=env).stderr
    (run,) = read_runs(root)
    history = read_history(run.path)
    for name in ("numpy", "numpy._core"):
        monkeypatch.setitem(sys.modules, name, None)  # an import would fail

    made = describe_call(history, "root.make", 1, root=root, is_running=False)
    used = describe_call(history, "root.use", 1, root=root, is_running=False)

    assert made["arguments"] == "0.5, Drive('lit://plots')"
    assert made["value"]["text"] == "{'weights': ndarray float64 (600, 400), 'settings': Settings(rate=0.5)}"
    assert {file["drive"]: os.path.basename(file["path"]) for file in made["files"]} | {"@payloads": ""} == {
        "plots": "plot.svg",
        "@paths": "model.txt",
        "@payloads": "",
    }
    assert made["links"] == [{"kind": "drive", "name": "plots", "origin": None, "where": "arguments"}]
    assert used["stage"] == "failed"
    assert used["error"]["type"] == "ValueError"
    assert used["error"]["frames"][0]["source"] == 'raise ValueError("odd model")'
    assert {link["kind"]: link["origin"] for link in used["links"]} == {
        "path": "root.make",
        "payload": "root.make",
    }
    assert used["files"] == []
    assert pickle.loads(pickle.dumps(used)) == used
