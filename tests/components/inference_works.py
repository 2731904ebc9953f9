"""Servers for tests of `ModelInferenceAPI`; each process of a work imports this module."""

from __future__ import annotations

import numpy as np

from lightning_lite.components import ModelInferenceAPI


class Scale(ModelInferenceAPI):
    def build_model(self):
        return 3

    def deserialize(self, data):
        return int(data)

    def predict(self, data):
        return [self.model * data]


class Mirror(ModelInferenceAPI):
    def build_model(self):
        return None

    def predict(self, data):
        return np.asarray(data)[None, ::-1]
