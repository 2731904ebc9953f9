"""Apps in files, and processes that run them; each costs a few tenths of a second, so they do one thing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_lite.cli.control import wait_until
from lightning_lite.runs.catalog import RunSummary, read_runs

#: Seconds after which a test says that something hangs; not a measure of speed.
PATIENCE = 60.0

#: A flow that says `busy` when its work runs, and then hears of nothing any more.
BUSY = """
import signal, sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Wait(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)
        self.is_up = False
    def run(self):
        self.is_up = True
        while True:
            threading.Event().wait(0.1)
            self.is_up = True  # where a work of the inline runner can be stopped
    def on_exit(self):
        print("tidied up")

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.one, self.other = Wait(), Wait()
    def run(self):
        self.one.run()
        self.other.run()
        if self.one.has_stopped:
            print("one has stopped", flush=True)
        if self.one.is_up and self.other.is_up and not self.one.has_stopped:
            print("up", flush=True)
            if "--busy" in sys.argv:
                threading.Event().wait(1000)

app = LightningApp(Root())
if "--handler" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: None)
if __name__ == "__main__":
    app.run(command_channel="--deaf" not in sys.argv)
"""


class RunningApp:
    """A process that runs an app, with its output in a file."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, root: str) -> None:
        self.process = process
        self.root = root
        self._out = out

    @property
    def output(self) -> str:
        return self._out.read_text()

    @property
    def run(self) -> RunSummary:
        return read_runs(self.root)[-1]

    def says(self, text: str) -> bool:
        """Wait until it has printed something."""
        wait_until(lambda: text in self.output or self.process.poll() is not None, PATIENCE)
        assert text in self.output, self.output
        return True

    def code(self) -> int:
        """Wait for its end, and return its exit code."""
        return self.process.wait(PATIENCE)


@contextmanager
def running(folder: Path, *args: str, source: str = BUSY, root: str | None = None) -> Iterator[RunningApp]:
    """Run an app in a process of its own for the block, and end it with all that it has started."""
    file = folder / "app.py"
    file.write_text(source)
    root = root or str(folder / "root")
    out = folder / "out"
    environ = {**os.environ, "LIGHTNING_LITE_ROOT": root}
    with open(out, "wb") as stream:
        process = subprocess.Popen(
            [sys.executable, str(file), *args],
            stdout=stream,
            stderr=stream,
            env=environ,
            cwd=folder,
            process_group=0,  # as a shell does; a process without a parent in its session can't be suspended
        )
    app = RunningApp(process, out, root)
    try:
        yield app
    finally:
        process.kill()
        process.wait()
