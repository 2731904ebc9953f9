"""Waits for an answer that is near: for as long as falling asleep and being woken would take, awake.

A processor that sleeps is woken through its host or its clock, which takes longer than a short call. Whoever
has just sent something therefore looks a few more times, and lets all others run in between.
"""

from __future__ import annotations

import os
from time import perf_counter

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

#: Seconds. A few times what a sleep and its end cost: what a short call takes, too.
LONGEST = 200e-6

_let_others_run = getattr(os, "sched_yield", lambda: None)


def spin(poller: Any) -> list[tuple[int, int]]:
    """Return what is ready within `LONGEST` seconds, as `poller.poll` does; empty if nothing is."""
    until = perf_counter() + LONGEST
    while not (ready := poller.poll(0)) and perf_counter() < until:
        _let_others_run()
    return list(ready)
