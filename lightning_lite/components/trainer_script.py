"""`LightningTrainerScript`: a training script of Lightning, unchanged, on several nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_lite.components.multi_node import NodeGroup
from lightning_lite.components.torch_nodes import check_package
from lightning_lite.components.tracer import Tracer
from lightning_lite.components.tracer_script import TracerPythonScript
from lightning_lite.errors import ScriptFailed
from lightning_lite.sockets import machine_addresses
from lightning_lite.storage.path import Path
from lightning_lite.tree.cloud import CloudCompute


class PyTorchLightningScriptRunner(TracerPythonScript):
    """Runs a script that trains with a `Trainer` or a `LightningCLI`, as one node.

    Args:
        script_path: The script.
        script_args: Its arguments, as for `TracerPythonScript`.
        node_rank: Number of this node, from 0 on.
        num_nodes: Number of nodes.
        sanity_serving: Whether each trainer of node 0 checks that its model can be served.
        cloud_compute: Without effect on one machine.
        parallel: Whether the flow continues while the script runs.
        raise_exception: Whether a failed script ends the app.
        env: Environment variables to add while the script runs.
        **kwargs: Arguments of `TracerPythonScript`.

    Attributes:
        best_model_path: The checkpoint with the best score, else the last one.
        best_model_score: That score, or `None`.
        monitor: Name of the number that is the score, or `None`.
        has_finished: Whether the script has ended well.
    """

    def __init__(
        self,
        script_path: str | os.PathLike[str],
        script_args: Sequence[Any] | str | None = None,
        node_rank: int = 0,
        num_nodes: int = 1,
        sanity_serving: bool = False,
        cloud_compute: CloudCompute | None = None,
        parallel: bool = True,
        raise_exception: bool = True,
        env: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            script_path,
            script_args,
            env=env,
            cloud_compute=cloud_compute,
            parallel=parallel,
            raise_exception=raise_exception,
            **kwargs,
        )
        self.node_rank = node_rank
        self.num_nodes = num_nodes
        self.sanity_serving = sanity_serving
        self.best_model_path: Path | None = None
        self.best_model_score: float | None = None
        self.monitor: str | None = None
        self.has_finished = False

    def run(  # type: ignore[override]
        self, internal_urls: Sequence[tuple[str, int]] | None = None, **kwargs: Any
    ) -> Any:
        """Run the script.

        Args:
            internal_urls: Address and port of each node; the first ones are those at which node 0 listens.
                Without them, nothing is run.
            **kwargs: As for `TracerPythonScript.run`.

        Raises:
            ModuleNotFoundError: Lightning is not installed.
            ScriptFailed: The script has ended without a trainer, or as for `TracerPythonScript.run`.
        """
        if not internal_urls:
            return None
        check_package(type(self).__qualname__, "lightning")
        address, port = internal_urls[0]
        self.env = {
            **self.env,
            "MASTER_ADDR": address,
            "MASTER_PORT": str(port),
            "NODE_RANK": str(self.node_rank),
            "PL_TRAINER_NUM_NODES": str(self.num_nodes),
            "PL_TRAINER_DEVICES": "auto",
            "PL_TRAINER_ACCELERATOR": "auto",
        }
        return super().run(**kwargs)

    def configure_tracer(self) -> Tracer:
        """Return a tracer that adds callbacks to each trainer; override it to add others."""
        from lightning.pytorch import Trainer  # noqa: PLC0415 - it takes seconds, and only works need it

        tracer = super().configure_tracer()
        tracer.add_traced(Trainer, "__init__", pre_fn=self._add_callbacks)
        return tracer

    def on_after_run(self, res: dict[str, Any]) -> Any:
        """Assign the results of the trainer of the script, and the outputs.

        Raises:
            ScriptFailed: The script has no trainer, or no such output.
        """
        callback = self._trainer(res).checkpoint_callback
        if callback is not None:
            self.monitor = callback.monitor
            score = callback.best_model_score
            self.best_model_score = None if score is None else float(score)
            path = callback.best_model_path or callback.last_model_path
            self.best_model_path = Path(path) if path else None
        value = super().on_after_run(res)
        self.has_finished = True
        return value

    def _add_callbacks(self, trainer: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.node_rank == 0 and self.sanity_serving:
            from lightning.pytorch.serve import ServableModuleValidator  # noqa: PLC0415

            given = kwargs.get("callbacks") or []
            callbacks = list(given) if isinstance(given, list | tuple) else [given]
            kwargs["callbacks"] = [*callbacks, ServableModuleValidator()]
        return {}, args, kwargs

    def _trainer(self, found: dict[str, Any]) -> Any:
        from lightning.pytorch import Trainer  # noqa: PLC0415

        cli = sys.modules.get("lightning.pytorch.cli")  # a script that has used it has loaded it
        for value in found.values():
            if isinstance(value, Trainer):
                return value
            if cli is not None and isinstance(value, cli.LightningCLI):
                return value.trainer
        raise ScriptFailed(
            f"No trainer instance found: the script {self.script_path!r} has ended without a Trainer or a "
            "LightningCLI among its globals.",
            script=self.script_path,
        )


class LightningTrainerScript(NodeGroup):
    """Runs a training script of Lightning on several nodes of this machine.

    Args:
        script_path: The script.
        script_args: Its arguments, as for `TracerPythonScript`.
        num_nodes: Number of nodes.
        cloud_compute: Each work gets a copy of it; without effect on one machine.
        sanity_serving: Whether each trainer of node 0 checks that its model can be served.
        script_runner: Class of the works.
        **script_runner_kwargs: Further arguments of each work.

    Raises:
        ComponentError: `num_nodes` is not a valid number of nodes.

    Example:
        >>> script = LightningTrainerScript("train.py", num_nodes=2)
        >>> len(script.ws), script.best_model_score
        (2, None)
    """

    def __init__(
        self,
        script_path: str | os.PathLike[str],
        script_args: Sequence[Any] | str | None = None,
        num_nodes: int = 1,
        cloud_compute: CloudCompute | None = None,
        sanity_serving: bool = False,
        script_runner: type[TracerPythonScript] = PyTorchLightningScriptRunner,
        **script_runner_kwargs: Any,
    ) -> None:
        super().__init__(num_nodes)
        for rank in range(num_nodes):
            settings: dict[str, Any] = {
                "script_path": script_path,
                "script_args": script_args,
                "node_rank": rank,
                "num_nodes": num_nodes,
                "sanity_serving": sanity_serving,
                "cloud_compute": None if cloud_compute is None else cloud_compute.clone(),
            }
            self.ws.append(script_runner(**settings, **script_runner_kwargs))

    def arguments_of(self, rank: int) -> dict[str, Any]:
        """Return the arguments of the `run` of a node; they are the same for all.

        Args:
            rank: Number of the node.
        """
        return {"internal_urls": [(machine_addresses()[0], self.main_port)] * len(self.ws)}

    @property
    def best_model_score(self) -> float | None:
        """The score of node 0, or `None`."""
        score: float | None = self.ws[0].best_model_score
        return score

    @property
    def best_model_paths(self) -> list[Path | None]:
        """The checkpoint of each node, by rank."""
        return [work.best_model_path for work in self.ws]
