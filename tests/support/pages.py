"""The programs on the pages: each runs, and prints the text below it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import run_script

PROJECT = Path(__file__).parents[2]
PAGES = [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]

_PROGRAM = re.compile(
    r"^```python\n(?P<source>.*?)^```$(?:\n\n^```text\n(?P<printed>.*?)^```$)?", re.DOTALL | re.MULTILINE
)

# Only `make test-ml` installs these.
_LARGE_PACKAGE = re.compile(r"^(?:from|import) (?:sklearn|torch|gradio|streamlit)\b", re.MULTILINE)


class Program(NamedTuple):
    """A program on a page, and its expected output.

    Attributes:
        place: Page and line.
        source: The program.
        printed: Its output.
        needs_large_packages: Whether it imports a package that only `make test-ml` installs.
    """

    place: str
    source: str
    printed: str
    needs_large_packages: bool


def programs() -> list[Program]:
    """Return the programs of all pages, in order."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for match in _PROGRAM.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            source = match["source"]
            found.append(
                Program(
                    f"{page.relative_to(PROJECT)}:{line}",
                    source,
                    match["printed"] or "",
                    _LARGE_PACKAGE.search(source) is not None,
                )
            )
    return found


def run_program(program: Program, folder: Path, scripts: ForkedScripts | None = None) -> str:
    """Run a program as `app.py` in `folder`, and return its output.

    Args:
        program: The program.
        folder: Where its file is written.
        scripts: The process that runs it; by default it gets an interpreter of its own.
    """
    script = folder / "app.py"
    script.write_text(program.source, "utf-8")
    return scripts.run(script) if scripts else run_script(script)
