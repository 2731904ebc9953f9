"""Run the first program of the README with this Python, and compare its output with the text below it.

Usage: PYTHON tools/first_app.py

`make test-wheel` runs it with the Python of an environment that has the wheel and nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"

#: Seconds. A bound on hanging, not on speed.
TIMEOUT = 100.0

_PROGRAM = re.compile(
    r"^```python\n(?P<source>.*?)^```$\n\n^```text\n(?P<printed>.*?)^```$", re.DOTALL | re.MULTILINE
)


def first_program(page: str) -> tuple[str, str]:
    r"""Return source and expected output of the first program of a page.

    Raises:
        ValueError: The page has no program with a text below it.

    Example:
        >>> first_program("# Title\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n")
        ('print(1)\n', '1\n')
    """
    found = _PROGRAM.search(page)
    if found is None:
        raise ValueError(f"{README.name} has no ```python block with a ```text block below it; write one.")
    return found["source"], found["printed"]


def main() -> int:
    """Run the program in an empty folder, outside of this checkout; return the exit code."""
    source, expected = first_program(README.read_text("utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(source, "utf-8")
        done = subprocess.run(
            [sys.executable, "app.py"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    if (done.returncode, done.stdout) != (0, expected):
        print(
            f"The first app of {README.name} ended with exit code {done.returncode} and printed "
            f"{done.stdout!r}; {expected!r} was expected.",
            file=sys.stderr,
        )
        return 1
    print(f"The first app of {README.name} printed {expected.strip()!r}, as expected.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
