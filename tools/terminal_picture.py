"""Draw the picture of the terminal on the first page of the README: a real run on a real terminal.

Usage: python tools/terminal_picture.py [FILE]

It runs an app like that of the tutorial, slowed down, on a pseudo-terminal, waits until the screen shows the
search in the middle, and writes that screen as an SVG file (docs/images/terminal.svg).
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
from itertools import groupby
from pathlib import Path
from time import monotonic

import pyte
from pyte.screens import Char
from rich.console import Console
from rich.style import Style
from rich.text import Text

COLUMNS, LINES = 92, 19

#: Seconds until the screen must show the moment of the picture.
TIME_LIMIT = 60.0

#: The picture is taken when this is on the screen: the search is in the middle.
MOMENT = re.compile(r"root\.fits\.4 +running .*7\d%")

APP = """
import random
import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Collect(LightningWork):
    def run(self, weeks):
        chance = random.Random(2)
        print("collecting the sales of", weeks, "weeks")
        return [round(chance.gauss(100, 20)) for _ in range(7 * weeks)]


class Fit(LightningWork):
    def __init__(self, rate):
        super().__init__(parallel=True)
        self.rate = rate
        self.progress = 0.0

    def run(self, sales):
        forecast, error = sales[:7], 0.0
        for day in range(7, len(sales)):
            threading.Event().wait(0.002 * (1 + self.rate))
            miss = sales[day] - forecast[day % 7]
            forecast[day % 7] += self.rate * miss
            error += abs(miss)
            self.progress = (day + 1) / len(sales)
            if day % 91 == 90:
                print(f"week {(day + 1) // 7}: {error / (day - 6):.1f} loaves off")
        return error / (len(sales) - 7)


class Forecast(LightningFlow):
    def __init__(self):
        super().__init__()
        self.collect = Collect()
        self.fits = [Fit(rate) for rate in (0.05, 0.1, 0.2, 0.4, 0.8)]

    def run(self):
        sales = self.collect.run(weeks=208)
        for fit in self.fits:
            fit.run(sales)
        self.stop(f"{min(self.wait_for(*self.fits)):.1f} loaves off")


LightningApp(Forecast()).run()
"""


def screen_of_app(source: str, moment: re.Pattern[str]) -> pyte.Screen:
    """Run an app on a pseudo-terminal, and return the screen as soon as it shows the moment.

    Args:
        source: The script of the app.
        moment: The text that the screen shall show.

    Raises:
        TimeoutError: The screen did not show it in time.
    """
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    stream.feed(b"\x1b[2m$ \x1b[0mpython bakery.py\r\n")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "bakery.py")
        script.write_text(source, "utf-8")
        variables = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        app = subprocess.Popen(
            [sys.executable, str(script)], stdin=slave, stdout=slave, stderr=slave, cwd=folder,
            env={**variables, "TERM": "xterm-256color", "LIGHTNING_LITE_ROOT": folder},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        try:
            deadline = monotonic() + TIME_LIMIT
            while not moment.search("\n".join(screen.display)):
                ready, _, _ = select.select([master], [], [], max(0.0, deadline - monotonic()))
                if not ready:
                    raise TimeoutError("the terminal shows\n" + "\n".join(screen.display))
                stream.feed(os.read(master, 65536))
        finally:
            app.send_signal(signal.SIGINT)
            while app.poll() is None:  # it writes while it ends, and would wait for a full terminal
                if select.select([master], [], [], 0.1)[0]:
                    os.read(master, 65536)
            os.close(slave)
            os.close(master)
    return screen


def style_of(char: Char) -> Style:
    """Return the style in which a character of the screen is drawn."""
    names = {"brown": "yellow", "default": "default"}

    def color(name: str) -> str:
        if re.fullmatch("[0-9a-f]{6}", name):
            return f"#{name}"
        return names.get(name, name.replace("bright", "bright_"))

    return Style(
        color=color(char.fg),
        bgcolor=color(char.bg),
        bold=char.bold,
        italic=char.italics,
        reverse=char.reverse,
    )


def picture(screen: pyte.Screen, title: str) -> str:
    """Return a screen as the text of an SVG file.

    Args:
        screen: The screen.
        title: The title of the window.
    """
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        console = Console(
            width=COLUMNS, file=nowhere, record=True, color_system="truecolor", force_terminal=True
        )
        for number in range(LINES):
            line = Text()
            characters = [screen.buffer[number][column] for column in range(COLUMNS)]
            for style, group in groupby(characters, style_of):
                line.append("".join(char.data for char in group), style)
            console.print(line, no_wrap=True)
        svg = console.export_svg(title=title, unique_id="terminal")
    # The font is on another server, and a browser loads no font for a picture.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=Path("docs/images/terminal.svg"))
    file = parser.parse_args().file
    file.write_text(picture(screen_of_app(APP, MOMENT), "python bakery.py"), "utf-8")
    print(file)


if __name__ == "__main__":
    main()
