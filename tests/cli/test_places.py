"""The processes of a run that does not answer, as its journal knows them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from lightning_lite import process_places
from lightning_lite.engine.history import WorkHistory, read_history
from lightning_lite.monitor.run_status import read_status
from lightning_lite.process_places import Place

from tests.cli.short_apps import RunningApp, running
from tests.cli.verbs import call
from tests.support.processes import wait_until_gone

pytestmark = pytest.mark.dependencies

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """A running app that takes no commands; no test changes it."""
    with running(tmp_path_factory.mktemp("app"), "--no-channel") as app:
        app.wait_for_output("up")
        works = [child.pid for child in psutil.Process(app.process.pid).children()]
        yield app
    wait_until_gone(*works)


def works_of(root: str, capfd: Capture) -> list[dict[str, Any]]:
    return list(call(capfd, "status", "--json", "--root", root).data["works"])


def test_processes_are_known_and_measured_without_an_answer_of_the_app(app: RunningApp, capfd: Capture):
    works = works_of(app.root, capfd)

    children = {child.pid for child in psutil.Process(app.process.pid).children()}
    assert len(works) == 2
    assert {work["pid"] for work in works} < children
    assert {work["host"] for work in works} == {process_places.this_host()}
    assert all(work["memory"] > 2**20 for work in works)


def test_on_another_host_they_are_shown_and_not_measured(
    app: RunningApp, capfd: Capture, monkeypatch: pytest.MonkeyPatch
):
    host = process_places.this_host()
    monkeypatch.setattr(process_places, "this_host", lambda: "another-host")

    works = works_of(app.root, capfd)

    assert [work["state"] for work in works] == ["running", "running"]
    assert {work["host"] for work in works} == {host}
    assert [work["memory"] for work in works] == [None, None]


def test_a_younger_process_with_the_same_number_is_not_taken_for_the_old_one(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
):
    history = read_history(app.run.path)
    monkeypatch.setattr("lightning_lite.monitor.run_status.read_history", lambda path: history)
    work: WorkHistory = history.works["root.one"]

    work.place, work.place_since = Place.of(os.getpid()), 1.0  # long before this process was started

    assert {row.name: row.place for row in read_status(app.run).works}["root.one"] is None
