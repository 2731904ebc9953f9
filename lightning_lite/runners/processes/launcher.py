"""The thread that starts all processes of an app, with one `posix_spawn` or fork for each work.

The parent-death signal is tied to the thread that has started a process: when that thread ends, the kernel
kills the process. So one thread that lives as long as the runner starts all works.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread

from lightning_lite.runners.processes.active_children import register
from lightning_lite.runners.processes.process import WorkProcess

_log = logging.getLogger("lightning_lite")

#: Seconds without a new process after which `multiprocess` is imported: that takes longer than a work to
#: start, and would take the time from those that are starting.
_QUIET = 0.5


class Launcher:
    """The thread that starts the processes of works; it starts with the first one.

    Args:
        launched: Called in that thread with each process that is started, or failed to start.
    """

    def __init__(self, launched: Callable[[WorkProcess], None]) -> None:
        self._launched = launched
        self._queue: SimpleQueue[WorkProcess | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._is_ending = False

    def launch(self, process: WorkProcess) -> None:
        """Have `process` started soon; return at once."""
        if self._thread is None:
            thread = Thread(target=self._work, name="lightning-lite-launcher", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # too many threads
                process.start_error = error
                self._report(process)
                return
            self._thread = thread
        self._queue.put(process)

    def stop_registering(self) -> None:
        """Show no further process to `multiprocess`: all are about to end."""
        self._is_ending = True

    def close(self) -> None:
        """End the thread; all works have exited before."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        unregistered: list[WorkProcess] = []
        while True:
            is_quick = "multiprocess.process" in sys.modules
            try:
                next_one = self._queue.get(timeout=(0 if is_quick else _QUIET) if unregistered else None)
            except Empty:
                for process in [] if self._is_ending else unregistered:
                    self._register(process)
                unregistered.clear()
                continue
            if next_one is None:
                return
            self._start(next_one)
            if next_one.pid:
                unregistered.append(next_one)

    def _start(self, process: WorkProcess) -> None:
        try:
            if not process.must_end:
                process.begin(process.origin.start(process))
        except Exception as error:  # noqa: BLE001 - if the system refuses one process, the others still have to start
            process.start_error = error
        self._report(process)

    def _register(self, process: WorkProcess) -> None:
        try:
            register(process)
        except Exception:  # noqa: BLE001 - this thread has to live on: all works would die with it
            _log.warning("multiprocess can't show %s among its children", process.name, exc_info=True)

    def _report(self, process: WorkProcess) -> None:
        # In this order: when our copies are closed, the pipe of messages may end.
        self._launched(process)
        process.close_child_ends()
