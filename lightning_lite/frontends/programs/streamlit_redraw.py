"""Draws a page of Streamlit, and draws it again when the state of the app that it shows has changed.

Streamlit documents fragments with `run_every` for a look at regular intervals: the browser asks for
it while the page is open, and it does not interrupt a page that is being drawn.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from itertools import count

import streamlit

from lightning_lite.app_state import StateReads

#: Seconds between two looks at the state.
_INTERVAL = 0.35


def draw(function: Callable[[], object]) -> None:
    """Draw the page; called each time that Streamlit runs its script.

    Args:
        function: Draws the page with the functions of Streamlit.
    """
    reads, looks = StateReads(), count()

    def redraw_after_change() -> None:
        # Not at the first call, right below: a page that changes its own state would be drawn without end.
        if next(looks) and reads.have_changed():
            streamlit.rerun()

    # Before the page: after `streamlit.stop()` in it, Streamlit takes no fragment any more.
    streamlit.fragment(redraw_after_change, run_every=_INTERVAL)()
    try:
        with reads.recording():
            function()
    finally:
        _leave_out_modules()


@cache
def _leave_out_modules() -> None:
    """Let garbage collections leave out all objects that exist now; only the first call does something.

    Streamlit collects garbage after each look, and would go through all imported modules each time.
    """
    gc.collect()
    gc.freeze()
