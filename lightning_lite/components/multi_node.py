"""`MultiNode`: the same work several times, each one a node of a distributed job."""

from __future__ import annotations

import errno
import random
from typing import Any

from lightning_lite.errors import ComponentError
from lightning_lite.sockets import bind, machine_addresses
from lightning_lite.tree.cloud import CloudCompute
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.structures import List
from lightning_lite.tree.work import LightningWork

#: Ports that the kernel gives to no program that asks for any free port: those of Linux begin at 32768, those
#: of macOS at 49152. So a port from here is still free when node 0 binds it, seconds after it was chosen.
_PORTS = range(20_000, 32_000)


class NodeGroup(LightningFlow):
    """Base of flows whose works run at the same time, as the nodes of one job.

    Args:
        num_nodes: Number of nodes.
        main_port: Port of node 0; `None` means a free one.

    Attributes:
        ws: The works, by rank; a subclass adds them.
        main_port: The port of node 0; `None` before the first pass, if none was given.

    Raises:
        ComponentError: `num_nodes` is not a valid number of nodes.
    """

    def __init__(self, num_nodes: int, main_port: int | None = None) -> None:
        super().__init__()
        if type(num_nodes) is not int or num_nodes < 1:
            raise ComponentError(
                f"{type(self).__qualname__}(num_nodes={num_nodes!r}): "
                "num_nodes must be a whole number, 1 or more.",
                argument="num_nodes",
                found=num_nodes,
            )
        self.main_port = main_port
        self.ws: List[Any] = List()

    def arguments_of(self, rank: int) -> dict[str, Any]:
        """Return the arguments of the `run` of a node.

        Args:
            rank: Number of the node.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not implement arguments_of.")

    def run(self, **kwargs: Any) -> None:
        """Run all nodes; call it in each pass.

        Args:
            **kwargs: Further arguments of the `run` of each node.
        """
        if self.main_port is None:
            self.main_port = find_main_port(machine_addresses()[0])
        for rank, work in enumerate(self.ws):
            work.run(**self.arguments_of(rank), **kwargs)
        failed = [rank for rank, work in enumerate(self.ws) if work.has_failed]
        for rank, work in enumerate(self.ws):
            if work.has_succeeded or (failed and rank not in failed):
                work.stop()
        if self.name == "root" and type(self).run is NodeGroup.run:
            self._end_app(failed)

    def _end_app(self, failed: list[int]) -> None:
        """End the app if its root is this flow, and no flow of the user does it."""
        if failed:
            status = self.ws[failed[0]].status
            self.fail(f"Node {failed[0]} of {len(self.ws)} has failed: {status.message}")
        if all(work.has_succeeded for work in self.ws):
            self.stop()


class MultiNode(NodeGroup):
    """Runs a work several times at the same time, as nodes that know where node 0 is.

    The nodes are works on this machine. If one fails, the others are stopped. When all have succeeded, their
    processes are stopped; if this flow is the root, the app has ended then.

    Args:
        work_cls: Class of the works. Its `run` gets `main_address`, `main_port`, `num_nodes` and `node_rank`:
            node 0 listens at that address and port, and the others connect to it.
        num_nodes: Number of nodes.
        cloud_compute: Each work gets a copy of it; without effect on one machine.
        *work_args: Arguments of each work.
        **work_kwargs: Arguments of each work; `port` is the port of node 0.

    Raises:
        ComponentError: `work_cls` is not a work, or `num_nodes` is not a valid number of nodes.

    Example:
        >>> from lightning_lite import LightningApp
        >>> class Node(LightningWork):
        ...     def run(self, main_address, main_port, num_nodes, node_rank):
        ...         return f"node {node_rank} of {num_nodes} at {main_address}"
        >>> nodes = MultiNode(Node, 2)
        >>> LightningApp(nodes).run(runner="inline")
        >>> nodes.values()
        ['node 0 of 2 at 127.0.0.1', 'node 1 of 2 at 127.0.0.1']
    """

    def __init__(
        self,
        work_cls: type[LightningWork],
        num_nodes: int,
        cloud_compute: CloudCompute | None = None,
        *work_args: Any,
        **work_kwargs: Any,
    ) -> None:
        super().__init__(num_nodes, work_kwargs.pop("port", None))
        if not (isinstance(work_cls, type) and issubclass(work_cls, LightningWork)):
            raise ComponentError(
                f"{type(self).__qualname__}({work_cls!r}): it must be a class derived from LightningWork.",
                argument="work_cls",
                found=work_cls,
            )
        node_cls = self.node_class(work_cls)
        for _ in range(num_nodes):
            settings = {**work_kwargs, "parallel": True}
            if cloud_compute is not None:
                settings["cloud_compute"] = cloud_compute.clone()
            self.ws.append(node_cls(*work_args, **settings))

    def node_class(self, work_cls: type[LightningWork]) -> type[LightningWork]:
        """Return the class of the nodes; override it to run `work_cls` in another way.

        Args:
            work_cls: As given to the constructor.
        """
        return work_cls

    def arguments_of(self, rank: int) -> dict[str, Any]:
        """Return the arguments of the `run` of a node.

        Args:
            rank: Number of the node.
        """
        return {
            "main_address": machine_addresses()[0],
            "main_port": self.main_port,
            "num_nodes": len(self.ws),
            "node_rank": rank,
        }

    def values(self) -> list[Any]:
        """Return the value of each node, by rank; `None` for a node that has not succeeded."""
        calls = [work.call(**self.arguments_of(rank)) for rank, work in enumerate(self.ws)]
        return [None if call is None else call.value for call in calls]


def find_main_port(host: str) -> int:
    """Return a port for node 0 that is free now, and that no program gets by chance.

    Args:
        host: Address of this machine, on which the port must be free.

    Raises:
        OSError: `host` is not an address of this machine, or all ports are in use.
    """
    # Not `random.randrange`: apps that use the same seed would choose the same port.
    start = random.SystemRandom().randrange(len(_PORTS))
    ports: list[int] = [*_PORTS[start:], *_PORTS[:start]]
    for port in ports:
        try:
            bind(host, port, reuse=False).close()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return port
    raise OSError(errno.EADDRINUSE, f"All ports of {host} from {_PORTS[0]} to {_PORTS[-1]} are in use")
