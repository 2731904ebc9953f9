"""Objects that no manifest names are deleted when they are old, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_lite.storage.errors import DriveOSError, DriveWarning
from lightning_lite.storage.object_store import store as object_stores
from lightning_lite.storage.object_store import sweep

from tests.support.object_proxy import Proxy
from tests.support.store_user import TREE, User

pytestmark = pytest.mark.dependencies

WEEK = 7 * 86400


def no_age(patch: pytest.MonkeyPatch) -> None:
    """Let each object be old enough to be deleted, also one that is younger than a second."""
    patch.setattr(sweep, "MAX_AGE", -2.0)


def test_a_sweep_deletes_replaced_versions_and_leaves_the_named(
    user: User, objects, monkeypatch: pytest.MonkeyPatch
):
    user.put("a", "old")
    user.put("a", "new")
    user.put("b", TREE)
    user.put("b", TREE)
    user.put("c", "text")
    user.delete("c")
    before = objects()
    assert user.store.sweep() == 0  # they are young
    assert objects() == before
    no_age(monkeypatch)
    assert user.store.sweep() == 3
    assert len(objects()) == len(before) - 3
    assert user.store.sweep() == 0
    assert user.get("a") == "new"
    assert user.get("b") == TREE


def test_what_a_put_that_failed_has_sent_is_deleted(
    user_by_proxy: User, proxy: Proxy, objects, monkeypatch: pytest.MonkeyPatch
):
    user_by_proxy.put("a", "text")
    named = objects()
    proxy.refuse = lambda method, path: (403, "AccessDenied") if method == "PUT" and "/top/" in path else None
    with pytest.raises(PermissionError):
        user_by_proxy.put("b", "text")
    proxy.refuse = lambda method, path: None
    assert len(objects()) == 2
    no_age(monkeypatch)
    assert user_by_proxy.store.sweep() == 1
    assert objects() == named


@pytest.mark.parametrize("behind", [2 * WEEK, -2 * WEEK])
def test_the_age_is_measured_by_the_clock_of_the_store(
    user_by_proxy: User, proxy: Proxy, objects, behind: int
):
    user_by_proxy.put("a", "old")
    user_by_proxy.put("a", "new")
    proxy.ages = behind
    assert user_by_proxy.store.sweep() == 0
    assert len(objects()) == 2


def test_a_put_that_takes_so_long_that_a_sweep_deletes_its_content_is_refused(
    user_by_proxy: User, proxy: Proxy, objects, url: str, monkeypatch: pytest.MonkeyPatch
):
    user_by_proxy.put("a", "old")
    named = objects()

    def before(method: str, path: str) -> None:
        if method == "PUT" and "/data/" in path:
            monkeypatch.setattr(sweep, "MAX_AGE", 0.0)

    proxy.before = before
    with pytest.raises(DriveOSError, match=r"took more than .* nothing was put"):
        user_by_proxy.put("a", "new")
    proxy.before = lambda method, path: None
    no_age(monkeypatch)
    assert user_by_proxy.store.sweep() == 1
    assert objects() == named
    assert user_by_proxy.get("a") == "old"


def test_a_reader_whose_version_is_swept_gets_the_newer_one(
    user_by_proxy: User, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    user_by_proxy.put("a", {"x": "old"})
    no_age(monkeypatch)
    replaced = []

    def before(method: str, path: str) -> None:
        if method == "GET" and "/data/" in path and not replaced:
            replaced.append(path)
            with monkeypatch.context() as patch:
                patch.setattr(sweep, "MAX_AGE", float(WEEK))
                other.put("a", {"x": "new"})
            assert other.store.sweep() == 1

    here = user_by_proxy.here / "other"
    here.mkdir()
    other = User(
        object_stores.ObjectStore(user_by_proxy.store._arguments[0], "drive", cache=f"{here}/c"), here
    )
    proxy.before = before
    assert user_by_proxy.get("a") == {"x": "new"}
    assert replaced


def test_a_put_whose_sweep_is_refused_is_done(
    user_by_proxy: User, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(object_stores, "_SWEEP_EVERY", 1)
    proxy.refuse = lambda method, path: (403, "AccessDenied") if "-clock" in path else None
    with pytest.warns(DriveWarning, match="could not be deleted"):
        user_by_proxy.put("a", "text")
    assert user_by_proxy.get("a") == "text"


def test_one_put_of_many_sweeps_its_drive(user: User, objects, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(object_stores, "_SWEEP_EVERY", 1)
    monkeypatch.setattr(sweep, "MAX_AGE", 1e9)
    user.put("a", "old")
    user.put("a", "new")
    assert len(objects()) == 2
    swept: list[Path] = []
    monkeypatch.setattr(object_stores, "sweep", lambda *_: swept.append(Path()) or 0)
    user.put("a", "newer")
    assert swept
