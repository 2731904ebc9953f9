"""Where a process runs: the host machine, and the process id there.

A process id means something on its own host only. A program that reads one from a file or a message compares
the host first, so that it never signals or measures another process that has the same number here.
"""

from __future__ import annotations

import os
from functools import cache

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Self


class Place(NamedTuple):
    """The place of a process.

    Attributes:
        host: Name of the host machine.
        pid: Process id on that host.

    Example:
        >>> import os
        >>> Place.of(os.getpid()).is_here()
        True
        >>> str(Place("no-such-host", 12))
        'process 12 on no-such-host'
    """

    host: str
    pid: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the place of a process on this host."""
        return cls(this_host(), pid)

    def is_here(self) -> bool:
        """Return whether it is on this host, so that its process id can be used."""
        return self.host == this_host()

    def __str__(self) -> str:
        return f"process {self.pid}" if self.is_here() else f"process {self.pid} on {self.host}"


def this_host() -> str:
    """Return the name of this host machine."""
    return os.uname().nodename  # `socket` would take 4 ms


@cache
def boot_id() -> str | None:
    """Return the identifier of the current boot of this host, or `None` if the system has none."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None
