"""Works that follow rules of Lightning App. Their processes import this module, so it is light."""

from __future__ import annotations

from pathlib import Path as LocalPath

from lightning_lite import LightningWork, Path


class HasPath(LightningWork):
    def __init__(self):
        super().__init__()
        self.path = Path("model.txt")
        self.origin_at_first = self.path.origin_name

    def run(self):
        LocalPath("model.txt").write_text("weights")


class Reads(LightningWork):
    def run(self, path):
        return path.origin_name, path.exists_remote()
