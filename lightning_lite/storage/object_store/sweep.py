"""Deletes objects that no manifest names: from dead writers, and of replaced versions.

An object is deleted only if it is older than `MAX_AGE`, by the clock of the store. A put that has taken half
of that time refuses to finish, and a manifest never gets an older object back. So an old object that no
manifest names now will never be named.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from lightning_lite.storage.errors import DriveOSError
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.manifest import Manifest, object_ids

#: Seconds that an object stays that no manifest names.
MAX_AGE = 7 * 86400.0


class Deadline:
    """The time until which a put may finish.

    It is counted by a clock that includes the time of suspension.
    """

    def __init__(self) -> None:
        self._begin = _now()

    def check(self) -> None:
        """Refuse to finish a put that has taken too long.

        Raises:
            DriveOSError: Objects that it has sent may be deleted at any time.
        """
        if _now() - self._begin > MAX_AGE / 2:
            raise DriveOSError(
                f"The put took more than {MAX_AGE / 2 / 86400:.1f} days, so that its objects could be "
                f"deleted as leftovers of a dead process; nothing was put, do it again."
            )


def _now() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the second does not count sleep on Linux
    return time.clock_gettime(clock)


def sweep(client: Client, data: str, manifests: Iterator[Manifest]) -> int:
    """Delete the objects of a drive that no manifest names, and return how many.

    Args:
        client: The bucket.
        data: Key of the folder of the drive's objects with content.
        manifests: Reads all manifests of the drive; it is used after the objects are listed.
    """
    limit = client.now(f"{data}-clock") - timedelta(seconds=MAX_AGE)
    old = {one.key.rpartition("/")[2] for one in client.listing(data) if one.modified < limit}
    if not old:
        return 0
    for manifest in manifests:
        old -= object_ids(manifest)
    client.delete([f"{data}/{name}" for name in sorted(old)])
    return len(old)
