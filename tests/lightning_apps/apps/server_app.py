"""A model is served, and another work asks it."""

import httpx
import lightning as L
from lightning.app.components import PythonServer
from lightning.app.components.serve import Number, Text


class Length(PythonServer):
    def __init__(self):
        super().__init__(input_type=Text, output_type=Number)

    def setup(self):
        self._model = len

    def predict(self, request):
        return {"prediction": self._model(request.text)}


class Client(L.LightningWork):
    def run(self, url):
        print(httpx.post(url + "/predict", json={"text": "four"}, timeout=60).json())


class Root(L.LightningFlow):
    def __init__(self):
        super().__init__()
        self.server = Length()
        self.client = Client()

    def run(self):
        self.server.run()
        if self.server.ready:
            self.client.run(self.server.url)
            self.stop("Server end")


app = L.LightningApp(Root())
