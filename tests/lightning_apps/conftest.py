"""A fixture of several files: verbs of the command line in forks."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.forked_scripts import ForkedScripts


@pytest.fixture
def verb(forked_scripts: ForkedScripts) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that does the same as `run_verb`, in a process that is forked: it starts faster."""
    return partial(forked_scripts.run_to_end, Path(__file__).with_name("give_verb.py"))
