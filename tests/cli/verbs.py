"""Calls verbs in this process, which is faster than a process for each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from lightning_lite.cli.main import main


class Output(NamedTuple):
    """Exit code and output of a verb."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The decoded JSON of the standard output."""
        assert self.code in (0, 1), self
        return json.loads(self.out)


#: Calls a verb on one root, with further words.
Verb = Callable[..., Output]


def call(capfd: pytest.CaptureFixture[str], *words: object) -> Output:
    """Call a verb, and return its exit code and its output."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    out, err = capfd.readouterr()
    assert "Traceback" not in err
    return Output(int(end.value.code or 0), out, err)


def work_of(verb: Verb, name: str) -> Any:
    """Return the data that `status` shows of the work `root.<name>`."""
    return next(work for work in verb("status", "--json").data["works"] if work["name"] == f"root.{name}")


def is_refused(output: Output, code: int, *parts: str) -> None:
    """Assert that a verb printed one line of error, with all these parts, and nothing else."""
    assert (output.code, output.out) == (code, ""), output
    lines = [line for line in output.err.splitlines() if not re.match(r"Usage: |Try |$", line)]
    assert len(lines) == 1, output.err
    assert lines[0].startswith("Error: ")
    for part in parts:
        assert part in lines[0]
