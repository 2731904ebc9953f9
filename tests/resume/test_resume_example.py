"""Kills the example that invites readers to kill it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.processes import DEADLINE

EXAMPLE = Path(__file__).parents[2] / "examples" / "resume" / "app.py"


def test_the_example_continues_where_it_was_killed():
    def start(seconds):
        return subprocess.Popen(
            [sys.executable, EXAMPLE, seconds],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    printed = []
    for signal_to_send in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        # Two shards are left at least, so this test has seconds to send the signal before the end.
        process = start("1")
        printed += [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal_to_send)
        printed += process.stdout  # `communicate` would miss the lines that `readline` has buffered
        process.communicate(timeout=DEADLINE)
        assert process.returncode == {signal.SIGTERM: 143}.get(signal_to_send, -signal_to_send)
    last = start("0.01")
    out, err = last.communicate(timeout=DEADLINE)

    assert last.returncode == 0, err
    (run,) = os.listdir(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs"))
    assert f"Run {run} is resumed: completed calls: " in err
    lines = "".join(printed) + out
    assert list(dict.fromkeys(lines.splitlines())) == [
        *(f"shard {shard}: {100 + shard} words" for shard in range(8)),
        "828 words in 8 shards",
    ]
    # A pass that had not ended when the flow was killed is repeated, with its output.
    assert len(lines.splitlines()) <= 9 + 3
