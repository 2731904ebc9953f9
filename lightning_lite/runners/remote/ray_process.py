"""The program of the process that is connected to Ray, and the only module that imports it.

    app                       this process                        a machine of the cluster
    RayCluster ── place ─────▶ an actor without restarts ────────▶ ServerActor: a WorkServer
               ── call ─────▶ actor.call.remote ────────────────▶ WorkServer.call
               ◀─ answer, death ─┘

Ray has a process of its own, because it prints to the terminal, installs signal handlers, keeps threads and
connections that no fork survives, and ends its process if it finds an error of its own. Its output is in
the file `ray.log` in the folder of the logs of the run. When the app is gone, this process ends, and with it
its actors, which Ray never restarts or keeps.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from lightning_lite.harmless_text import one_line
from lightning_lite.quantity_text import format_bytes
from lightning_lite.resources import Resources
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.pickle_socket import PickleSocket
from lightning_lite.runners.remote.work_server import WorkServer
from lightning_lite.sockets import NODE_ADDRESS_VARIABLE

#: Calls that one server carries out at the same time: two of `exchange` wait there.
_CONCURRENCY = 8

#: Seconds for the orderly end of the connection.
_END_PATIENCE = 2.0

#: Names of files and folders that are not sent to the machines, besides those of the user. The files `.env`
#: have secrets.
_NEVER_SENT = (
    ".env",
    ".env.*",
    ".git",
    ".venv*",
    "venv",
    "__pycache__",
    "node_modules",
    ".lightning_lite",
    ".ipynb_checkpoints",
)

#: The process of an actor kills its children when it exits, but not the children of these. The guardian is
#: one of them, and would be dead before it could end the others.
_WORKER_VARIABLES = {"RAY_kill_child_processes_on_worker_exit": "false"}


class ServerActor:
    """The server of a work in the process of a Ray actor."""

    def __init__(self) -> None:
        import ray  # noqa: PLC0415 - in a process of Ray, which has it

        address: str = ray.util.get_node_ip_address()
        os.environ[NODE_ADDRESS_VARIABLE] = address  # works inherit it
        self._server = WorkServer(address)

    def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """Carry out a call of the main process."""
        return self._server.call(method, *arguments)

    def node(self) -> str:
        """Return the id of the machine, as Ray has it."""
        import ray  # noqa: PLC0415 - in a process of Ray, which has it

        return str(ray.get_runtime_context().get_node_id())


class _Placement:
    """One actor, its node and its calls.

    Args:
        number: Its number between this process and the app.
        resources: The resources that it needs.

    Attributes:
        actor: The actor, or `None` while it waits for another one of its group.
        node: Id of its node; "" as long as it has none.
        bound_to: Id of the node of its group, on which it has to be; "" if it is the first one.
        early: Calls that came before there was an actor.
        followers: Placements that have to be on the same node, and wait until it is known.
        is_killed: Whether the app has given it up.
    """

    def __init__(self, number: int, resources: Resources) -> None:
        self.number = number
        self.resources = resources
        self.actor: Any = None
        self.node = ""
        self.bound_to = ""
        self.early: list[tuple[int, str, tuple[Any, ...]]] = []
        self.followers: list[_Placement] = []
        self.is_killed = False


class RayConnection:
    """Carries out the requests of the app.

    A thread reads the requests, and makes calls at once. All else is a task of the main thread, also the
    reaction to an error: callbacks come in a thread of Ray that must not wait for Ray.

    Args:
        ray: The package.
        channel: The connection to the app.
    """

    def __init__(self, ray: Any, channel: PickleSocket) -> None:
        self._ray = ray
        self._channel = channel
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._placements: dict[int, _Placement] = {}
        self._groups: dict[str, list[_Placement]] = {}
        self._nodes: dict[str, dict[str, float]] = {}  # the resources of each one, by its id
        self._note_nodes()
        self._actor_class = ray.remote(ServerActor)

    def serve(self) -> None:
        """Carry out all requests until the app has closed the connection."""
        threading.Thread(target=self._read, name="lightning-lite-requests", daemon=True).start()
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:  # noqa: BLE001 - Ray may raise anything, and the other works have to continue
                traceback.print_exc()

    def close(self) -> None:
        """Kill all actors."""
        for placement in list(self._placements.values()):
            if placement.actor is not None:
                self._ray.kill(placement.actor)

    def _read(self) -> None:
        verbs: dict[str, Callable[..., None]] = {
            "place": self._place,
            "call": self._call,
            "kill": self._kill,
            "explain": self._explain,
            "list": self._list_nodes,
        }
        while (request := self._channel.receive()) is not None:
            verb, *arguments = request
            placement = self._placements.get(arguments[0]) if verb == "call" else None
            if placement is not None and placement.actor is not None:
                self._call(*arguments)
            else:
                self._tasks.put(partial(verbs[verb], *arguments))
        self._tasks.put(None)

    # The requests of the app.

    def _place(self, number: int, resources: Resources | None) -> None:
        placement = self._placements[number] = _Placement(number, resources or Resources())
        try:
            if lacking := self._find_lacking(placement.resources):
                self._report_death(placement, lacking)
                return
            group = (
                self._groups.setdefault(placement.resources.group, []) if placement.resources.group else []
            )
            group.append(placement)
            if group[0] is placement:
                self._create(placement, "SPREAD")
            elif group[0].node:
                self._create_beside(placement, group[0])
            else:
                group[0].followers.append(placement)
        except Exception as error:  # noqa: BLE001 - Ray may raise anything
            traceback.print_exc()
            self._report_death(placement, f"Ray can't start its server: {_last_line(error)}")

    def _call(self, number: int, call: int, method: str, arguments: tuple[Any, ...]) -> None:
        placement = self._placements.get(number)
        if placement is None:
            return  # its death was reported
        if placement.actor is None:
            placement.early.append((call, method, arguments))
            return
        try:
            # In one tuple, because Ray serializes each argument apart: R1r is 2.6 then, and 2.3 so.
            future = placement.actor.call.remote(method, arguments).future()
        except Exception as error:  # noqa: BLE001 - Ray may raise anything
            traceback.print_exc()
            self._answer(call, None, ("uncertain", one_line(str(error))))
        else:
            future.add_done_callback(partial(self._on_answer, placement, call))

    def _kill(self, number: int) -> None:
        placement = self._placements.get(number)
        if placement is None:
            return
        placement.is_killed = True
        if placement.actor is None:
            self._report_death(placement, "it was given up")
        else:
            self._ray.kill(placement.actor)

    def _explain(self, request: int, resources: Resources | None) -> None:
        resources = resources or Resources()
        amounts = _amounts(resources)
        first = next(iter(self._groups.get(resources.group or "", [])), None)
        if first is not None and first.node and first.number in self._placements and amounts:
            node = self._find_node(first.node)
            why = (
                f"it needs {resources.describe()} on the node {node['NodeManagerHostname']}, where its group "
                f"{resources.group!r} is; all works there share its {_describe_node(node['Resources'])}"
            )
        else:
            why = self._find_occupied(resources) or "Ray has not started a process for it yet, see ray.log"
        self._channel.send(("explained", request, why))

    def _find_occupied(self, resources: Resources) -> str:
        """Say which amounts no single node has free; return "" if a node has all of them free."""
        wanted = _amounts(resources)
        # `ray.available_resources` has the sums only: one free CPU on each of two nodes is not two CPUs.
        free = self._ray._private.state.available_resources_per_node()
        nodes = [
            (free.get(node["NodeID"], {}), node["Resources"]) for node in self._ray.nodes() if node["Alive"]
        ]
        if any(_has(free_there, wanted) for free_there, _ in nodes):
            return ""
        needs = f"it needs {resources.describe()}, and"
        in_all, total = (_sum_of(side) for side in zip(*nodes, strict=True)) if nodes else ({}, {})
        if not _has(in_all, wanted):
            return f"{needs} the cluster has {_describe_free(wanted, in_all, total)} free"
        have = "; ".join(dict.fromkeys(_describe_free(wanted, *node) for node in nodes))
        return f"{needs} no node of the cluster has that free: they have {have}"

    def _list_nodes(self, request: int) -> None:
        addresses = [node["NodeManagerAddress"] for node in self._ray.nodes() if node["Alive"]]
        self._channel.send(("listed", request, addresses))

    # Placement.

    def _create(self, placement: _Placement, strategy: Any) -> None:
        resources = placement.resources
        options: dict[str, Any] = {
            "num_cpus": resources.cpus,
            "num_gpus": resources.gpus,
            "resources": dict(resources.custom),
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": _CONCURRENCY,
            "scheduling_strategy": strategy,
        }
        if resources.memory:
            options["memory"] = resources.memory
        placement.actor = self._actor_class.options(**options).remote()
        future = placement.actor.node.remote().future()
        future.add_done_callback(lambda done: self._tasks.put(partial(self._on_placed, placement, done)))
        early, placement.early = placement.early, []
        for call, method, arguments in early:
            self._call(placement.number, call, method, arguments)

    def _create_beside(self, placement: _Placement, first: _Placement) -> None:
        if lacking := self._find_lacking_beside(placement, first):
            self._report_death(placement, lacking)
            return
        placement.bound_to = first.node
        strategies = self._ray.util.scheduling_strategies
        self._create(placement, strategies.NodeAffinitySchedulingStrategy(first.node, soft=False))

    def _on_placed(self, placement: _Placement, future: Any) -> None:
        error = future.exception()
        if error is not None:
            self._on_error(placement, error)
            return
        placement.node = future.result()
        followers, placement.followers = placement.followers, []
        for follower in followers:
            if not follower.is_killed:
                self._create_beside(follower, placement)

    def _find_lacking(self, resources: Resources) -> str:
        """Return why no node of the cluster can run a work; "" if one can, or could before."""
        wanted = _amounts(resources)
        if not wanted:
            return ""
        self._note_nodes()
        nodes = self._nodes.values()
        if any(_has(node, wanted) for node in nodes):
            return ""
        have = "; ".join(dict.fromkeys(map(_describe_node, nodes)))
        return f"it needs {resources.describe()}, and no node of the cluster has that: they have {have}"

    def _find_lacking_beside(self, placement: _Placement, first: _Placement) -> str:
        """Return why the node of a group can never run a further work of it; "" if it can."""
        self._note_nodes()
        node = self._nodes.get(first.node, {})
        if _has(node, _amounts(placement.resources)):
            return ""
        name = self._find_node(first.node)["NodeManagerHostname"]
        return (
            f"it needs {placement.resources.describe()}, and the node {name}, where its group "
            f"{placement.resources.group!r} is, has {_describe_node(node)}; start the work with the greatest "
            "needs first, or leave this one out of the group"
        )

    def _find_node(self, node_id: str) -> dict[str, Any]:
        """Return the entry of Ray for a node, also of one that Ray had before."""
        unknown = {"NodeID": node_id, "NodeManagerHostname": node_id, "Alive": False, "Resources": {}}
        return next((node for node in self._ray.nodes() if node["NodeID"] == node_id), unknown)

    def _note_nodes(self) -> None:
        """Note what the nodes have; one that dies may come back, so that a work waits for it."""
        for node in self._ray.nodes():
            if node["Alive"]:
                self._nodes[node["NodeID"]] = node["Resources"]

    # Answers of Ray. `_on_answer` is called in threads of Ray.

    def _on_answer(self, placement: _Placement, call: int, future: Any) -> None:
        error = future.exception()
        if error is None:
            self._answer(call, future.result(), None)
        else:
            self._tasks.put(partial(self._on_failed_call, placement, call, error))

    def _on_failed_call(self, placement: _Placement, call: int, error: BaseException) -> None:
        if not self._on_error(placement, error):
            is_of_server = isinstance(error, self._ray.exceptions.RayTaskError)
            kind = "failed" if is_of_server else "uncertain"
            self._answer(call, None, (kind, _last_line(error)))

    def _on_error(self, placement: _Placement, error: BaseException) -> bool:
        """Report the death of an actor if an error says so; return whether it does."""
        exceptions = self._ray.exceptions
        if isinstance(error, exceptions.ActorUnavailableError):
            return False
        is_of_files = isinstance(error, exceptions.RuntimeEnvSetupError)
        is_death = isinstance(error, exceptions.RayActorError | exceptions.ActorUnschedulableError)
        if not is_of_files and not is_death:
            return False
        if placement.number not in self._placements:
            return True
        sys.stdout.write(f"server {placement.number}: {error}\n")
        lost_node = self._find_lost_node(placement, error)
        if is_of_files:
            self._report_death(placement, f"the files of the app could not be sent: {_last_line(error)}")
        elif lost_node:
            name = self._find_node(lost_node)["NodeManagerHostname"]
            self._report_death(placement, f"the node {name} is dead", is_node_lost=True)
        elif not placement.node:
            self._report_death(placement, f"Ray could not start its server: {_last_line(error)}")
        else:
            name = self._find_node(placement.node)["NodeManagerHostname"]
            self._report_death(placement, f"the process on {name} that carried its messages has ended")
        return True

    def _find_lost_node(self, placement: _Placement, error: BaseException) -> str:
        """Return the id of the dead node with which a server was lost; "" if its node is not dead."""
        dead = [node["NodeID"] for node in self._ray.nodes() if not node["Alive"]]
        known = placement.node or placement.bound_to
        # While the server starts, its node is not known here. Then only the text of Ray's error has the id.
        return known if known in dead else next((node for node in dead if node in str(error)), "")

    def _report_death(self, placement: _Placement, detail: str, *, is_node_lost: bool = False) -> None:
        if self._placements.pop(placement.number, None) is None:
            return
        group = self._groups.get(placement.resources.group or "", [])
        if placement in group:
            group.remove(placement)
        followers = [follower for follower in placement.followers if not follower.is_killed]
        self._channel.send(("death", placement.number, detail, is_node_lost))
        if followers:
            # The place of their group is lost before its node was known: the next one of them finds another.
            first, *rest = followers
            first.followers += rest
            self._create(first, "SPREAD")

    def _answer(self, call: int, value: Any, error: tuple[str, str] | None) -> None:
        self._channel.send(("answer", call, value, error))


def _amounts(resources: Resources) -> dict[str, float]:
    """Return the amounts of resources, with the names of Ray."""
    amounts = {
        "CPU": resources.cpus,
        "GPU": resources.gpus,
        "memory": resources.memory,
        **dict(resources.custom),
    }
    return {name: amount for name, amount in amounts.items() if amount}


def _has(node: dict[str, float], wanted: dict[str, float]) -> bool:
    """Return whether a node has all that is wanted, free or not."""
    return all(node.get(name, 0) >= amount for name, amount in wanted.items())


def _sum_of(nodes: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the sums of the amounts of several nodes."""
    amounts: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.items():
            amounts[name] = amounts.get(name, 0) + amount
    return amounts


def _describe_free(wanted: dict[str, float], free: dict[str, float], total: dict[str, float]) -> str:
    """Return how much is free of each resource that is wanted."""
    parts = []
    for name in wanted:
        left, there = free.get(name, 0), total.get(name, 0)
        if not there:
            parts.append(f"no {name}")
        elif name == "memory":
            parts.append(f"{format_bytes(left)} of {format_bytes(there)} of memory")
        else:
            unit = f"{name}s" if name in ("CPU", "GPU") and there != 1 else name
            parts.append(f"{left:g} of {there:g} {unit}")
    return ", ".join(parts)


def _describe_node(amounts: dict[str, float]) -> str:
    custom = tuple(
        (name, amount)
        for name, amount in sorted(amounts.items())
        if name not in ("CPU", "GPU", "memory", "object_store_memory") and not name.startswith("node:")
    )
    return Resources(
        amounts.get("CPU", 0), amounts.get("GPU", 0), int(amounts.get("memory", 0)), custom
    ).describe()


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(lines[-1]) if lines else type(error).__name__


def _find_unreadable(folder: str, excludes: Sequence[str], above: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield each path below a folder that Ray can't read to the end: pipes, sockets, devices, links upwards.

    Ray reads each file that it sends. It would wait for a writer of a pipe, and follow a link to a folder
    above the link again and again. Links that lead out of the folder are not followed here, because there may
    be millions of files.

    Args:
        folder: The folder.
        excludes: Patterns of names that are not sent, so that the search leaves them out.
        above: The folders through which the search came to it.
    """
    way = (*above, os.path.realpath(folder))
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return  # Ray says so, unless the user has excluded it
    for entry in entries:
        if any(fnmatch(entry.name, pattern.strip("/")) for pattern in excludes):
            continue
        if not os.path.isdir(entry):
            if os.path.exists(entry) and not os.path.isfile(entry):
                yield entry.path
            continue
        target = Path(os.path.realpath(entry))
        if entry.is_symlink() and any(Path(each).is_relative_to(target) for each in way):
            yield entry.path
        elif target.is_relative_to(way[0]):
            yield from _find_unreadable(entry.path, excludes, way)


def _exclude(path: str, folder: str) -> str:
    """Return the pattern of a `.gitignore` in a folder that fits one path below it, and nothing else."""
    return "/" + re.sub(r"([^\w/.-])", r"\\\1", os.path.relpath(path, folder))


def connect(options: RemoteOptions) -> Any:
    """Connect to a cluster, and return the package.

    Raises:
        Exception: Any error of Ray.
    """
    # Else a cluster that it starts reports to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if options.address is None:
        # Before the import: else a cluster that it starts listens on all addresses of this machine.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray  # noqa: PLC0415 - half a second, and in this process alone
    import ray._private.state  # noqa: PLC0415
    import ray.util.scheduling_strategies  # noqa: PLC0415

    environment: dict[str, Any] = {"env_vars": _WORKER_VARIABLES}
    if (folder := options.working_dir) is not None:
        excludes = [*_NEVER_SENT, *options.excludes]
        unreadable = [_exclude(path, folder) for path in _find_unreadable(folder, excludes)]
        environment |= {
            "working_dir": folder,
            "excludes": [*excludes, *unreadable],
        }
    ray.init(
        address=options.address,
        runtime_env=environment,
        log_to_driver=False,
        include_dashboard=False if options.address is None else None,
    )
    return ray


def _end_with(channel: PickleSocket) -> None:
    """End this process when the app is gone, also if Ray hangs; its own processes see that this one ends."""
    channel.wait_for_end()
    threading.Event().wait(_END_PATIENCE)
    os._exit(0)


def main() -> None:
    """Be the process: the number of the socket to the app is the first argument."""
    channel = PickleSocket(socket.socket(fileno=int(sys.argv[1])))
    threading.Thread(target=_end_with, args=(channel,), name="lightning-lite-end", daemon=True).start()
    options = RemoteOptions(*(channel.receive() or ()))
    try:
        ray = connect(options)
        connection = RayConnection(ray, channel)
    except BaseException as error:  # noqa: BLE001 - the app shows it
        traceback.print_exc()
        # Ray raises a `ConnectionError`, with the text of this error in a cause.
        is_of_token = "AuthenticationError" in traceback.format_exc()
        kind = "AuthenticationError" if is_of_token else type(error).__name__
        channel.send(("refused", kind, str(error)))
        os._exit(1)
    channel.send(("connected",))
    connection.serve()
    connection.close()
    ray.shutdown()
    os._exit(0)
