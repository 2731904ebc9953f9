"""A small grid search: the flow gets the values that `run` returns in the processes of works."""

from typing import NamedTuple

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Result(NamedTuple):
    rate: float
    steps: int
    loss: float


class Trainer(LightningWork):
    # The flow gets None while the call runs, because the work is parallel.
    def run(self, rate: float, steps: int) -> Result | None:
        weight = 0.0
        for _ in range(steps):
            weight -= rate * 2 * (weight - 3.0)
        return Result(rate, steps, (weight - 3.0) ** 2)


class GridSearch(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.trainers = [Trainer(parallel=True), Trainer(parallel=True)]

    def run(self) -> None:
        grid = [(rate, steps) for rate in (0.01, 0.1, 0.4) for steps in (5, 20)]

        # Each trainer gets every second point, and runs its calls one after the other. A call that has ended
        # returns its value in each later pass; a call that has not ended returns None.
        results = [self.trainers[i % 2].run(rate, steps) for i, (rate, steps) in enumerate(grid)]
        ended = [result for result in results if result is not None]

        if len(ended) == len(results):
            best = min(ended, key=lambda result: result.loss)
            print(f"{len(ended)} points, two processes")
            self.stop(f"best: rate={best.rate}, steps={best.steps}, loss={best.loss:.6f}")


app = LightningApp(GridSearch())
app.run()
