"""`PopenPythonScript`: a work that runs a script in a child process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lightning_lite import timeouts
from lightning_lite.components.scripts import arguments_of, check_script, plain_variables
from lightning_lite.errors import ScriptFailed
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.tree.work import LightningWork


class PopenPythonScript(LightningWork):
    """Runs a script in a child process of the work, with the same Python.

    The output of the script is in the log of the work. The child ends with the work, however the work ends.

    Args:
        script_path: The script; a relative path starts at the working directory of the work.
        script_args: Its arguments: a list, or a text that is split as in a shell.
        env: Environment variables to add.
        **kwargs: Arguments of `LightningWork`.

    Attributes:
        pid: Process id of the last child, or `None`.
        exit_code: Its exit code, negative for a signal; `None` while it runs.

    Raises:
        FileNotFoundError: There is no such script.
        ComponentError: An argument is invalid; the message names it.

    Example:
        >>> with open("job.py", "w") as script:
        ...     _ = script.write("import sys; sys.exit(len(sys.argv) - 1)")
        >>> work = PopenPythonScript("job.py")
        >>> work.run()
        >>> work.exit_code
        0
        >>> PopenPythonScript("job.py", script_args="a b c").run()
        Traceback (most recent call last):
        lightning_lite.errors.ScriptFailed: The script 'job.py' has ended with exit code 3; see its output.
    """

    def __init__(
        self,
        script_path: str | os.PathLike[str],
        script_args: Sequence[Any] | str | None = None,
        env: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(env=env, **kwargs)
        check_script(os.fspath(script_path), self._policy.cwd)
        self.script_path = os.fspath(script_path)
        self.script_args = arguments_of(script_args, type(self).__qualname__)
        self.pid: int | None = None
        self.exit_code: int | None = None

    def run(self) -> None:
        """Run the script, and wait until it has ended.

        Raises:
            FileNotFoundError: There is no such script any more.
            ScriptFailed: Its exit code is not 0.
        """
        check_script(self.script_path)
        self.on_before_run()
        self.exit_code = None
        self._run_child()
        if self.exit_code != 0:
            raise ScriptFailed(
                f"The script {self.script_path!r} has ended with {describe_exit(self.exit_code)}; "
                "see its output.",
                script=self.script_path,
                exit_code=self.exit_code,
            )
        self.on_after_run()

    def on_before_run(self) -> None:
        """Do nothing; override it to prepare a run. Called before the script."""

    def on_after_run(self) -> None:
        """Do nothing; override it to use results of the script. Called after it has succeeded."""

    def _run_child(self) -> None:
        # -u: each line is in the log at once, and not lost if the child is killed.
        command = [sys.executable, "-u", self.script_path, *self.script_args]
        environment = {**os.environ, **plain_variables(self._policy.env)}
        sys.stdout.flush()
        child = subprocess.Popen(command, env=environment)
        try:
            self.pid = child.pid
            self.exit_code = child.wait()
        finally:  # also if the work is stopped
            if child.returncode is None:
                self.exit_code = _end(child)


def _end(child: subprocess.Popen[bytes]) -> int:
    """End a child: with SIGTERM, and if it does not end, kill it."""
    child.terminate()
    try:
        return child.wait(timeouts.SCRIPT_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()
