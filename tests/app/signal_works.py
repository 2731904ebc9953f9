"""Works that handle SIGTERM themselves. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.runners.wire.work_signals import STOP_SIGNAL

if TYPE_CHECKING:
    from typing import Any


class Work(LightningWork):
    """Notes its actions, and the signals that its own handler gets, in a file."""

    def __init__(self, action: str, folder: os.PathLike[str], **options: Any) -> None:
        super().__init__(**options)
        self.action = action
        self.folder = str(folder)
        self.is_ready = False

    def note(self, what: str) -> None:
        with open(f"{self.folder}/{self.action}", "a") as file:
            file.write(f"{what}\n")

    def on_exit(self) -> None:
        self.note("on_exit")
        if self.action == "late":
            os.kill(os.getpid(), STOP_SIGNAL)  # as if the signal of the app came only now

    def run(self) -> object:
        return getattr(self, self.action)()

    def handler(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self.note("handler"))

    late = handler

    def default(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def ignore(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def event_loop(self) -> None:
        import asyncio  # noqa: PLC0415 - 30 ms; few of the works use it

        async def serve() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.note, "handler")

        asyncio.run(serve())

    def fork_and_exit(self) -> int:
        pid = os.fork()
        if pid == 0:
            sys.exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def train(self) -> None:
        """Run until the handler has been called, as a trainer that saves its model then."""
        received: list[str] = []
        signal.signal(signal.SIGTERM, lambda *_: received.append("handler"))
        self.is_ready = True
        while not received:
            threading.Event().wait(0.1)  # not signal.pause(), see `Waiting`
        self.note("saved")


IDLE = ("handler", "late", "default", "ignore", "event_loop", "fork_and_exit")


class Noting(LightningWork):
    """Writes its actions to a file.

    Args:
        file: Path of the file.
    """

    def __init__(self, file: str) -> None:
        super().__init__(parallel=True)
        self.file = str(file)
        self.is_ready = False

    def note(self, what: str) -> None:
        with open(self.file, "a") as file:
            file.write(f"{what}\n")

    def on_exit(self) -> None:
        self.note("on_exit")


class Left(Noting):
    """Leaves the default action of SIGTERM within a call, and goes on with it in one of several ways.

    Args:
        folder: Folder of the file for its actions, which has the name of the work.
        leave: How it leaves the default action.
        wait: How it goes on.
    """

    def __init__(self, folder: os.PathLike[str], leave: str, wait: str) -> None:
        super().__init__(f"{folder}/{leave}-{wait}")
        self.leave = leave
        self.wait = wait

    def run(self) -> None:
        getattr(self, self.leave)()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        try:
            self.is_ready = True
            getattr(self, self.wait)()
        finally:
            self.note("finally")

    def by_asyncio(self) -> None:
        import asyncio  # noqa: PLC0415 - as in `Work`

        async def serve() -> None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.note, "handler")

        asyncio.run(serve())

    def by_asyncio_twice(self) -> None:
        self.by_asyncio()
        self.by_asyncio()

    def by_hand(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def pausing(self) -> None:
        while True:
            signal.pause()

    def counting(self) -> None:
        i = 0
        while True:
            i += 1

    def in_a_lock(self) -> None:
        threading.Event().wait()

    def in_a_loop(self) -> None:
        import asyncio  # noqa: PLC0415 - as in `Work`

        async def wait() -> None:
            await asyncio.Event().wait()

        asyncio.run(wait())

    def with_a_child(self) -> None:
        subprocess.run(["sleep", "600"], check=False)


WAITS = ("pausing", "counting", "in_a_lock", "in_a_loop", "with_a_child")


class Graceful(Noting):
    """Serves with asyncio until SIGTERM, and cleans up after its event loop has left the default action."""

    def run(self) -> None:
        import asyncio  # noqa: PLC0415 - as in `Work`

        async def serve() -> None:
            is_over = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
            self.is_ready = True
            await is_over.wait()

        asyncio.run(serve())
        self.note("served")
        # Long enough for several signals, if some were still sent.
        select.select((), (), (), 0.3)
        self.note("saved")


class Deleted:
    """Waits in `__del__` until a signal comes, or for at most 30 seconds."""

    def __init__(self, work: InDel) -> None:
        self.work = work

    def __del__(self) -> None:
        self.work.is_ready = True
        select.select((), (), (), 30)


class InDel(Noting):
    """Is in `__del__` of an object when it is asked to stop."""

    def run(self) -> None:
        try:
            Deleted(self)
            while True:
                signal.pause()
        finally:
            self.note("finally")


class Waiting(LightningWork):
    """Waits until a signal comes that is sent only once.

    If that comes just before `signal.pause()` begins, Python would handle it only after the end of the pause.
    """

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.pid = 0
        self.cleaned = False

    def run(self) -> None:
        try:
            self.pid = os.getpid()
            while True:
                threading.Event().wait(0.1)
        finally:
            self.cleaned = True
