"""Fixtures of every test, doctests included: folders of its own, and a check that it leaves nothing behind.

This file stands at the top, not in `tests/`, so that the doctests of the package get the same.
"""

from __future__ import annotations

import functools
import gc
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import psutil
import pytest

from lightning_lite.runners.processes.environment_marks import read_environment

from tests.support.object_stores import ObjectServer, any_server

#: Seconds that a process or a thread which is ending already may take. A bound on hanging, not on speed.
PATIENCE = 20.0

# Each run takes other examples: many short runs find what a long one finds. A deadline would measure speed.
hypothesis.settings.register_profile("suite", max_examples=25, deadline=None)
hypothesis.settings.load_profile("suite")

# Otherwise each process of each test compiles the package for itself, which takes longer than most tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Without buffers, `print` writes the end of a line separately, and a kill or a stop may come in between.
# Tests of such output set the variable themselves.
os.environ.pop("PYTHONUNBUFFERED", None)

# A shell lets a process in the background ignore Ctrl-C, and all processes of the tests would inherit that.
for _signum in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(_signum, signal.default_int_handler if _signum == signal.SIGINT else signal.SIG_DFL)

#: Not looked through for doctests: two folders of tests could not be named in one command.
#: Nor the module that changes which modules the process finds, not the apps of tests, and not what only runs
#: in processes of Streamlit.
collect_ignore_glob = [
    "tests/*/conftest.py",
    "lightning_lite/lightning.py",
    "tests/lightning_apps/apps/*",
    "lightning_lite/components/streamlit_render.py",
    "lightning_lite/frontends/programs/*",
]

TESTS = Path(__file__).parent / "tests"

#: Children inherit this variable, so that a process is found even when its parent has died before it.
MARK = "LIGHTNING_LITE_TEST"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, which would look through all tests again and again.

    That takes a quarter of the time. They live as long as the process, so it never looks at them later, too.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Collect no doctests in `tests`, nor in a file that has none: to look for them takes long."""
    collectors = yield
    if file_path.is_relative_to(TESTS) or (collectors and b">>>" not in file_path.read_bytes()):
        return [collector for collector in collectors if type(collector) is pytest.Module]
    return collectors


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Run doctests without the garbage collector.

    Their debugger goes through all entries of `linecache` at the start. SQLAlchemy removes the entry of a
    class of tables when the class is collected: amid that loop, this is a `KeyError` in Python 3.11.
    """
    if not isinstance(item, pytest.DoctestItem):
        return (yield)
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test an empty working directory, a root, and a folder for temporary files."""
    here, temporary = f"{tmp_path}/here", f"{tmp_path}/temporary"
    os.mkdir(here)
    os.mkdir(temporary)
    monkeypatch.chdir(here)
    monkeypatch.setenv("LIGHTNING_LITE_ROOT", f"{tmp_path}/root")
    monkeypatch.setenv("TMPDIR", temporary)
    monkeypatch.setattr(tempfile, "tempdir", None)

    yield Path(here)

    left = [name for name in os.listdir(temporary) if not is_try_of_tempfile(Path(temporary, name))]
    assert not left, "the test left temporary files"


def is_try_of_tempfile(path: Path) -> bool:
    """Return whether a file is the one with which `tempfile` tries a folder before its first use.

    A process that is killed between the two system calls that create and remove it leaves it.
    """
    return (
        bool(re.fullmatch("[a-z0-9_]{8}", path.name))
        and path.is_file()
        and path.read_bytes() in (b"", b"blat")
    )


@pytest.fixture(scope="session")
def running_object_server() -> Iterator[ObjectServer]:
    """Run a server of objects for all tests of this process that need one."""
    with any_server() as server:
        server.warm_up()
        yield server


@pytest.fixture
def object_server(running_object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    """Give a server of objects, to which the variables of the environment lead."""
    for name, value in running_object_server.environment().items():
        monkeypatch.setenv(name, value)
    return running_object_server


@pytest.fixture(autouse=True)
def nothing_is_left(own_place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail if the test left a process, a thread or an open file; a lock that is held is an open file."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(MARK, mark)
    before = pids_after(newest_pid())
    threads, files = set(threading.enumerate()), open_files()

    yield

    # Zombies, too: a test that starts a process has to wait for its end.
    children, descendants = processes_of_the_test(pids_after(newest_pid()) - before, mark)
    orphans = wait_for_orphans(descendants)
    left = [str(process.as_dict(["pid", "status", "cmdline"])) for process in (*children, *orphans)]
    for process in (*children, *orphans):
        process.kill()  # it shall not disturb the tests that follow
        process.wait()

    for thread in set(threading.enumerate()) - threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            left.append(f"thread {thread.name}")

    if opened := open_files() - files:
        gc.collect()  # files that only the garbage collector closes are closed late
        opened = wait_for_sockets(files)
    left += [f"open file {number}: {target}" for number, target in sorted(opened)]
    assert not left, "the test left\n" + "\n".join(left)


def newest_pid() -> str:
    """Return a text that changes with each new process or thread, and without one where that is not known."""
    return last_pid() if does_last_pid_change() else uuid.uuid4().hex


def last_pid() -> str:
    """Return the last id of a process or thread that the system has given, as it says; "" without /proc."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            return file.read().rpartition(" ")[2]
    except FileNotFoundError:
        return ""


@functools.cache
def does_last_pid_change() -> bool:
    """Start a process, and return whether `last_pid` changes with it: in gVisor, it is always the same."""
    before = last_pid()
    with subprocess.Popen(["true"]):
        return last_pid() != before


@functools.lru_cache(maxsize=1)
def pids_after(newest: str) -> frozenset[int]:
    """Return all processes, and the same again until one more has begun: to list them takes long.

    Args:
        newest: The number that `newest_pid` has returned just before.
    """
    return frozenset(psutil.pids())


def processes_of_the_test(pids: frozenset[int], mark: str) -> tuple[set[psutil.Process], set[psutil.Process]]:
    """Return the children of this process, and their descendants: those with `mark` in their environment.

    Args:
        pids: The processes that are younger than the test. Reading the environment of all processes of
            the machine after each test takes longer than most tests.
        mark: A text that only the environment of this test contains.
    """
    children, descendants = set(), set()
    for pid in pids:
        try:
            process = psutil.Process(pid)
            if process.ppid() == os.getpid():
                children.add(process)
            elif mark.encode() in read_environment(pid, PATIENCE):
                descendants.add(process)
        except (OSError, psutil.NoSuchProcess):  # see `read_environment`
            continue
    return children, descendants


def wait_for_orphans(processes: set[psutil.Process]) -> list[psutil.Process]:
    """Wait for processes of which this one is not the parent, and return those that do not end.

    One that has ended stays a zombie until its new parent has noticed. That may take a second, and is not a
    matter of the test.
    """
    until = time.monotonic() + PATIENCE
    left = list(processes)
    while (left := [each for each in left if not has_ended(each)]) and time.monotonic() < until:
        psutil.wait_procs(left, timeout=0.01)
    return left


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended; true for a zombie."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_for_sockets(files: set[tuple[int, str]]) -> set[tuple[int, str]]:
    """Return the open files that are not in `files`; wait for sockets, which a library may close in a thread.

    That of object stores closes a connection when it sees that the server has closed it.
    """
    until = time.monotonic() + PATIENCE
    pause = threading.Event()
    while (opened := open_files() - files) and time.monotonic() < until:
        if not all(target.startswith("socket:") for _, target in opened):
            break
        pause.wait(0.01)
    return opened


def open_files() -> set[tuple[int, str]]:
    """Return number and target of each open file of this process; none where the system has no /proc."""
    found: set[tuple[int, str]] = set()
    try:
        names = os.listdir("/proc/self/fd")
    except FileNotFoundError:
        return found
    for name in names:
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:  # the one that listed the folder
            continue
    return found
