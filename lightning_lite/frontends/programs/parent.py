"""Ends this process and its children when the parent process asks for it, or ends."""

from __future__ import annotations

import os
import signal
from threading import Event, Thread

#: Seconds between two looks whether the parent still lives, besides the end of its pipe.
_INTERVAL = 1.0


def end_with_parent() -> None:
    """End this process with its parent, from now on; a thread waits for that."""
    parent = os.getppid()
    Thread(target=_end_with, args=(parent,), name="lightning-lite-parent", daemon=True).start()


def wait_for_end(parent: int) -> None:
    """Wait until the parent writes to the standard input, closes that, or ends.

    Args:
        parent: Process id of the parent.
    """
    is_told = Event()

    def read_word() -> None:  # a read in a thread, because Windows can't `select` a pipe
        os.read(0, 1)
        is_told.set()

    Thread(target=read_word, name="lightning-lite-input", daemon=True).start()
    # A fork of the parent may hold the pipe open, so its end alone does not say that the parent has ended.
    while os.getppid() == parent and not is_told.wait(_INTERVAL):
        pass


def _end_with(parent: int) -> None:
    wait_for_end(parent)
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)  # with the processes that the code of the user has started
    os._exit(0)
