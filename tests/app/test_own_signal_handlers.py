"""Works whose code handles SIGTERM itself, or forks, end in order; a SIGTERM from outside is named."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.errors import WorkCrashed


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
