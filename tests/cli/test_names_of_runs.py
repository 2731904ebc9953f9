"""Names and tags of runs: where they are given, stored, shown and taken in place of an id."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork, RunEnd
from lightning_lite.cli.completion import complete_runs
from lightning_lite.errors import AppFailed, NothingToResume, SettingError
from lightning_lite.run_options import RunOptions
from lightning_lite.runs.catalog import read_runs

from tests.cli.short_apps import running
from tests.cli.verbs import call, is_refused
from tests.support.processes import run_verb
from tests.support.run_folders import make_run_folder, runs_folder


class Train(LightningWork):
    def run(self) -> None:
        sys.stdout.write("training\n")


class Ends(LightningFlow):
    """Ends the app; as failed as long as there is no file `fixed`."""

    def __init__(self) -> None:
        super().__init__()
        self.train = Train()

    def run(self) -> None:
        self.train.run()
        if not os.path.exists("fixed"):
            self.fail("not fixed")
        self.stop()


class Short(LightningFlow):
    """Has a work whose name is also a digit of ids."""

    def __init__(self) -> None:
        super().__init__()
        self.a = Train()

    def run(self) -> None:
        self.a.run()
        self.stop()


def run(**options: object) -> str:
    """Run an app that fails, and return the id of its run."""
    with pytest.raises(AppFailed):
        LightningApp(Ends()).run("inline", **options)
    return read_runs(os.environ["LIGHTNING_LITE_ROOT"])[-1].id


def details(run_id: str) -> dict[str, object]:
    """Return the content of the `run.json` of a run."""
    return json.loads(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs", run_id, "run.json").read_text())


def test_name_and_tags_are_stored_and_shown(capfd: pytest.CaptureFixture[str]):
    run_id = run(name="trial-1", tags=["nightly", "lr=0.1", "nightly"])

    assert (details(run_id)["name"], details(run_id)["tags"]) == ("trial-1", ["nightly", "lr=0.1"])
    (shown,) = call(capfd, "ps", "--json").data
    assert (shown["name"], shown["tags"]) == ("trial-1", ["nightly", "lr=0.1"])
    heading, row = call(capfd, "ps").out.splitlines()
    assert heading.split() == ["ID", "NAME", "APP", "STATE", "TAGS", "STARTED", "TOOK", "WORKS"]
    assert "  trial-1  Ends  failed  nightly, lr=0.1  " in row
    status = call(capfd, "status")
    assert status.out.startswith(f"Ends, run {run_id} (trial-1): failed")
    assert "\ntags: nightly, lr=0.1\n" in status.out
    assert call(capfd, "status", "--json").data["tags"] == ["nightly", "lr=0.1"]


def test_a_list_of_runs_without_names_and_tags_has_no_columns_for_them(capfd: pytest.CaptureFixture[str]):
    run()

    assert call(capfd, "ps").out.split()[:6] == ["ID", "APP", "STATE", "STARTED", "TOOK", "WORKS"]


def test_ps_lists_the_runs_with_a_name_and_with_all_given_tags(capfd: pytest.CaptureFixture[str]):
    a, b, c = run(name="x", tags=["p"]), run(name="y", tags=["p", "q"]), run(name="x")

    def listed(*words: str) -> list[str]:
        return call(capfd, "ps", "-q", *words).out.split()

    assert listed() == [c, b, a]
    assert listed("--name", "x") == [c, a]
    assert listed("--tag", "p") == [b, a]
    assert listed("--tag", "p", "--tag", "q") == [b]
    assert listed("--tag", "p", "--name", "x") == [a]
    none = call(capfd, "ps", "--name", "z", "--tag", "p")
    assert none.out.startswith("There is no run with the name 'z' with the tags p in ")


def test_verbs_take_a_name_in_place_of_an_id(capfd: pytest.CaptureFixture[str]):
    run_id = run(name="first")
    run(name="second")

    assert call(capfd, "status", "first", "--json").data["id"] == run_id
    assert "training" in call(capfd, "logs", "first", "train").out
    assert call(capfd, "timeline", "first").code == 0
    is_refused(call(capfd, "stop", "first"), 2, f"run {run_id} is not running")
    is_refused(call(capfd, "timeline", "fisrt"), 2, "did you mean first")


def test_a_name_of_several_runs_is_refused_with_their_ids(capfd: pytest.CaptureFixture[str]):
    a, b = run(name="same"), run(name="same")

    is_refused(call(capfd, "status", "same"), 2, f"2 runs have the name 'same': {b}, {a}; type the id of one")
    with pytest.raises(NothingToResume, match=f"2 runs have the name 'same': {b}, {a}"):
        LightningApp(Ends()).run("inline", resume="same")


def test_a_name_comes_before_a_part_of_an_id(capfd: pytest.CaptureFixture[str]):
    other = run()
    run_id = run(name=other[-6:])

    assert call(capfd, "status", other[-6:], "--json").data["id"] == run_id


def test_a_word_that_means_a_run_and_a_work_is_refused(capfd: pytest.CaptureFixture[str]):
    old = run(name="train")
    latest = run()

    is_refused(
        call(capfd, "logs", "train"),
        2,
        f"'train' means a run, and also a work of run {latest}. Type the id of the run: {old}; "
        "or the full name: root.train.",
    )
    assert "training" in call(capfd, "logs", "root.train").out
    assert "training" in call(capfd, "logs", old, "train").out


@pytest.mark.parametrize("verb", ["logs", "status"])
def test_a_word_that_means_a_run_and_a_work_of_the_same_run_is_refused(
    verb: str, capfd: pytest.CaptureFixture[str]
):
    run_id = run(name="train")

    is_refused(call(capfd, verb, "train"), 2, f"the id of the run: {run_id}; ", "the full name: root.train.")
    assert call(capfd, verb, run_id).code == call(capfd, verb, "root.train").code == 0


def test_a_part_of_an_id_that_is_also_a_work_is_refused(capfd: pytest.CaptureFixture[str]):
    LightningApp(Short()).run("inline")
    runs = Path(os.environ["LIGHTNING_LITE_ROOT"], "runs")
    (path,) = runs.iterdir()
    run_id = path.rename(runs / f"{path.name[:-1]}a").name

    is_refused(call(capfd, "logs", "a"), 2, f"the id of the run: {run_id}; ", "the full name: root.a.")
    assert call(capfd, "logs", run_id[-4:]).code == call(capfd, "logs", "root.a").code == 0


def test_a_running_run_with_the_name_of_its_work_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_NAME", "one")
    with running(tmp_path, root=os.environ["LIGHTNING_LITE_ROOT"]) as app:
        app.wait_for_output("up\n")

        for verb in ("stop", "kill", "restart", "stack", "logs", "status"):
            is_refused(call(capfd, verb, "one"), 2, "means a run, and also a work", app.run.id, ": root.one.")

            works = call(capfd, "status", app.run.id, "--json").data["works"]
            assert [work["state"] for work in works] == ["running", "running"], verb
            assert [work["attempt"] for work in works] == [1, 1], verb
        assert "one has stopped" not in app.output
        assert call(capfd, "stop", "root.one").out == "root.one: stopped\n"
        assert call(capfd, "stop", app.run.id).code == 0


def test_a_mistyped_name_of_a_run_is_not_only_an_unknown_work(capfd: pytest.CaptureFixture[str]):
    run_id = make_run_folder(runs_folder(), "20260101-000000000-abcdef", name="lr-high").name

    for verb in ("logs", "status"):
        is_refused(
            call(capfd, verb, "lr-hihg"),
            2,
            f"there is no work 'lr-hihg' in run {run_id}: ",
            "If 'lr-hihg' means a run: did you mean lr-high?",
        )
        is_refused(call(capfd, verb, "abcdee"), 2, f"means a run: did you mean {run_id}?")
    second = call(capfd, "logs", "lr-high", "lr-hihg")  # only the first word can be a run
    is_refused(second, 2, "no work 'lr-hihg'")
    assert "means a run" not in second.err


def test_a_run_is_resumed_by_its_name_and_keeps_name_and_tags(monkeypatch: pytest.MonkeyPatch):
    run_id = run(name="trial", tags=["a"])
    run(name="other")
    Path("fixed").touch()

    LightningApp(Ends()).run("inline", resume="trial")

    kept = details(run_id)
    assert (kept["state"], kept["name"], kept["tags"]) == ("stopped", "trial", ["a"])


def test_a_resumed_run_gets_the_name_and_the_tags_that_are_given():
    run_id = run(name="trial", tags=["a"])

    assert run(resume=run_id, name="trial-2", tags=["b"]) == run_id

    assert (details(run_id)["name"], details(run_id)["tags"]) == ("trial-2", ["b"])


def test_a_resumed_run_keeps_only_tags_that_are_text():
    run_id = run(tags=["nightly"])
    file = Path(os.environ["LIGHTNING_LITE_ROOT"], "runs", run_id, "run.json")
    file.write_text(json.dumps(details(run_id) | {"tags": ["nightly", 7, None]}))
    Path("fixed").touch()
    ends: list[RunEnd] = []

    LightningApp(Ends(), on_end=ends.append).run("inline", resume=run_id)

    assert [end.tags for end in ends] == [("nightly",)]


def test_the_variables_give_name_and_tags_and_the_name_counts_for_one_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIGHTNING_LITE_NAME", "first")
    monkeypatch.setenv("LIGHTNING_LITE_TAGS", "a, b,")

    one, two = run(), run()

    assert (details(one)["name"], details(one)["tags"]) == ("first", ["a", "b"])
    assert (details(two)["name"], details(two)["tags"]) == (None, ["a", "b"])


def test_the_verb_run_gives_name_and_tags_and_the_verb_resume_keeps_them(tmp_path: Path):
    source = (
        "import os\n"
        "from lightning_lite import LightningApp, LightningFlow\n"
        "class Root(LightningFlow):\n"
        "    def run(self):\n"
        "        self.stop() if os.path.exists('fixed') else self.fail('not fixed')\n"
        "app = LightningApp(Root())\n"
    )
    Path("app.py").write_text(source)
    words = ["run", "app.py", "--name", "trial", "--tag", "a", "--tag", "b", "--runner", "inline"]

    assert run_verb(*words).returncode == 1
    (found,) = read_runs(os.environ["LIGHTNING_LITE_ROOT"])
    assert (found.name, found.tags) == ("trial", ["a", "b"])

    Path("fixed").touch()
    resumed = run_verb("resume", "trial")

    assert resumed.returncode == 0, resumed.stderr
    (found,) = read_runs(os.environ["LIGHTNING_LITE_ROOT"])
    assert (found.state, found.name, found.tags) == ("stopped", "trial", ["a", "b"])


def test_stop_takes_the_running_one_of_the_runs_with_a_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run(name="trial")
    monkeypatch.setenv("LIGHTNING_LITE_NAME", "trial")
    with running(tmp_path, root=os.environ["LIGHTNING_LITE_ROOT"]) as app:
        app.wait_for_output("up\n")

        assert call(capfd, "stop", "trial").code == 0

        assert app.code() == 128 + signal.SIGTERM


def test_names_of_runs_are_completed():
    run_id = run(name="trial")
    argument = click.Argument(["run"])
    context = click.Context(click.Command("logs", params=[argument]))
    context.params["root"] = os.environ["LIGHTNING_LITE_ROOT"]

    found = complete_runs(context, argument, "tr")

    assert [(item.value, item.help.split(",")[0]) for item in found] == [("trial", "Ends")]
    assert [item.value for item in complete_runs(context, argument, "")] == ["trial", run_id]


BAD_NAMES = ["", " ", "a b", "-x", ".x", "a/b", "ä", "x" * 65, "latest", "root", "root.a", "a\n", "\x1b[2J"]
BAD_NAMES += ["20261122-071407564-5aee04", "20261122-071407564"]


@pytest.mark.parametrize("name", [*BAD_NAMES, 7])
def test_a_name_that_is_not_valid_is_refused(name: object):
    with pytest.raises(SettingError, match=r"name must be 1 to 64 letters, digits and '._-'"):
        RunOptions.resolve(name=name)  # type: ignore[arg-type]


@pytest.mark.parametrize("tags", ["nightly", [""], ["a b"], ["a,b"], ["x" * 65], [7], 7, ["\n"]])
def test_tags_that_are_not_valid_are_refused(tags: Sequence[str]):
    with pytest.raises(SettingError, match="tags must be a list of tags, each of 1 to 64 letters"):
        RunOptions.resolve(tags=tags)


@pytest.mark.parametrize("words", [["--name", "a b"], ["--tag", "ok", "--tag", "a,b"], ["--name", "latest"]])
def test_the_verb_run_refuses_them_before_it_runs_the_file(
    words: list[str], capfd: pytest.CaptureFixture[str]
):
    Path("app.py").write_text("open('was-run', 'w')\n")

    is_refused(call(capfd, "run", "app.py", *words), 2, f"{words[0]}: ", "must be")

    assert not os.path.exists("was-run")


def test_a_run_json_with_other_types_has_no_name_and_no_tags(capfd: pytest.CaptureFixture[str]):
    run_id = run(name="trial", tags=["a"])
    file = Path(os.environ["LIGHTNING_LITE_ROOT"], "runs", run_id, "run.json")
    file.write_text(json.dumps({**details(run_id), "name": ["trial"], "tags": [1, "b"]}))

    (shown,) = call(capfd, "ps", "--json").data

    assert (shown["name"], shown["tags"]) == (None, ["b"])
