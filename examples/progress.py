"""Two works train at the same time; their progress is state, so the flow sees each change at once."""

import math

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Trainer(LightningWork):
    def __init__(self, rate: float) -> None:
        super().__init__(parallel=True)
        self.rate = rate
        self.epoch = 0
        self.loss: float | None = None

    def run(self, epochs: int) -> None:
        weight = 0.0
        for epoch in range(1, epochs + 1):
            for _ in range(20_000):
                weight -= self.rate * 2 * (weight - math.pi) / 20_000
            self.loss = round((weight - math.pi) ** 2, 4)  # an assignment is sent to the flow at once
            self.epoch = epoch


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.slow = Trainer(rate=0.1)
        self.fast = Trainer(rate=1.0)
        self.best = ""

    def run(self) -> None:
        # This runs again after each change of state of the two works.
        self.slow.run(epochs=5)
        self.fast.run(epochs=5)

        if self.slow.loss is not None and self.fast.loss is not None:
            best = "fast" if self.fast.loss <= self.slow.loss else "slow"
            if best != self.best:
                print(f"{best} is ahead")
                self.best = best

        if self.slow.has_succeeded and self.fast.has_succeeded:
            self.stop(f"slow: {self.slow.loss}, fast: {self.fast.loss}, each after {self.fast.epoch} epochs")


app = LightningApp(Flow())
app.run()
