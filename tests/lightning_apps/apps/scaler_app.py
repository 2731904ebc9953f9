"""Two servers behind a load balancer, which makes batches."""

from typing import Any

import httpx
import lightning as L
from lightning.app.components import Number, PythonServer, Text
from lightning.app.components.serve.auto_scaler import AutoScaler
from pydantic import BaseModel


class BatchRequest(BaseModel):
    inputs: list[Text]


class BatchResponse(BaseModel):
    outputs: list[Number]


class Length(PythonServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, input_type=BatchRequest, output_type=BatchResponse, **kwargs)

    def predict(self, requests: BatchRequest):
        return BatchResponse(outputs=[{"prediction": len(each.text)} for each in requests.inputs])


class TwoServers(AutoScaler):
    def scale(self, replicas: int, metrics: dict) -> int:
        return 2


class Client(L.LightningWork):
    def run(self, url):
        print(*(httpx.post(url, json={"text": text}, timeout=60).json() for text in ("four", "five")))


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
            self.client.run(self.server.load_balancer.url + "/predict")
            self.stop(f"{self.server.num_replicas} servers")


app = L.LightningApp(Root())
