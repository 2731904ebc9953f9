"""Lets the works of `runner="ray"` run on this machine, in a way that they seem to be on another one.

`use_other_node` is called by a program that runs an app. The process id of each work is that of a bystander,
a process of this machine that has nothing to do with the app and must never be touched.
"""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from types import ModuleType
from typing import Any

import pytest

from lightning_lite.app import app, ray_runner
from lightning_lite.messages import WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.runners.base import RemoteOptions

from tests.support.subprocess_cluster import SubprocessCluster

#: The host of the first process of each work; a further one is on `n3`, and so on.
HOST = "n2"


class OtherNodeCluster(SubprocessCluster):
    """Reports the process of each work as one on another host, with the process id of a bystander.

    Args:
        pid: Process id of the bystander.
        sees_root: Whether its machine seems to see the folder of the root.
    """

    def __init__(self, pid: int, *, sees_root: bool = True) -> None:
        super().__init__(change=self._move)
        self._pid = pid
        self._sees_root = sees_root
        self._starts: Counter[str] = Counter()

    def _move(self, method: str, value: Any) -> Any:
        if method == "open" and value is not None:
            return (*value[:-1], self._sees_root)
        if method == "open_direct":
            return None  # all messages have to pass here
        if method != "exchange" or value is None or value[-1] is None:
            return value
        first, messages = pickle.loads(value[-1])
        moved = [
            message._replace(place=self._place_of(message.work)) if type(message) is WorkStarted else message
            for message in messages
        ]
        return (*value[:-1], pickle.dumps((first, moved), 5))

    def _place_of(self, work: str) -> Place:
        self._starts[work] += 1
        return Place(f"n{1 + self._starts[work]}", self._pid)


def use_other_node(
    pid: int, patch: pytest.MonkeyPatch | None = None, *, sees_root: bool = True
) -> list[RemoteOptions]:
    """Let apps of this process use such a cluster in place of Ray, which need not be installed.

    Args:
        pid: Process id of the bystander.
        patch: Takes the changes back; `None` if the process ends anyway.
        sees_root: Whether its machine seems to see the folder of the root.

    Returns:
        The options with which clusters were created, so far and later.
    """
    patch, made = patch or pytest.MonkeyPatch(), list[RemoteOptions]()

    def create(options: RemoteOptions) -> OtherNodeCluster:
        made.append(options)
        return OtherNodeCluster(pid, sees_root=sees_root)

    module = ModuleType("other_node_cluster")
    module.RayCluster = create  # type: ignore[attr-defined]
    patch.setitem(sys.modules, module.__name__, module)
    patch.setattr(ray_runner, "_CLUSTER", module.__name__)
    patch.setattr(app, "check_ray_is_installed", lambda: None)
    patch.setenv("LIGHTNING_LITE_RAY_DIRECT", "0")  # all messages pass the cluster, which changes some
    return made
