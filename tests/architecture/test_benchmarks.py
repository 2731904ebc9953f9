"""The limits of the benchmarks are what they say they are, and the works of P1f start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import p1f_forkserver
from benchmarks.programs import NoFigure, figure_of_script

HOUSE = Path(__file__).parents[2]
LIMITS = sorted(file.stem for file in (HOUSE / "benchmarks").glob("*bare.py"))


@pytest.mark.parametrize("limit", LIMITS)
def test_the_processes_of_a_limit_import_nothing_of_ours(limit):
    look = (
        f"import sys, benchmarks.{limit}; print([name for name in sys.modules if 'lightning_lite' in name])"
    )

    done = subprocess.run([sys.executable, "-c", look], cwd=HOUSE, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


@pytest.mark.parametrize("figure", ["first", "further"])
def test_works_of_a_scripts_class_start_from_a_fork_server(figure):
    assert figure_of_script(p1f_forkserver.__file__, figure) > 0


def test_a_script_that_fails_has_no_figure():
    with pytest.raises(NoFigure, match="KeyError: 'middle'"):
        figure_of_script(p1f_forkserver.__file__, "middle")
