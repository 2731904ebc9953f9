"""Works and flows that are created while the app runs; a process is stopped when its work has ended."""

from lightning.app.core.app import LightningApp
from lightning.app.core.flow import LightningFlow
from lightning.app.core.work import LightningWork
from lightning.app.utilities.enum import WorkStageStatus


class Step(LightningWork):
    def __init__(self, number):
        super().__init__(cache_calls=True, parallel=True)
        self.number = number
        self.done = False

    def run(self):
        self.done = True


class Branch(LightningFlow):
    def __init__(self):
        super().__init__()
        self.finished = 0

    def run(self):
        if not hasattr(self, "step"):
            self.step = Step(2)
        self.step.run()
        if self.step.done:
            self.finished = self.step.number


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.stages = []

    def run(self):
        if not hasattr(self, "step"):
            setattr(self, "step", Step(1))
            setattr(self, "branch", Branch())
        self.step.run()
        if self.step.has_succeeded:
            self.step.stop()
        self.branch.run()
        if self.branch.finished and self.step.status.stage == WorkStageStatus.STOPPED:
            print(self.step.name, self.branch.step.name, self.branch.finished)
            self.stop("Dynamic end")


app = LightningApp(Root())
