"""Fixtures of several folders: the place of drives, and a process that runs scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite.storage import stores

from tests.support.forked_scripts import ForkedScripts, forking_scripts
from tests.support.object_stores import ObjectServer


@pytest.fixture
def remote_place(
    object_server: ObjectServer, own_place: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Return the url of an empty place on an object store, at which the drives of the test are."""
    url = object_server.new_url()
    monkeypatch.setenv("LIGHTNING_LITE_DRIVES", url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(own_place.parent / "cache"))
    yield url
    stores._open_object_store.cache_clear()  # it has open connections


@pytest.fixture(params=["files", "objects"])
def drives_place(request: pytest.FixtureRequest, running_object_server: ObjectServer) -> str | None:
    """Let the drives of a test be in plain files, then on an object store; return the url of that.

    The server is an argument, so that it starts before the test begins, and is not a process that it leaves.
    """
    return str(request.getfixturevalue("remote_place")) if request.param == "objects" else None


@pytest.fixture(scope="session")
def forked_scripts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedScripts]:
    """Give `ForkedScripts` for tests of the output of scripts, not of the start of their processes."""
    with forking_scripts(tmp_path_factory.mktemp("forked")) as scripts:
        yield scripts
