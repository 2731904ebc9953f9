"""The limit of `child_cost`: a process of the standard library, in a module that imports nothing else."""

from __future__ import annotations

import os
import sys
import time
from multiprocessing.connection import Connection


def child(connection: Connection) -> None:
    """Report the cost of this process so far, like `Child`, and wait for the end."""
    milliseconds = time.process_time() * 1e3
    connection.send([os.getpid(), milliseconds, 0, len(sys.modules)])
    connection.recv()
