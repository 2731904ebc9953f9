"""The runner of works on other machines.

    thread of the app                  thread of the loop                    a cluster, a machine
    send ── request ──▶ loop ───────── RemoteWork ── exchange ──────────────▶ WorkServer
    wait ◀─ reports ────────────────── RemoteWork ◀─ its answer ────────────  WorkServer
                                       output ─▶ logs

The app calls no function of a cluster, so a signal or a busy flow never meets a call in the middle. The loop
belongs to a thread of its own, which keeps the leases alive while the flow is busy.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, assert_never

from lightning_lite.errors import RunnerError
from lightning_lite.main_messages import (
    DumpStack,
    ExternalRequest,
    KillWork,
    PrepareWork,
    Report,
    Request,
    StartWork,
    WorkExited,
)
from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StopWork,
    WriteState,
)
from lightning_lite.process_places import Place
from lightning_lite.root_access import opened
from lightning_lite.runners.base import RemoteOptions, RunnerOptions, start_failed
from lightning_lite.runners.output.pump import Display, OutputPump
from lightning_lite.runners.polling_runner import PollingRunner
from lightning_lite.runners.processes.spawn import finder_modules, inherited_settings
from lightning_lite.runners.remote.cluster import Cluster
from lightning_lite.runners.remote.remote_work import RemoteWork, WorkContext
from lightning_lite.runners.remote.work_server import ServerSetup
from lightning_lite.store_url import PLACE_FOR_ALL_MACHINES, is_url
from lightning_lite.values.secret_texts import texts_in

_log = logging.getLogger("lightning_lite")


class RemoteRunner(PollingRunner):
    """Runs each work on a machine that a cluster finds.

    Args:
        options: The options.
        cluster: Finds machines and starts servers there; the runner closes it.
        display: Where the output of works is shown, or `None` for nowhere.
    """

    can_kill: ClassVar[bool] = True
    can_take_external: ClassVar[bool] = True
    can_write_stacks: ClassVar[bool] = True
    _output: OutputPump

    def __init__(self, options: RunnerOptions, cluster: Cluster, display: Display | None = None) -> None:
        self._options = options
        self._remote = options.remote or RemoteOptions()
        self._cluster = cluster
        cluster.open(options.logs)
        super().__init__(OutputPump(options.logs, display))
        self._alive: set[str] = set()  # works whose exit `wait` has not returned
        self._prepared: set[str] = set()
        self._works: dict[str, RemoteWork] = {}  # removed in the loop
        self._arrived: deque[Report] = deque()
        self._broken: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        name = f".seen-{secrets.token_hex(8)}"
        self._probe = os.path.join(options.logs, name)
        is_apart = options.drives is not None and not is_url(options.drives)
        self._drives_probe = os.path.join(options.drives or "", name) if is_apart else ""
        self._token = secrets.token_hex(16)

    def send(self, request: Request) -> None:
        """Accept one request to a work or about its process; see `Runner`."""
        with self._critical:
            if isinstance(request, PrepareWork | StartWork):
                self._start(request)
            elif request.work in self._alive:
                self._pass_on(request)

    # Commands from other terminals; called in any thread.

    def places(self) -> dict[str, Place]:
        """Return the places of the works that have a process, by name; on the machines where they are."""
        works = list(self._works.items())
        return {name: place for name, work in works if (place := work.place) is not None}

    def take_external(self, external: ExternalRequest) -> None:
        """Start to end a work, and make the next `wait` return the request."""
        self._in_loop(self._end_from_outside, external)

    def write_stacks(self, work: str) -> None:
        """Make a work write the Python stacks of its threads to its output."""
        self._pass_on(DumpStack(work))

    # In the thread of the app.

    def _start(self, request: PrepareWork | StartWork) -> None:
        name = request.work
        if isinstance(request, StartWork) and name in self._prepared:
            self._prepared.discard(name)
            if request.descriptors:
                self._refuse_descriptors(request)
                self._pass_on(KillWork(name))
            else:
                self._pass_on(request)
            return
        if self._is_closed:
            raise RunnerError(f"{name} can't start: its runner is closed.")
        if name in self._alive:
            raise RunnerError(f"{name} has a process already, and that has not exited yet.")
        if isinstance(request, StartWork) and request.descriptors:
            self._refuse_descriptors(request)
            self._reports.append(WorkExited(name, None))
            return
        if isinstance(request, PrepareWork):
            self._prepared.add(name)
        self._alive.add(name)
        self._output.open(name)
        self._open_loop()
        work = RemoteWork(name, self._setup_of(request), self._context, request.resources)
        self._works[name] = work
        work.send(request)
        self._in_loop(work.begin)

    def _pass_on(self, request: Request) -> None:
        work = self._works.get(request.work)
        if work is None:
            return
        match request:
            case StopWork():
                self._in_loop(work.stop, request.timeout)
            case KillWork():
                self._in_loop(work.kill)
            case PrepareWork() | StartWork() | RunCall() | WriteState() | AcknowledgeState() | DumpStack():
                work.send(request)
            case _:
                assert_never(request)

    def _refuse_descriptors(self, request: StartWork) -> None:
        """Report that a work can't start: objects with file descriptors can't leave this machine."""
        for descriptor in request.descriptors:
            os.close(descriptor.fd)
        why = (
            "it shares queues, locks or memory of multiprocess with the app, which works on one machine "
            "only; use runner='processes', or exchange files and state"
        )
        self._reports.append(start_failed(request.work, why))

    def _setup_of(self, request: PrepareWork | StartWork) -> ServerSetup:
        options = self._options
        inherited = inherited_settings(request.cwd)
        return ServerSetup(
            request.work,
            options,
            self._remote.lease,
            self._probe,
            self._drives_probe if self._remote.keeps_files else "",
            self._token,
            inherited["path"],
            inherited["argv"],
            inherited["settings"],
            finder_modules(),
            texts_in(options.setup),
        )

    def _turn(self, timeout: float | None) -> None:
        self._poller.turn(timeout)
        self._collect()
        if self._must_kill_all:
            self._must_kill_all = False
            self._in_loop(self._kill_all)

    def _has_works(self) -> bool:
        return bool(self._alive) and self._broken is None

    def _has_news(self) -> bool:
        return super()._has_news() or self._broken is not None

    def _stop_all(self, timeout: float) -> None:
        self._in_loop(self._stop_works, timeout)

    def _collect(self) -> None:
        """Take the reports that have arrived, in the thread that returns them."""
        while self._arrived:
            report = self._arrived.popleft()
            if type(report) is RunEnded:
                self._output.flush(report.work)  # the output of a call is shown before its end is handled
            elif type(report) is WorkExited:
                self._output.detach(report.work)
                self._alive.discard(report.work)
                self._prepared.discard(report.work)
            self._reports.append(report)
        if self._broken is not None and not self._is_closing:
            raise RunnerError(f"the connection to the works has failed: {self._broken}") from self._broken

    def _release(self) -> None:
        """Release all resources; works that are left, because `close` was interrupted, are killed."""
        self._is_closed = True
        self._cluster.close()
        if self._loop is not None and self._thread is not None:
            self._in_loop(self._abandon_all)
            self._thread.join()
            for task in asyncio.all_tasks(self._loop):
                self._loop.run_until_complete(asyncio.wait([task]))  # it is cancelled
            self._loop.close()
            for probe in (self._probe, self._drives_probe):
                with suppress(FileNotFoundError):
                    os.unlink(probe)
        for name in self._alive:
            self._reports.append(WorkExited(name, None, "the app did not wait for its end"))
        self._alive.clear()
        self._output.close()
        self._poller.close()

    def _open_loop(self) -> None:
        if self._loop is not None:
            return
        self._make_probes()
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(self._on_loop_error)
        self._context = WorkContext(
            loop,
            self._cluster,
            self._report,
            self._output.feed,
            _log.warning,
            self._remote.lease,
            self._why_drives_are_needed(),
            self._remote.direct,
        )
        self._thread = threading.Thread(target=loop.run_forever, name="lightning-lite-remote", daemon=True)
        self._thread.start()
        self._loop = loop

    def _make_probes(self) -> None:
        """Write the files by which a server finds out whether it sees the root, and the folder of the drives.

        Raises:
            RootRefused: Another user could have written into the folder of the drives.
            RunnerError: The folder of the drives can't be made or written to.
        """
        _write(self._probe, self._token)
        if self._drives_probe and self._remote.keeps_files:
            folder = os.path.dirname(self._drives_probe)
            try:
                with opened(folder, make=os.makedirs):
                    _write(self._drives_probe, self._token)
            except OSError as error:
                raise RunnerError(
                    f"The folder of the drives {folder!r} can't be used: {error.strerror or error}."
                ) from error

    def _why_drives_are_needed(self) -> str:
        """Return why a machine must see the folder of the drives, for errors, or "" if it need not."""
        place = self._options.drives or self._options.root_dir
        if not self._remote.keeps_files or is_url(place):
            return ""
        return f"does not see {place!r}, in which this app keeps its drives. {PLACE_FOR_ALL_MACHINES}"

    def _in_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is closed: no work is left
                self._loop.call_soon_threadsafe(function, *arguments)

    # In the thread of the loop.

    def _end_from_outside(self, external: ExternalRequest) -> None:
        self._report(external)
        work = self._works.get(external.work)
        if work is not None:
            if external.timeout == 0:
                work.kill()
            else:
                work.stop(external.timeout)

    def _stop_works(self, timeout: float) -> None:
        # In reverse order, because a work may need those that were started before it.
        for work in reversed(list(self._works.values())):  # a stop may end it at once
            work.limit_wait_for_death()
            work.stop(timeout)

    def _kill_all(self) -> None:
        for work in list(self._works.values()):
            work.kill()

    def _abandon_all(self) -> None:
        for work in self._works.values():
            work.abandon()
        asyncio.get_running_loop().call_soon(asyncio.get_running_loop().stop)

    def _report(self, report: Report) -> None:
        if type(report) is WorkExited and (work := self._works.get(report.work)) is not None and work.is_gone:
            del self._works[report.work]
        self._arrived.append(report)
        self._poller.wake()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._broken = context.get("exception") or RunnerError(str(context.get("message")))
        _log.error("the connection to the works has failed", exc_info=self._broken)
        self._poller.wake()


def _write(path: str, content: str) -> None:
    with open(path, "x", encoding="ascii") as file:
        file.write(content)
