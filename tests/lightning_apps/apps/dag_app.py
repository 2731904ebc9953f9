"""A graph of works: one makes numbers, several fit them at the same time, the last one compares."""

from lightning_app import CloudCompute, LightningApp, LightningFlow, LightningWork
from lightning_app.storage import Payload
from lightning_app.structures import Dict, List


class Collect(LightningWork):
    def __init__(self):
        super().__init__(cloud_compute=CloudCompute("cpu-small"))
        self.numbers = None

    def run(self, count: int):
        self.numbers = Payload(list(range(count)))


class Fit(LightningWork):
    def __init__(self, power: int):
        super().__init__(parallel=True)
        self.power = power
        self.score = None

    def run(self, numbers: Payload):
        self.score = sum(number**self.power for number in numbers.value)


class Compare(LightningWork):
    def __init__(self):
        super().__init__()
        self.best = None

    def run(self, scores: dict):
        self.best = max(scores, key=scores.get)


class Dag(LightningFlow):
    def __init__(self, powers):
        super().__init__()
        self.collect = Collect()
        self.fits = Dict(**{f"power_{power}": Fit(power) for power in powers})
        self.compare = Compare()

    def run(self, count):
        self.collect.run(count)
        for fit in self.fits.values():
            fit.run(self.collect.numbers)
        if all(fit.has_succeeded for fit in self.fits.values()):
            self.compare.run({name: fit.score for name, fit in self.fits.items()})


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.dags = List(Dag([1, 2]), Dag([3]))

    def run(self):
        for index, dag in enumerate(self.dags):
            dag.run(index + 3)
        if all(dag.compare.has_succeeded for dag in self.dags):
            print([dag.compare.best for dag in self.dags])
            self.stop("All graphs have ended.")


app = LightningApp(Root())
