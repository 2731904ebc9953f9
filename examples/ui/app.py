"""An app to look at on the page: it has something for each view, and takes about 30 seconds.

    lightning-lite run --ui app.py     # with the page; the app runs until Ctrl-C
    python app.py 0.1                  # without it: 0.1 seconds for each epoch, and the app ends by itself

Four works fit a curve to the same points at different rates, and another one draws the results. One call is
repeated, one fails for good, and one is interrupted by a restart.
"""

import csv
import json
import random
import struct
import sys
import threading
import zlib

import psutil

from lightning_lite import Drive, LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Path, Payload

EPOCHS = 60
STAYS = len(sys.argv) == 1
SECONDS = 0.35 if STAYS else float(sys.argv[1])

GREEN, YELLOW, RESET = "\033[32m", "\033[33m", "\033[0m"

Curve = tuple[float, float, float]
Point = tuple[float, float]


class Load(LightningWork):
    """Fails at its first attempt, which is repeated."""

    def __init__(self) -> None:
        super().__init__(retries=2, retry_delay=3 * SECONDS)
        self.attempts = 0
        self.points = Path("points.csv")  # the flow passes it on, and other works read the file

    def run(self, address: str, count: int) -> int:
        self.attempts += 1
        if self.attempts == 1:
            raise ConnectionError(f"{address} does not answer")
        noise = random.Random(1)
        with self.points.open("w", newline="") as file:
            for step in range(count):
                x = 2 * step / count - 1
                csv.writer(file).writerow([x, 0.3 - 0.4 * x + x * x + 0.2 * (noise.random() - 0.5)])
        return count


class Train(LightningWork):
    """Fits a curve by gradient descent. Each assignment to an attribute is on the page at once."""

    def __init__(self, rate: float) -> None:
        super().__init__(parallel=True, raise_exception=False)
        self.rate = rate
        self.loss: float | None = None
        self.progress = (0, EPOCHS)
        self.curve: Payload | None = None

    def run(self, drive: Drive, points: Path) -> float:
        with points.open(newline="") as file:
            data = [(float(x), float(y)) for x, y in csv.reader(file)]
        curve, losses = (0.0, 0.0, 0.0), list[float]()
        for epoch in range(1, EPOCHS + 1):
            curve, loss = descend(curve, data, self.rate)
            losses.append(loss)
            self.loss, self.progress = loss, (epoch, EPOCHS)
            if loss > 1000:
                raise ArithmeticError(f"the loss is {loss:.0f}: a rate of {self.rate} is too high")
            if epoch % 20 == 0:
                color = GREEN if loss < 0.01 else YELLOW
                print(f"epoch {epoch}: loss {color}{loss:.4f}{RESET}")
            threading.Event().wait(SECONDS)
        self.curve = Payload(curve)  # any object; the flow only gets a reference to it
        put(drive, f"losses/{self.rate}.csv", "\n".join(["loss", *map(str, losses)]).encode())
        put(drive, f"losses/{self.rate}.svg", line_chart(losses).encode())
        return losses[-1]


class Draw(LightningWork):
    """Gets several calls at once: it runs one, and the others wait."""

    def __init__(self) -> None:
        super().__init__(parallel=True)

    def run(self, drive: Drive, name: str, curve: Payload) -> None:
        threading.Event().wait(5 * SECONDS)
        put(drive, f"{name}.png", picture(curve.value))


class Report(LightningWork):
    def run(self, drive: Drive, losses: dict[float, float]) -> None:
        rows = "".join(f"<tr><td>{rate}<td>{loss:.4f}" for rate, loss in losses.items())
        put(drive, "report.html", f"<!doctype html><table><tr><th>rate<th>loss{rows}</table>".encode())
        put(drive, "report.json", json.dumps(losses).encode())


class Watch(LightningWork):
    """Runs until it is stopped, and measures how busy the machine is."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.busy = 0.0

    def run(self) -> None:
        while True:
            self.busy = psutil.cpu_percent(interval=0.5)


class CountFiles(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.files = 0

    def run(self, drive: Drive, look: int) -> None:
        self.files = len(drive.list(recursive=True))


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://results")
        self.load = Load()
        self.trainers = [Train(rate) for rate in (0.02, 0.1, 0.5, 2.5)]
        self.draw = Draw()
        self.report = Report()
        self.watch = Watch()
        self.count_files = CountFiles()
        self.looks = 0
        self.steps: list[str] = []

    def run(self) -> None:
        self.watch.run()
        if self.schedule("* * * * * */5"):  # every five seconds
            self.count_files.run(self.drive, self.looks)
            self.looks += 1

        self.load.run("https://example.org/points", 200)
        self.begins("training")
        for trainer in self.trainers:
            trainer.run(self.drive, self.load.points)
        losses = self.wait_for(*self.trainers)  # None for the call that failed

        if self.begins("drawing"):
            self.watch.restart()
        for trainer in self.trainers:
            if trainer.curve is not None:
                self.draw.run(self.drive, f"curve-{trainer.rate}", trainer.curve)
        found = {trainer.rate: loss for trainer, loss in zip(self.trainers, losses) if loss is not None}
        self.report.run(self.drive, found)
        self.wait_for(self.draw)

        if not STAYS:
            self.stop(f"{len(found)} of {len(losses)} trainings succeeded")
        self.begins("looking: all is done, the app runs until Ctrl-C")

    def begins(self, step: str) -> bool:
        """Return whether a step begins now. This flow runs from its first line after each change."""
        if step in self.steps:
            return False
        self.steps.append(step)
        print(step, flush=True)
        return True


def descend(curve: Curve, points: list[Point], rate: float) -> tuple[Curve, float]:
    """Return a better curve, and the mean squared error of the given one."""
    a, b, c = curve
    errors = [(x, a + b * x + c * x * x - y) for x, y in points]
    slopes = [sum(error * x**power for x, error in errors) * 2 / len(points) for power in range(3)]
    better = (a - rate * slopes[0], b - rate * slopes[1], c - rate * slopes[2])
    return better, sum(error * error for _, error in errors) / len(points)


def put(drive: Drive, name: str, content: bytes) -> None:
    """Write a file, and move it into the drive."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    drive.put(name, move=True)


def line_chart(values: list[float]) -> str:
    """Return an SVG picture of a line through values."""
    step, top = 300 / len(values), max(values)
    points = " ".join(f"{step * i:.1f},{100 - 100 * value / top:.1f}" for i, value in enumerate(values))
    line = f'<polyline points="{points}" fill="none" stroke="teal"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-5 -5 310 110">{line}</svg>'


def picture(curve: Curve, size: int = 200) -> bytes:
    """Return a PNG picture of a curve between -1 and 1: one byte of grey for each pixel."""
    a, b, c = curve
    heights = [a + b * x + c * x * x for x in (2 * column / size - 1 for column in range(size))]
    rows = [bytes(255 if 2 * row / size > 2 - y else 40 for y in heights) for row in range(size)]
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one part of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


app = LightningApp(Flow())
app.run()
