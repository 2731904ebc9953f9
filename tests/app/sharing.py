"""A program for `test_multiprocessing_objects.py`: an app that shares one object of each kind with its work.

    python sharing.py multiprocess|multiprocessing spawn|forkserver script|module

With `script` the classes are those of `__main__`, which a work can't import.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import os
import sys
from typing import Any

from lightning_lite import LightningApp, LightningFlow, LightningWork


def names(package: Any) -> list[Any]:
    """Return the description of this process and its parent by a package."""
    current, parent = package.current_process(), package.parent_process()
    key = hashlib.sha256(current.authkey).hexdigest()
    return [current.name, parent and [parent.name, parent.pid, parent.is_alive()], key]


class Sharing(LightningWork):
    def __init__(self, package: Any, spawn: Any, memory: Any) -> None:
        super().__init__(retries=1, retry_delay=0)
        self._package = package.__name__
        self._queue, self._simple, self._joinable = spawn.Queue(), spawn.SimpleQueue(), spawn.JoinableQueue()
        self._set, self._held, self._barrier = spawn.Event(), spawn.Lock(), spawn.Barrier(1)
        self._locks = [spawn.RLock(), spawn.Condition(), spawn.Semaphore(2), spawn.BoundedSemaphore(2)]
        self._crashes, self._array = spawn.Value("i", 0), spawn.Array("d", [0, 0])
        self._raw, self._plain = spawn.RawArray("i", 2), spawn.Value("i", 0, lock=False)
        self._reader, self._writer = spawn.Pipe(duplex=False)
        self._ours, self._theirs = package.Pipe()
        self._memory = memory.SharedMemory(create=True, size=8)
        self._list = memory.ShareableList([0, "none"])
        self._private = ctypes.c_int(7)  # in no shared memory: it is copied
        self._seen: list[object] = []

    def on_start(self) -> None:
        self._seen = names(sys.modules[self._package])

    def run(self, number: int) -> list[object]:
        if self._crashes.value < number:
            self._crashes.value += 1
            os._exit(3)
        for lock in self._locks:
            with lock:
                pass
        self._barrier.wait(10)
        self._queue.put(["queue", number])
        self._simple.put("simple")
        self._joinable.put("joinable")
        self._writer.send("writer")
        self._theirs.send("duplex")
        self._array[1], self._raw[1], self._plain.value = number, number, number
        self._memory.buf[0] = number
        self._list[0], self._list[1] = number, "some"
        self._set.set()
        self._plain.value += self._private.value - 7
        return [self._seen, self._held.acquire(block=False), self._theirs.recv()]


class Root(LightningFlow):
    def __init__(self, package: Any, spawn: Any, memory: Any) -> None:
        super().__init__()
        self.work = Sharing(package, spawn, memory)
        self.is_restarted = False
        self._answers: list[object] = []
        self.work._held.acquire()
        for text in "first", "second":
            self.work._ours.send(text)

    def run(self) -> None:
        first = self.work.run(1)
        if not self.is_restarted:
            self.is_restarted = True
            self.work.restart()
        self._answers = [first, self.work.run(2)]
        self.stop()


def main(name: str, start_method: str) -> dict[str, object]:
    """Run the app, and return the answers of its works and the content of the objects after them."""
    package, memory = importlib.import_module(name), importlib.import_module(f"{name}.shared_memory")
    root = Root(package, package.get_context("spawn"), memory)
    files = os.listdir("/proc/self/fd")
    LightningApp(root).run(start_method=start_method)
    left = len(os.listdir("/proc/self/fd")) - len(files)
    work = root.work
    found = {
        "answers": root._answers,
        "queue": [work._queue.get(timeout=10) for _ in range(2)],
        "simple": work._simple.get(),
        "joinable": work._joinable.get(timeout=10),
        "pipes": [work._reader.recv(), work._ours.recv()],
        "event": work._set.is_set(),
        "numbers": [work._crashes.value, work._array[1], work._raw[1], work._plain.value],
        "memory": [work._memory.buf[0], *work._list],
        "flow": names(package),
        "pid": os.getpid(),
        "left": left,
    }
    work._memory.unlink()
    work._list.shm.unlink()
    return found


if __name__ == "__main__":
    program = sys.modules["__main__"] if sys.argv[3] == "script" else importlib.import_module("sharing")
    sys.stdout.write(json.dumps(program.main(*sys.argv[1:3])))
