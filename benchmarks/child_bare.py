"""The limit of `child_cost`: a process of the standard library, and nothing else to import."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing.connection import Connection


def child(connection: Connection) -> None:
    """Report what this process has cost so far, as `Child` does, and wait for the end."""
    milliseconds = time.process_time() * 1e3
    connection.send([os.getpid(), milliseconds, 0, len(sys.modules)])
    connection.recv()
