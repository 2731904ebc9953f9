"""Starts apps as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE

#: A flow that prints `up` when both works run; with `--busy`, its pass then never ends.
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
            self.is_up = True  # the inline runner stops a work at a change of its state
    def on_exit(self):
        print("on_exit has run")

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
                # Not at once: Python would handle a signal that comes just before the wait only after it.
                while True:
                    threading.Event().wait(0.1)

app = LightningApp(Root())
if "--handler" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: None)
if __name__ == "__main__":
    app.run(command_channel="--no-channel" not in sys.argv)
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

    def wait_for_output(self, text: str) -> None:
        """Wait until it has printed `text`."""
        poll_until(lambda: text in self.output or self.process.poll() is not None, DEADLINE)
        assert text in self.output, self.output

    def code(self) -> int:
        """Wait for its end, and return its exit code."""
        return self.process.wait(DEADLINE)


@contextmanager
def running(
    folder: Path,
    *args: str,
    source: str = BUSY,
    root: str | None = None,
    program: Sequence[str] = (sys.executable,),
) -> Iterator[RunningApp]:
    """Run an app in a process of its own during the block.

    Args:
        folder: Working directory, in which `app.py` is written.
        args: Arguments of the app.
        source: Source of `app.py`.
        root: Root folder; by default `root` in `folder`.
        program: The command that runs `app.py`.
    """
    file = folder / "app.py"
    file.write_text(source)
    root = root or str(folder / "root")
    out = folder / "out"
    environ = {**os.environ, "LIGHTNING_LITE_ROOT": root}
    with open(out, "wb") as stream:
        process = subprocess.Popen(
            [*program, str(file), *args],
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
