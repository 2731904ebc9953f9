"""The way of one call and of one put is as short as the architecture page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def walk(operation: str) -> tuple[dict[str, int], list[str]]:
    """Return the counts of a warm operation by their names, and the files that it enters."""
    command = [sys.executable, str(REPOSITORY / "tools" / "walk.py"), operation, "--files"]
    summary, *files = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    counts = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", summary)}
    return counts, [file.strip().removesuffix(".py") for file in files]


def test_a_call_enters_the_files_that_the_architecture_page_names():
    counts, files = walk("call")
    page = (REPOSITORY / "docs" / "architecture.md").read_text("utf-8")
    section = page.split("## One call in ten lines\n")[1].split("\n## ")[0]
    named = [name for name in re.findall(r"`([a-z_]+(?:/[a-z_]+)*)`", section) if name in files]

    assert counts["files"] == len(files) <= 20
    assert counts["returns"] <= 40
    assert sorted(named) == sorted(files)


def test_a_put_enters_few_files():
    counts, _ = walk("put")
    assert counts["files"] <= 12
