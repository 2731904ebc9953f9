"""Counts how many modules of lightning_lite one warm operation enters in the main process.

    python tools/walk.py call
    python tools/walk.py put get list delete
    python tools/walk.py call --files

A *change* is a Python call into another file than the call before; a *return* is a change to a file that was
entered before. The processes are real. Only the main thread is counted, from the start of the operation to
its answer. Constructors of named tuples are not counted: they are generated code.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import lightning_lite
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive

PACKAGE = f"{os.path.dirname(os.path.abspath(lightning_lite.__file__))}{os.sep}"

#: How often an operation runs before it is counted.
WARM = 20


class Walk:
    """The calls of one operation, as the files of the package that they enter.

    Attributes:
        files: For each Python call into the package, the path of its file below the package.
    """

    def __init__(self) -> None:
        self.files: list[str] = []

    def start(self) -> None:
        """Begin to count in this thread."""
        sys.setprofile(self._profile)

    def stop(self) -> None:
        """Stop to count."""
        sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(PACKAGE):
            self.files.append(file.removeprefix(PACKAGE))

    @property
    def order(self) -> list[str]:
        """The files, each once, in the order in which they were entered first."""
        return list(dict.fromkeys(self.files))

    def summary(self, name: str) -> str:
        """Return one line with the counts."""
        changes = sum(file != before for file, before in zip(self.files, ["", *self.files], strict=False))
        files = len(self.order)
        return f"{name}: {len(self.files)} calls, {files} files, {changes} changes, {changes - files} returns"


class Double(LightningWork):
    """Answers at once."""

    def run(self, number: int) -> int:
        """Return the double."""
        return 2 * number


class Ask(LightningFlow):
    """Makes calls, and counts the last one.

    Args:
        walk: The counter.
    """

    def __init__(self, walk: Walk) -> None:
        super().__init__()
        self.double = Double()
        self._walk = walk
        self._number = 0

    def run(self) -> None:
        """Ask for the next call; the pass that gets its answer asks for the next one."""
        while self._number <= WARM:
            if self._number == WARM:
                self._walk.start()
            self.double.run(self._number)
            self._walk.stop()
            self._number += 1
        self.stop()


def walk_call(walk: Walk) -> None:
    """Count one call of a work, from the line of the flow to its value."""
    LightningApp(Ask(walk)).run(view=False)


def walk_drive(verb: str) -> Callable[[Walk], None]:
    """Return a function that counts one verb of a drive, on a file of one byte."""

    def count(walk: Walk) -> None:
        drive = Drive("lit://walk")
        Path("file").write_bytes(b"x")
        verbs: dict[str, Callable[[], object]] = {
            "put": lambda: drive.put("file"),
            "get": lambda: drive.get("file", to="copy"),
            "list": drive.list,
            "delete": lambda: drive.delete("file"),
        }
        for number in range(WARM + 1):
            if verb != "put":
                drive.put("file")
            if number == WARM:
                walk.start()
            verbs[verb]()
            walk.stop()

    return count


WALKS = {"call": walk_call, **{verb: walk_drive(verb) for verb in ("put", "get", "list", "delete")}}


def main() -> None:
    """Count the operations that are named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("operations", nargs="+", choices=WALKS, metavar="|".join(WALKS))
    parser.add_argument("--files", action="store_true", help="also list the files, in order")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for operation in options.operations:
            walk = Walk()
            WALKS[operation](walk)
            sys.stdout.write(f"{walk.summary(operation)}\n")
            for file in walk.order if options.files else ():
                sys.stdout.write(f"    {file}\n")
        os.chdir("/")


if __name__ == "__main__":
    main()
