"""Works that handle SIGTERM themselves. Their processes import this module, so it is light."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading

from lightning_lite import LightningWork


class Work(LightningWork):
    """Notes in a file what it does and what its own handler gets."""

    def __init__(self, action, folder, **options):
        super().__init__(**options)
        self.action = action
        self.folder = str(folder)
        self.is_ready = False

    def note(self, what):
        with open(f"{self.folder}/{self.action}", "a") as file:
            file.write(f"{what}\n")

    def on_exit(self):
        self.note("on_exit")

    def run(self):
        return getattr(self, self.action)()

    def handler(self):
        signal.signal(signal.SIGTERM, lambda *_: self.note("handler"))

    def default(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def ignore(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def event_loop(self):
        async def serve():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.note, "handler")

        asyncio.run(serve())

    def fork_and_exit(self):
        pid = os.fork()
        if pid == 0:
            sys.exit(3)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def train(self):
        """Run until the handler has been called, as a trainer that saves its model then."""
        received = []
        signal.signal(signal.SIGTERM, lambda *_: received.append("handler"))
        self.is_ready = True
        while not received:
            signal.pause()
        self.note("saved")


IDLE = ("handler", "default", "ignore", "event_loop", "fork_and_exit")


class Noting(LightningWork):
    """Writes what it does to a file.

    Args:
        file: Path of the file.
    """

    def __init__(self, file):
        super().__init__(parallel=True)
        self.file = str(file)
        self.is_ready = False

    def note(self, what):
        with open(self.file, "a") as file:
            file.write(f"{what}\n")

    def on_exit(self):
        self.note("on_exit")


class Left(Noting):
    """Leaves the default action of SIGTERM within a call, and goes on with it in one of several ways.

    Args:
        folder: Folder of a file with the name of the work, for what it does.
        leave: How it leaves the default action.
        wait: How it goes on.
    """

    def __init__(self, folder, leave, wait):
        super().__init__(f"{folder}/{leave}-{wait}")
        self.leave = leave
        self.wait = wait

    def run(self):
        getattr(self, self.leave)()
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        try:
            self.is_ready = True
            getattr(self, self.wait)()
        finally:
            self.note("finally")

    def by_asyncio(self):
        async def serve():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.note, "handler")

        asyncio.run(serve())

    def by_asyncio_twice(self):
        self.by_asyncio()
        self.by_asyncio()

    def by_hand(self):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def pausing(self):
        while True:
            signal.pause()

    def counting(self):
        i = 0
        while True:
            i += 1

    def in_a_lock(self):
        threading.Event().wait()

    def in_a_loop(self):
        async def wait():
            await asyncio.Event().wait()

        asyncio.run(wait())

    def with_a_child(self):
        subprocess.run(["sleep", "600"], check=False)


WAITS = ("pausing", "counting", "in_a_lock", "in_a_loop", "with_a_child")


class Graceful(Noting):
    """Serves with asyncio until SIGTERM, and cleans up after its event loop has left the default action."""

    def run(self):
        async def serve():
            is_over = asyncio.Event()
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
            self.is_ready = True
            await is_over.wait()

        asyncio.run(serve())
        self.note("served")
        # Long enough for several signals, if some were still sent.
        select.select((), (), (), 0.3)
        self.note("saved")


class Waiting(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)
        self.pid = 0
        self.cleaned = False

    def run(self):
        try:
            self.pid = os.getpid()
            while True:
                signal.pause()
        finally:
            self.cleaned = True
