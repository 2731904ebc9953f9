"""The limits of the benchmarks are what they say they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
LIMITS = sorted(file.stem for file in (HOUSE / "benchmarks").glob("*bare.py"))


@pytest.mark.parametrize("limit", LIMITS)
def test_the_processes_of_a_limit_import_nothing_of_ours(limit):
    look = (
        f"import sys, benchmarks.{limit}; print([name for name in sys.modules if 'lightning_lite' in name])"
    )

    done = subprocess.run([sys.executable, "-c", look], cwd=HOUSE, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
