"""A list and a dict of works that grow in `run`, and a plain list that becomes a structure."""

from lightning import LightningApp, LightningFlow, LightningWork
from lightning.app.structures.dict import Dict
from lightning.app.structures.list import List


class Square(LightningWork):
    def __init__(self):
        super().__init__(cache_calls=False, parallel=False)
        self.result = None

    def run(self, number):
        self.result = number**2


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.queue = List()
        self.named = Dict()
        self.fixed = [Square(), Square()]

    def run(self):
        if len(self.queue) == 0:
            self.queue.append(Square())
            self.named["late"] = Square()
        works = [*self.queue, *self.named.values(), *self.fixed]
        for number, work in enumerate(works, 2):
            if work.result is None:
                work.run(number)
        print([(work.name, work.result) for work in works])
        self.stop("Structures end")


app = LightningApp(Root())
