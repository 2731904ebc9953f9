"""Runs scripts in forks of one process that has imported the package: that import takes longest in them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tests.support.processes import DEADLINE

#: Seconds that a process which a script has left may take to end. A bound on hanging, not on speed.
PATIENCE = 20.0

# Not code after `-c`: for that, Python 3.13.0 needs the working directory, which a test may have removed.
_SERVER = Path(__file__).with_name("script_server.py")


class _Server:
    """The process that forks, in a `with` block, at whose end it is killed with all that it has started."""

    def __init__(self) -> None:
        # A group of its own: where it can't become the parent of orphans, they end with the group.
        self._process = subprocess.Popen(
            [sys.executable, str(_SERVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def __enter__(self) -> _Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more scripts."""
        return self._process.poll() is not None

    def ask(self, request: Mapping[str, object], deadline: float) -> str | None:
        """Return its answer: "" if it has ended, and none if the script hangs.

        Args:
            request: The line that it reads, as JSON.
            deadline: Seconds to wait.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{json.dumps(request)}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        answers, _, _ = select.select([self._process.stdout], [], [], deadline)
        return self._process.stdout.readline() if answers else None

    def started(self) -> list[str]:
        """Describe the processes that it or its scripts have started, and that are still there."""
        return [str(process.as_dict(["pid", "status", "cmdline"])) for process in self._descendants()]

    def end(self) -> int:
        """Kill it and all that it has started, and return its exit code, which is -9 if it was alive."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if not self.has_ended:
            for process in self._descendants():
                with suppress(psutil.NoSuchProcess):
                    process.kill()
        if not self.has_ended:
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(BrokenPipeError):  # a request that it has not read
            self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait()

    def _descendants(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            found = psutil.Process(self._process.pid).children(recursive=True)
        return found


class ForkedScripts:
    """Runs one script after the other.

    Args:
        server: The process that forks.
        folder: Where it keeps their output.
        patience: Seconds that a process which a script has left may take to end.
    """

    def __init__(self, server: _Server, folder: Path, patience: float = PATIENCE) -> None:
        self._server = server
        self._streams = folder / "out", folder / "err"
        self._patience = patience

    def run(self, script: Path, *arguments: object, **options: Any) -> str:
        """Run a script as `run_script` does, and return its output; `run_to_end` describes the arguments."""
        done = self.run_to_end(script, *arguments, **options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_to_end(
        self,
        script: Path,
        *arguments: object,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        deadline: float = DEADLINE,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script as `run_python` does, without input, and return its exit code and its output.

        A script that hangs, or leaves a process, ends with the process that forks. Each later script then has
        one of its own: a new one for all of them would be a process that the test leaves.

        Args:
            script: Path of the script.
            arguments: Its arguments.
            cwd: Its working directory, by default that of this process.
            env: Its environment, by default that of this process.
            deadline: Seconds after which it hangs.
        """
        command = [str(script), *map(str, arguments)]
        request = {
            "command": command,
            "folder": str(cwd or Path.cwd()),
            "streams": list(map(str, self._streams)),
            "environ": dict(os.environ if env is None else env),
            "patience": self._patience,
        }
        for stream in self._streams:
            # A process that an earlier script has left might still write to it.
            stream.unlink(missing_ok=True)
            stream.touch()
        with ExitStack() as stack:
            server = stack.enter_context(_Server()) if self._server.has_ended else self._server
            try:
                answer = server.ask(request, deadline)
            except BaseException:  # a time limit of the test: the answer would be read by the next test
                server.end()
                raise
            out, err = (stream.read_text("utf-8", "replace") for stream in self._streams)
            if answer is None:
                server.end()
                raise AssertionError(f"{script} did not end in {deadline:g} seconds; it wrote:\n{err}")
            if not answer:
                code = server.end()
                raise AssertionError(f"{script} ended the process that forks, with {code}; it wrote:\n{err}")
            code, is_any_left = json.loads(answer)
            if is_any_left:
                left = "\n".join(server.started())
                server.end()
                raise AssertionError(f"{script} left\n{left}\nIt wrote:\n{err}")
        return subprocess.CompletedProcess(command, code, out, err)


@contextmanager
def forking_scripts(folder: Path, patience: float = PATIENCE) -> Iterator[ForkedScripts]:
    """Give a process that forks for the `with` block.

    Args:
        folder: An empty folder.
        patience: Seconds that a process which a script has left may take to end.
    """
    with _Server() as server:
        yield ForkedScripts(server, folder, patience)
