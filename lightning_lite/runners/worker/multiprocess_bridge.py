"""Shows the work and its app to `multiprocess` and `multiprocessing` in the process of the work."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any


def register(package: str, work: str, parent: int) -> None:
    """Set the current and the parent process of a package that this process has loaded.

    Args:
        package: Its name.
        work: Name of the work, which becomes that of the current process.
        parent: Process id of the app.
    """
    module: Any = sys.modules[f"{package}.process"]
    module.current_process().name = work
    if hasattr(os, "pidfd_open"):
        with suppress(ProcessLookupError):  # the app has died, and this process is about to end
            # No function sets it: `multiprocessing` does so in its own start code.
            module._parent_process = module._ParentProcess("MainProcess", parent, os.pidfd_open(parent))
