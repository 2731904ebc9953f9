"""The values that `configure_api` may return, and the errors for other values."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from lightning_lite import LightningApp, LightningFlow, extras
from lightning_lite.api import Delete, Get, Post, Put, Route
from lightning_lite.app.api_routes import collect_routes
from lightning_lite.context import current_caller
from lightning_lite.errors import ComponentDefinitionError

from tests.support.processes import run_python

pytestmark = pytest.mark.dependencies


class Root(LightningFlow):
    """Returns from `configure_api` the routes of the test."""

    def __init__(self, make):
        super().__init__()
        self._make = make

    def run(self):
        self.stop("ran")

    def method(self):
        return 1

    def configure_api(self):
        return self._make(self)


def test_all_kinds_of_routes_are_collected():
    root = Root(lambda flow: [kind("/a", flow.method) for kind in (Get, Post, Put, Delete)])

    assert [(route.verb, route.route) for route in collect_routes(root)] == [
        ("GET", "/a"),
        ("POST", "/a"),
        ("PUT", "/a"),
        ("DELETE", "/a"),
    ]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda flow: None,
            "configure_api of root must return a list of Get, Post, Put and Delete. Found None",
        ),
        (lambda flow: {"/a": flow.method}, "must return a list"),
        (lambda flow: ["/a"], "must return only Get, Post, Put and Delete. Found '/a'"),
        (lambda flow: [Route("/a", len)], "must return only"),
        (lambda flow: [Post("/command/x", len)], "The route `/command` is reserved for commands"),
        (lambda flow: [Get("/api/runs", len)], "the page has the address '/api/runs'"),
        (lambda flow: [Get("/", len)], "the page has the address '/'"),
        (lambda flow: [Get("/a", len), Get("/a", repr)], "GET /a leads to repr and to len"),
        (lambda flow: [Get("a", len)], "Get('a'): the route must be a text that begins with /"),
        (lambda flow: [Get("/a", "len")], "must be a method or a function"),
        (lambda flow: [Get("/a", len, timeout=0)], "the timeout must be a number of seconds"),
        (lambda flow: [Get("/a", takes_anything)], "GET /a leads to takes_anything, which FastAPI refuses"),
    ],
)
def test_anything_else_ends_the_app_with_a_sentence(make, text, own_place):
    with pytest.raises(ComponentDefinitionError, match=re.escape(text)):
        LightningApp(Root(make)).run()


class Anything:
    pass


def takes_anything(value: Anything) -> None:
    pass


def test_without_fastapi_the_app_runs_and_one_line_says_what_to_install(monkeypatch, capfd, own_place):
    found = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "fastapi" else found(name))

    LightningApp(Root(lambda flow: [Get("/a", flow.method)])).run()

    out, err = capfd.readouterr()
    assert out == "ran\n"
    assert err == (
        "The API of this app is not served: it needs fastapi, which is not installed "
        "(pip install 'lightning-lite-apps[lightning]').\n"
    )


def test_without_the_command_channel_one_line_says_so(capfd, own_place):
    LightningApp(Root(lambda flow: [Get("/a", flow.method)])).run(command_channel=False)

    assert "The API of this app is not served: it needs the command channel" in capfd.readouterr().err


def test_an_app_without_routes_messages_pages_and_settings_imports_nothing_for_them(own_place):
    (own_place / "pyproject.toml").write_text("[project]\nname = 'mine'\n")
    unneeded = {
        *("fastapi", "starlette", "lightning_lite.app.app_api"),
        *("apprise", "requests"),
        "lightning_lite.frontends.process_frontend",
        "tomllib",
    }
    program = (
        "import sys\n"
        "from lightning_lite import LightningApp\n"
        "from lightning_lite.testing import EmptyFlow\n"
        "class Root(EmptyFlow):\n"
        "    def run(self):\n"
        "        self.stop()\n"
        "LightningApp(Root(), on_end=lambda end: None).run()\n"
        f"print(sorted({unneeded!r} & sys.modules.keys()))\n"
    )
    done: subprocess.CompletedProcess[str] = run_python("-c", program)

    assert (done.stdout, done.stderr) == ("[]\n", ""), sys.executable


def test_configure_api_is_called_as_the_flow_of_this_run():
    seen = []

    def make(flow: LightningFlow) -> list[Route]:
        seen.append(current_caller())
        return []

    LightningApp(Root(make), durable=True).run("inline")

    assert {(caller.kind, caller.component, caller.durable) for caller in seen} == {("flow", "root", True)}
    assert all(caller.values for caller in seen)
