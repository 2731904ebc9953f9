"""A runner under test with work sides of the tests; a wait that fails names the missing messages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from time import monotonic
from typing import Any

import tasks
from work_sides import TaskSide

from lightning_lite.main_messages import Report, StartWork, WorkExited
from lightning_lite.messages import RunCall, RunEnded, StateChanged, WorkStarted
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.base import Runner, RunnerOptions
from lightning_lite.runners.processes.runner import ProcessRunner
from lightning_lite.values.pickling import pack, unpack

#: Seconds after which a test says that something hangs; not a measure of speed.
DEADLINE = 60.0


class Harness:
    """A runner, the reports that it has returned, and shorthands for tests."""

    def __init__(
        self, folder: str, make: Callable[[RunnerOptions], Runner] = ProcessRunner, **options: Any
    ) -> None:
        self.logs = os.path.join(folder, "logs")
        os.makedirs(self.logs, exist_ok=True)
        start_method = RunOptions.resolve().start_method
        self.runner = make(RunnerOptions(folder, self.logs, start_method=start_method, **options))
        self.messages: list[Report] = []
        self._keys = count()

    def start(self, name: str = "root.a", work_side: TaskSide | None = None, **options: Any) -> None:
        self.runner.send(StartWork(name, pack(work_side or TaskSide(name)), **options))

    def call(self, task: Callable[..., Any], *args: Any, name: str = "root.a") -> str:
        """Send a call and return its key."""
        key = str(next(self._keys))
        self.runner.send(RunCall(name, key, 1, pack((task, *args)), {}, 0))
        return key

    def run(self, task: Callable[..., Any], *args: Any, name: str = "root.a") -> Any:
        """Return the answer of a call."""
        key = self.call(task, *args, name=name)
        ended = self.until(
            lambda message: isinstance(message, RunEnded | WorkExited) and message.work == name
        )
        assert isinstance(ended, RunEnded), ended
        assert ended.key == key
        assert ended.failure is None, ended.failure
        assert ended.value is not None
        return unpack(ended.value)

    def up(self, *names: str) -> dict[str, int]:
        """Start works, and return their process ids when all are up."""
        for name in names or ("root.a",):
            self.start(name)
        return {name: self.until(WorkStarted, name).place.pid for name in names or ("root.a",)}

    def start_hanging(self, name: str = "root.a", **options: Any) -> list[int]:
        """Start a work that hangs in a call, and return its process id and those of its children."""
        self.start(name, **options)
        pid = self.until(WorkStarted, name).place.pid
        self.call(tasks.hang_with_grandchildren, name=name)
        return [pid, *eval(self.hangs(name)["pids"])]

    def until(self, what: type | Callable[[Report], bool], name: str | None = None) -> Any:
        """Wait for a report of a class, or one for which `what` is true; remove and return it."""

        def fits(message: Report) -> bool:
            fitting = isinstance(message, what) if isinstance(what, type) else what(message)
            return fitting and (name is None or message.work == name)

        deadline = monotonic() + DEADLINE
        while True:
            for i, message in enumerate(self.messages):
                if fits(message):
                    del self.messages[i]
                    return message
            assert monotonic() < deadline, f"{what} did not come, but {self.messages[:20]}"
            self.messages += self.runner.wait(DEADLINE)

    def exit_of(self, name: str = "root.a") -> WorkExited:
        exited: WorkExited = self.until(WorkExited, name)
        return exited

    def hangs(self, name: str = "root.a") -> dict[str, bytes]:
        """Wait until a task reports that it hangs, and return all changes in that report."""
        changed: StateChanged = self.until(
            lambda message: isinstance(message, StateChanged) and "hanging" in message.changes, name
        )
        return changed.changes

    def log(self, name: str = "root.a") -> str:
        try:
            with open(os.path.join(self.logs, f"{name}.log"), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""


class Flow:
    """An app in a process of its own, see `flow.py`.

    Attributes:
        process: The app.
        pids: The processes that it has started: guardian, works, and their children.
    """

    def __init__(self, folder: str, *task_names: str, **options: Any) -> None:
        program = os.path.join(os.path.dirname(__file__), "flow.py")
        command = [
            sys.executable,
            program,
            str(folder),
            ",".join(task_names),
            str(options.pop("grace", DEADLINE)),
        ]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **options.pop("env", {})}
        self.process: subprocess.Popen[str] = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=env, **options
        )
        self.pids: list[int] = json.loads(self.line())

    def line(self) -> str:
        """Return the next line that the app prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, signum: int) -> int:
        """Send a signal, and return the exit code when the app has ended."""
        self.process.send_signal(signum)
        return self.wait()

    def wait(self) -> int:
        with self.process:
            return self.process.wait(DEADLINE)
