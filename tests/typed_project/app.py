from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.structures import Dict

RATES = {"slow": 0.1, "fast": 0.4}


class Train(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.epoch = 0
        self.weight: float | None = None

    def run(self, rate: float, epochs: int = 5) -> float | None:
        self.weight = 0.0
        for self.epoch in range(1, epochs + 1):
            self.weight -= rate * 2 * (self.weight - 3.0)
        return (self.weight - 3.0) ** 2


class Report(LightningWork):
    def run(self, losses: dict[str, float]) -> str:
        return ", ".join(f"{name}: {loss:.4f}" for name, loss in losses.items())


class Search(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.trials: Dict[str, Train] = Dict()
        self.report = Report()

    def run(self) -> None:
        losses: dict[str, float] = {}
        for name, rate in RATES.items():
            if name not in self.trials:
                self.trials[name] = Train()
            loss = self.trials[name].run(rate)
            if loss is not None:
                losses[name] = loss
        if len(losses) == len(RATES):
            self.stop(self.report.run(losses))


app = LightningApp(Search())
app.run()
print(f"{app.root.trials['fast'].epoch} epochs")
