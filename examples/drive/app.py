"""Two works share a file: the flow creates a drive and passes it to both."""

import os

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive


class Work_1(LightningWork):
    def run(self, drive: Drive) -> None:
        # 1. Create a file.
        with open("a.txt", "w") as f:
            f.write("Hello World !")

        # 2. Put it into the drive.
        drive.put("a.txt")

        # 3. Delete the local copy.
        os.remove("a.txt")


class Work_2(LightningWork):
    def run(self, drive: Drive) -> None:
        print(drive.list("."))  # ['a.txt']

        print(os.path.exists("a.txt"))  # False

        drive.get("a.txt")  # Copy it from the drive to this folder.

        print(os.path.exists("a.txt"))  # True

        with open("a.txt") as f:
            print(f.read())  # Hello World !


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.drive_1 = Drive("lit://drive_1")
        self.work_1 = Work_1()
        self.work_2 = Work_2()

    def run(self) -> None:
        # Each line waits until its call has ended; the drive is an argument of the call.
        self.work_1.run(self.drive_1)
        self.work_2.run(self.drive_1)
        self.stop("Application End!")


app = LightningApp(Flow())
app.run()
