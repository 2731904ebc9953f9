"""`FabricMultiNode` and `LightningTrainerMultiNode`: nodes that train with Lightning."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

from lightning_lite.components.node_processes import Rank
from lightning_lite.components.torch_nodes import LaunchedMultiNode, TorchLauncher
from lightning_lite.components.tracer import Tracer

#: New names of strategies that would start processes themselves.
_STRATEGIES = {"ddp_spawn": "ddp", "ddp_sharded_spawn": "ddp_sharded"}


class LightningLauncher(TorchLauncher):
    """Sets variables of torchelastic and arguments of a class, so that Lightning knows its process."""

    #: Modules that have the class; each one that is installed is used.
    packages: ClassVar[tuple[str, ...]]
    #: The class whose arguments are set.
    class_name: ClassVar[str]
    #: Environment variables that the package needs besides.
    variables: ClassVar[dict[str, str]] = {}

    @classmethod
    def run(
        cls,
        local_rank: int,
        work_run: Callable[..., Any],
        main_address: str,
        main_port: int,
        num_nodes: int,
        node_rank: int,
        nprocs: int,
    ) -> Any:
        """Call `work_run()`, with the arguments of each object of the class set.

        Raises:
            ModuleNotFoundError: Lightning is not installed.
            ValueError: A strategy would start processes itself.
        """
        packages = cls._installed()
        rank = Rank(local_rank, main_address, main_port, num_nodes, node_rank, nprocs)
        os.environ.update(
            MASTER_ADDR=main_address,
            MASTER_PORT=str(main_port),
            GROUP_RANK=str(node_rank),
            RANK=str(rank.global_rank),
            LOCAL_RANK=str(local_rank),
            WORLD_SIZE=str(rank.world_size),
            LOCAL_WORLD_SIZE=str(nprocs),
            TORCHELASTIC_RUN_ID="1",
            **cls.variables,
        )

        def set_arguments(owner: Any, /, *args: Any, **kwargs: Any) -> Any:
            kwargs |= {"devices": nprocs, "num_nodes": num_nodes}
            kwargs["accelerator"] = _accelerator(packages, kwargs.get("accelerator", "auto"))
            if kwargs.get("strategy"):
                kwargs["strategy"] = cls._strategy(packages, kwargs["strategy"])
            return {}, args, kwargs

        tracer = Tracer()
        for package in packages:
            tracer.add_traced(getattr(package, cls.class_name), "__init__", pre_fn=set_arguments)
        with tracer.tracing():
            return work_run()

    @classmethod
    def _installed(cls) -> list[Any]:
        found = []
        for name in cls.packages:
            try:
                found.append(import_module(name))
            except ModuleNotFoundError as error:
                if error.name is not None and name.partition(".")[0] != error.name.partition(".")[0]:
                    raise  # a package that Lightning needs
        if not found:
            raise ModuleNotFoundError(
                f"{cls.class_name} needs {cls.packages[0]}, which is not installed: pip install lightning",
                name="lightning",
            )
        return found

    @classmethod
    def _strategy(cls, packages: list[Any], strategy: Any) -> Any:
        """Return a strategy that uses the processes that exist.

        Raises:
            ValueError: It would start processes itself.
        """
        if isinstance(strategy, str):
            return _STRATEGIES.get(strategy, strategy)
        kinds = tuple(package.strategies.DDPStrategy for package in packages)
        if isinstance(strategy, kinds) and getattr(strategy, "_start_method", None) in ("spawn", "fork"):
            raise ValueError(
                "DDP Spawned strategies aren't supported yet. "
                "The processes exist already: use strategy='ddp'."
            )
        return strategy


class FabricLauncher(LightningLauncher):
    """Sets the environment variables from which `Fabric` reads rank and world size."""

    packages = ("lightning.fabric", "lightning_fabric")
    class_name = "Fabric"
    variables: ClassVar[dict[str, str]] = {"LT_CLI_USED": "1"}


class TrainerLauncher(LightningLauncher):
    """Sets the environment variables from which `Trainer` reads rank and world size."""

    packages = ("lightning.pytorch", "pytorch_lightning")
    class_name = "Trainer"


class FabricMultiNode(LaunchedMultiNode):
    """Runs a work whose `run` uses `Fabric`, on several nodes.

    `devices`, `num_nodes` and `accelerator` of each `Fabric` are set for it. The `run` of the work has no
    arguments.

    Example:
        >>> from lightning_lite import LightningWork
        >>> class Train(LightningWork):
        ...     def run(self):
        ...         from lightning.fabric import Fabric
        ...         fabric = Fabric(strategy="ddp")
        ...         fabric.launch()
        ...         return fabric.world_size
        >>> len(FabricMultiNode(Train, num_nodes=2).ws)
        2
    """

    launcher = FabricLauncher


class LightningTrainerMultiNode(LaunchedMultiNode):
    """Runs a work whose `run` uses `Trainer`, on several nodes.

    `devices`, `num_nodes` and `accelerator` of each `Trainer` are set for it. The `run` of the work has no
    arguments.

    Example:
        >>> from lightning_lite import LightningWork
        >>> class Train(LightningWork):
        ...     def run(self):
        ...         from lightning.pytorch import Trainer
        ...         return Trainer(max_epochs=1).world_size
        >>> len(LightningTrainerMultiNode(Train, num_nodes=2).ws)
        2
    """

    launcher = TrainerLauncher


def _accelerator(packages: list[Any], given: Any) -> str:
    if not any(package.accelerators.MPSAccelerator.is_available() for package in packages):
        return "auto"
    if given != "cpu":
        warnings.warn("Forcing `accelerator=cpu` as MPS does not support distributed training.", stacklevel=4)
    return "cpu"
