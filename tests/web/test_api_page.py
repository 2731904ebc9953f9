"""The page of the API: its commands run, their answers have the shown form, and its reference is complete."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from served_example import serving_example

from tests.cli.short_apps import RunningApp
from tests.support.page_servers import Server
from tests.support.pages import PROJECT

pytestmark = pytest.mark.dependencies

PAGE = (PROJECT / "docs" / "api.md").read_text("utf-8")

#: Each command of the page that asks the server, and the lines below it.
COMMANDS = [
    (match[1], match[2].strip())
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for match in re.finditer(r"^\$ (curl .*)\n((?:[^$\n].*\n)*)", block, re.MULTILINE)
]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, RunningApp]]:
    """A server, and the app of the example."""
    with serving_example(tmp_path_factory.mktemp("page")) as both:
        yield both


def form(value: Any) -> Any:
    """Return the names and types in an answer; ids and lengths of arrays do not count."""
    if isinstance(value, dict):
        return {re.sub(r"\d{8}-\d{9}-\w{6}", "ID", name): form(item) for name, item in value.items()}
    if isinstance(value, list):
        return [form(value[0])] if value else []
    return type(value).__name__


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_of_the_page_answer_as_it_shows(asked: tuple[Server, RunningApp]):
    server, app = asked
    environ = {**os.environ, "URL": f"http://{server.host}", "TOKEN": server.token, "RUN": app.run.id}

    assert len(COMMANDS) >= 8
    for command, shown in COMMANDS:
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done)
        if shown.startswith("{"):
            assert form(json.loads(done.stdout)) == form(json.loads(shown)), command
            if "error" in shown or "done" in shown:
                same = ("looked", "hits", "next")
                found, expected = json.loads(done.stdout), json.loads(shown)
                assert {k: v for k, v in found.items() if k not in same} == {
                    k: v for k, v in expected.items() if k not in same
                }
        elif shown:
            assert done.stdout.strip() == shown, command
        if '"stop"' in command:
            # Without a call the app ends, in a terminal not: between later requests, that changes the tag.
            app.process.terminate()
            app.code()


def test_the_page_has_the_reference_of_all_endpoints(capsys: pytest.CaptureFixture[str]):
    runpy.run_path(str(PROJECT / "tools" / "api_table.py"), run_name="__main__")

    reference = capsys.readouterr().out
    assert reference
    assert PAGE.endswith(reference)
