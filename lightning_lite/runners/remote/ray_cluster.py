"""The cluster that lets Ray find machines: the side of the app of the process in `ray_process`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from lightning_lite.errors import RunnerError
from lightning_lite.harmless_text import one_line
from lightning_lite.resources import Resources
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.cluster import CallUncertain, Death, OnAnswer
from lightning_lite.runners.remote.pickle_socket import PickleSocket

#: Started as an importable module, so that Ray finds the class of its actors by name on all machines.
_MODULE = "lightning_lite.runners.remote.ray_process"
_PROGRAM = f"import sys; sys.path.append(sys.argv.pop(1)); import {_MODULE} as program; program.main()"

#: Seconds in which a cluster has to answer, or to start.
_CONNECT_TIMEOUT = 60.0

#: Seconds in which the head of a cluster has to accept a connection.
_LISTEN_TIMEOUT = 10.0

#: Seconds that the process has to end by itself.
_PATIENCE = 4.0


class RayCluster:
    """Places servers on the machines of a Ray cluster; see `cluster.Cluster`.

    Args:
        options: Which cluster, and which files its machines get.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._on_answers: dict[int, tuple[int, OnAnswer]] = {}  # by call: the place and what to call
        self._on_deaths: dict[int, Callable[[Death], None]] = {}  # by place
        self._replies: dict[int, Callable[[Any], None]] = {}
        self._channel: PickleSocket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None

    def open(self, logs: str) -> None:
        """Start the process and wait until it is connected.

        Raises:
            RunnerError: There is no cluster, or it can't be used; the message says why.
        """
        _check_that_something_listens(self._options.address)
        log = os.path.join(logs, "ray.log")
        ours, theirs = socket.socketpair()
        channel = self._channel = PickleSocket(ours)
        with theirs, open(log, "ab") as output:
            begin = output.tell()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    _PROGRAM,
                    str(Path(__file__).parents[3]),
                    str(theirs.fileno()),
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # no Ctrl-C of the terminal
            )
        try:
            channel.send(self._options)
            answer = channel.receive() if channel.wait(_CONNECT_TIMEOUT) else ("refused", "TimeoutError", "")
            if answer != ("connected",):
                raise RunnerError(_explain_refusal(answer, self._options, log, begin))
        except BaseException:
            self.close()
            raise
        self._thread = threading.Thread(target=self._read, name="lightning-lite-ray", daemon=True)
        self._thread.start()

    def place(
        self,
        work: str,
        resources: Resources | None,
        on_death: Callable[[Death], None],
    ) -> RayPlacement:
        """Start to find a machine for a work."""
        number = next(self._numbers)
        with self._lock:
            self._on_deaths[number] = on_death
        self.send("place", number, resources)
        return RayPlacement(self, number)

    def explain_wait(self, resources: Resources | None, then: Callable[[str], None]) -> None:
        """Call `then` with one line that says why there is no place yet."""
        number = next(self._numbers)
        with self._lock:
            self._replies[number] = then
        self.send("explain", number, resources)

    def list_nodes(self, then: Callable[[list[str]], None]) -> None:
        """Call `then`, in another thread, with the addresses of the nodes that are alive."""
        number = next(self._numbers)
        with self._lock:
            self._replies[number] = then
        self.send("list", number)

    def close(self) -> None:
        """End the connection, and all servers that are left."""
        if self._channel is None or self._process is None:
            return
        self._channel.end()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._thread is not None:
            self._thread.join()
        self._channel.close()
        self._channel = None

    def send(self, verb: str, *arguments: Any) -> None:
        """Send a request to the process."""
        if self._channel is not None:
            self._channel.send((verb, *arguments))

    def call(self, place: int, method: str, arguments: tuple[Any, ...], on_answer: OnAnswer) -> None:
        """Send a call to a server."""
        number = next(self._numbers)
        with self._lock:
            if place not in self._on_deaths:
                return  # it is dead, and that was reported
            self._on_answers[number] = place, on_answer
        self.send("call", place, number, method, arguments)

    def _read(self) -> None:
        channel = self._channel
        assert channel is not None
        while (message := channel.receive()) is not None:
            verb, number, *rest = message
            if verb == "answer":
                self._on_answer(number, *rest)
            elif verb == "death":
                self._on_death(number, *rest)
            else:
                with self._lock:
                    then = self._replies.pop(number)
                then(*rest)
        for place in list(self._on_deaths):
            # Ray ends all actors of a process that ends, but nothing says when.
            self._on_death(place, "the connection to Ray has ended, see ray.log", True)

    def _on_answer(self, number: int, value: Any, error: tuple[str, str] | None) -> None:
        with self._lock:
            _, on_answer = self._on_answers.pop(number, (0, None))
        if on_answer is None:
            return
        if error is None:
            on_answer(value, None)
        else:
            kind, text = error
            on_answer(None, CallUncertain(text) if kind == "uncertain" else RunnerError(text))

    def _on_death(self, place: int, detail: str, is_node_lost: bool) -> None:
        with self._lock:
            on_death = self._on_deaths.pop(place, None)
            for number in [number for number, (owner, _) in self._on_answers.items() if owner == place]:
                del self._on_answers[number]
        if on_death is not None:
            on_death(Death(detail, is_node_lost))


class RayPlacement:
    """One server; see `cluster.Placement`."""

    def __init__(self, cluster: RayCluster, number: int) -> None:
        self._cluster = cluster
        self._number = number

    def call(self, method: str, arguments: tuple[Any, ...], on_answer: OnAnswer) -> None:
        """Have a method of the server called."""
        self._cluster.call(self._number, method, arguments, on_answer)

    def kill(self) -> None:
        """Kill the server, or give up its place."""
        self._cluster.send("kill", self._number)


def _check_that_something_listens(address: str | None) -> None:
    """Refuse an address at which nothing listens; Ray would try it again and again, for a minute.

    Raises:
        RunnerError: Nothing listens there.
    """
    host, _, port = (address or "").rpartition(":")
    if not host:
        return  # a word, such as `auto`
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LISTEN_TIMEOUT).close()
    except OSError as error:
        raise RunnerError(
            f"There is no Ray cluster at {address!r}: {error.strerror or error}. Start one with "
            "`ray start --head`, or correct the address."
        ) from None


def _explain_refusal(answer: Any, options: RemoteOptions, log: str, begin: int = 0) -> str:
    """Return in one line why there is no connection, and what to do.

    Args:
        answer: The answer of the process, or `None` if it has ended.
        options: The options of the cluster.
        log: The file with the output of Ray.
        begin: Where the lines of this attempt begin in it.
    """
    where = f"the Ray cluster at {options.address!r}" if options.address else "a Ray cluster"
    if answer is None:
        return f"The connection to {where} could not be made: Ray exited; its output is in {log}."
    _, kind, text = answer
    if kind == "RuntimeEnvSetupError" and "exceeds the maximum size" in text:
        return (
            f"The files in {options.working_dir!r} are too big to be sent to the machines: leave some out "
            "with ray_excludes, name another folder with ray_working_dir, or none with the word 'off'."
        )
    if kind == "ModuleNotFoundError" and "ray" in text:
        return "runner='ray' needs the package ray, which is not installed."
    if kind == "AuthenticationError":
        return (
            f"The connection to {where} could not be made: it wants a token. Set RAY_AUTH_MODE=token, and "
            f"put the token of the cluster into ~/.ray/auth_token or RAY_AUTH_TOKEN; details are in {log}."
        )
    if kind == "TimeoutError" and options.working_dir is not None and _has_connected(log, begin):
        return (
            f"The files in {options.working_dir!r} were not sent to {where} within {_CONNECT_TIMEOUT:g} s: "
            "leave some out with ray_excludes, name another folder with ray_working_dir, or none with the "
            f"word 'off'; details are in {log}."
        )
    if kind == "TimeoutError" and options.address in (None, "local"):
        return (
            f"Ray has not started on this machine within {_CONNECT_TIMEOUT:g} s. Try again when the machine "
            f"is less busy, or start it before the app with `ray start --head`; details are in {log}."
        )
    if kind in ("ConnectionError", "TimeoutError") and ":" in (options.address or ""):
        return (
            f"Something listens at {options.address!r}, but it did not answer as the head of a Ray cluster "
            "does. Correct the address, or look at the cluster with `ray status` on its head; details are in "
            f"{log}."
        )
    if kind in ("ConnectionError", "TimeoutError"):
        return (
            f"The connection to {where} could not be made: nothing answers. Start one with "
            f"`ray start --head`, or correct the address; details are in {log}."
        )
    return f"The connection to {where} could not be made: {one_line(text)} ({kind}; details are in {log})"


def _has_connected(log: str, begin: int) -> bool:
    """Return whether Ray has said since then that it is connected. It sends the files after that."""
    with open(log, "rb") as file:
        file.seek(begin)
        printed = file.read()
    return b"Connected to Ray cluster" in printed or b"Started a local Ray instance" in printed
