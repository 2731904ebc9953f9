"""A cluster that starts servers of works on this machine, and loses or repeats calls on request."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

from lightning_lite.resources import Resources
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.runners.remote.cluster import CallUncertain, Death, OnAnswer
from lightning_lite.runners.remote.pickle_socket import PickleSocket
from lightning_lite.runners.remote.work_server import WorkServer


class Faults:
    """Says which calls are lost or repeated; by default none is.

    Args:
        rate: The share of calls of which each of the three faults befalls that many.
        seed: Seed of the random numbers.
    """

    def __init__(self, rate: float = 0.0, seed: int = 0) -> None:
        self._rate = rate
        self._random = random.Random(seed)

    def draw(self) -> str:
        """Return `call lost`, `answer lost`, `repeated` or ""."""
        for fault in ("call lost", "answer lost", "repeated"):
            if self._random.random() < self._rate:
                return fault
        return ""


class SubprocessCluster:
    """See `lightning_lite.runners.remote.cluster.Cluster`.

    Args:
        faults: Which calls get lost.
        change: Changes the answer of a method, or raises an error, as if the server had done that.
    """

    def __init__(self, faults: Faults | None = None, change: Callable[[str, Any], Any] | None = None) -> None:
        self.faults = faults or Faults()
        self.change = change or (lambda method, value: value)
        self.placements: dict[str, SubprocessPlacement] = {}
        self.full = ""  # why no place is free, or ""

    def open(self, logs: str) -> None:
        """Do nothing: there is nothing to connect to."""

    def place(
        self, work: str, resources: Resources | None, on_death: Callable[[Death], None]
    ) -> SubprocessPlacement:
        placement = self.placements[work] = SubprocessPlacement(self, on_death)
        if resources is not None and resources.gpus:
            on_death(Death(f"it needs {resources.describe()}, and this machine has no GPU"))
        elif not self.full:
            placement.start()
        return placement

    def explain_wait(self, resources: Resources | None, then: Callable[[str], None]) -> None:
        then(self.full)

    def close(self) -> None:
        for placement in self.placements.values():
            placement.close()


class SubprocessPlacement:
    """One server in a process of its own; calls and answers are pickled pairs on a socket."""

    def __init__(self, cluster: SubprocessCluster, on_death: Callable[[Death], None]) -> None:
        self._cluster = cluster
        self._on_death = on_death
        self._numbers = count()
        self._waiting: dict[int, tuple[str, str, OnAnswer]] = {}
        self._lock = threading.Lock()
        self._early: list[tuple[str, tuple[Any, ...], OnAnswer]] = []
        self._thread: threading.Thread | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.is_cut = False  # whether a request to kill it gets lost, as in a network that is cut
        self._is_silent = False  # whether calls, answers and news of its death are lost as well

    def start(self) -> None:
        ours, theirs = socket.socketpair()
        self._channel = PickleSocket(ours)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._thread = threading.Thread(target=self._read, name="subprocess cluster")
        self._thread.start()
        early, self._early = self._early, []
        for call in early:
            self.call(*call)

    def call(self, method: str, arguments: tuple[Any, ...], on_answer: OnAnswer) -> None:
        if self.process is None:
            self._early.append((method, arguments, on_answer))
            return
        if self._is_silent:
            return
        fault = self._cluster.faults.draw()
        if fault == "call lost":
            on_answer(None, CallUncertain(method))
            return
        with self._lock:
            for _ in range(2 if fault == "repeated" else 1):
                number = next(self._numbers)
                self._waiting[number] = method, fault, on_answer
                fault = "answer dropped"  # of the second one: each call has one answer
                self._channel.send((number, method, arguments))

    def cut(self) -> None:
        """Let nothing pass any more; a direct connection, of which this class knows nothing, goes on."""
        self.is_cut = self._is_silent = True

    def kill(self) -> None:
        if self.process is not None and not self.is_cut:
            self.process.kill()

    def close(self) -> None:
        self.is_cut = False
        self.kill()
        if self._thread is not None:
            self._thread.join()

    def _read(self) -> None:
        assert self.process is not None
        while (answer := self._channel.receive()) is not None:
            number, value, error = answer
            with self._lock:
                method, fault, on_answer = self._waiting.pop(number)
            if self._is_silent:
                continue
            if fault == "answer lost":
                on_answer(None, CallUncertain(method))
            elif fault != "answer dropped":
                try:
                    value = self._cluster.change(method, value)
                except Exception as raised:  # noqa: BLE001 - as if the server had raised it
                    error = raised
                on_answer(value, error)
        self._channel.close()
        code = self.process.wait()
        if not self._is_silent:
            self._on_death(Death(f"its server has ended: {describe_exit(code)}"))


def serve(connection: PickleSocket) -> None:
    """Be the process of a server, until the main process has closed the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server = WorkServer("127.0.0.1")

    def answer(number: int, method: str, arguments: tuple[Any, ...]) -> None:
        value, error = None, None
        try:
            value = server.call(method, *arguments)
        except Exception as raised:  # noqa: BLE001 - the main process shall have it
            error = raised
        connection.send((number, value, error))

    while (call := connection.receive()) is not None:
        threading.Thread(target=answer, args=call, daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    serve(PickleSocket(socket.socket(fileno=int(sys.argv[1]))))
