"""Checks the root, and a folder of drives: permissions, and the features and the speed of the file system."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from functools import partial
from stat import S_IMODE
from time import perf_counter

from lightning_lite.cli.checks.result import FAILURE, OK, WARNING, Check, Finding
from lightning_lite.errors import RootRefused
from lightning_lite.file_system_types import file_system_type
from lightning_lite.quantity_text import format_bytes
from lightning_lite.regular_files import open_folder
from lightning_lite.root_access import UNKEPT_ADVICE, find_unkept, opened
from lightning_lite.runners.command_channel import LONGEST_ADDRESS, SOCKET_NAME, CommandChannel, ask
from lightning_lite.runs.journal import Journal
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.probe import NETWORK, try_out
from lightning_lite.storage.fs.watch import Arrivals
from lightning_lite.trusted_roots import is_trusted

_LITTLE_SPACE = 1024**3  # bytes
_NO_SPACE = 16 * 1024**2

_RUN_ID = "20261122-035501123-9f3ac2"  # all ids have this length

_RECORDS = 200
_DURABLE_RECORDS = 10
_SLOW_RECORD = 0.002  # seconds
_SLOW_DURABLE_RECORD = 0.1


def checks(root: str, probe: str) -> Iterator[tuple[str, Check]]:
    """Yield the checks for the needs of drives, with their subjects, in the order of the page.

    Args:
        root: Absolute root folder, or another folder of drives; it may not exist.
        probe: Empty folder on the file system of the root.
    """
    yield "root", partial(_root, root)
    yield "file system", partial(_file_system, probe)
    yield "owners, modes", partial(_owners, root, probe)
    yield "free space", partial(_free_space, probe)
    yield "locks", partial(_locks, probe)
    yield "atomic exchange", partial(_exchange, probe)
    yield "reflink", partial(_reflink, probe)
    yield "file events", partial(_file_events, probe)


def run_checks(root: str, probe: str) -> Iterator[tuple[str, Check]]:
    """Yield the checks for the needs of runs only; see `checks` for the arguments."""
    yield "journal", partial(_journal, probe)
    yield "command channel", partial(_command_channel, root, probe)


def nearest_folder(path: str) -> str:
    """Return the folder at `path`, or the nearest parent folder that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _root(root: str) -> Finding:
    found = syscalls.stat_if_exists(root)
    if found is None:
        return Finding("root", f"{root}, does not exist yet")
    try:
        with opened(root) as folder:
            status = os.fstat(folder.fd) if folder is not None else found
    except RootRefused as error:
        return Finding("root", root, FAILURE, error.message)
    mode = S_IMODE(status.st_mode)
    value = f"{root}, mode {mode:o}"
    if is_trusted(root):
        return Finding("root", f"{value}, trusted: all users who can write to it can run code as you")
    if folder is not None and folder.is_shared:
        return Finding("root", f"{value}, drives are shared with group {status.st_gid}")
    if mode & 0o077:
        return Finding("root", value, WARNING, f"other users have access: chmod 700 {root}")
    return Finding("root", value)


def _file_system(probe: str) -> Finding:
    kind = file_system_type(probe)
    if kind in NETWORK:
        advice = "files of other machines become visible late; use a local folder if one machine is enough"
        return Finding("file system", f"{kind}, on the network", WARNING, advice)
    return Finding("file system", kind or "unknown")


def _owners(root: str, probe: str) -> Finding:
    fd = open_folder(probe)
    try:
        what = find_unkept(fd)
    finally:
        os.close(fd)
    if not what:
        return Finding("owners, modes", "yes")
    if is_trusted(root):
        return Finding("owners, modes", f"no {what}; the root is trusted")
    return Finding("owners, modes", f"no {what}", FAILURE, UNKEPT_ADVICE)


def _free_space(probe: str) -> Finding:
    usage, nodes = shutil.disk_usage(probe), os.statvfs(probe)
    files = f", {nodes.f_favail} files" if nodes.f_files else ""
    value = f"{format_bytes(usage.free)} of {format_bytes(usage.total)} free{files}"
    if usage.free < _NO_SPACE:
        return Finding("free space", value, FAILURE, "free some space, or choose another root: --root DIR")
    if usage.free < _LITTLE_SPACE:
        return Finding("free space", value, WARNING, "`lightning-lite clean` removes old runs")
    return Finding("free space", value)


def _locks(probe: str) -> Finding:
    broken = try_out(probe)
    if broken:
        advice = "two processes got the same one: choose a root on another file system: --root DIR"
        return Finding("locks", f"{' and '.join(broken)} do not work", FAILURE, advice)
    return Finding("locks", "yes")


def _exchange(probe: str) -> Finding:
    one, other = f"{probe}/one", f"{probe}/other"
    os.mkdir(one)
    os.mkdir(other)
    if syscalls.exchange(one, other):
        return Finding("atomic exchange", "yes")
    return Finding("atomic exchange", "no; a folder is replaced in two steps")


def _reflink(probe: str) -> Finding:
    with open(f"{probe}/source", "wb") as file:
        file.write(bytes(64 * 1024))
    with open(f"{probe}/source", "rb") as source, open(f"{probe}/target", "wb") as target:
        can = syscalls.clone(source.fileno(), target.fileno())
    return Finding("reflink", "yes" if can else "no; the kernel copies the data")


def _file_events(probe: str) -> Finding:
    with Arrivals(probe) as arrivals:
        if arrivals.has_events:
            return Finding("file events", "inotify")
    return Finding("file events", "no; folders are polled", OK, "get(timeout=...) returns a little later")


def _journal(probe: str) -> Finding:
    usual = _time_record(f"{probe}/journal", _RECORDS, durable=False)
    durable = _time_record(f"{probe}/durable", _DURABLE_RECORDS, durable=True)
    value = f"{usual * 1e6:.0f} µs per record, {durable * 1e3:.1f} ms if durable"
    if usual > _SLOW_RECORD or durable > _SLOW_DURABLE_RECORD:
        return Finding("journal", value, WARNING, "the disk is slow or busy; each call waits for it")
    return Finding("journal", value)


def _command_channel(root: str, probe: str) -> Finding:
    """Send a command through a socket like the command socket of a run."""
    run = f"{probe}/run"
    os.mkdir(run)
    try:
        channel = CommandChannel(run, lambda request: {})
    except PermissionError:  # as vfat answers
        advice = "`stop` and `kill` of a run send signals; other commands do not reach it"
        return Finding("command channel", "no; the file system has no sockets", WARNING, advice)
    try:
        began = perf_counter()
        ask(run, "status")
        took = perf_counter() - began
    finally:
        channel.close()
    size = len(os.fsencode(f"{root}/runs/{_RUN_ID}/{SOCKET_NAME}"))
    way = "" if size <= LONGEST_ADDRESS else ", too many for a socket: a shorter path replaces it"
    return Finding("command channel", f"answers in {took * 1e3:.1f} ms; its path has {size} bytes{way}")


def _time_record(folder: str, count: int, *, durable: bool) -> float:
    """Return the seconds per record in a new journal."""
    os.mkdir(folder)
    journal = Journal.create(folder, "doctor", durable=durable)
    try:
        began = perf_counter()
        for _ in range(count):
            journal.write(bytes(128))
        return (perf_counter() - began) / count
    finally:
        journal.close()
