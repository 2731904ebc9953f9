"""An app with commands and an API in the manner of Lightning's example runs as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lightning_lite.testing import poll_until

from tests.support.page_servers import Server
from tests.support.processes import DEADLINE, finish, starting

pytestmark = pytest.mark.dependencies

APP = Path(__file__).parent / "served_apps" / "commands_and_api_app.py"


def test_commands_and_requests_reach_an_app_of_lightning(own_place, verb):
    def give(*words):
        done = verb(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    errors = own_place / "errors.txt"
    with starting() as start, open(errors, "w") as file:
        process = start("-m", "lightning_lite", "run", "app", APP, "--open-ui", "false", stderr=file)
        poll_until(lambda: "#token=" in errors.read_text(), DEADLINE)
        server = Server(process, errors.read_text().split("The page of this run: ")[1].split()[0])

        assert "nested_trigger --name=...  Add a name from below." in give("connect", "app", "localhost")
        assert give("nested_trigger", "--name=something") == "got something\n"
        assert give("add_with_client", "--upper", "--name=is") == "added\n"
        assert server.get("/user/version").data == {"version": "1.0"}
        body = json.dumps({"name": "awesome"}).encode()
        reply = server.send("POST", "/user/names", {"Content-Type": "application/json"}, body)

        assert reply.data == {"name": "awesome"}
        code, out, _ = finish(process)
        assert (code, out) == (0, "['IS', 'awesome'] ['something']\n")
