"""An app as a program of its own, for tests that kill or signal it.

    python flow.py <folder> <tasks>

It starts a work for each task, of which commas separate the names; the first work is `root.w0`.
It prints the process ids of all that it has started, says how it was ended, and exits as a script would.
"""

# ruff: noqa: T201 - a program that talks to the test that has started it

from __future__ import annotations

import json
import os
import sys
import tempfile

import psutil
import tasks
from harness import DEADLINE, Harness

from lightning_lite.runners.signals import EndingSignals

# Else it tries the folder with a file, which a kill in that moment leaves there.
tempfile.tempdir = os.environ.get("TMPDIR")


def main(folder: str, task_names: str) -> None:
    harness = Harness(folder)
    with EndingSignals(harness.runner, on_resume=lambda seconds: print("resumed", flush=True)):
        try:
            work_tasks = {f"root.w{i}": task for i, task in enumerate(task_names.split(","))}
            harness.up(*work_tasks)
            for name, task in work_tasks.items():
                harness.run(tasks.report_exit, f"{folder}/{name}", name=name)
                if task != "idle":
                    harness.call(getattr(tasks, task), name=name)
                    harness.hangs(name)
            print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]), flush=True)
            if "FLOW_FORKS" in os.environ:
                print(tasks.fork_behind_pythons_back(harness), flush=True)
            while True:
                harness.runner.wait(None)
        finally:
            print("closing", flush=True)
            harness.runner.close(float(sys.argv[3]) if len(sys.argv) > 3 else DEADLINE)


if __name__ == "__main__":
    main(*sys.argv[1:3])
