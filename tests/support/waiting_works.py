"""Works that never end by themselves. Their processes import this module, so it is light."""

from __future__ import annotations

import threading

from lightning_lite.tree.work import LightningWork


class Never(LightningWork):
    """Waits until it is stopped."""

    def run(self) -> None:
        threading.Event().wait()
