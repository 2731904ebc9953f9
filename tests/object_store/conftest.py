"""Fixtures of the tests of drives in an object store."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightning_lite.storage.object_store import store
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.connection import parse_url
from lightning_lite.storage.object_store.store import ObjectStore

from tests.support.object_proxy import Proxy, object_proxy
from tests.support.object_stores import ObjectServer
from tests.support.store_user import User


@pytest.fixture
def proxy(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Give a server in front of the real one, to which the variables of the environment lead.

    Tests count its requests, so no put sweeps by chance.
    """
    monkeypatch.setattr(store, "_SWEEP_EVERY", sys.maxsize)
    with object_proxy(object_server.port) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running


@pytest.fixture
def url(object_server: ObjectServer, own_place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the url of an empty place; processes of the test keep their copies next to its files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_place.parent / "cache of the user"))
    return object_server.new_url()


@pytest.fixture
def cache(own_place: Path) -> Path:
    return own_place.parent / "cache"


@pytest.fixture
def user(url: str, cache: Path, own_place: Path) -> User:
    return User(ObjectStore(url, "drive", cache=str(cache)), own_place)


@pytest.fixture
def user_by_proxy(proxy: Proxy, user: User) -> User:
    """Give the same, with its requests through the proxy."""
    return user


@pytest.fixture
def objects(url: str) -> Callable[[], set[str]]:
    """Return the ids of all objects with content."""
    place = parse_url(url)
    return lambda: {
        one.key.rpartition("/")[2] for one in Client(place).listing(place.key("drives", "drive", "data"))
    }
