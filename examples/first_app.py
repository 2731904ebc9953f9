"""The app of the README: three works run at the same time, and the flow takes the best of their values."""

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Train(LightningWork):
    def run(self, rate: float) -> float | None:  # in a process of its own; None until it has ended
        return (rate - 0.3) ** 2


class Search(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.trials = [Train(parallel=True) for _ in range(3)]

    def run(self) -> None:  # again whenever something has changed
        losses = [trial.run(rate) for trial, rate in zip(self.trials, (0.1, 0.2, 0.4))]
        ended = [loss for loss in losses if loss is not None]
        if len(ended) == len(losses):
            self.stop(f"best loss: {min(ended):.2f}")


LightningApp(Search()).run()
