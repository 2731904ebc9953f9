"""Runs scripts in forks of one process that has imported the package: that import takes longest in them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# Each line of its input names a script; it answers with the exit code. A fork is like a process that has just
# started: `__main__` is the script, and the streams, environment, arguments and first path are its own.
_SERVER = """
import gc, json, os, runpy, sys
import lightning_lite.app.app, lightning_lite.app.session, lightning_lite.storage.drive

gc.freeze()
while line := sys.stdin.readline():
    if not (pid := os.fork()):
        break
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
if line:
    script, *arguments = json.loads(line)["command"]
    os.chdir(json.loads(line)["folder"])
    for number, name in enumerate((os.devnull, *json.loads(line)["streams"])):
        file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(json.loads(line)["environ"])
    sys.argv[:] = [script, *arguments]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")
"""


class ForkedScripts:
    """Runs one script after the other.

    Args:
        process: The process that forks.
        folder: Where it keeps their output.
    """

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._streams = folder / "out", folder / "err"

    def run(
        self, script: Path, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> str:
        """Run a script as `run_script` does, without input, and return its output.

        Args:
            script: Path of the script.
            arguments: Its arguments.
            cwd: Its working directory, by default that of this process.
            env: Its environment, by default that of this process.
        """
        for stream in self._streams:
            stream.unlink(missing_ok=True)
        request = {
            "command": [str(script), *arguments],
            "folder": str(cwd or Path.cwd()),
            "streams": list(map(str, self._streams)),
            "environ": dict(os.environ if env is None else env),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        try:
            code = self._process.stdout.readline()
        except BaseException:  # a time limit of the test: the answer would be read by the next test
            os.killpg(self._process.pid, signal.SIGKILL)
            raise
        out, err = (stream.read_text("utf-8") for stream in self._streams)
        assert code == "0\n", err
        return out


@contextmanager
def forking_scripts(folder: Path) -> Iterator[ForkedScripts]:
    """Give a process that forks for the `with` block.

    Args:
        folder: An empty folder.
    """
    command = [sys.executable, "-c", _SERVER]
    # A group of its own, so that a script that hangs ends with it.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        try:
            yield ForkedScripts(process, folder)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
