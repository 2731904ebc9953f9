"""Models of torch in works; `make test-ml` installs it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.processes import run_python

SCRIPT = Path(__file__).with_name("torch_script.py")

pytest.importorskip("torch", reason="only in `make test-ml`")


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_torch_finds_the_script_in_a_work(start_method, tmp_path):
    done = run_python(SCRIPT, cwd=tmp_path, env=os.environ | {"LIGHTNING_LITE_START_METHOD": start_method})

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "saves": True,
        "spawns": ["rank0", "rank1"],
        "trains": [True, [[3.0, 3.0]]],
        "settings": [1, "torch.float64"],
    }
