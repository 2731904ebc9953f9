"""CPU and memory of processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lightning_lite.ui.usage import UsageMeter

pytestmark = pytest.mark.dependencies


def test_the_first_measurement_has_the_memory_and_no_cpu():
    usage = UsageMeter().read(os.getpid())

    assert usage.cpu is None
    assert usage.memory > 2**20


def test_a_measurement_is_reused_until_the_process_is_forgotten():
    meter = UsageMeter()
    usage = meter.read(os.getpid())

    assert meter.read(os.getpid()) is usage
    meter.forget_all_but([None])
    assert meter.read(os.getpid()) is not usage


def test_a_process_that_has_exited_has_no_usage():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert UsageMeter().read(process.pid) is None
