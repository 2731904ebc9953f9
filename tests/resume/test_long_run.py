"""An app that is started, resumed and ended for minutes or hours keeps its files, threads and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

#: Seconds that the test takes; an hour is 3600.
SECONDS = float(os.environ.get("LIGHTNING_LITE_TORTURE_SECONDS", "300"))

MIB = 1024 * 1024

PROGRAM = """
import gc, json, os, sys, threading, time
import multiprocess.process  # the launcher imports it in its first quiet moment, which may come late
import psutil
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.engine import recorder
from lightning_lite.storage import Drive


# So that the journal is compacted from the first minute on, and a resume reads about the same each time.
recorder._MIN_GROWTH = recorder._MIN_GROWTH_AT_END = 32 * 1024
os.environ["LIGHTNING_LITE_HISTORY"] = "50"


class Put(LightningWork):
    def __init__(self):
        super().__init__(cache_calls=False)
        self.loss = 1.0

    def run(self, number):
        self.loss = 1.0 / (1 + number)
        with open(f"{number}.txt", "w") as file:
            file.write("x" * 1000 * number)
        Drive("lit://long").put(f"{number}.txt")
        return os.path.getsize(f"{number}.txt")


class Get(LightningWork):
    def __init__(self):
        super().__init__(cache_calls=False)

    def run(self, number):
        return os.path.getsize(Drive("lit://long").get(f"{number}.txt", to="got.txt"))


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.turn = 0
        self.put, self.get = Put(), Get()

    def run(self):
        number = self.turn % 7
        put = self.put.run(number)
        got = self.get.run(number)
        assert put == got == 1000 * number, (put, got, number)
        self.put.stop()
        self.turn += 1
        if self.turn % 3 == 0:
            self.stop()


end = time.monotonic() + float(sys.argv[1])
process = psutil.Process()
runs = 0
while time.monotonic() < end:
    root = Root()
    LightningApp(root, root_dir="root").run(resume=os.listdir("root/runs")[0] if runs else False, view=False)
    runs += 1
    assert root.turn == 3 * runs, root.turn
    del root
    gc.collect()
    files = sum(len(names) for _, _, names in os.walk("."))
    memory = process.memory_full_info().uss
    sample = [process.num_fds(), threading.active_count(), len(process.children()), files, memory]
    print(json.dumps(sample), flush=True)
"""


@pytest.mark.torture
@pytest.mark.timeout(SECONDS + 600)
def test_what_a_process_holds_does_not_grow_with_its_runs(tmp_path: Path):
    (tmp_path / "app.py").write_text(PROGRAM)

    # glibc gives threads memory from up to 16 heaps on two processors. Each run has new threads, so for hours
    # some heap has more free pages than before, 2 MB after 2,800 runs, while the bytes in use stay the same.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(
        [sys.executable, "app.py", str(SECONDS)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    samples = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    tenth = len(samples) // 10
    assert tenth >= 2, f"only {len(samples)} runs in {SECONDS:g} s; set LIGHTNING_LITE_TORTURE_SECONDS higher"
    early, late = (
        [median(column) for column in zip(*part, strict=True)]
        for part in (samples[tenth : 2 * tenth], samples[-tenth:])
    )
    what = f"{len(samples)} runs; descriptors, threads, children, files, bytes: {early}, then {late}"
    assert late[:4] == early[:4], what
    assert late[4] < 1.05 * early[4] + MIB, what
