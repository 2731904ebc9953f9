"""The server of the page of a run: a process of its own, which ends with the app.

    app ── "end", or the end of the pipe ──▶ lightning-lite ui RUN --with-parent
        ◀── a line with the address ────────

It is no thread: a server in the process of the app would take a third of its calls a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from threading import Thread
from typing import Self

from lightning_lite.distribution import NAME
from lightning_lite.errors import SettingError
from lightning_lite.root_access import ROOT_MODE_VARIABLE, TRUSTED
from lightning_lite.settings import RunOptions
from lightning_lite.text import harmless

#: The packages of the extra `ui`.
_PACKAGES = ("starlette", "uvicorn")

#: Seconds that the server has to end. If a page is open, it answers its last question before.
_END_TIMEOUT = 3.0

#: The folder that has this package.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def check_page_is_installed() -> None:
    """Refuse to serve the page without its packages.

    Raises:
        SettingError: One is not installed.
    """
    for package in _PACKAGES:
        if find_spec(package) is None:
            raise SettingError(
                f"ui needs {package}, which is not installed: pip install '{NAME}[ui]'",
                setting="ui",
            )


class WebPage:
    """The server of one run; `start` starts it.

    Args:
        process: Its process.
        say: Called with each line for the user, in a thread. One has the token, so no log may have it.
    """

    def __init__(self, process: subprocess.Popen[str], say: Callable[[str], None]) -> None:
        self._process = process
        self._say = say
        self._printer = Thread(target=self._print, name="lightning-lite-page", daemon=True)
        self._printer.start()

    @classmethod
    def start(cls, run_id: str, options: RunOptions, say: Callable[[str], None]) -> Self | None:
        """Start the server, and return at once; if it can't be started, print why and return `None`.

        Args:
            run_id: Id of the run that it shows first.
            options: The options of the run.
            say: As for the class.
        """
        # Only the folder of this package, and not all of `sys.path`: next to a script may be a `secrets.py`.
        path = filter(None, (_HOME, os.environ.get("PYTHONPATH")))
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        if options.root_mode == TRUSTED:
            environ[ROOT_MODE_VARIABLE] = TRUSTED
        verb = ["ui", run_id, "--root", options.root_dir, "--with-parent"]
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-W", "ignore", "-m", "lightning_lite", *verb],
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C is for the app, which ends the server when it has ended
            )
        except OSError as error:
            say(f"The page can't be served: {error.strerror or error}.")
            return None
        return cls(process, say)

    def close(self) -> None:
        """End the server, and wait until it has ended."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):  # it has ended already
            # A word, because a process that the flow has forked may hold the pipe open.
            process.stdin.write("end\n")
            process.stdin.close()
        try:
            process.wait(_END_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._printer.join(_END_TIMEOUT)
        process.stdout.close()

    def _print(self) -> None:
        """Print the address, and all that the server says about its failure."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = harmless(line.rstrip("\n"))
            if text:
                with suppress(OSError, ValueError):  # the terminal is gone, or the stream is closed
                    self._say(f"The page of this run: {text}" if text.startswith("http") else text)
