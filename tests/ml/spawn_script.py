"""A script with a process group of torch: two nodes with two processes each; prints their results."""

from __future__ import annotations

import json
import sys

import torch
from torch import nn

from lightning_lite import LightningApp, LightningWork
from lightning_lite.components import PyTorchSpawnMultiNode


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1, bias=False)

    def forward(self, x):
        return self.layer(x)


class Node(LightningWork):
    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        self.rank = -1

    def run(self, world_size, node_rank, global_rank, local_rank):
        if self.how == "fails" and global_rank == 3:
            raise ValueError("no data")
        self.rank = global_rank
        model = nn.parallel.DistributedDataParallel(Model())
        model(torch.full((1, 2), float(global_rank))).sum().backward()
        return [world_size, node_rank, local_rank, model.module.layer.weight.grad.tolist()]


nodes = PyTorchSpawnMultiNode(Node, None, 2, sys.argv[1], processes_per_node=2)
LightningApp(nodes).run(view=False)
print(json.dumps([nodes.values(), [work.rank for work in nodes.ws]]))  # noqa: T201 - for the test
