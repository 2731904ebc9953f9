"""A big attribute that changes often is named in a warning, once."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from lightning_lite.clock import Moment
from lightning_lite.engine.state_watch import StateWatch
from lightning_lite.errors import LightningFlowWarning
from lightning_lite.events import StateWritten
from lightning_lite.values.codec import encode


def test_a_list_that_grows_gives_one_warning_that_says_what_to_do(tmp_path: Path):
    watch, now = StateWatch(str(tmp_path)), Moment(0.0, 0.0)
    small, big = encode([0] * 1000, "root.x"), encode("x" * 1_000_000, "root.x")
    for _ in range(67):
        watch.see(StateWritten("root", 1.0, {"few": small, "items": big}), now)

    with pytest.warns(LightningFlowWarning, match=r"root\.items has .* changed 68 times: .*Drive"):
        watch.see(StateWritten("root", 1.0, {"few": small, "items": big}), now)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(100):
            watch.see(StateWritten("root", 1.0, {"few": small, "items": big}), now)
