"""Whether the kernel has ended a process because memory ran out, as far as it tells."""

from __future__ import annotations

from collections.abc import Iterator

OUT_OF_MEMORY = "the system has killed a process meanwhile because memory ran out"


def count_out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for want of memory; 0 where nobody counts.

    Those of our own container or control group, where there is one, else those of the whole machine.
    """
    for path in _counters():
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    name, _, number = line.partition(" ")
                    if name == "oom_kill":
                        return int(number)
        except OSError:
            continue
    return 0


def _counters() -> Iterator[str]:
    """Yield the files that may hold the counter, the narrowest first."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        if controllers == "":
            yield f"/sys/fs/cgroup{path}/memory.events"
        elif controllers == "memory":
            yield f"/sys/fs/cgroup/memory{path}/memory.oom_control"
    yield "/proc/vmstat"
