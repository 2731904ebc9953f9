"""An app as a program of its own, for tests that kill or signal it.

    python flow.py <folder> <number of works> <task of each>

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


def main(folder: str, number: str, task: str) -> None:
    harness = Harness(folder)
    with EndingSignals(harness.runner, on_resume=lambda seconds: print("resumed", flush=True)):
        try:
            names = [f"root.w{i}" for i in range(int(number))]
            harness.up(*names)
            for name in names:
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
            harness.runner.close(float(sys.argv[4]) if len(sys.argv) > 4 else DEADLINE)


if __name__ == "__main__":
    main(*sys.argv[1:4])
