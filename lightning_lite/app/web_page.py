"""The server of the page of a run: a process of its own, which ends with the app.

    app ── "end", or the end of the pipe ──▶ lightning-lite ui RUN --with-parent
        ◀── a line with the address ────────

It is not a thread, which would cost the app a third of its calls per second.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from threading import Thread
from typing import Self

from lightning_lite import timeouts
from lightning_lite.frontends.child_process import end_program, start_program
from lightning_lite.harmless_text import harmless
from lightning_lite.run_options import RunOptions
from lightning_lite.settings import DRIVES_VARIABLE
from lightning_lite.trusted_roots import ROOT_MODE_VARIABLE, TRUSTED


class WebPage:
    """The server of one run; `start` starts it.

    Args:
        process: Its process.
        say: Called with each line for the user, in a thread. One line has the token, so it may not be
            logged.
    """

    def __init__(self, process: subprocess.Popen[bytes], say: Callable[[str], None]) -> None:
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
        environ = {ROOT_MODE_VARIABLE: TRUSTED} if options.root_mode == TRUSTED else {}
        if options.drives:
            environ[DRIVES_VARIABLE] = options.drives
        verb = ["ui", run_id, "--root", options.root_dir, "--with-parent"]
        try:
            process = start_program("lightning_lite", verb, subprocess.PIPE, environ)
        except OSError as error:
            say(f"The page can't be served: {error.strerror or error}.")
            return None
        return cls(process, say)

    def close(self) -> None:
        """End the server, and wait until it has ended."""
        process = self._process
        assert process.stdout is not None
        end_program(process)
        self._printer.join(timeouts.PROGRAM_STOP_TIMEOUT)
        process.stdout.close()

    def _print(self) -> None:
        """Print the address, and all that the server says about its failure."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            text = harmless(line.rstrip(b"\r\n"))
            if text:
                self._say(f"The page of this run: {text}" if text.startswith("http") else text)
