"""A script with a model of torch; prints the results of its checks, as JSON."""

from __future__ import annotations

import io
import json
import os

import torch
from torch import nn

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1, bias=False)

    def forward(self, x):
        return self.layer(x)


def write_rank(rank, folder):
    with open(os.path.join(folder, f"rank{rank}"), "w") as file:
        file.write(str(rank))


class Work(LightningWork):
    def __init__(self):
        super().__init__(cache_calls=False)

    def run(self, what, *args):
        return getattr(self, what)(*args)

    def saves(self):
        file = io.BytesIO()
        torch.save(Net(), file)
        file.seek(0)
        return type(torch.load(file, weights_only=False)) is Net

    def spawns(self):
        torch.multiprocessing.spawn(write_rank, (os.getcwd(),), nprocs=2)
        return sorted(name for name in os.listdir() if name.startswith("rank"))

    def trains(self, net, data):
        net(data).sum().backward()
        return net, net.layer.weight.grad

    def settings(self):
        return [torch.get_num_threads(), str(torch.get_default_dtype())]


class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        net, grad = self.work.run("trains", Net(), torch.ones(3, 2))
        told = {
            "saves": self.work.run("saves"),
            "spawns": self.work.run("spawns"),
            "trains": [type(net) is Net, grad.tolist()],
            "settings": self.work.run("settings"),
        }
        print(json.dumps(told))  # noqa: T201 - for the test
        self.stop()


def set_up():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    LightningApp(Flow(), setup=set_up).run(view=False)
