"""Snapshots of the works of an app.

They may be taken in any thread while the flow runs: they read one attribute at a time, and change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from lightning_lite.engine.supervisor import Supervisor
from lightning_lite.process_places import Place
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.work import LightningWork
from lightning_lite.work_row import WorkRow, read_progress


def snapshot_work(supervisor: Supervisor, places: Mapping[str, Place]) -> WorkRow:
    """Return the row of one work: of its running call, else of the call or process that its status concerns.

    Args:
        supervisor: The supervisor of the work.
        places: Places of the processes of works, by name.
    """
    work, records = supervisor.work, supervisor.work._records
    call, status = supervisor.running, records.status
    if call is not None:
        status = call.statuses[-1]
    elif records.newest is not None and status in records.newest.statuses[-1:]:
        call = records.newest  # the status concerns this call, not the process
    return WorkRow(
        supervisor.name,
        status.stage.replace("_", " "),
        call=call.number if call is not None else 0,
        attempt=call.attempt if call is not None else 0,
        progress=read_work_progress(work),
        since=status.timestamp or None,
        place=places.get(supervisor.name),
    )


def state_to_record(supervisor: Supervisor) -> str:
    """Return the state of a work for `run.json`, which is shown when its process has ended.

    Then the journal shows the newest call of a work whose process has started again after that call, as after
    `lightning-lite restart`.

    Args:
        supervisor: The supervisor of the work.
    """
    state, newest = snapshot_work(supervisor, {}).state, supervisor.work._records.newest
    if state == WorkStageStatus.STARTED and newest is not None:
        return newest.stage.replace("_", " ")
    return state


def read_work_progress(work: LightningWork) -> float | None:
    """Return the progress of a work, from 0 to 1, or `None` if its attribute `progress` gives none.

    Example:
        >>> class Train(LightningWork):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.progress = (30, 120)
        ...     def run(self):
        ...         pass
        >>> read_work_progress(Train())
        0.25
    """
    node = work._node
    if "progress" not in node.names:
        return None
    try:
        value = node.value("progress")
    except KeyError:  # the flow changes it at this moment
        return None
    return read_progress(value)
