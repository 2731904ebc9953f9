"""Models of scikit-learn and pydantic, joblib and FastAPI in works; `make test-ml` installs them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.processes import run_python

SCRIPT = Path(__file__).with_name("ml_script.py")

for package in ("sklearn", "joblib", "pydantic", "fastapi"):
    pytest.importorskip(package, reason="only in `make test-ml`")


def run(folder, **variables):
    return run_python(SCRIPT, cwd=folder, env=os.environ | variables)


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_libraries_find_the_script_in_a_work(start_method, tmp_path):
    done = run(tmp_path, LIGHTNING_LITE_START_METHOD=start_method)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "dumps_with_joblib": [True, [0, 1]],
        "runs_in_parallel": [0, 2, 4],
        "searches_a_grid": True,
        "validates": [True, "a", "b"],
        "returns_a_model": True,
    }


def test_an_app_of_fastapi_at_the_top_of_the_script_is_named(tmp_path):
    done = run(tmp_path, WITH_FASTAPI="1")

    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if "ArgumentError" in line]
    assert "global 'api' (fastapi.applications.FastAPI), used in Work.serves, line " in error
