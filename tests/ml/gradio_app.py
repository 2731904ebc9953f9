"""A page of gradio, which a work asks; `python gradio_app.py HOW` says how it ends."""

import os
import sys
import threading

import gradio
from gradio_client import Client

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.components import ServeGradio

HOW = sys.argv[1]


class Page(ServeGradio):
    inputs = gradio.Textbox(label="Name"), gradio.Number(label="Times")
    outputs = gradio.Textbox(label="Greeting"), gradio.JSON()
    examples = [["Ada", 2]]  # noqa: RUF012 - as users write it

    def build_model(self):
        self._thread = threading.get_ident()
        return "Hello {}! "

    def predict(self, greeter, name, times):
        if name == "raise":
            raise RuntimeError("the model is broken")
        if name == "hang":
            print("pid", os.getpid(), flush=True)
            threading.Event().wait()
        return self.model.format(name) * int(times) + greeter, threading.get_ident() == self._thread


class Stream(ServeGradio):
    inputs = outputs = "text"

    def build_model(self):
        return None

    def predict(self, text):
        for end in range(1, len(text) + 1):
            yield text[:end]


class Ask(LightningWork):
    def run(self, page, stream):
        client = Client(page, verbose=False)
        print(client.predict("Bob", 2, api_name="/predict"))
        error = client.submit("raise", 1, api_name="/predict").exception()
        print(type(error).__name__, "broken" in str(error))
        print(list(Client(stream, verbose=False).submit("abc", api_name="/predict")))
        if HOW == "hang":
            client.predict("hang", 1, api_name="/predict")


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.page = Page(parallel=True)
        self.stream = Stream(parallel=True)
        self.ask = Ask()

    def run(self):
        self.page.run("from gradio")
        self.stream.run()
        if self.page.ready and self.stream.ready:
            self.ask.run(self.page.url, self.stream.url)
            self.stop()


LightningApp(Root()).run()
