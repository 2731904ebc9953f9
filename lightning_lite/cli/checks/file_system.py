"""The place of the root: its file system, what that can do, and how fast it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from stat import S_IMODE
from time import perf_counter

from lightning_lite.cli.checks.result import FAILURE, OK, WARNING, Check, Finding
from lightning_lite.runners.command_channel import LONGEST_ADDRESS, SOCKET_NAME, CommandChannel, ask
from lightning_lite.runs.journal import Journal
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.probe import NETWORK, kind_of, try_out
from lightning_lite.storage.fs.watch import Arrivals
from lightning_lite.text import format_bytes

_LITTLE_ROOM = 1024**3
_NO_ROOM = 16 * 1024**2

_RUN_ID = "20261122-035501123-9f3ac2"  # all are as long

_RECORDS = 200
_DURABLE_RECORDS = 10
_SLOW_RECORD = 0.002  # seconds
_SLOW_DURABLE_RECORD = 0.1


def checks(root: str, probe: str) -> Iterator[tuple[str, Check]]:
    """Yield what is looked at, in the order of the page.

    Args:
        root: Absolute folder of the root; it need not be there.
        probe: Empty folder on the file system of the root.
    """
    yield "root", partial(_root, root)
    yield "file system", partial(_file_system, probe)
    yield "room", partial(_room, probe)
    yield "locks", partial(_locks, probe)
    yield "atomic exchange", partial(_exchange, probe)
    yield "reflink", partial(_reflink, probe)
    yield "news of files", partial(_news, probe)
    yield "journal", partial(_journal, probe)
    yield "command channel", partial(_command_channel, root, probe)


def nearest_folder(path: str) -> str:
    """Return the nearest folder at or above a path that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _root(root: str) -> Finding:
    found = syscalls.stat_if_exists(root)
    if found is None:
        return Finding("root", f"{root}, not there yet")
    mode = S_IMODE(os.stat(root).st_mode)
    value = f"{root}, mode {mode:o}"
    if os.stat(root).st_uid != os.geteuid():
        return Finding("root", f"{value}, of another user", WARNING, "use a root of your own: --root DIR")
    if mode & 0o077:
        return Finding("root", value, WARNING, f"other users may look into it: chmod 700 {root}")
    return Finding("root", value)


def _file_system(probe: str) -> Finding:
    kind = kind_of(probe)
    if kind in NETWORK:
        advice = "what other machines put is seen late; use a local folder if one machine is enough"
        return Finding("file system", f"{kind}, on the network", WARNING, advice)
    return Finding("file system", kind or "unknown")


def _room(probe: str) -> Finding:
    usage, nodes = shutil.disk_usage(probe), os.statvfs(probe)
    files = f", {nodes.f_favail} files" if nodes.f_files else ""
    value = f"{format_bytes(usage.free)} of {format_bytes(usage.total)} free{files}"
    if usage.free < _NO_ROOM:
        return Finding("room", value, FAILURE, "make room, or use a root elsewhere: --root DIR")
    if usage.free < _LITTLE_ROOM:
        return Finding("room", value, WARNING, "old runs go with `lightning-lite clean`")
    return Finding("room", value)


def _locks(probe: str) -> Finding:
    broken = try_out(probe)
    if broken:
        advice = "two processes got the same one: put the root on another file system"
        return Finding("locks", f"{' and '.join(broken)} do not hold", FAILURE, advice)
    return Finding("locks", "hold")


def _exchange(probe: str) -> Finding:
    one, other = f"{probe}/one", f"{probe}/other"
    os.mkdir(one)
    os.mkdir(other)
    if syscalls.exchange(one, other):
        return Finding("atomic exchange", "yes")
    return Finding("atomic exchange", "no; a folder is replaced in two steps, under an intent")


def _reflink(probe: str) -> Finding:
    with open(f"{probe}/source", "wb") as file:
        file.write(bytes(64 * 1024))
    with open(f"{probe}/source", "rb") as source, open(f"{probe}/target", "wb") as target:
        can = syscalls.clone(source.fileno(), target.fileno())
    return Finding("reflink", "yes" if can else "no; the kernel copies")


def _news(probe: str) -> Finding:
    with Arrivals(probe) as arrivals:
        if arrivals.has_events:
            return Finding("news of files", "inotify")
    return Finding("news of files", "looked for again and again", OK, "get(timeout=...) answers a bit later")


def _journal(probe: str) -> Finding:
    usual = _time_record(f"{probe}/journal", _RECORDS, durable=False)
    durable = _time_record(f"{probe}/durable", _DURABLE_RECORDS, durable=True)
    value = f"{usual * 1e6:.0f} µs a record, {durable * 1e3:.1f} ms if durable"
    if usual > _SLOW_RECORD or durable > _SLOW_DURABLE_RECORD:
        return Finding("journal", value, WARNING, "the disk is slow or busy; each call waits for that")
    return Finding("journal", value)


def _command_channel(root: str, probe: str) -> Finding:
    """Ask and answer on a socket such as each run has one."""
    run = f"{probe}/run"
    os.mkdir(run)
    channel = CommandChannel(run, lambda request: {})
    try:
        began = perf_counter()
        ask(run, "status")
        took = perf_counter() - began
    finally:
        channel.close()
    size = len(os.fsencode(f"{root}/runs/{_RUN_ID}/{SOCKET_NAME}"))
    way = "" if size <= LONGEST_ADDRESS else ", more than a socket may have: a short one stands for it"
    return Finding("command channel", f"answers in {took * 1e3:.1f} ms; its path has {size} bytes{way}")


def _time_record(folder: str, count: int, *, durable: bool) -> float:
    """Return how many seconds a record takes, in a journal of its own."""
    os.mkdir(folder)
    journal = Journal.create(folder, "doctor", durable=durable)
    try:
        began = perf_counter()
        for _ in range(count):
            journal.write(bytes(128))
        return (perf_counter() - began) / count
    finally:
        journal.close()
