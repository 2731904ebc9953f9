"""The start of processes: one thread per app, one `posix_spawn` per work.

The parent-death signal is tied to the thread that has started a process: when that thread ends, the process
is killed. So all works are started by one thread that lives as long as the runner, while the flow goes on.
"""

from __future__ import annotations

import logging
import os
import resource
import sys
from collections.abc import Callable
from queue import SimpleQueue
from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined] # as multiprocessing has it
from threading import Thread
from typing import Any

from lightning_lite.runners.adopt import adopt
from lightning_lite.runners.stacks import STACK_SIGNAL
from lightning_lite.runners.work_process import WorkProcess

logger = logging.getLogger(__name__)

_BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot.py")


class Launcher:
    """The thread that starts the processes of works; it begins with the first one.

    Args:
        launched: Called in that thread with each process that is up, or failed to start.
    """

    def __init__(self, launched: Callable[[WorkProcess], None]) -> None:
        self._launched = launched
        self._queue: SimpleQueue[WorkProcess | None] = SimpleQueue()
        self._thread: Thread | None = None

    def launch(self, process: WorkProcess) -> None:
        """Start `process` soon; returns at once."""
        if self._thread is None:
            thread = Thread(target=self._work, name="lightning_lite launcher", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # too many threads
                process.start_error = error
                self._report(process)
                return
            self._thread = thread
        self._queue.put(process)

    def close(self) -> None:
        """End the thread, and with it whatever it has started; all works are gone by now."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        orphans: list[WorkProcess] = []
        while True:
            # Children first: `multiprocess` takes longer to import than a work to start.
            if self._queue.empty():
                for process in orphans:
                    self._adopt(process)
                orphans.clear()
            next_one = self._queue.get()
            if next_one is None:
                return
            self._start(next_one)
            if next_one.pid:
                orphans.append(next_one)

    def _start(self, process: WorkProcess) -> None:
        try:
            if not process.is_doomed:
                process.begin(spawn(process))
        except Exception as error:  # noqa: BLE001 - whatever the system refuses, the others still have to start
            process.start_error = error
        self._report(process)

    def _adopt(self, process: WorkProcess) -> None:
        try:
            adopt(process)
        except Exception:
            # This thread has to live on: all works would die with it.
            logger.warning("multiprocess can't show %s among its children", process.name, exc_info=True)

    def _report(self, process: WorkProcess) -> None:
        # In this order: when our copies are closed, the pipe of letters may end.
        self._launched(process)
        process.close_child_ends()


def spawn(process: WorkProcess) -> int:
    """Start the process of a work, in a process group of its own, and return its id.

    Raises:
        OSError: The system refuses.
        ValueError: No environment can hold what it should.
    """
    argv = [sys.executable, *_args_from_interpreter_flags(), _BOOT, process.name]
    argv += map(str, (*process.child_ends, os.getpid()))
    actions: list[Any] = [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable_fds()]
    actions += [
        (os.POSIX_SPAWN_DUP2, process.output_end, 1),
        (os.POSIX_SPAWN_DUP2, process.output_end, 2),
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
    ]
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in process.child_ends]  # onto itself: inherited
    return os.posix_spawn(
        sys.executable, argv, process.env, file_actions=actions, setpgroup=0, setsigmask=[STACK_SIGNAL]
    )


def _inheritable_fds() -> list[int]:
    """Return what this process would hand on besides: what its shell or its user left open for children."""
    found = []
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)  # above it, nothing can be asked for
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        try:
            if 2 < fd < limit and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            pass  # closed meanwhile, as the one that listed the folder is
    return found
