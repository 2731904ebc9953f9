"""P1b: the cost of importing the package, and of importing the classes that each app uses."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks.measure import Measure
from benchmarks.programs import environment


def duration(statement: str) -> float:
    """Return the milliseconds that a fresh interpreter takes for `statement`."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", statement], env=environment(), check=True)
    return (time.monotonic() - began) * 1000


def measure(name: str, what: str, statement: str) -> Measure:
    """Return the measure of one import."""
    return Measure(
        name=name,
        what=what,
        limit_name="python -c pass",
        unit="ms",
        goal=25,
        ours=partial(duration, statement),
        limit=partial(duration, "pass"),
        rounds=15,
        difference=True,
    )


MEASURES = [
    measure("P1b", "import lightning_lite", "import lightning_lite"),
    measure("P1b+", "from lightning_lite import LightningWork", "from lightning_lite import LightningWork"),
]
