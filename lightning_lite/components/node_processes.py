"""Several processes of one node: the work itself is the first, the others are its children."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, Protocol

from lightning_lite import timeouts
from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.errors import RankFailed
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.runners.processes.spawn import finder_modules, search_path
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.pickling import pack

_PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rank_program.py")


class Rank(NamedTuple):
    """One process of a distributed job: the arguments that a `Launcher` gets.

    Attributes:
        local_rank: Its number in its node.
        main_address: Address of node 0.
        main_port: Port of node 0.
        num_nodes: Number of nodes.
        node_rank: Number of its node.
        nprocs: Number of processes in each node.
    """

    local_rank: int
    main_address: str
    main_port: int
    num_nodes: int
    node_rank: int
    nprocs: int

    @property
    def global_rank(self) -> int:
        """Its number among all processes."""
        return self.local_rank + self.node_rank * self.nprocs

    @property
    def world_size(self) -> int:
        """Number of all processes."""
        return self.num_nodes * self.nprocs


class Launcher(Protocol):
    """Prepares a process of a node for the `run` of the user, and calls that."""

    @staticmethod
    def default_processes() -> int:
        """Return how many processes a node has if no argument says it."""

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
        """Call `work_run` in a prepared process, and return its value; for the other arguments see `Rank`."""


class LaunchedNode(LightningWork):
    """Base of the works of nodes whose `run` a `Launcher` calls; see `launched`.

    Attributes:
        launcher: The launcher.
        num_processes: Number of processes in the node; `None` for the default of the launcher.
    """

    launcher: ClassVar[type[Launcher]]
    num_processes: ClassVar[int | None]

    def run(self, main_address: str, main_port: int, num_nodes: int, node_rank: int) -> Any:
        """Run the processes of the node, and return the value of the one with the local rank 0.

        Raises:
            RankFailed: Another process of the node has failed; its traceback is in the log of the work.
        """
        count = self.num_processes or self.launcher.default_processes()
        ranks = [Rank(rank, main_address, main_port, num_nodes, node_rank, count) for rank in range(count)]
        children: list[subprocess.Popen[bytes]] = []
        try:
            children.extend(map(self._start, ranks[1:]))
            value = self.launch(ranks[0])
        except Exception as error:
            # The failure of another process is the reason of this one, for example of a lost connection.
            _check(children, timeouts.RANK_PATIENCE, error)
            raise
        else:
            _check(children, None)
            return value
        finally:
            for child in children:
                child.kill()
                child.wait()

    def run_of_user(self, *args: Any, **kwargs: Any) -> Any:
        """Call the `run` of the class that the user has written."""
        return super().run(*args, **kwargs)

    def launch(self, rank: Rank) -> Any:
        """Let the launcher run one process of the node, which is this one."""
        return self.launcher.run(work_run=self.run_of_user, **rank._asdict())

    def _start(self, rank: Rank) -> subprocess.Popen[bytes]:
        """Start a further process. Not with `multiprocessing`, which would execute the script again."""
        packed = pack((WorkMachine(copy.copy(self)), rank), with_script=True)
        child = subprocess.Popen([sys.executable, "-P", _PROGRAM], stdin=subprocess.PIPE)
        assert child.stdin is not None
        with child.stdin, suppress(BrokenPipeError):  # it has ended already, which its exit code says
            pickle.dump((search_path(), sys.argv, finder_modules(), packed), child.stdin)
        return child


def launched(
    work_cls: type[LightningWork], launcher: type[Launcher], num_processes: int | None
) -> type[LightningWork]:
    """Return a class of works whose `run` is called by a launcher, in each process of the node.

    Args:
        work_cls: The class of the user.
        launcher: The launcher.
        num_processes: Number of processes in each node; `None` for the default of the launcher.
    """
    members = {
        "__module__": work_cls.__module__,
        "__qualname__": f"{work_cls.__qualname__}.{launcher.__name__}",
        "launcher": launcher,
        "num_processes": num_processes,
    }
    metaclass: Any = type(work_cls)
    node_class: type[LightningWork] = metaclass(work_cls.__name__, (LaunchedNode, work_cls), members)
    return node_class


def _check(
    children: Sequence[subprocess.Popen[bytes]], timeout: float | None, cause: Exception | None = None
) -> None:
    """Wait until the children have ended.

    Args:
        children: The children, from the local rank 1 on.
        timeout: Seconds, or `None` for no limit.
        cause: The exception of the process with the local rank 0.

    Raises:
        RankFailed: One has ended with an exit code other than 0; the others may still run then.
    """
    end = None if timeout is None else time.monotonic() + timeout
    running = list(children)
    while running and (end is None or time.monotonic() < end):
        with suppress(subprocess.TimeoutExpired):
            running[0].wait(timeouts.RANK_CHECK_INTERVAL)
        running = [child for child in running if child.poll() is None]
        for rank, child in enumerate(children, 1):
            if child.returncode:
                raise RankFailed(
                    f"The process with the local rank {rank} has ended with "
                    f"{describe_exit(child.returncode)}; its traceback is in the log of the work.",
                    local_rank=rank,
                    exit_code=child.returncode,
                ) from cause
