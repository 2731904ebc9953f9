"""The description of the API is true: the answers of each address fit its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from jsonschema import Draft202012Validator
from served_example import serving_example

from lightning_lite.web.endpoint_table import ENDPOINTS
from lightning_lite.web.openapi import describe_api
from lightning_lite.web.schemas import SCHEMAS

from tests.support.page_servers import Reply, Server

pytestmark = pytest.mark.dependencies


class Site:
    """A server on a run that goes on, and the parameters of its addresses."""

    def __init__(self, server: Server, run: str) -> None:
        self.server = server
        self.run = run
        self.document = server.get("/api/openapi.json").data

    def values_of(self, path: str) -> dict[str, Any]:
        """Return the parameters with which an address is asked."""
        work = {"work": "root.train"}
        return {
            "/api/activity": {"run": self.run},
            "/api/runs/{id}/timeline": {**work, "px": 500},
            "/api/runs/{id}/call": {"work": "root.bad", "number": 1},
            "/api/runs/{id}/value": {"component": "root.train", "attribute": "loss"},
            "/api/runs/{id}/numbers": {"attribute": "root.train.loss"},
            "/api/compare": {"run": self.run},
            "/api/runs/{id}/logs/search": {"q": "text"},
            "/api/drives/{id}/preview": {"path": "table.csv"},
            "/api/runs/{id}/actions": {"command": "stack"},
            "/api/tickets": {"kind": "trace", "run": self.run},
        }.get(path, {})

    def ask(self, method: str, path: str, values: dict[str, Any] | None = None) -> Reply:
        """Ask one address with these values, or those that it needs."""
        values = self.values_of(path) if values is None else values
        url = path.replace("{id}", "lit:shared" if "drives" in path else self.run)
        if "drives" in path and "{id}" in path:
            [drive] = self.server.get("/api/drives").data["drives"]
            url = path.replace("{id}", quote(drive["id"], safe=""))
        if method == "post":
            return self.server.post(url, **values)
        return self.server.get(f"{url}?{urlencode(values)}")

    def check(self, reply: Reply, schema: dict[str, Any]) -> None:
        """Check an answer against a schema of the document."""
        validator = Draft202012Validator({**schema, "components": self.document["components"]})
        errors = [
            f"{list(error.absolute_path)}: {error.message}" for error in validator.iter_errors(reply.data)
        ]
        assert errors == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving_example(tmp_path_factory.mktemp("described")) as (server, app):
        yield Site(server, app.run.id)


OPERATIONS = [(each.method.lower(), each.path) for each in ENDPOINTS]


def test_the_description_is_an_openapi_document():
    document = json.loads(json.dumps(describe_api(ENDPOINTS)))

    from openapi_spec_validator import validate  # noqa: PLC0415 - takes long, and each process collects this file

    validate(document)
    assert [(method, path) for path, methods in document["paths"].items() for method in methods] == OPERATIONS


def test_each_schema_is_used():
    text = json.dumps(describe_api(ENDPOINTS))

    assert [name for name in SCHEMAS if f'"#/components/schemas/{name}"' not in text] == []


@pytest.mark.parametrize(("method", "path"), [each for each in OPERATIONS if not each[1].endswith("/resume")])
def test_each_address_answers_what_its_schema_says(site: Site, method: str, path: str):
    reply = site.ask(method, path)

    assert reply.status == 200, reply
    [(kind, content)] = site.document["paths"][path][method]["responses"]["200"]["content"].items()
    assert reply.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json":
        site.check(reply, content["schema"])


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/api/runs/{id}/call", {"work": "root.train", "number": 1}),
        ("/api/runs/{id}/call", {"work": "root.wait", "number": 1}),
        ("/api/runs/{id}/calls", {"text": "reason", "outcome": "failed"}),
        ("/api/runs/{id}/timeline", {"work": "root.bad", "px": 1}),
        ("/api/runs/{id}/timeline", {}),
        ("/api/runs/{id}/value", {"component": "root", "attribute": "drive"}),
        ("/api/runs/{id}/logs", {"work": "root.train", "limit": 1}),
        ("/api/runs/{id}/logs", {"at": 0}),
        ("/api/runs/{id}/logs/search", {"q": "r.d", "regex": 1, "case": 0}),
        ("/api/drives/{id}/preview", {"path": "page.html"}),
        ("/api/drives/{id}", {"path": "nothing"}),
        ("/api/runs", {"state": "running", "text": "root", "limit": 1}),
        ("/api/runs", {"before": "20991201-000000000-abcdef"}),
        ("/api/runs", {"before": "2"}),
    ],
)
def test_other_answers_are_what_the_schema_says(site: Site, path: str, values: dict[str, Any]):
    reply = site.ask("get", path, values)

    if reply.status == 200:
        schema = site.document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"][
            "schema"
        ]
    else:
        assert str(reply.status) in site.document["paths"][path]["get"]["responses"]
        schema = {"$ref": "#/components/schemas/Error"}
    site.check(reply, schema)


@pytest.mark.parametrize(
    ("path", "values", "status"),
    [
        ("/api/runs", {"state": "bogus"}, 400),
        ("/api/runs", {"before": "bogus"}, 400),
        *(
            (path, {"work": "root.nope", **more}, 404)
            for path, more in {
                "/api/runs/{id}/logs": {},
                "/api/runs/{id}/logs/search": {"q": "a"},
                "/api/runs/{id}/calls": {},
                "/api/runs/{id}/call": {"number": 1},
                "/api/runs/{id}/timeline": {},
            }.items()
        ),
        ("/api/compare", {"run": "nope"}, 404),
        ("/api/drives/{id}", {"after": "nope"}, 400),
    ],
)
def test_a_name_of_nothing_is_refused(site: Site, path: str, values: dict[str, Any], status: int):
    reply = site.ask("get", path, values)

    assert reply.status == status, reply
    assert next(value for value in values.values() if value != "a") in reply.error


@pytest.mark.parametrize("work", ["root", "root.train", "root.bad"])  # `root.bad` has printed nothing
def test_each_component_with_output_may_be_asked_for_its_log(site: Site, work: str):
    for path, more in {
        "/api/runs/{id}/logs": {},
        "/api/runs/{id}/logs/search": {"q": "no such text"},
    }.items():
        assert site.ask("get", path, {"work": work, **more}).status == 200


#: They have the time in their answers, measure, or give a ticket; the first ones are not about a run.
CHANGING = ("/api/server", "/metrics", "/api/activity", "/api/runs/{id}/usage", "/api/drives/{id}/preview")


@pytest.mark.parametrize(
    ("method", "path"),
    [each for each in OPERATIONS if each[0] == "get" and each[1] not in (*CHANGING, "/api/drives/{id}")],
)
def test_an_unchanged_answer_has_no_body(site: Site, method: str, path: str):
    first = site.ask(method, path)
    url = f"{path}?{urlencode(site.values_of(path))}".replace("{id}", site.run)

    for _ in range(20):  # the app may write something in between
        reply = site.server.send("GET", url, {"If-None-Match": first.headers["etag"]})
        if reply.status == 304:
            break
        first = reply
    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers["etag"] == first.headers["etag"]


def test_an_unknown_parameter_is_refused(site: Site):
    for method, path in OPERATIONS:
        reply = site.ask(method, path, {**site.values_of(path), "nonsense": "1"})

        assert reply.status == 400, (method, path, reply)
        assert "nonsense" in reply.error, (method, path)
        site.check(reply, {"$ref": "#/components/schemas/Error"})


def test_each_parameter_refuses_what_its_schema_refuses(site: Site):
    for endpoint in ENDPOINTS:
        for parameter in endpoint.parameters:
            wrong: list[Any] = ["x" * 5000] if parameter.kind == "text" else ["x", "", "nan"]
            if parameter.choices:
                wrong.append("nothing")
            if parameter.least is not None and parameter.kind != "text":
                wrong.append(parameter.least - 1)
            if parameter.highest is not None:
                wrong.append(parameter.highest + 1)
            for value in wrong:
                values = {**site.values_of(endpoint.path), parameter.name: value}
                reply = site.ask(endpoint.method.lower(), endpoint.path, values)
                assert reply.status == 400, (endpoint.path, parameter.name, value, reply)
                assert re.match(rf"{parameter.name} must be", reply.error)


def test_a_preview_is_shown_once_in_an_origin_of_its_own(site: Site):
    preview = site.ask("get", "/api/drives/{id}/preview", {"path": "page.html"}).data

    assert preview["kind"] == "html"
    shown = site.server.send("GET", preview["url"], token=False)
    assert (shown.status, shown.body) == (200, b"<script>alert(1)</script>")
    assert shown.headers["content-type"].startswith("text/html")
    assert "content-disposition" not in shown.headers
    assert shown.headers["content-security-policy"].startswith("sandbox allow-scripts;")
    assert site.server.send("GET", preview["url"], token=False).status == 410
    used = site.ask("get", "/api/drives/{id}/preview", {"path": "page.html"}).data["url"]
    assert site.server.send("GET", used.replace("/preview/", "/download/"), token=False).status == 404


def test_a_file_of_a_drive_is_downloaded_and_never_shown(site: Site):
    [drive] = site.server.get("/api/drives").data["drives"]
    url = site.server.post("/api/tickets", kind="file", drive=drive["id"], path="page.html").data["url"]

    reply = site.server.send("GET", url, token=False)

    assert reply.body == b"<script>alert(1)</script>"
    assert reply.headers["content-type"] == "application/octet-stream"
    assert reply.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"


@pytest.mark.parametrize("path", ["../../runs", "/etc/passwd", "a/../../x", "nothing", "."])
def test_only_paths_in_a_drive_are_files(site: Site, path: str):
    [drive] = site.server.get("/api/drives").data["drives"]

    reply = site.server.post("/api/tickets", kind="file", drive=drive["id"], path=path)

    assert reply.status in (400, 404, 409)
    assert reply.error.endswith(".")


@pytest.mark.parametrize("drive", ["..", "lit:nothing", "%2e%2e%2fruns", "@nothing"])
def test_only_ids_of_drives_are_drives(site: Site, drive: str):
    reply = site.server.get(f"/api/drives/{drive}")

    assert reply.status in (400, 404), reply
