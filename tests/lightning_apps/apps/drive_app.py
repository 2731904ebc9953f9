"""Two works share a file through a drive that the flow hands to both."""

import os

from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.storage import Drive


class Writer(LightningWork):
    def run(self, drive: Drive):
        with open("report.txt", "w") as report:
            report.write("42 rows")
        drive.put("report.txt")
        os.remove("report.txt")


class Reader(LightningWork):
    def run(self, drive: Drive):
        print(drive.list("."), os.path.exists("report.txt"))
        drive.get("report.txt")
        with open("report.txt") as report:
            print(report.read())


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.drive = Drive("lit://reports")
        self.writer = Writer()
        self.reader = Reader()

    def run(self):
        self.writer.run(self.drive)
        self.reader.run(self.drive)
        self.stop("Both works have ended.")


app = LightningApp(Root())
