"""One work on another machine, as the main process sees it, from its place to its exit.

    asked for ─▶ described: the versions are equal ─▶ open: its server runs ─▶ exited, dead or lost
                                                       exchange, exchange, ... beat, beat, ...

All methods but `send` are called in the loop of the runner, one after another, so there are no locks. A call
is made again until it has an answer; messages have numbers, see `message_queue`, so none is lost or handled
twice.
"""

from __future__ import annotations

import asyncio
import pickle
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from lightning_lite.main_messages import Report, Request, WorkExited
from lightning_lite.messages import StopWork, WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.resources import Resources
from lightning_lite.runners.base import start_failed
from lightning_lite.runners.remote.cluster import CallUncertain, Cluster, Death, Placement
from lightning_lite.runners.remote.direct_channel import DirectClient, pack_body, split_body
from lightning_lite.runners.remote.lease import LOSS, read_clock
from lightning_lite.runners.remote.message_queue import ReceiveQueue, SendQueue
from lightning_lite.runners.remote.server_output import Printed
from lightning_lite.runners.remote.work_server import ServerSetup, versions

#: Seconds until a call is made again whose answer was lost.
_AGAIN = 0.2

#: Maximum number of calls of `exchange` without an answer; further requests wait for one of these.
_MAX_EXCHANGES = 4

#: Maximum of seconds that one `exchange` waits on the server.
_PATIENCE = 10.0

#: Calls that renew the lease, in the time of one.
_BEATS = 5

#: Seconds that an orderly end may take on its way, in addition to the time that the work has.
_GRACE = 1.5

#: Seconds from the request to kill a work until its server is killed.
_KILL_GRACE = 1.0

#: Seconds from the death of a server to the report: its work dies with it, by a signal of the kernel.
_DEATH_PAUSE = 0.2

#: Seconds from a kill of a server until it is taken for dead, if its work has no lease any more.
_DEATH_PATIENCE = 2.0

#: Seconds in which a direct connection has to come about.
_CONNECT_TIMEOUT = 5.0

#: Seconds from the end of a direct connection to the next attempt.
_RECONNECT_PAUSE = 10.0

#: Seconds until the server gets the number of the last message that has arrived, if no request brings it.
_ACKNOWLEDGE_PAUSE = 0.1

#: Seconds until it is said that a work waits for a place.
_LONG_WAIT = 10.0


class WorkContext(NamedTuple):
    """The parts of the runner that its works use.

    Attributes:
        loop: The loop in which all happens.
        cluster: Finds places.
        report: Takes the reports.
        print: Takes the output of a work.
        warn: Shows one line to the user.
        lease: Length of the lease in seconds.
        needs_drives: Why a machine must see the folder of the drives, for errors, or "" if it need not.
        may_connect: Whether a direct connection may be opened.
    """

    loop: asyncio.AbstractEventLoop
    cluster: Cluster
    report: Callable[[Report], None]
    print: Callable[[str, bytes], None]
    warn: Callable[[str], None]
    lease: float
    needs_drives: str
    may_connect: bool


class RemoteWork:
    """One work.

    Args:
        name: Its name.
        setup: The setup of its server.
        context: The parts of the runner that it uses.
        resources: The resources that it needs, or `None`.

    Attributes:
        name: See above.
        place: Where its process is, once it has started.
        is_gone: Whether its exit was reported.
    """

    def __init__(
        self, name: str, setup: ServerSetup, context: WorkContext, resources: Resources | None
    ) -> None:
        self.name = name
        self.place: Place | None = None
        self.is_gone = False
        self._setup = setup
        self._context = context
        self._resources = resources
        self._send_queue = SendQueue()
        self._receive_queue = ReceiveQueue()
        self._sent = 0  # number of the newest request that was sent by an exchange, perhaps in vain
        self._num_exchanges = 0  # number of those without an answer
        self._will_repeat = False  # there is a timer for `_exchange_again`
        self._answer = 0
        self._heard = 0.0
        self._turned = 0.0  # when the loop has run last, as far as is known
        self._longest_pause = 0.0  # seconds between two turns of the loop since the server is open
        self._machine = ""
        self._is_open = False
        self._is_killed = False
        self._is_server_killed = False  # its lease is renewed no more
        self._server_error = ""  # why the server was killed, if it was for an error of its own
        self._is_wait_limited = False  # the runner closes, and does not wait for the end of a lease
        self._timers: list[asyncio.TimerHandle] = []
        self._placement: Placement | None = None
        self._direct: DirectClient | None = None
        self._direct_key = b""  # the key of the newest direct connection
        self._direct_task: asyncio.Task[None] | None = None
        self._must_acknowledge = False
        self._will_acknowledge = False  # there is a timer for it
        self._progress: tuple[int, ...] = ()

    def begin(self) -> None:
        """Ask for a place."""
        context = self._context
        self._placement = context.cluster.place(
            self.name, self._resources, partial(self._call_in_loop, self._on_death)
        )
        self._later(_LONG_WAIT, self._say_that_it_waits)
        self._call("describe", (), self._on_described)

    # Requests.

    def abandon(self) -> None:
        """Release its resources; its exit is not reported."""
        self._bury(None)

    def send(self, request: Request) -> None:
        """Send a request to the server, once it is open; callable from any thread."""
        if self.is_gone:
            return
        number = self._send_queue.put(request)
        direct = self._direct
        if direct is None or not self._send_by(direct, number - 1):
            self._call_in_loop(self._send_new)

    def _send_new(self) -> None:
        if self._direct is not None:
            self._send_by(self._direct, self._send_queue.acknowledged)
        elif self._is_open:
            self._exchange()

    def limit_wait_for_death(self) -> None:
        """Report its exit soon after its server was killed, also if nothing confirms that."""
        self._is_wait_limited = True

    def stop(self, timeout: float) -> None:
        """Stop it within `timeout` seconds, else kill its server."""
        if self.is_gone:
            return
        if not self._is_open:
            # It may wait for its place without end, and there is no process that could end in order.
            self._give_up("it was stopped before it had a place")
            return
        self.send(StopWork(self.name, timeout))
        self._later(timeout + _GRACE, self._kill_server)

    def kill(self) -> None:
        """Kill it."""
        if self.is_gone:
            return
        if not self._is_open:
            self._give_up("it was killed before it had a place")
            return
        self._is_killed = True
        self._call("kill", (self._send_queue.last,), self._ignore)
        self._later(_KILL_GRACE, self._kill_server)

    def _exchange(self) -> None:
        """Send the requests that were not sent; let at least one call wait for messages of the server."""
        while self._num_exchanges < _MAX_EXCHANGES and (requests := self._next_requests()) is not None:
            self._call_exchange(requests)
        if not self._num_exchanges:
            self._call_exchange(None)

    def _exchange_again(self) -> None:
        """Send the requests that may be lost, and the new ones; let the server do the same."""
        self._will_repeat = False
        self._sent = self._send_queue.acknowledged
        self._call_exchange(self._next_requests(), must_resend=True)
        self._exchange()

    def _next_requests(self) -> bytes | None:
        if self._direct is not None or (batch := self._send_queue.batch(self._sent)) is None:
            return None
        requests, self._sent = batch
        return requests

    def _call_exchange(self, requests: bytes | None, *, must_resend: bool = False) -> None:
        self._num_exchanges += 1
        self._must_acknowledge = False
        arguments = (self._receive_queue.received, requests, must_resend, _PATIENCE)
        self._call("exchange", arguments, self._on_exchanged)

    def _on_exchanged(self, answer: tuple[int, bytes | None] | None, error: Exception | None) -> None:
        self._num_exchanges -= 1
        if error is not None or answer is None:
            if not self._will_repeat:
                self._will_repeat = isinstance(error, CallUncertain)
                self._retry_or_fail(error, self._exchange_again)
            return
        received, batch = answer
        self._send_queue.acknowledge(received)
        if batch is not None:
            self._receive(batch)
        if not self.is_gone:
            self._exchange()

    # The server.

    def _on_described(self, description: dict[str, Any] | None, error: Exception | None) -> None:
        if error is not None or description is None:
            self._retry_or_fail(error, lambda: self._call("describe", (), self._on_described))
            return
        ours, theirs = versions(), description["versions"]
        self._machine = description["host"]
        if ours != theirs:
            wrong = [
                f"{name} {theirs.get(name)}, but {ours[name]} here"
                for name in ours
                if ours[name] != theirs.get(name)
            ]
            self._fail(
                f"{self._machine} has {' and '.join(wrong)}; install the same versions on all machines"
            )
            return
        self._open()

    def _open(self) -> None:
        self._call("open", (pickle.dumps(self._setup, 5),), self._on_open)

    def _on_open(self, opened: tuple[int, bool] | None, error: Exception | None) -> None:
        if error is not None or opened is None:
            self._retry_or_fail(error, self._open)
            return
        self._answer, sees_drives = opened
        if not sees_drives and self._context.needs_drives:
            self._fail(f"{self._machine} {self._context.needs_drives}")
            return
        self._is_open = True
        self._heard = self._turned = read_clock()
        self._watch_silence()
        self._watch_loop()
        self._exchange()
        self._later(self._context.lease / _BEATS, self._beat)
        self._open_direct()

    def _beat(self) -> None:
        if self._is_server_killed:
            return  # if the request to kill it was lost, the end of the lease ends its work
        # Not a part of an exchange, whose answer may be a big value that takes longer than a lease.
        self._call("beat", (self._answer,), self._on_beat)

    def _on_beat(self, answer: tuple[int, int, int] | None, error: Exception | None) -> None:
        if error is not None or answer is None:
            self._retry_or_fail(error, self._beat)
            return
        self._answer, received, last = answer
        self._heard = read_clock()
        self._send_queue.acknowledge(received)
        self._check_direct(received, last)
        self._later(self._context.lease / _BEATS, self._beat)

    # The direct connection.

    def _open_direct(self) -> None:
        if self._context.may_connect:
            key = secrets.token_bytes(32)
            self._call("open_direct", (key,), partial(self._on_direct_opened, key))

    def _on_direct_opened(self, key: bytes, place: tuple[str, int] | None, error: Exception | None) -> None:
        if isinstance(error, CallUncertain):
            self._later(_RECONNECT_PAUSE, self._open_direct)
        elif error is None and place is not None:
            self._direct_task = self._context.loop.create_task(self._connect(key, *place))

    async def _connect(self, key: bytes, address: str, port: int) -> None:
        client = DirectClient(self._context.loop, key, self._on_body, self._on_direct_end)
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await client.connect(address, port)
        except OSError:
            return  # a wall between the machines, for example: calls continue
        self._direct, self._direct_key = client, key
        self._send_by(client, self._send_queue.acknowledged)

    def _send_by(self, direct: DirectClient, after: int) -> bool:
        """Send the requests after a number; return whether the connection has not ended."""
        while (batch := self._send_queue.batch(after)) is not None:
            requests, after = batch
            self._must_acknowledge = False  # before the number is read, which another thread may increase
            if not direct.send(pack_body(self._receive_queue.received, requests)):
                return False
        return True

    def _on_body(self, body: bytes) -> None:
        if self.is_gone:
            return
        received, batch = split_body(body)
        self._send_queue.acknowledge(received)
        if batch is not None:
            self._receive(batch)

    def _check_direct(self, received: int, last: int) -> None:
        """End a connection that stands still although there is something to carry."""
        direct, before = self._direct, self._progress
        self._progress = ()
        if direct is not None and (received < self._send_queue.last or self._receive_queue.received < last):
            self._progress = received, self._receive_queue.received, direct.num_received, direct.num_unsent
            if self._progress == before:
                direct.end()

    def _on_direct_end(self) -> None:
        self._direct = None
        if not self.is_gone:
            self._close_direct(self._direct_key)
            self._exchange_again()
            self._later(_RECONNECT_PAUSE, self._open_direct)

    def _close_direct(self, key: bytes) -> None:
        self._call("close_direct", (key,), partial(self._on_direct_closed, key))

    def _on_direct_closed(self, key: bytes, _: object, error: Exception | None) -> None:
        # The server may not have seen the end of the connection, and then it sends all by it.
        if isinstance(error, CallUncertain) and self._direct is None:
            self._later(_AGAIN, partial(self._close_direct, key))

    # Messages of the server.

    def _receive(self, batch: bytes) -> None:
        for message in self._receive_queue.accept(batch):
            if type(message) is Printed:
                self._context.print(self.name, message.data)
            elif type(message) is WorkExited:
                # A guardian ends a work without a lease by SIGKILL.
                is_kill = message.exitcode == -9 and not self._is_killed
                lost = self._describe_pause() if is_kill else ""
                self._bury(WorkExited(self.name, None, lost=lost) if lost else message)
            else:
                if type(message) is WorkStarted:
                    self.place = message.place
                self._context.report(message)
        self._must_acknowledge = True
        if not self._will_acknowledge and not self.is_gone:
            self._will_acknowledge = True
            self._later(_ACKNOWLEDGE_PAUSE, self._acknowledge)

    def _acknowledge(self) -> None:
        """Say what has arrived, if no request has said it."""
        self._will_acknowledge = False
        if self._must_acknowledge and self._direct is not None:
            self._must_acknowledge = False
            self._direct.send(pack_body(self._receive_queue.received, None))
        elif self._must_acknowledge and self._num_exchanges < _MAX_EXCHANGES:
            self._call_exchange(None)

    def _retry_or_fail(self, error: Exception | None, again: Callable[[], None]) -> None:
        if isinstance(error, CallUncertain):
            self._later(_AGAIN, again)
        else:
            # An error of the server itself: its state is not known any more.
            self._server_error = f"its server has failed: {type(error).__name__}: {error}"
            self._kill_server(self._server_error)

    # The end.

    def _watch_silence(self) -> None:
        silence = read_clock() - self._heard
        limit = LOSS * self._context.lease
        if silence < limit:
            self._later(limit - silence, self._watch_silence)
            return
        if self._placement is not None:
            self._placement.kill()
        self._lose(f"nothing was heard of {self._machine} for {silence:.0f} s")

    def _watch_loop(self) -> None:
        """Note the time since the last turn: an app that was frozen has not renewed its leases."""
        now = read_clock()
        self._longest_pause = max(self._longest_pause, now - self._turned)
        self._turned = now
        self._later(self._context.lease / _BEATS, self._watch_loop)

    def _describe_pause(self) -> str:
        """Return how long this process did not run, if that is longer than a lease; else ""."""
        pause = max(self._longest_pause, read_clock() - self._turned)
        # The last turn that is known may be that much older than the last renewal.
        if not self._is_open or pause <= self._context.lease * (1 + 1 / _BEATS):
            return ""
        return f"the app itself did not answer for {pause:.0f} s, so the lease of its works was over"

    def _on_death(self, death: Death, _: object = None) -> None:
        if self.is_gone:
            return
        detail = self._server_error or death.detail
        if not self._machine and not death.is_node_lost:
            self._fail(detail)  # it has never been up
        elif death.is_node_lost:
            self._lose_after(_DEATH_PAUSE, detail)
        else:
            self._later(_DEATH_PAUSE, lambda: self._lose(detail))

    def _kill_server(self, detail: str = "") -> None:
        self._is_killed = self._is_killed or not detail
        self._is_server_killed = True
        if self._placement is not None:
            self._placement.kill()
        # If the server dies of it, `_on_death` says so much earlier.
        self._lose_after(_DEATH_PATIENCE, detail or f"{self._machine} does not answer")

    def _lose_after(self, pause: float, what: str) -> None:
        """Report the exit after `pause` seconds, but not before its lease is over."""
        if self._is_open and not self._is_wait_limited:
            pause = max(pause, self._heard + LOSS * self._context.lease - read_clock())
        self._later(pause, lambda: self._lose_if_silent(what))

    def _lose_if_silent(self, what: str) -> None:
        """Report the exit, unless an answer has come that may have renewed the lease."""
        is_silent = self._heard + LOSS * self._context.lease <= read_clock()
        if is_silent or self._is_wait_limited or not self._is_open:
            self._lose(what)
        else:
            self._lose_after(0.0, what)

    def _lose(self, what: str) -> None:
        """Report the exit of a process whose end was not seen."""
        if self._is_killed:
            self._bury(WorkExited(self.name, -9))
        else:
            self._bury(WorkExited(self.name, None, lost=self._describe_pause() or what))

    def _give_up(self, detail: str) -> None:
        if self._placement is not None:
            self._placement.kill()
        self._bury(WorkExited(self.name, None, detail))

    def _fail(self, why: str) -> None:
        self._context.report(start_failed(self.name, why))
        self._give_up("")

    def _bury(self, exited: WorkExited | None) -> None:
        if self.is_gone:
            return
        self.is_gone = True
        self.place = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._direct_task is not None:
            self._direct_task.cancel()
        if self._direct is not None:
            self._direct.end()
        if self._placement is not None:
            self._placement.kill()
        if exited is not None:
            self._context.report(exited)

    # Calls and timers.

    def _call(
        self, method: str, arguments: tuple[Any, ...], then: Callable[[Any, Exception | None], None]
    ) -> None:
        if self._placement is not None:
            self._placement.call(method, arguments, partial(self._call_in_loop, then))

    def _call_in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call a function in the loop, unless the work is gone; called in any thread."""
        try:
            self._context.loop.call_soon_threadsafe(self._unless_gone, function, *arguments)
        except RuntimeError:
            pass  # the loop is closed: the runner is

    def _unless_gone(self, function: Callable[..., None], *arguments: Any) -> None:
        if not self.is_gone:
            function(*arguments)

    def _later(self, seconds: float, function: Callable[[], None]) -> None:
        self._timers = [
            timer
            for timer in self._timers
            if not timer.cancelled() and timer.when() > self._context.loop.time()
        ]
        self._timers.append(self._context.loop.call_later(seconds, self._unless_gone, function))

    def _say_that_it_waits(self) -> None:
        if not self._is_open and not self._machine:
            self._context.cluster.explain_wait(
                self._resources, partial(self._call_in_loop, self._on_wait_explained)
            )

    def _on_wait_explained(self, why: str) -> None:
        if not self._machine:
            self._context.warn(f"{self.name} waits for a place: {why}")

    def _ignore(self, _: object, error: Exception | None) -> None:
        """Take no notice of the answer of a call that is followed by a timer."""
