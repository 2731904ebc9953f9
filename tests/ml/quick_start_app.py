"""An app of Lightning in its own words: train a model with torch, then serve it with gradio."""

from pathlib import Path as LocalPath

import gradio
import torch
from gradio_client import Client
from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.components import ServeGradio
from lightning.app.components.python import TracerPythonScript
from lightning.app.storage import Path

TRAIN = """
import argparse
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int)
parser.add_argument("--to")
arguments = parser.parse_args()

x = torch.linspace(-1, 1, 64).unsqueeze(1)
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for _ in range(arguments.steps):
    loss = torch.nn.functional.mse_loss(model(x), 3 * x + 1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
torch.save(model.state_dict(), arguments.to)
loss = loss.item()
"""


class Train(TracerPythonScript):
    def __init__(self):
        super().__init__("train.py", outputs=["loss"])
        self.best_model_path = None

    def run(self):
        self.script_args += ["--steps=200", "--to=model.pt"]
        super().run()
        self.best_model_path = Path("model.pt")


class Serve(ServeGradio):
    inputs = gradio.Number(label="x")
    outputs = gradio.Number(label="y")

    def __init__(self):
        super().__init__(parallel=True)
        self._path = None

    def run(self, path):
        self._path = path
        super().run()

    def build_model(self):
        model = torch.nn.Linear(1, 1)
        model.load_state_dict(torch.load(self._path))
        return model

    def predict(self, x):
        return round(self.model(torch.tensor([[float(x)]])).item(), 2)


class Visit(LightningWork):
    def run(self, url, loss):
        assert loss.value < 1e-4
        print("y is", Client(url, verbose=False).predict(2, api_name="/predict"))


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        LocalPath("train.py").write_text(TRAIN)
        self.train, self.serve, self.visit = Train(), Serve(), Visit()

    def run(self):
        self.train.run()
        self.serve.run(self.train.best_model_path)
        if self.serve.url:
            self.visit.run(self.serve.url, self.train.loss)
            self.stop("Quick start ends")

    def configure_layout(self):
        return [{"name": "Serve", "content": self.serve}]


app = LightningApp(Root())
