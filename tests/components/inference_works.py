"""Servers for tests of `ModelInferenceAPI`; each process of a work imports this module."""

from __future__ import annotations

from typing import Any

import numpy as np

from lightning_lite.components import ModelInferenceAPI


class Scale(ModelInferenceAPI):
    def build_model(self) -> int:
        return 3

    def deserialize(self, data: str) -> int:
        return int(data)

    def predict(self, data: int) -> list[int]:
        return [self.model * data]


class Mirror(ModelInferenceAPI):
    def build_model(self) -> None:
        return None

    def predict(self, data: list[int]) -> np.ndarray[Any, Any]:
        return np.asarray(data)[None, ::-1]
