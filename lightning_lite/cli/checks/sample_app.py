"""A small app for the self-test: two works that share a file through a drive.

The doctor runs it as a program (`python -m lightning_lite.cli.checks.sample_app`), so its classes are sent to
the works by value, like the classes of any script.
"""

from __future__ import annotations

from lightning_lite.app.app import LightningApp
from lightning_lite.storage.drive import Drive
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.work import LightningWork

_TEXT = "Hello World !"


class Producer(LightningWork):
    """Puts a file."""

    def run(self, drive: Drive) -> None:
        """Write a file in the working directory and put it."""
        with open("a.txt", "w", encoding="ascii") as file:
            file.write(_TEXT)
        drive.put("a.txt")


class Consumer(LightningWork):
    """Gets the file."""

    def run(self, drive: Drive) -> str:
        """Return the content of the file."""
        with open(drive.get("a.txt", to="b.txt"), encoding="ascii") as file:
            return file.read()


class Root(LightningFlow):
    """Runs the producer, then the consumer."""

    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://self-test")
        self.producer = Producer()
        self.consumer = Consumer()

    def run(self) -> None:
        """Run both works, and compare the texts."""
        self.producer.run(self.drive)
        text = self.consumer.run(self.drive)
        if text != _TEXT:
            self.fail(f"put {_TEXT!r}, got {text!r}")
        self.stop()


if __name__ == "__main__":
    LightningApp(Root()).run()
