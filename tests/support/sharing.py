"""Apps that share files by drives, by a path and by a payload, and one file without an owner.

The processes of works import this module, so it is light.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Any

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.storage import Drive, FileSystem, Path, Payload


class Make(LightningWork):
    """Puts, keeps and assigns a text, and returns the names in the drive that a program of its own sees."""

    def __init__(self) -> None:
        super().__init__()
        self.path: Any = None
        self.data: Any = None

    def run(self, drive: Drive, text: str) -> str:
        """Share the text in each way."""
        pathlib.Path("note.txt").write_text(text)
        drive.put("note.txt")
        self.path = Path("lit://made/out.txt")
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        self.path.write_text(text)
        self.data = Payload([text])
        FileSystem().put("note.txt", "/shared.txt")
        code = "from lightning_lite.storage import Drive; print(Drive('lit://d').list())"
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


class Use(LightningWork):
    """Returns the text from each place; the file of the path is gone before, as on another machine."""

    def run(self, drive: Drive, path: Path, data: Payload) -> tuple[str, str, object]:
        """Get the text in each way."""
        pathlib.Path(path).unlink()
        text = path.get().read_text()
        return pathlib.Path(drive.get("note.txt", to="got.txt")).read_text(), text, data.value


class Sharing(LightningFlow):
    """Runs both works."""

    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://d")
        self.make, self.use = Make(), Use()
        self._listed: str | None = None
        self._answer: tuple[str, str, object] | None = None

    def run(self) -> None:
        """Run both, and keep their answers."""
        self._listed = self.make.run(self.drive, "hello")
        self._answer = self.use.run(self.drive, self.make.path, self.make.data)
        self.stop()


class Put(LightningWork):
    """Puts a file of its own."""

    def run(self, drive: Drive, number: int) -> None:
        """Put it."""
        pathlib.Path(f"{number}.txt").write_text("text")
        drive.put(f"{number}.txt")


class Names(LightningWork):
    """Returns the names in a drive."""

    def run(self, drive: Drive) -> list[str]:
        """List them."""
        return drive.list()


class Parallel(LightningFlow):
    """Lets three works put files at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.drive = Drive("lit://parallel", allow_duplicates=True)
        self.one, self.two, self.three = (Put(parallel=True) for _ in range(3))
        self.names = Names()
        self._listed: list[str] | None = None

    def run(self) -> None:
        """Run all, and keep the names of the files."""
        works = (self.one, self.two, self.three)
        for number, work in enumerate(works):
            work.run(self.drive, number)
        self.wait_for(*works)
        self._listed = self.names.run(self.drive)
        self.stop()
