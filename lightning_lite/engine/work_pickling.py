"""Pickles a work for its process. A module of its own, because no process of a work needs it."""

from __future__ import annotations

from typing import Any

from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.errors import ArgumentError
from lightning_lite.tracebacks import find_user_error
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.multiprocessing_objects import Descriptor, pack_shared
from lightning_lite.values.pickling import PackingError, explain, shown_type, why_not
from lightning_lite.values.transferable import NotShareable


def pack_work_machine(work: LightningWork) -> tuple[bytes, tuple[Descriptor, ...]]:
    """Return the pickled `WorkMachine` of a work with its current state, and the file descriptors it needs.

    Raises:
        ArgumentError: An attribute can't be pickled; the message names it.
    """
    try:
        return pack_shared(WorkMachine(work), with_script=True)
    except PackingError as error:
        failure = error
    # Not in the `except` block: its exception would be part of the exception of an attribute.
    for name, value in work.__dict__.items():
        if value is not work._node:  # refers to the work, so it can't be pickled if any attribute can't
            _try_attribute(work, name, value)
    why = why_not(type(work), failure, _pack_part)
    raise ArgumentError(
        f"{work.name} can't be sent to its process: {why}. Create it inside run().", work=work.name
    ) from find_user_error(failure)


def _pack_part(value: Any) -> None:
    _, descriptors = pack_shared(value)
    for descriptor in descriptors:
        descriptor.close()


def _try_attribute(work: LightningWork, name: str, value: Any) -> None:
    try:
        _pack_part(value)
    except PackingError as error:
        cause = error.__cause__
        if isinstance(cause, NotShareable) and cause.stays is work:
            return  # it refers to the work, and can be pickled if the rest can
        explained = explain(value, error, "Create it in on_start() or run().", _pack_part)
        raise ArgumentError(
            f"{work.name} can't be sent to its process: its attribute {name!r} holds {shown_type(value)}: "
            f"{explained}",
            work=work.name,
            attribute=name,
        ) from find_user_error(error)
