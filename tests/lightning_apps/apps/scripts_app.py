import os
import textwrap
from pathlib import Path

import lightning as L
from lightning.app.components import MultiNode, PopenPythonScript
from lightning.app.components.python import TracerPythonScript
from lightning.app.utilities.tracer import Tracer

SCRIPT = """
import sys, textwrap
print("script", sys.argv[1:], textwrap.TextWrapper(width=9).fill("one two three"))
model = {"layers": layers}
"""


class Train(TracerPythonScript):
    def configure_tracer(self) -> Tracer:
        tracer = super().configure_tracer()
        tracer.add_traced(textwrap.TextWrapper, "__init__", pre_fn=self.add_width)
        return tracer

    def add_width(self, wrapper, *args, **kwargs):
        kwargs["width"] = 80
        return {}, args, kwargs


class Node(L.LightningWork):
    def run(self, main_address: str, main_port: int, num_nodes: int, node_rank: int):
        assert main_port > 0
        self.told = f"{main_address} {num_nodes} {node_rank}"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.told = ""


class Root(L.LightningFlow):
    def __init__(self):
        super().__init__()
        for name in ("a.py", "b.py"):
            Path(name).write_text(SCRIPT if name == "a.py" else "print('popen')")
        self.train = Train("a.py", script_args="--rate=0.1", outputs=["model"], parallel=False)
        self.job = PopenPythonScript(script_path="b.py", cloud_compute=L.CloudCompute("cpu-small"))
        self.nodes = MultiNode(Node, num_nodes=2, cloud_compute=L.CloudCompute("gpu"))

    def run(self):
        self.train.run(params={"size": 3}, layers=[1, 2])
        self.job.run()
        self.nodes.run()
        if all(work.has_succeeded for work in self.nodes.ws):
            print(self.train.model.name, [work.told for work in self.nodes.ws])
            for name in ("a.py", "b.py"):
                os.remove(name)
            self.stop("Scripts end")


app = L.LightningApp(Root())
