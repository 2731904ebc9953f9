"""Tasks for works. Works import this module, so it is light."""

from __future__ import annotations

import builtins
import ctypes
import fcntl
import gc
import importlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
import weakref
from _thread import allocate_lock

from work_sides import TaskSide

from lightning_lite.context import current_caller
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lightning_lite.runners.worker.main import MessageSender

FOREVER = 3600.0


def _messages_of(work_side: TaskSide) -> MessageSender:
    """Return the sender of messages in the process of a work; `work_side.send` is a method of its owner."""
    messages: MessageSender = work_side.send.__self__._messages  # type: ignore[attr-defined]
    return messages


def answer(work_side: TaskSide, value: object) -> object:
    return value


def double(work_side: TaskSide, value: bytes) -> bytes:
    return value + value


def pid(work_side: TaskSide) -> int:
    return os.getpid()


def write_into_root(work_side: TaskSide, name: str) -> str:
    """Write a file, and return the folder."""
    root = current_caller().root
    assert root is not None
    with open(os.path.join(root, name), "w", encoding="ascii") as file:
        file.write("text of a user")
    return root


def places_of_files(work_side: TaskSide) -> tuple[str | None, str | None]:
    """Return the root and the place of the drives."""
    caller = current_caller()
    return caller.root, caller.drives


def say(work_side: TaskSide, text: str) -> None:
    print(text)  # noqa: T201 - that is the task


def count(work_side: TaskSide, number: int, size: int = 0) -> None:
    for i in range(number):
        work_side.change(i=b"%d" % i, filling=bytes(size))


def count_forever(work_side: TaskSide) -> None:
    """Send numbered changes of all sizes, so many at once that they fill the pipe."""
    i = 0
    while True:
        work_side.change(i=b"%d" % i, filling=bytes(i % 7 * 5000))
        i += 1
        while _messages_of(work_side)._is_flushing and i % 100 == 0:
            time.sleep(0.001)  # noqa: TID251 - so that the kept data do not grow for ever


def hang(work_side: TaskSide) -> None:
    work_side.change(hanging=b"")
    _wait_forever()


def block_in_a_read(work_side: TaskSide) -> None:
    work_side.change(hanging=b"")
    os.read(os.pipe()[0], 1)


def spin(work_side: TaskSide) -> None:
    work_side.change(hanging=b"")
    while True:
        pass


def hang_holding_the_gil(work_side: TaskSide) -> None:
    # No signal shall come between the message and the hanging.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    mutex = ctypes.create_string_buffer(128)
    ctypes.PyDLL(None).pthread_mutex_lock(mutex)
    work_side.change(hanging=b"")
    ctypes.PyDLL(None).pthread_mutex_lock(mutex)


def stop_itself(work_side: TaskSide) -> None:
    work_side.change(hanging=b"")
    os.kill(os.getpid(), signal.SIGSTOP)
    _wait_forever()


def hang_with_grandchildren(work_side: TaskSide) -> None:
    pids = [subprocess.Popen(["sleep", str(FOREVER)]).pid for _ in range(2)]
    pids.append(_fork_sleeper())
    work_side.change(pids=repr(pids).encode(), hanging=b"")
    _wait_forever()


def hang_ignoring_everything(work_side: TaskSide) -> None:
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    work_side.change(hanging=b"")
    _wait_forever()


def swallow_everything(work_side: TaskSide) -> None:
    while True:
        try:
            work_side.change(hanging=b"")
            _wait_forever()
        except BaseException:  # noqa: BLE001 - that is the task
            work_side.change(swallowed=b"")


def swallow_exceptions(work_side: TaskSide) -> None:
    work_side.change(hanging=b"")
    while True:
        try:
            _wait_forever()
        except Exception:  # noqa: BLE001 - that is the task
            work_side.change(swallowed=b"")


def fork_behind_pythons_back(work_side: object) -> int:
    """Fork as C code does: no hook of Python's closes the pipes in the child."""
    forked: int = ctypes.PyDLL(None).fork()
    if forked == 0:
        ctypes.PyDLL(None).sleep(int(FOREVER))
    return forked


def leave_grandchild(work_side: TaskSide) -> int:
    return subprocess.Popen(["sleep", str(FOREVER)]).pid


def environment(work_side: TaskSide) -> dict[str, object]:
    main = sys.modules["__main__"]
    return {
        "argv": sys.argv,
        "path": sys.path,
        "cwd": os.getcwd(),
        "environ": dict(os.environ),
        "caller": tuple(current_caller()),
        "main": (main.__name__, sorted(name for name in vars(main) if not name.startswith("__"))),
        "optimize": sys.flags.optimize,
        "dev_mode": sys.flags.dev_mode,
        "options": sys._xoptions,
        "digits": sys.get_int_max_str_digits(),
        "stdin": sys.stdin.read(),
        "stdout": (sys.stdout.encoding, sys.stdout.errors, sys.stdout.line_buffering),
        "group": os.getpgrp(),
        "fds": {int(fd): _target(fd) for fd in os.listdir("/proc/self/fd")},
        "modules": sorted(sys.modules),
    }


def attribute_of(work_side: TaskSide, module: str, name: str) -> object:
    return getattr(importlib.import_module(module), name)


def facts(work_side: TaskSide) -> dict[str, object]:
    """Return facts that distinguish a forked process from a new one, or must not."""
    return {
        "parent": os.getppid(),
        "random": random.random(),
        "threads": threading.active_count(),
        "collects": gc.isenabled(),
        "frozen": gc.get_freeze_count(),
        "optimize": sys.flags.optimize,
    }


def import_answer(work_side: TaskSide, module: str) -> object:
    return __import__(module).answer


def log_level(work_side: TaskSide) -> int:
    level: int = sys.modules["logging"].getLogger().level
    return level


def fork_and_send(work_side: TaskSide) -> tuple[str, list[str]]:
    """Return the view of a forked child: the error of its message, and the pipes it holds."""
    mine, childs = os.pipe()
    forked = os.fork()
    if forked == 0:
        try:
            work_side.change(forked=b"")
            error = "none"
        except Exception as raised:  # noqa: BLE001 - the test looks at it
            error = f"{type(raised).__name__}: {raised}"
        pipes = [
            _target(fd) for fd in os.listdir("/proc/self/fd") if int(fd) > 2 and int(fd) not in (mine, childs)
        ]
        handler = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        os.write(childs, repr((error, [pipe for pipe in pipes if "pipe" in pipe], handler)).encode())
        os._exit(0)
    os.close(childs)
    seen: tuple[str, list[str]] = eval(os.read(mine, 65536))
    os.waitpid(forked, 0)
    return seen


def receive_all(work_side: TaskSide, number: int) -> list[object]:
    """Return the messages that came while this call ran."""
    done = allocate_lock()
    done.acquire()
    work_side.on_receive = lambda: done.release() if len(work_side.received) == number else None
    work_side.change(ready=b"")
    done.acquire()
    return list(work_side.received)


def look_three_times(work_side: TaskSide) -> int:
    done = allocate_lock()
    done.acquire()
    looks = []

    def look() -> float | None:
        looks.append(time.monotonic())
        if len(looks) == 3:
            done.release()
            return None
        return 0.01

    work_side.on_report = look
    work_side.request_report()
    done.acquire()
    return len(looks)


def write_mark(work_side: TaskSide, path: str) -> None:
    with open(path, "w") as file:
        file.write("here")


def count_and_mark(work_side: TaskSide, number: int, size: int, path: str) -> None:
    count(work_side, number, size)
    write_mark(work_side, path)


def report_exit(work_side: TaskSide, path: str) -> None:
    """Write a line to `path` whenever `on_exit` runs, in the middle of which a second signal comes."""

    def on_exit() -> None:
        with open(path, "a") as file:
            os.kill(os.getpid(), signal.SIGTERM)
            file.write("exit\n")
        work_side.change(last=b"words")

    work_side.on_exit = on_exit


def write_rubbish(work_side: TaskSide, rubbish: bytes) -> None:
    """Write into the pipe of messages, as a wild file descriptor of the user's code could."""
    os.write(_messages_of(work_side)._pipe.fd, rubbish)
    _wait_forever()


def close_all_files(work_side: TaskSide) -> None:
    os.closerange(3, 4096)
    _wait_forever()


def die(work_side: TaskSide, how: str) -> None:
    work_side.change(hanging=b"")
    if how == "exit":
        sys.exit(3)
    elif how == "_exit 0":
        os._exit(0)
    elif how == "_exit 3":
        os._exit(3)
    else:
        os.kill(os.getpid(), getattr(signal, how))


def die_leaving_much_to_read(work_side: TaskSide) -> None:
    """Die with more messages in the pipe than one read takes."""
    fcntl.fcntl(_messages_of(work_side)._pipe.fd, fcntl.F_SETPIPE_SZ, 1 << 20)
    count(work_side, 40, 10_000)
    os._exit(3)


def clean_up_under_fire(work_side: TaskSide) -> None:
    """Hang, and while a stop is cleaned up after, have another signal come."""
    try:
        work_side.change(hanging=b"")
        _wait_forever()
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        work_side.change(cleaned=b"")


class Death:
    """Dies when it is called, in place of a work side or while it is unpacked."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __call__(self, work_side: TaskSide | None = None) -> None:
        if self.how == "_exit 3":
            os._exit(3)
        os.kill(os.getpid(), getattr(signal, self.how))


class Raise:
    """Raises when it is called."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, work_side: TaskSide | None = None) -> None:
        raise getattr(builtins, self.what)("line 1\nline 2")


def _wait_forever() -> None:
    lock = allocate_lock()
    lock.acquire()
    lock.acquire(timeout=FOREVER)


def _fork_sleeper() -> int:
    forked = os.fork()
    if forked == 0:
        signal.pause()
        os._exit(0)
    return forked


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "gone"


def lose_an_exception(mark: str) -> None:
    """Be where the interpreter prints an exception and goes on, until there is one."""

    def wait(_: object) -> None:
        with open(mark, "w"):
            pass
        while True:
            pass

    thing = Thing()
    reference = weakref.ref(thing, wait)
    del thing
    assert reference() is None


class Thing:
    """Something that can be referred to."""


def import_and_ask(work_side: TaskSide, name: str) -> tuple[str, str, int, bool]:
    """Import a package, and return its data about this process and its parent."""
    package = importlib.import_module(name)
    parent = package.parent_process()
    return package.current_process().name, parent.name, parent.pid, parent.is_alive()


def read_source_before_import(work_side: TaskSide, name: str) -> bool:
    """Return whether the loader of the process module of a package gives its source."""
    util = importlib.import_module("importlib.util")
    spec = util.find_spec(f"{name}.process")
    return "def current_process" in spec.loader.get_source(f"{name}.process")


def import_in_a_fork(work_side: TaskSide, name: str) -> str:
    """Return the data of a package about a forked process that imports it."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        package = importlib.import_module(name)
        os.write(writer, f"{package.current_process().name} {package.parent_process()}".encode())
        os._exit(0)
    os.wait()
    os.close(writer)
    with open(reader) as file:
        return file.read()


def say_much(work_side: TaskSide, number: int) -> None:
    for i in range(number):
        print(f"{i:0999}")  # noqa: T201 - that is the task


def raylet(work_side: TaskSide) -> str | None:
    """Return the id of the node of Ray on which this process is."""
    return os.environ.get("RAY_NODE_ID") or os.environ.get("RAY_RAYLET_PID")
