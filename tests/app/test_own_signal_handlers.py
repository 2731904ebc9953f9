"""Works whose code handles SIGTERM itself, or forks, end in order; a SIGTERM from outside is named."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
import threading

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import WorkCrashed
from lightning_lite.structures import List


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


class Root(LightningFlow):
    def __init__(self, folder):
        super().__init__()
        for action in IDLE:
            setattr(self, action, Work(action, folder))
        self.train = Work("train", folder, parallel=True)

    def run(self):
        self.train.run()
        answers = [getattr(self, action).run() for action in IDLE]
        if self.train.is_ready:
            assert answers == [None, None, None, None, 3]
            self.stop()


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_work_with_its_own_handler_of_sigterm_ends_in_order(start_method, tmp_path, capfd):
    LightningApp(Root(tmp_path)).run(start_method=start_method)

    noted = {file.name: file.read_text().split() for file in tmp_path.iterdir() if file.is_file()}
    assert noted.pop("train") == ["saved", "on_exit"]
    # The message to stop may wake the idle work before the signal does.
    assert noted.pop("handler") in (["handler", "on_exit"], ["on_exit"])
    assert noted == {action: ["on_exit"] for action in IDLE if action != "handler"}
    assert "Traceback" not in capfd.readouterr().out


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


class StopsAll(LightningFlow):
    def __init__(self, works, by_app):
        super().__init__()
        self.all_works = List(*works)
        self.by_app = by_app

    def run(self):
        for work in self.all_works:
            work.run()
        if all(work.is_ready for work in self.all_works):
            if self.by_app:
                self.stop()
            for work in self.all_works:
                work.stop()
        if all(work.has_stopped for work in self.all_works):
            self.stop()


@pytest.mark.parametrize(
    ("leave", "by_app", "start_method"),
    [
        ("by_asyncio", False, "spawn"),
        ("by_asyncio", False, "forkserver"),
        ("by_asyncio_twice", True, "forkserver"),
        ("by_hand", False, "spawn"),
    ],
)
def test_a_call_that_has_left_the_default_action_is_stopped_in_order(leave, by_app, start_method, tmp_path):
    works = [Left(tmp_path, leave, wait) for wait in WAITS]

    LightningApp(StopsAll(works, by_app)).run(start_method=start_method)

    noted = {file.name: file.read_text().split() for file in tmp_path.iterdir() if file.is_file()}
    assert noted == {f"{leave}-{wait}": ["finally", "on_exit"] for wait in WAITS}


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


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_what_comes_after_a_graceful_event_loop_is_not_interrupted(start_method, tmp_path):
    works = [Graceful(tmp_path / "0"), Graceful(tmp_path / "1")]

    LightningApp(StopsAll(works, by_app=False)).run(start_method=start_method)

    for i in range(2):
        assert (tmp_path / str(i)).read_text().split() == ["served", "saved", "on_exit"]


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


class Killer(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Waiting()

    def run(self):
        self.work.run()
        if self.work.pid and not self.work.cleaned:
            os.kill(self.work.pid, signal.SIGTERM)


def test_a_sigterm_from_outside_ends_a_work_in_order_and_is_named():
    root = Killer()
    with pytest.raises(WorkCrashed, match=r"ended with exit code 143, after a SIGTERM from outside"):
        LightningApp(root).run()
    assert root.work.cleaned
