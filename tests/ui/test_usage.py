"""What processes use of the machine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lightning_lite.ui.usage import UsageMeter

pytestmark = pytest.mark.dependencies


def test_the_first_look_knows_the_memory_and_not_yet_the_cpu():
    usage = UsageMeter().read(os.getpid())

    assert usage.cpu is None
    assert usage.memory > 2**20


def test_a_figure_stays_for_a_while_and_a_process_that_is_forgotten_is_new():
    meter = UsageMeter()
    usage = meter.read(os.getpid())

    assert meter.read(os.getpid()) is usage
    meter.forget_all_but([None])
    assert meter.read(os.getpid()) is not usage


def test_a_process_that_is_gone_uses_nothing():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    assert UsageMeter().read(process.pid) is None
