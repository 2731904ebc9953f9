"""The command line in this process: quicker than a process for each verb."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest

from lightning_lite.cli.main import main


class Said(NamedTuple):
    """What a verb has said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it has said in JSON."""
        assert self.code in (0, 1), self
        return json.loads(self.out)


def call(capfd: pytest.CaptureFixture[str], *words: object) -> Said:
    """Call a verb, and return what it has said."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return Said(int(end.value.code or 0), out, err)


def says_in_one_line(said: Said, code: int, *parts: str) -> None:
    """Assert that a verb has refused something in one line that has all these parts."""
    assert (said.code, said.out) == (code, ""), said
    lines = [line for line in said.err.splitlines() if not re.match(r"Usage: |Try |$", line)]
    assert len(lines) == 1, said.err
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]
