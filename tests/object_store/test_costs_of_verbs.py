"""How many requests the verbs of drives, paths and payloads send, and over how many connections."""

from __future__ import annotations

import os

import pytest

from lightning_lite.context import Caller, acting_as
from lightning_lite.storage import Drive, FileSystem, Payload
from lightning_lite.storage import Path as LitPath

from tests.support.files import write
from tests.support.object_proxy import Proxy

pytestmark = pytest.mark.dependencies


class Counter:
    """Counts the requests since the last look."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def look(self) -> str:
        """Return the methods of the requests, and forget them."""
        methods = " ".join(method for method, _ in self._proxy.requests)
        self._proxy.requests.clear()
        return methods


@pytest.fixture
def counter(remote_place: str, proxy: Proxy) -> Counter:
    return Counter(proxy)


def test_the_verbs_of_a_drive_send_no_request_more_than_the_store_needs(counter: Counter):
    drive = Drive("lit://d")
    write("a.txt", "text")
    drive.put("a.txt")
    counter.look()

    drive.put("a.txt")
    assert counter.look() == "GET PUT PUT"
    drive.get("a.txt", to="b.txt")
    assert counter.look() in ("GET", "GET GET")
    assert drive.list() == ["a.txt"]
    assert counter.look() == "GET GET"
    assert drive.exists("a.txt")
    assert counter.look() == "GET"
    drive.delete("a.txt")
    assert counter.look() == "GET PUT"


def test_works_pass_paths_payloads_and_files_with_few_requests(counter: Counter):
    write("a.txt", "text")
    with acting_as(Caller("work", "root.make")):
        path = LitPath("a.txt")
        path.attached("root.make", "path")
        Payload([0]).attached("root.make", "data")
        path.after_run("root.make")
        counter.look()

        write("a.txt", "text 2")
        path.after_run("root.make")
        assert counter.look() == "GET PUT PUT"
        payload = Payload([1])
        payload.attached("root.make", "data")
        assert counter.look() == "GET PUT PUT"
    os.unlink("a.txt")
    with acting_as(Caller("work", "root.use")):
        path.before_run("root.use")
        assert counter.look().count("GET") <= 4
        path.before_run("root.use")
        assert counter.look() == "GET"
        payload = type(payload).__reduce__(payload)[0](*payload.__reduce__()[1])
        assert payload.before_run("root.use").value == [1]
        assert counter.look().count("GET") <= 4
    FileSystem().put("a.txt", "/a.txt")
    counter.look()
    FileSystem().put("a.txt", "/a.txt")
    assert counter.look() == "GET PUT PUT"
