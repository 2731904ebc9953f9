"""Two servers behind a load balancer, which makes batches; another work asks it, and one of the servers."""

from typing import Any

import httpx
import lightning as L
from lightning.app.components import PythonServer
from lightning.app.components.serve import Number, Text
from lightning.app.components.serve.auto_scaler import AutoScaler
from pydantic import BaseModel


class BatchRequest(BaseModel):
    inputs: list[Text]


class BatchResponse(BaseModel):
    outputs: list[Number]


class Length(PythonServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, input_type=BatchRequest, output_type=BatchResponse, **kwargs)

    def setup(self):
        self._model = len

    def predict(self, requests: BatchRequest):
        return BatchResponse(outputs=[{"prediction": self._model(each.text)} for each in requests.inputs])


class TwoServers(AutoScaler):
    def scale(self, replicas: int, metrics: dict) -> int:
        return 2


class Client(L.LightningWork):
    def run(self, url, server_url):
        print(*(httpx.post(url, json={"text": text}, timeout=60).json() for text in ("four", "five")))
        print(httpx.post(server_url, json={"inputs": [{"text": "six"}]}, timeout=60).json())


class Root(L.LightningFlow):
    def __init__(self):
        super().__init__()
        self.server = TwoServers(
            Length,
            min_replicas=1,
            max_replicas=4,
            scale_out_interval=0,
            endpoint="predict",
            input_type=Text,
            output_type=Any,
            timeout_batching=0.1,
        )
        self.client = Client()

    def run(self):
        self.server.run()
        if self.server.ready and self.server.num_pending_works == 0 and self.server.num_replicas == 2:
            server = self.server.workers[0]
            assert server.ready
            self.client.run(self.server.load_balancer.url + "/predict", server.url + "/predict")
            self.stop(f"{self.server.num_replicas} servers")


app = L.LightningApp(Root())
