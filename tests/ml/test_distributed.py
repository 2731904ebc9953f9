"""Nodes that train with torch and Lightning; `make test-ml` installs them."""

from __future__ import annotations

import json
import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from lightning_lite.components.lightning_nodes import FabricLauncher, TrainerLauncher

from tests.support.processes import run_python

pytest.importorskip("torch", reason="only in `make test-ml`")
pytest.importorskip("lightning", reason="only in `make test-ml`")

pytestmark = pytest.mark.timeout(400)  # four processes import torch, which takes minutes on a busy machine

FOLDER = Path(__file__).parent

#: Seconds after which a script hangs.
DEADLINE = 350


def run(script: str, argument: str) -> Any:
    done = run_python(FOLDER / script, argument, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_processes_of_all_nodes_are_one_process_group():
    mean = [[1.5, 1.5]]  # of the gradients of the ranks 0 to 3
    values, ranks = run("spawn_script.py", "ends")

    assert values == [[4, 0, 0, mean], [4, 1, 0, mean]]
    assert ranks == [0, 2]


def test_an_error_of_one_process_ends_the_app():
    done = run_python(FOLDER / "spawn_script.py", "fails", timeout=DEADLINE)

    assert done.returncode == 1
    assert "ValueError: no data" in done.stdout + done.stderr


def test_fabric_uses_the_processes_of_the_nodes():
    assert run("lightning_script.py", "fabric") == [[2, 0, 3.0], [2, 1, 3.0]]


def test_a_trainer_uses_the_processes_of_the_nodes():
    assert run("lightning_script.py", "trainer") == [[2, 0], [2, 1]]


def test_a_training_script_runs_on_two_nodes_and_its_best_model_is_known():
    assert run("lightning_script.py", "script") == [
        [[2, 0], [2, 1]],
        True,
        [".ckpt", ".ckpt"],
        "loss",
        [True, True],
    ]


def given(owner: Any, **kwargs: Any) -> None:
    owner.given = kwargs


def set_by_launcher(kind: str, **kwargs: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the arguments that a launcher has set, and its environment variables."""
    launcher: Any = FabricLauncher if kind == "fabric" else TrainerLauncher
    cls = getattr(import_module(launcher.packages[0]), launcher.class_name)
    with mock.patch.object(cls, "__init__", given), mock.patch.dict(os.environ):
        found = launcher.run(0, partial(cls, **kwargs), "1.2.3.4", 5, num_nodes=7, node_rank=6, nprocs=8)
        return found.given, dict(os.environ)


@pytest.mark.parametrize("kind", ["fabric", "trainer"])
@pytest.mark.parametrize(("strategy", "used"), [("ddp_spawn", "ddp"), ("ddp", "ddp"), ("fsdp", "fsdp")])
def test_the_arguments_and_variables_say_which_process_this_is(kind, strategy, used):
    arguments, variables = set_by_launcher(kind, devices=1, accelerator="gpu", strategy=strategy)

    assert arguments == {"devices": 8, "num_nodes": 7, "accelerator": "auto", "strategy": used}
    expected = {
        "MASTER_ADDR": "1.2.3.4",
        "MASTER_PORT": "5",
        "GROUP_RANK": "6",
        "RANK": "48",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "56",
        "LOCAL_WORLD_SIZE": "8",
        "TORCHELASTIC_RUN_ID": "1",
    }
    assert expected.items() <= variables.items()
    assert (variables.get("LT_CLI_USED") == "1") == (kind == "fabric")


def test_a_strategy_that_would_start_processes_is_refused():
    strategy = import_module("lightning.fabric.strategies").DDPStrategy(start_method="spawn")

    with pytest.raises(ValueError, match="DDP Spawned strategies aren't supported yet"):
        set_by_launcher("fabric", strategy=strategy)
