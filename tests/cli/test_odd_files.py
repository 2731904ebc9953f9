"""Other things in the place of the files of a run: no verb follows a link, hangs, or shows a traceback."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite import LightningApp
from lightning_lite.errors import JournalError
from lightning_lite.runs.catalog import read_runs

from tests.cli.failing_app import FAILURE, Root, fail
from tests.cli.short_apps import running
from tests.cli.verbs import call, is_refused
from tests.support.limits import little_memory
from tests.support.odd_files import IRREGULAR, ODD, PRECIOUS, each, put, snapshot
from tests.support.run_folders import runs_folder

pytestmark = pytest.mark.dependencies

Capture = pytest.CaptureFixture[str]

#: Files of a run that a command opens. `values/*` is the first file there.
FILES = [
    "run.json",
    "journal.log",
    "journal.lock",
    "journal.db",
    "numbers.log",
    "run.json.new",
    "journal.log.new",
    "numbers.log.new",
    "commands.sock",
    "logs/root.work.log",
    "logs/root.work.times",
    "values/*",
    "logs",
    "values",
]

ALL_RUNS = ["ps", "--json", "--all"]

VERBS: list[list[str]] = [
    ["ps"],
    ALL_RUNS,
    ["ps", "--running", "-q"],
    ["status", "RUN"],
    ["status", "RUN", "work", "--json"],
    ["timeline", "RUN", "-o", "-"],
    ["logs", "RUN"],
    ["logs", "RUN", "work", "-n", "3", "--timestamps"],
    ["logs", "RUN", "--since", "10m", "--json"],
    ["stack", "RUN", "work"],
    ["stop", "RUN"],
    ["numbers", "RUN"],
    ["clean", "--older-than", "1w"],
    ["clean", "--keep", "1", "--dry-run"],
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with two runs."""
    root = tmp_path_factory.mktemp("template") / "root"
    for _ in range(2):
        fail(root)
    return root


@pytest.fixture
def run(template: Path) -> Path:
    """Return the folder of the second of two runs in the root of the test."""
    shutil.copytree(template, runs_folder().parent)
    return Path(read_runs(str(runs_folder().parent))[-1].path)


def place(run: Path, file: str) -> Path:
    return min(run.glob(file)) if "*" in file else run / file


def with_odd_file(run: Path, template: Path, kind: str, step: int) -> Iterator[tuple[Path, str]]:
    """Put a thing in the place of each file in turn, then in the place of all; yield the path and the name.

    With a step, only each so many of the files is replaced, others for each kind.
    """
    files = FILES[list(ODD).index(kind) % step :: step]
    for file in files:
        if kind != "the same file, but huge" or "." in file:
            put(kind, place(run, file))
            yield place(run, file), file
            shutil.rmtree(run)
            shutil.copytree(template / "runs" / run.name, run)
    for file in FILES[:-2]:
        put(kind, place(run, file))
    yield run, "all"


SOME, EACH = 11, pytest.param(1, marks=pytest.mark.torture)


@pytest.mark.parametrize("step", [SOME, EACH])
@pytest.mark.parametrize("kind", each(list(ODD)))
def test_no_verb_follows_hangs_or_breaks(capfd: Capture, run: Path, template: Path, kind: str, step: int):
    for _, file in with_odd_file(run, template, kind, step):
        before = snapshot(run)
        for verb in VERBS:
            words = [run.name if word == "RUN" else word for word in verb]
            with little_memory():
                output = call(capfd, *words)
            assert output.code in ([0] if verb[0] in ("ps", "clean") else [0, 1, 2]), (file, verb, output)
            assert len(output.err.splitlines()) <= 3, (file, verb, output)
            assert PRECIOUS.strip() not in output.out + output.err, (file, verb)
            assert len(output.out) < 20_000_000, (file, verb)
            if verb == ALL_RUNS:
                assert run.name in [line["id"] for line in output.data], file
                assert len(output.data) == 2, file
        assert snapshot(run) == before, file


@pytest.mark.parametrize("step", [SOME, EACH])
@pytest.mark.parametrize("kind", each(list(ODD)))
def test_a_resume_follows_nothing_and_names_what_it_refuses(run: Path, template: Path, kind: str, step: int):
    for _, file in with_odd_file(run, template, kind, step):
        outside = {name: found for name, found in snapshot(run).items() if "precious" in name}

        with little_memory(), pytest.raises(Exception) as caught:  # noqa: PT011 - the app, or a refusal
            LightningApp(Root()).run("inline", resume=run.name)

        assert not isinstance(caught.value, MemoryError), file
        assert str(caught.value) == FAILURE or str(run) in str(caught.value), file
        assert outside.items() <= snapshot(run).items(), file
    with little_memory():
        with pytest.raises(
            JournalError, match=f"the run '{run.name}' can't be resumed: its run.json can't be"
        ):
            LightningApp(Root()).run("inline", resume=True)
        shutil.rmtree(run)
        fail(resume=True)
        fail()


@pytest.mark.parametrize("kind", each(IRREGULAR))
@pytest.mark.parametrize(
    ("file", "what"),
    [("run.json", "its run.json can't be read: "), ("journal.lock", "its lock can't be read: ")],
)
def test_the_verbs_say_what_is_in_the_place_of_a_file(
    capfd: Capture, run: Path, file: str, what: str, kind: str
):
    put(kind, run / file)
    is_a_link = os.path.islink(run / file)
    trouble = f"{what}it is {'a symbolic link' if is_a_link else kind}, not a regular file"

    assert f"{run.name}: {trouble}" in call(capfd, "ps").out
    assert [found["trouble"] for found in call(capfd, "ps", "--json").data] == [trouble, ""]
    assert trouble in call(capfd, "status", run.name).out
    assert call(capfd, "status", run.name, "--json").data["trouble"] == trouble
    is_refused(call(capfd, "stop", run.name), 2, "does not seem to be running", trouble)
    is_refused(call(capfd, "resume", run.name), 2, run.name, trouble)


@pytest.mark.parametrize("kind", each(IRREGULAR))
def test_clean_keeps_a_run_whose_lock_is_something_else_and_says_why(capfd: Capture, run: Path, kind: str):
    put(kind, run / "journal.lock")
    before = snapshot(run)

    output = call(capfd, "clean", "--all", "--yes")

    assert output.err.startswith("Kept: the lock ")
    assert "not a regular file" in output.err
    assert "Removed 1 run" in output.out
    assert snapshot(run) == before


@pytest.mark.parametrize("kind", each(IRREGULAR))
def test_an_odd_log_is_named_and_the_others_are_shown(capfd: Capture, run: Path, kind: str):
    (run / "logs/root.other.log").write_text("other\n")
    put(kind, run / "logs/root.work.log")

    lines = call(capfd, "logs", run.name).out.splitlines()

    assert "root.other | other" in lines
    (odd,) = (line for line in lines if line.startswith("root.work | "))
    assert "can't be read: it is " in odd


@pytest.mark.parametrize("kind", each([kind for kind in IRREGULAR if kind != "a folder"]))
def test_clean_removes_a_link_and_not_its_target(capfd: Capture, run: Path, tmp_path: Path, kind: str):
    for number, file in enumerate(("numbers.log", "commands.sock", "values", "logs")):
        odd = tmp_path / f"odd{number}"
        put(kind, odd)
        place(run, file).unlink() if place(run, file).is_file() else shutil.rmtree(place(run, file), True)
        odd.rename(place(run, file)) if not odd.is_symlink() else place(run, file).symlink_to(odd.readlink())
    before = snapshot(tmp_path)

    assert "Removed 2 runs" in call(capfd, "clean", "--all", "--yes").out

    after = snapshot(tmp_path)
    assert {name for name in before if "precious" in name} == {name for name in after if "precious" in name}
    assert list(runs_folder().iterdir()) == []


def test_a_running_app_whose_socket_was_replaced_is_told_from_one_that_is_ending(
    tmp_path: Path, capfd: Capture
):
    with running(tmp_path) as app:
        app.wait_for_output("up")
        for kind in IRREGULAR:
            if kind != "a device" or os.geteuid() == 0:
                put(kind, Path(app.run.path, "commands.sock"))

                status = call(capfd, "status", "--json", "--root", app.root).data
                assert (status["state"], status["is_answering"]) == ("running", False)
                assert status["trouble"].startswith(f"run {app.run.id} can't be reached: it is "), kind
                is_refused(call(capfd, "stack", "--root", app.root), 1, "not a socket", "commands.sock")
        assert call(capfd, "stop", "--root", app.root).code == 0  # with a signal
        assert app.code() == 143


@pytest.mark.parametrize(
    "details",
    [
        {"command": 5, "works": 7, "started": 3, "app": None, "ended": [], "cwd": {}, "state": ["x"]},
        {"started": "9999-12-31T23:59:59+00:00", "ended": "0001-01-01T00:00:00", "state": "stopped"},
        {
            "app": "\ud800",
            "command": ["\udc80", None, 1],
            "error": "\ud800",
            "state": "failed",
            "cwd": "a\0b",
        },
        {"works": {"\ud800": 10**4000, "running": "x", "failed": -1}, "state": "died", "executable": "\0"},
    ],
    ids=["types", "times", "surrogates", "numbers"],
)
def test_fields_of_another_program_break_no_verb(capfd: Capture, run: Path, details: dict[str, object]):
    (run / "run.json").write_text(json.dumps(details))

    for verb in VERBS:
        call(capfd, *(run.name if word == "RUN" else word for word in verb))
    refusal = call(capfd, "resume", run.name)

    assert refusal.code == 2, refusal
    assert run.name in refusal.err


def test_a_file_with_the_name_of_a_run_is_no_run_and_a_link_is_named(
    capfd: Capture, run: Path, tmp_path: Path
):
    (run.parent / "20990101-000000000-abcdef").write_text("a file")
    (run.parent / "20990101-000000000-abcdee").symlink_to(run)
    (run.parent / "20990101-000000000-abcded").symlink_to(tmp_path / "missing")

    troubles = [bool(each["trouble"]) for each in call(capfd, "ps", "--json").data]
    assert troubles == [True, True, False, False]
    assert call(capfd, "status", run.name, "--json").data["id"] == run.name
    is_refused(call(capfd, "status", "20990101-000000000-abcdef"), 2, "there is no run")
    is_refused(call(capfd, "status", "20990101-000000000-abcdee"), 2, "it is a symbolic link")
    is_refused(call(capfd, "status"), 2, "20990101-000000000-abcdee", "remove the link")
    call(capfd, "clean", "--all", "--yes")
    assert len(list(run.parent.iterdir())) == 3


def test_logs_that_were_moved_behind_a_link_are_not_read_and_the_error_says_so(
    capfd: Capture, run: Path, tmp_path: Path
):
    shutil.move(run / "logs", tmp_path / "elsewhere")
    (run / "logs").symlink_to(tmp_path / "elsewhere")

    is_refused(call(capfd, "logs", run.name), 2, "it is a symbolic link, not a folder", "Move the logs back")
