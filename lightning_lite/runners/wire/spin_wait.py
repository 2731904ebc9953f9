"""Busy-waits up to 200 µs for a reply before the thread blocks in `poll`.

A processor that sleeps is woken through its host or its clock, which takes longer than a short call. A thread
that has just sent a message therefore polls without blocking, if the last answer came as quickly.
"""

from __future__ import annotations

import os
from time import perf_counter

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

#: Seconds after sending. A few times what a sleep and its end cost: what a short call takes, too.
LONGEST = 200e-6

_let_others_run = getattr(os, "sched_yield", lambda: None)


class SpinWait:
    """Looks for answers, as long as they come quickly.

    Args:
        poller: What is looked at, as in `select`.
    """

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self._sent_at = 0.0  # 0 if nothing was sent since the last answer
        self._is_quick = False

    def sent(self) -> None:
        """Hear that something was sent that may be answered at once."""
        self._sent_at = perf_counter()

    def answered(self) -> None:
        """Hear that something has come; how soon that was, the next one may be."""
        if self._sent_at:
            self._is_quick = perf_counter() - self._sent_at < LONGEST
            self._sent_at = 0.0

    def spin(self) -> list[tuple[int, int]]:
        """Return what is ready soon after the sending, as `poller.poll` does; empty if nothing is."""
        ready: list[tuple[int, int]] = []
        if self._is_quick:
            until = self._sent_at + LONGEST
            while not (ready := self._poller.poll(0)) and perf_counter() < until:
                _let_others_run()
        return ready
