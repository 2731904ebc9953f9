"""The server of one work, on the machine of that work: hosts a `ProcessRunner` for the main process.

    main process                      server                                       machine of the work
    describe, open ─────────────────▶ versions, then the setup
    exchange(requests) ─────────────▶ ReceiveQueue ──▶ thread: ProcessRunner ────▶ process of the work
             ◀─ reports, output ───── SendQueue ◀─ thread ◀───────────────────────  its reports, its output
    beat ───────────────────────────▶ renews the lease
    kill ───────────────────────────▶ at once, past all requests
    open_direct, close_direct ──────▶ a connection besides these calls, see `direct_channel`

All methods may be called again: a call whose answer was lost does no harm. The process of the work is the
same as on one machine, so signals, groups, the guardian and exit codes are. When the lease is over, the
server ends, and the guardian ends all that the work has started.

A cluster calls `WorkServer.call` in any thread; `exchange` waits there until there is something to answer.
Two of them may wait. A call brings a request, and its report comes with the answer to an earlier call that
still waits. So a request costs one call.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from threading import get_ident
from time import monotonic
from typing import Any, NamedTuple

from lightning_lite.distribution import __version__
from lightning_lite.main_messages import KillWork, WorkExited
from lightning_lite.runners.base import RunnerOptions
from lightning_lite.runners.processes.runner import ProcessRunner
from lightning_lite.runners.processes.spawn import inherited_settings
from lightning_lite.runners.remote.direct_channel import DirectServer, pack_body, split_body
from lightning_lite.runners.remote.lease import Lease
from lightning_lite.runners.remote.message_queue import ReceiveQueue, SendQueue
from lightning_lite.runners.remote.server_output import Printed, ServerOutput
from lightning_lite.runners.remote.work_folder import WorkFolder
from lightning_lite.store_url import UNSEEN
from lightning_lite.values.secret_texts import add_texts

#: Bytes of output on their way to the main process, from which on a work that prints has to wait.
_ROOM = 16 * 1024 * 1024

#: Exchanges that wait at the same time; for a further one, the oldest returns without messages.
_MAX_EXCHANGES = 2

#: Seconds after which messages that were not acknowledged are sent again: of an exchange that was carried out
#: twice, one answer is dropped. The time that they need on their way is added.
_RESEND_PAUSE = 1.0

#: Bytes per second that a connection is assumed to carry at least.
_MIN_SPEED = 10_000_000

#: Exit codes of the server: an error of ours, the lease is over. Otherwise the main process kills it.
_FAILED, _LEASE_OVER = 1, 3


class ServerSetup(NamedTuple):
    """The settings of a server, pickled by the main process; sent only after the versions were compared.

    Attributes:
        work: Name of the work.
        options: The options of the runner of the main process.
        lease: Seconds that the work lives without a message from the main process.
        probe: A file of the main process in the folder of logs, which the server looks for.
        drives_probe: The same in the folder of the drives, or "" if that is not one besides the root.
        token: The content of these files.
        path: The search path of the main process.
        argv: Its arguments.
        settings: Its settings of the interpreter, see `wire.interpreter_settings`.
        finders: Modules that a work imports first, see `spawn.finder_modules`.
        secrets: The texts of the secrets in `options`, by token, or `None`.
    """

    work: str
    options: RunnerOptions
    lease: float
    probe: str
    drives_probe: str
    token: str
    path: list[str]
    argv: list[str]
    settings: Any
    finders: list[str]
    secrets: dict[str, str] | None


def versions() -> dict[str, str]:
    """Return the versions that have to be the same on both sides, by name."""
    try:
        cloudpickle = version("cloudpickle")
    except PackageNotFoundError:
        cloudpickle = "missing"
    return {
        "Python": "{}.{}".format(*sys.version_info),
        "lightning_lite": __version__,
        "cloudpickle": cloudpickle,
    }


class WorkServer:
    """Hosts one work.

    Args:
        address: Address on which the main process reaches this machine, or `None` if it can't be reached.
        end: Ends this process with an exit code, at once.

    Example:
        >>> server = WorkServer()
        >>> sorted(server.call("describe"))
        ['host', 'pid', 'versions']
        >>> server.call("steal")
        Traceback (most recent call last):
          ...
        ValueError: a server of a work has no method 'steal'
    """

    def __init__(self, address: str | None = None, end: Callable[[int], Any] = os._exit) -> None:
        self._address = address
        self._end = end
        self._direct: DirectServer | None = None
        self._watched: DirectServer | None = None  # the same, once the main process is connected
        self._thread = 0  # identifier of the thread of the runner
        self._lock = threading.Condition()
        self._opened: tuple[int, bool] | None = None
        self._setup: ServerSetup
        self._lease: Lease
        self._runner: ProcessRunner
        self._folder: WorkFolder | None = None  # in place of the root, if this machine does not see it
        self._receive_queue = ReceiveQueue()
        self._receive_lock = threading.Lock()
        self._requests: list[Any] = []
        self._send_queue = SendQueue()
        self._sent = 0  # number of the last message that was sent, and not lost as far as is known
        self._resend_at = 0.0  # when messages that were not acknowledged are sent again
        self._exchanges: list[object] = []  # those that wait, the oldest one first
        self._unsent = 0  # bytes of output since the last time that the main process had all
        self._kill_after: int | None = None  # number of the request after which the work is killed
        self._is_over = False  # the exit of the work is in the send queue
        self._methods: dict[str, Callable[..., Any]] = {
            "describe": self._describe,
            "open": self._open,
            "exchange": self._exchange,
            "beat": self._beat,
            "kill": self._kill,
            "open_direct": self._open_direct,
            "close_direct": self._close_direct,
        }

    def call(self, method: str, *arguments: Any) -> Any:
        """Carry out a call of the main process.

        Args:
            method: One of those at the top of this module.
            arguments: Its arguments.

        Raises:
            ValueError: There is no such method.
        """
        function = self._methods.get(method)
        if function is None:
            raise ValueError(f"a server of a work has no method {method!r}")
        return function(*arguments)

    # The calls of the main process.

    def _describe(self) -> dict[str, Any]:
        return {"versions": versions(), "host": socket.gethostname(), "pid": os.getpid()}

    def _open(self, packed: bytes) -> tuple[int, bool]:
        """Start the runner; return the number of this answer, and whether this machine sees the drives."""
        with self._lock:
            if self._opened is None:
                setup = self._setup = pickle.loads(packed)
                sees_root = _holds(setup.probe, setup.token)
                self._lease = Lease(setup.lease)
                is_ready = threading.Event()
                thread = threading.Thread(
                    target=self._run, args=(sees_root, is_ready), name="lightning-lite-server", daemon=True
                )
                thread.start()
                is_ready.wait()
                probe = setup.drives_probe
                sees_drives = _holds(probe, setup.token) if probe else sees_root
                self._opened = self._lease.note_answer(), sees_drives
            return self._opened

    def _exchange(
        self, acknowledged: int, requests: bytes | None, must_resend: bool, patience: float
    ) -> tuple[int, bytes | None]:
        """Accept requests, wait until there are messages or further exchanges wait, and return the messages.

        Args:
            acknowledged: Number of the last message that the main process has.
            requests: A batch, or `None`.
            must_resend: Whether an earlier exchange may be lost, and its answer with messages. Then all that
                wait return without messages, because their answers may reach nothing.
            patience: Maximum of seconds to wait.

        Returns:
            The number of the last request that has arrived, and a batch, or `None` if there are no messages.
        """
        if requests is not None:
            self._accept(requests)
        until = monotonic() + patience
        this = object()
        with self._lock:
            self._acknowledge(acknowledged)
            if must_resend and not self._is_direct():
                self._sent = self._send_queue.acknowledged
            if must_resend or len(self._exchanges) == _MAX_EXCHANGES:
                del self._exchanges[: None if must_resend else 1]
                self._lock.notify_all()
            self._exchanges.append(this)
            while this in self._exchanges and not (self._exchanges[0] is this and self._has_messages()):
                left = until - monotonic()
                if left <= 0:
                    break
                self._lock.wait(min(left, _RESEND_PAUSE) if self._has_unacknowledged() else left)
            batch = None
            if this in self._exchanges:
                self._exchanges.remove(this)
                self._lock.notify_all()  # another one is the oldest now
                batch = None if self._is_direct() else self._next_batch()
        return self._receive_queue.received, batch

    def _has_messages(self) -> bool:
        """Return whether there are messages for an exchange."""
        return not self._is_direct() and (self._send_queue.last > self._sent or self._seems_lost())

    def _has_unacknowledged(self) -> bool:
        return self._sent > self._send_queue.acknowledged

    def _seems_lost(self) -> bool:
        return self._has_unacknowledged() and monotonic() >= self._resend_at

    def _next_batch(self) -> bytes | None:
        """Return the messages to send next, and note that they are sent."""
        if not self._has_unacknowledged() or self._seems_lost():
            self._sent = self._send_queue.acknowledged
            self._resend_at = monotonic() + _RESEND_PAUSE
        batch = self._send_queue.batch(self._sent)
        if batch is None:
            return None
        messages, self._sent = batch
        self._resend_at += len(messages) / _MIN_SPEED
        return messages

    def _beat(self, answer: int) -> tuple[int, int, int]:
        """Renew the lease.

        Args:
            answer: Number of the last answer of this method, or of `open`, that the main process has got.

        Returns:
            Numbers of this answer, of the last request that has arrived, and of the last message.
        """
        with self._lock:
            self._runner.renew_lease(self._lease.renew(answer))
            return self._lease.note_answer(), self._receive_queue.received, self._send_queue.last

    def _open_direct(self, key: bytes) -> tuple[str, int] | None:
        """Listen for a direct connection; return address and port, or `None` if that is not possible."""
        if self._address is None:
            return None
        self._close_direct()
        with self._lock:
            try:
                self._direct = DirectServer(self._address, key, self._next_body, self._runner.wake)
            except OSError:
                return None
            return self._address, self._direct.port

    def _close_direct(self, key: bytes | None = None) -> None:
        """End the direct connection, if there is one, and if it has that key: this call may come late."""
        with self._lock:
            if key is not None and self._direct is not None and self._direct.key != key:
                return
            direct, self._direct = self._direct, None
            self._sent = self._send_queue.acknowledged
            self._lock.notify_all()
        if direct is not None:
            direct.end()
            self._runner.wake()

    def _is_direct(self) -> bool:
        return self._direct is not None and self._direct is self._watched

    def _kill(self, after: int) -> None:
        """Kill the work, but not before the request with that number, which may start it."""
        self._kill_after = after
        self._runner.wake()

    def _accept(self, batch: bytes) -> None:
        with self._receive_lock:
            fresh = self._receive_queue.accept(batch)
            self._requests += fresh
        if fresh:
            self._runner.wake()

    def _acknowledge(self, number: int) -> None:
        if number > self._send_queue.acknowledged:
            self._resend_at = max(self._resend_at, monotonic() + _RESEND_PAUSE)
        self._send_queue.acknowledge(number)
        self._sent = max(self._sent, self._send_queue.acknowledged)
        if self._unsent and self._send_queue.acknowledged == self._send_queue.last:
            self._unsent = 0
            self._lock.notify_all()

    # The thread that has the runner: its processes live as long as this thread.

    def _run(self, sees_root: bool, is_ready: threading.Event) -> None:
        code = _FAILED
        self._thread = get_ident()
        try:
            if not sees_root:
                self._folder = WorkFolder.open(self._setup.options.logs)
            root = self._setup.options.root_dir if self._folder is None else self._folder.path
            self._runner = self._make_runner(root, sees_root=sees_root)
            is_ready.set()
            self._serve()
            code = _LEASE_OVER
        except BaseException:  # noqa: BLE001 - without this thread the work could not be ended any more
            traceback.print_exc()
        finally:
            self._remove_folder()
            self._end(code)

    def _remove_folder(self) -> None:
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.remove()

    def _make_runner(self, root: str, *, sees_root: bool) -> ProcessRunner:
        setup = self._setup
        options = setup.options
        drives = options.drives
        if drives is None and not sees_root:
            drives = f"{UNSEEN}{options.root_dir}"
        add_texts(setup.secrets)
        runner = ProcessRunner(
            options._replace(
                root_dir=root,
                logs=root,
                start_method="spawn",
                preload=(*setup.finders, *options.preload),
                values=options.values if sees_root else None,
                drives=drives,
            ),
            output=ServerOutput(self._print, self._wait_for_room),
            inherit=self._inherit,
        )
        runner.renew_lease(self._lease.deadline)
        return runner

    def _inherit(self, cwd: str | None) -> dict[str, Any]:
        """Return the settings of the work: folders of this machine, arguments of the main process."""
        here = inherited_settings(cwd)
        known = set(here["path"])
        shared = [entry for entry in self._setup.path if entry not in known and os.path.exists(entry)]
        return here | {
            "path": here["path"] + shared,
            "argv": self._setup.argv,
            "settings": self._setup.settings,
        }

    def _serve(self) -> None:
        """Carry requests and reports until the lease is over; the main process kills this process."""
        runner, setup = self._runner, self._setup
        while not self._is_over:
            if self._lease.is_over():
                return
            self._send_requests()
            reports = runner.wait(setup.lease / 8)
            self._is_over = any(type(report) is WorkExited for report in reports)
            if self._is_over:
                runner.close(0)  # the guardian ends processes that have left the group of the work
                self._remove_folder()  # the main process kills this process as soon as it knows of the exit
            if reports:
                self._send(*reports)
            if not self._is_over:
                self._carry_direct()
        self._close_direct()  # an exchange carries the end
        with self._lock:
            self._watched = None
            self._lock.notify_all()
            while not self._lease.is_over():
                self._lock.wait(setup.lease / 8)

    def _send_requests(self) -> None:
        """Give the requests that have arrived to the runner."""
        with self._receive_lock:
            requests, self._requests = self._requests, []
            must_kill = self._kill_after is not None and self._receive_queue.received >= self._kill_after
        for request in requests:
            self._runner.send(request)
        if must_kill:
            self._kill_after = None
            self._runner.send(KillWork(self._setup.work))

    def _send(self, *messages: Any) -> None:
        with self._lock:
            self._send_queue.put(*messages)
            if not self._is_direct():
                self._lock.notify_all()

    def _print(self, printed: Printed) -> None:
        """Send output; called in its own thread, or in the thread of the runner."""
        self._unsent += len(printed.data)
        self._send(printed)
        if get_ident() != self._thread:
            self._runner.wake()

    # The direct connection, in the thread of the runner.

    def _carry_direct(self) -> None:
        """Begin or end the direct connection, and send new messages."""
        watched = self._watched
        if watched is not None and (watched.is_over or watched is not self._direct):
            self._unwatch(watched)
        direct = self._direct
        if direct is None:
            return
        if direct.connection is None:
            if direct.is_over:
                self._unwatch(direct)
            return
        if direct is not self._watched:
            self._runner.watch(direct.connection.fileno(), partial(self._read_direct, direct))
            with self._lock:
                self._watched = direct
                self._sent = self._send_queue.acknowledged
        self._runner.push(direct)

    def _read_direct(self, direct: DirectServer) -> None:
        bodies = direct.read()
        if bodies is None:
            self._unwatch(direct)
            return
        for body in bodies:
            received, batch = split_body(body)
            with self._lock:
                self._acknowledge(received)
            if batch is not None:
                with self._receive_lock:
                    self._requests += self._receive_queue.accept(batch)
        self._send_requests()  # now, and not in the next turn

    def _unwatch(self, direct: DirectServer) -> None:
        if direct is self._watched and direct.connection is not None:
            self._runner.unwatch(direct.connection.fileno())
            self._runner.drop(direct)
        direct.close()
        with self._lock:
            if direct is self._watched:
                self._watched = None
            if direct is self._direct:
                self._direct = None
            self._sent = self._send_queue.acknowledged
            self._lock.notify_all()  # an exchange has to carry the next messages

    def _next_body(self) -> bytes | None:
        with self._lock:
            # After `close_direct`, an exchange sends the messages that were not acknowledged.
            batch = self._send_queue.batch(self._sent) if self._is_direct() else None
            if batch is None:
                return None
            messages, self._sent = batch
            return pack_body(self._receive_queue.received, messages)

    def _wait_for_room(self) -> None:
        with self._lock:
            while self._unsent > _ROOM and not self._is_over:
                self._lock.wait()


def _holds(path: str, content: str) -> bool:
    """Return whether a file has this content."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read() == content
    except (OSError, UnicodeDecodeError):
        return False
