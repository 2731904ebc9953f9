"""`PyTorchSpawnMultiNode`: nodes whose processes are a process group of torch."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from lightning_lite.components.multi_node import MultiNode
from lightning_lite.components.node_processes import Launcher, Rank, launched
from lightning_lite.errors import ComponentError
from lightning_lite.tree.cloud import CloudCompute
from lightning_lite.tree.work import LightningWork


def check_package(user: str, package: str) -> None:
    """Refuse to continue without a package that no extra brings, because it is large.

    Args:
        user: Name of the component.
        package: Its name, in an import and in the package index.

    Raises:
        ModuleNotFoundError: It is not installed; the message has the command that installs it.
    """
    if find_spec(package) is None:
        raise ModuleNotFoundError(
            f"{user} needs {package}, which is not installed: pip install {package}", name=package
        )


class TorchLauncher:
    """Creates the process group of torch around the `run` of the user."""

    @staticmethod
    def default_processes() -> int:
        """Return the number of GPUs, or 1 on a machine without."""
        check_package("PyTorchSpawnMultiNode", "torch")
        import torch  # noqa: PLC0415 - it takes seconds, and only the processes of nodes need it

        return torch.cuda.device_count() if torch.cuda.is_available() else 1

    @staticmethod
    def run(
        local_rank: int,
        work_run: Callable[..., Any],
        main_address: str,
        main_port: int,
        num_nodes: int,
        node_rank: int,
        nprocs: int,
    ) -> Any:
        """Call `work_run(world_size, node_rank, global_rank, local_rank)` in a process group.

        Raises:
            ModuleNotFoundError: torch is not installed.
        """
        check_package("PyTorchSpawnMultiNode", "torch")
        import torch.distributed as group  # noqa: PLC0415

        rank = Rank(local_rank, main_address, main_port, num_nodes, node_rank, nprocs)
        is_ours = not group.is_initialized()
        if is_ours:
            import torch.cuda  # noqa: PLC0415

            group.init_process_group(
                "nccl" if torch.cuda.is_available() else "gloo",
                rank=rank.global_rank,
                world_size=rank.world_size,
                init_method=f"tcp://{main_address}:{main_port}",
            )
        try:
            return work_run(rank.world_size, node_rank, rank.global_rank, local_rank)
        finally:
            if is_ours:
                group.destroy_process_group()


class LaunchedMultiNode(MultiNode):
    """Base of those that prepare each process before the `run` of the user.

    Args:
        work_cls: Class of the works.
        cloud_compute: Each work gets a copy of it; without effect on one machine.
        num_nodes: Number of nodes.
        *work_args: Arguments of each work.
        processes_per_node: Number of processes in each node; `None` means one for each GPU, or one without.
        **work_kwargs: Arguments of each work.

    Raises:
        ComponentError: An argument is invalid; the message names it.
    """

    launcher: type[Launcher]

    def __init__(
        self,
        work_cls: type[LightningWork],
        cloud_compute: CloudCompute | None = None,
        num_nodes: int = 1,
        *work_args: Any,
        processes_per_node: int | None = None,
        **work_kwargs: Any,
    ) -> None:
        if processes_per_node is not None and (type(processes_per_node) is not int or processes_per_node < 1):
            raise ComponentError(
                f"{type(self).__qualname__}(processes_per_node={processes_per_node!r}): it must be a whole "
                "number, 1 or more, or None.",
                argument="processes_per_node",
                found=processes_per_node,
            )
        self._processes_per_node = processes_per_node
        super().__init__(work_cls, num_nodes, cloud_compute, *work_args, **work_kwargs)

    def node_class(self, work_cls: type[LightningWork]) -> type[LightningWork]:
        """Return a class whose processes the launcher prepares."""
        return launched(work_cls, self.launcher, self._processes_per_node)


class PyTorchSpawnMultiNode(LaunchedMultiNode):
    """Runs a work in each process of a process group of torch: with gloo on CPUs, with NCCL on GPUs.

    The `run` of the work gets `world_size`, `node_rank`, `global_rank` and `local_rank`. The process with the
    local rank 0 is that of the work: only its state is seen by the flow, and its value is that of the call.
    The other processes of the node are its children, and end with it.

    Example:
        >>> class Node(LightningWork):
        ...     def run(self, world_size, node_rank, global_rank, local_rank):
        ...         import torch
        ...         total = torch.tensor([global_rank])
        ...         torch.distributed.all_reduce(total)
        ...         return total.item()
        >>> nodes = PyTorchSpawnMultiNode(Node, num_nodes=2)
        >>> len(nodes.ws)
        2
    """

    launcher = TorchLauncher
