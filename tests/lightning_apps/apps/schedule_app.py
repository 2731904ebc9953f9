"""A flow with a schedule, which is due at once the first time, and a loop that goes on where it was."""

import argparse

from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.utilities.app_helpers import pretty_state


class Report(LightningWork):
    def __init__(self):
        super().__init__()
        self.titles = []

    def run(self, title):
        self.titles.append(title)


class Root(LightningFlow):
    def __init__(self, titles):
        super().__init__()
        self.report = Report()
        self.titles = titles
        self.started = False

    def run(self):
        if self.schedule("hourly", user_key="report"):
            self.started = True
        if not self.started:
            return
        for title in self.experimental_iterate(self.titles, run_once=True):
            self.report.run(title)
        print(pretty_state(self.report.state))
        self.stop("Schedule end")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--titles", nargs="+", default=["none"])
    app = LightningApp(Root(parser.parse_args().titles))
