"""What `multiprocess` sees in the process of a work, and the socket for file descriptors."""

from __future__ import annotations

import multiprocessing.connection
import os

import multiprocess.connection
import pytest
import tasks
from hosts import TaskHost
from runner_bench import Bench

from lightning_lite.messages import PrepareWork, StartFailed, StartWork, WorkExited
from lightning_lite.runners.processes import factory
from lightning_lite.values.pickling import pack, unpack
from lightning_lite.values.shared_objects import Descriptor, is_in_use

pytestmark = pytest.mark.dependencies

PACKAGES = [multiprocess, multiprocessing]


def test_a_work_and_its_app_have_process_objects_in_each_package(bench: Bench):
    bench.up()
    for package in PACKAGES:
        bench.run(tasks.import_package, package.__name__)

        family = bench.run(tasks.family, package.__name__)

        assert family == ("root.a", "MainProcess", os.getpid(), True)


def test_a_work_that_shares_nothing_loads_nothing_for_it(bench: Bench):
    assert is_in_use()
    bench.start()

    modules = set(bench.run(tasks.environment)["modules"])

    assert {module for module in modules if "multiprocess" in module or "shared_objects" in module} == set()


def test_a_process_that_was_prepared_for_descriptors_starts_without(bench: Bench):
    assert is_in_use()
    bench.runner.send(PrepareWork("root.a"))
    bench.start()

    assert bench.run(tasks.answer, 1) == 1
    seen = bench.run(tasks.environment)
    assert [target for target in seen["fds"].values() if "socket:" in target] == []
    assert "lightning_lite.values.shared_objects" not in seen["modules"]


def test_objects_from_after_the_preparation_of_a_process_fail_the_start(bench: Bench, monkeypatch):
    monkeypatch.setattr(factory, "is_in_use", lambda: False)
    bench.runner.send(PrepareWork("root.a"))

    bench.runner.send(StartWork("root.a", pack(TaskHost("root.a")), descriptors=(Descriptor(0, 0),)))

    failure = bench.until(StartFailed).failure
    assert "objects with the app that did not exist when its process was prepared" in str(
        unpack(failure.error)
    )
    assert isinstance(bench.exit_of(), WorkExited)
