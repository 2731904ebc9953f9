"""The example that a reader can kill, killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "resume" / "app.py"

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 100


@pytest.mark.parametrize("deadly", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_the_example_goes_on_where_it_was_killed(deadly):
    def start(seconds):
        return subprocess.Popen(
            [sys.executable, EXAMPLE, seconds],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    first = start("0.1")
    printed = [first.stdout.readline() for _ in range(3)]
    first.send_signal(deadly)
    printed += first.communicate(timeout=DEADLINE)[0].splitlines(keepends=True)
    second = start("0.01")
    out, err = second.communicate(timeout=DEADLINE)

    assert second.returncode == 0, err
    (run,) = os.listdir(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs"))
    assert f"Run {run} is resumed: completed calls: " in err
    lines = "".join(printed) + out
    assert list(dict.fromkeys(lines.splitlines())) == [
        *(f"shard {shard}: {100 + shard} words" for shard in range(8)),
        "828 words in 8 shards",
    ]
    # A line that was printed in a pass that was not over when the flow was killed may come twice.
    assert len(lines.splitlines()) <= 10
