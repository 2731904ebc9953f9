"""The app of the README: three works run at the same time, and the flow takes the best of their values."""

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Train(LightningWork):
    def run(self, rate: float) -> float | None:  # in a process of its own; None until it has ended
        return (rate - 0.3) ** 2


class Search(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.trials = [Train(parallel=True, raise_exception=False) for _ in range(3)]

    def run(self) -> None:  # again whenever something has changed
        for trial, rate in zip(self.trials, (0.1, 0.2, 0.4)):
            trial.run(rate)
        losses = self.wait_for(*self.trials)  # None for a call that failed
        found = [loss for loss in losses if loss is not None]
        if not found:
            self.fail("all trials failed")
        self.stop(f"best loss: {min(found):.2f}")


LightningApp(Search()).run()
