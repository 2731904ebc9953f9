"""A script that trains with Lightning on two nodes; prints their results."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from lightning.fabric import Fabric

from lightning_lite import LightningApp, LightningWork
from lightning_lite.components import FabricMultiNode, LightningTrainerMultiNode, LightningTrainerScript

TRAINER = """
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.demos.boring_classes import BoringModel

class Model(BoringModel):
    def training_step(self, batch, i):
        step = super().training_step(batch, i)
        self.log("loss", step["loss"], sync_dist=True)
        return step

checkpoint = ModelCheckpoint(dirpath="checkpoints", monitor="loss", save_on_train_epoch_end=True)
trainer = Trainer(
    max_epochs=1,
    limit_train_batches=2,
    limit_val_batches=0,
    logger=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    strategy="ddp",
    callbacks=[checkpoint],
)
trainer.fit(Model())
world = [trainer.world_size, trainer.global_rank]
"""


class WithFabric(LightningWork):
    def run(self):
        fabric = Fabric(strategy="ddp_spawn", accelerator="gpu", devices=7)
        model = fabric.setup(torch.nn.Linear(2, 1))
        fabric.backward(model(torch.ones(1, 2)).sum())
        total = fabric.all_reduce(torch.tensor(float(fabric.global_rank + 1)), reduce_op="sum")
        return [fabric.world_size, fabric.global_rank, total.item()]


class WithTrainer(LightningWork):
    def run(self):
        names = {}
        exec(TRAINER.replace('strategy="ddp"', 'strategy="ddp_spawn"'), names)
        return names["world"]


kind = sys.argv[1]
if kind == "fabric":
    nodes = FabricMultiNode(WithFabric, None, 2)
elif kind == "trainer":
    nodes = LightningTrainerMultiNode(WithTrainer, None, 2)
else:
    Path("train it.py").write_text(TRAINER)
    nodes = LightningTrainerScript("train it.py", num_nodes=2, outputs=["world"])
LightningApp(nodes).run(view=False)

if kind == "script":
    found = [
        [work.world.value for work in nodes.ws],
        nodes.best_model_score is not None,
        [path is not None and path.suffix for path in nodes.best_model_paths],
        nodes.ws[0].monitor,
        [work.has_finished for work in nodes.ws],
    ]
else:
    found = nodes.values()
print(json.dumps(found))  # noqa: T201 - for the test
