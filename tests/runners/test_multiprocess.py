"""The state of `multiprocess` in the process of a work, and the socket for file descriptors."""

from __future__ import annotations

import multiprocessing.connection
import os

import multiprocess.connection
import pytest
import tasks
from harness import Harness
from work_sides import TaskSide

from lightning_lite.main_messages import PrepareWork, StartWork, WorkExited
from lightning_lite.messages import StartFailed
from lightning_lite.runners.processes import factory
from lightning_lite.values.multiprocessing_objects import Descriptor, is_in_use
from lightning_lite.values.pickling import pack, unpack

pytestmark = pytest.mark.dependencies

PACKAGES = [multiprocess, multiprocessing]


def test_a_work_and_its_app_have_process_objects_in_each_package(harness: Harness):
    harness.up()
    # A process that the work has forked is not the work.
    assert harness.run(tasks.import_in_a_fork, "multiprocessing") == "MainProcess None"

    for package in PACKAGES:
        # The loader gives the source before the package is imported.
        assert harness.run(tasks.read_source_before_import, package.__name__), package

        family = harness.run(tasks.import_and_ask, package.__name__)
        assert family == ("root.a", "MainProcess", os.getpid(), True), package


def test_a_work_that_shares_nothing_loads_nothing_for_it(harness: Harness):
    assert is_in_use()
    harness.start()

    modules = set(harness.run(tasks.environment)["modules"])

    loaded = {module.partition(".")[0] for module in modules}
    assert loaded & {"multiprocess", "multiprocessing", "_multiprocess", "_multiprocessing"} == set()
    assert "lightning_lite.values.multiprocessing_objects" not in modules


def test_a_process_that_was_prepared_for_descriptors_starts_without(harness: Harness):
    assert is_in_use()
    harness.runner.send(PrepareWork("root.a"))
    harness.start()

    assert harness.run(tasks.answer, 1) == 1
    seen = harness.run(tasks.environment)
    assert [target for target in seen["fds"].values() if "socket:" in target] == []
    assert "lightning_lite.values.multiprocessing_objects" not in seen["modules"]


def test_objects_from_after_the_preparation_of_a_process_fail_the_start(harness: Harness, monkeypatch):
    monkeypatch.setattr(factory, "is_in_use", lambda: False)
    harness.runner.send(PrepareWork("root.a"))

    harness.runner.send(StartWork("root.a", pack(TaskSide("root.a")), descriptors=(Descriptor(0, 0),)))

    failure = harness.until(StartFailed).failure
    assert "objects with the app that did not exist when its process was prepared" in str(
        unpack(failure.error)
    )
    assert isinstance(harness.exit_of(), WorkExited)
