"""A load balancer gets many requests, so a second server is started; after the load it is ended.

Needs the extra `lightning`.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from pydantic import BaseModel

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.components import AutoScaler, PythonServer


class Number(BaseModel):
    number: int


class Square(BaseModel):
    square: int
    server: str


class Batch(BaseModel):
    inputs: list[Number]


class Squares(BaseModel):
    outputs: list[Square]


class Model(PythonServer):
    def __init__(self, **options: Any) -> None:
        super().__init__(input_type=Batch, output_type=Squares, **options)

    def setup(self) -> None:
        self._pause = threading.Event()

    def predict(self, request: Batch) -> Squares:
        self._pause.wait(0.02)  # a real model takes the same time for a batch as for one input
        return Squares(outputs=[Square(square=n.number**2, server=self.name) for n in request.inputs])


class Clients(LightningWork):
    """Sixteen clients ask until two servers have answered."""

    def run(self, url: str) -> None:
        servers: set[str] = set()
        number_wrong = 0
        with httpx.Client(timeout=30) as client, ThreadPoolExecutor(16) as threads:
            while len(servers) < 2:
                asked = [threads.submit(client.post, url, json={"number": n}) for n in range(64)]
                answers = [each.result().json() for each in asked]
                number_wrong += sum(answer["square"] != n**2 for n, answer in enumerate(answers))
                servers |= {answer["server"] for answer in answers}
        print(f"{' and '.join(sorted(servers))} have answered, {number_wrong} answers were wrong")


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.scaler = AutoScaler(
            Model,
            min_replicas=1,
            max_replicas=2,
            scale_out_interval=0.1,  # seconds; the default is 10
            scale_in_interval=0.1,
            max_batch_size=4,
            timeout_batching=0.01,
            input_type=Number,
            output_type=Square,
        )
        self.clients = Clients(parallel=True)

    def run(self) -> None:
        self.scaler.run()
        if self.scaler.ready:
            self.clients.run(f"{self.scaler.load_balancer.url}/api/predict")
        if self.clients.has_succeeded and len(self.scaler.servers) == 1:
            self.stop("The load has ended, and one server is left.")


LightningApp(Root()).run(ui=False)
