"""Pickles a work for its process. A module of its own, because no process of a work needs it."""

from __future__ import annotations

from typing import Any

from lightning_lite.engine.work_host import WorkHost
from lightning_lite.errors import ArgumentError
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.pickling import PackingError
from lightning_lite.values.shared_objects import Descriptor, NotShareable, pack_shared


def pack_host(work: LightningWork) -> tuple[bytes, tuple[Descriptor, ...]]:
    """Return the pickled `WorkHost` of a work with its current state, and the file descriptors that it needs.

    Raises:
        ArgumentError: An attribute can't be pickled; the message names it.
    """
    try:
        return pack_shared(WorkHost(work))
    except PackingError as error:
        for name, value in work.__dict__.items():
            if value is not work._node:  # refers to the work, so it can't be pickled if any attribute can't
                _try_attribute(work, name, value)
        raise ArgumentError(f"{work.name} can't be sent to its process: {error}", work=work.name) from error


def _try_attribute(work: LightningWork, name: str, value: Any) -> None:
    try:
        _, descriptors = pack_shared(value)
    except PackingError as error:
        is_explained = isinstance(error.__cause__, NotShareable)
        why = f"{error.__cause__}." if is_explained else f"{error}. Create it in on_start() or run()."
        raise ArgumentError(
            f"{work.name} can't be sent to its process: its attribute {name!r} holds "
            f"<{type(value).__module__}.{type(value).__qualname__}>: {why}",
            work=work.name,
            attribute=name,
        ) from error
    for descriptor in descriptors:
        descriptor.close()
