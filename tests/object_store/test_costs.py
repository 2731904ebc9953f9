"""How many requests each operation sends: each one costs time on a slow store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.object_store.cache import Cache
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.connection import parse_url
from lightning_lite.storage.object_store.manifest import Manifest
from lightning_lite.storage.object_store.store import ObjectStore
from lightning_lite.testing import poll_until

from tests.support.object_proxy import Proxy
from tests.support.store_user import User, look


def test_a_small_put_takes_three_requests_and_a_get_two(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("first", "text")  # tries the conditions of the store
    for path in ("a", "x/y", "first"):
        proxy.requests.clear()
        user_by_proxy.put(path, "text")
        assert [method for method, _ in proxy.requests] == ["GET", "PUT", "PUT"]
        proxy.requests.clear()
        assert user_by_proxy.get(path) == "text"
        assert [method for method, _ in proxy.requests] == ["GET", "GET"]
        proxy.requests.clear()
        user_by_proxy.delete(path)
        assert [method for method, _ in proxy.requests] == ["GET", "PUT"]


def test_another_process_pays_one_request_more_at_its_first_put(
    user_by_proxy: User, proxy: Proxy, url: str, cache: Path
):
    user_by_proxy.put("a", "text")
    proxy.requests.clear()
    User(ObjectStore(url, "drive", cache=str(cache)), user_by_proxy.here).put("a", "text")
    assert len(proxy.requests) == 4


def test_content_that_is_on_this_machine_is_not_fetched_again(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("a", {"1": "one", "2": "two" * 100_000})
    first = user_by_proxy.get("a")
    proxy.requests.clear()
    assert user_by_proxy.get("a") == first
    assert len(proxy.requests) == 1


def test_small_files_of_a_folder_share_an_object(user_by_proxy: User, proxy: Proxy):
    tree = {f"{number:03}": f"text {number}" for number in range(300)}
    user_by_proxy.put("first", "")
    proxy.requests.clear()
    user_by_proxy.put("tree", tree)
    assert len(proxy.requests) == 3
    proxy.requests.clear()
    assert user_by_proxy.get("tree") == tree
    assert len(proxy.requests) == 2
    assert user_by_proxy.get("tree/007") == "text 7"


def test_a_listing_takes_one_request_and_one_for_each_first_name(user_by_proxy: User, proxy: Proxy):
    assert user_by_proxy.store.names((), owner=None, recursive=False) == []
    assert len(proxy.requests) == 2  # the second one finds out whether an object store has answered
    for name in ("a", "b", "c"):
        user_by_proxy.put(f"{name}/x", "text")
    proxy.requests.clear()
    assert user_by_proxy.store.names((), owner=None, recursive=True) == ["a/x", "b/x", "c/x"]
    assert len(proxy.requests) == 4
    proxy.requests.clear()
    assert user_by_proxy.store.names(("a",), owner=None, recursive=False) == ["a/x"]
    assert len(proxy.requests) == 1


def test_a_put_into_ten_thousand_files_takes_three_requests(user_by_proxy: User, proxy: Proxy, url: str):
    user_by_proxy.put("many/other", "text")
    client, key = Client(parse_url(url)), parse_url(url).key("drives", "drive", "top", "many")
    stored = client.read(key)
    assert stored is not None
    manifest = Manifest("many", stored.body)
    nodes = manifest.spaces["anna"]["d"]["many"]["d"]
    for number in range(10_000):  # to put so many files takes seconds
        nodes[f"{number:05}"] = {**nodes["other"]}
    body = manifest.encoded("mark")
    client.upload(key, body, len(body))
    proxy.requests.clear()
    user_by_proxy.put("many/new", "text")
    assert len(proxy.requests) == 3
    assert user_by_proxy.get("many/new") == "text"
    page = user_by_proxy.store.page(("many",), owner=None, after=("many/09997", "anna"), limit=9)
    assert [entry.name for entry in page.entries] == ["many/09998", "many/09999", "many/new", "many/other"]
    assert page.total == 10_002


def wait_for_later_times(folder: Path) -> None:
    """Wait until a file that is used gets a later time than those before: the system gives times in steps."""

    def time_of_use() -> int:
        (folder / "probe").touch()
        return (folder / "probe").stat().st_mtime_ns

    before = time_of_use()
    poll_until(lambda: time_of_use() > before)


def test_a_full_cache_loses_what_was_not_used_for_the_longest_time(
    proxy: Proxy, url: str, own_place: Path, cache: Path
):
    user = User(ObjectStore(url, "drive", cache=str(cache), cache_bytes=250_000), own_place)
    for name in ("a", "b", "c"):
        user.put(name, name * 100_000)

    def is_fetched(name: str) -> bool:
        proxy.requests.clear()
        assert user.get(name) == name * 100_000
        wait_for_later_times(own_place)
        return proxy.count("/data/") > 0

    assert [is_fetched(name) for name in ("a", "b", "a", "b")] == [True, True, False, False]
    assert [is_fetched(name) for name in ("c", "c", "b", "a")] == [True, False, False, True]
    assert sum(file.stat().st_size for file in (cache / "objects").iterdir()) <= 250_000


def test_a_cache_is_listed_once_for_many_new_objects_and_their_number_is_limited(
    own_place: Path, monkeypatch: pytest.MonkeyPatch
):
    looks: list[str] = []
    scandir = syscalls.scandir

    def look_into(path: str) -> Any:
        looks.append(path)
        return scandir(path)

    def fill(folder: str, names: int, **limits: int) -> int:
        one = Cache(f"{own_place}/{folder}", **limits)
        for number in range(names):
            with one.opened(f"{number}", 0, lambda fd: None):
                pass
        return len(os.listdir(f"{own_place}/{folder}/objects"))

    monkeypatch.setattr(syscalls, "scandir", look_into)
    assert fill("big", 200) == 200
    assert sum(path.endswith("/objects") for path in looks) <= 1
    assert fill("small", 250, most=100) <= 101


def test_an_object_that_is_too_big_for_the_cache_is_got_all_the_same(
    proxy: Proxy, url: str, own_place: Path, cache: Path
):
    user = User(ObjectStore(url, "drive", cache=str(cache), cache_bytes=1000), own_place)
    tree = {"big": "x" * 200_000, "small": "1"}
    user.put("tree", tree)
    assert user.get("tree") == tree
    assert user.get("tree/big") == tree["big"]
    with user.store.open(("tree", "big"), owner=None) as file:
        assert len(file.read()) == 200_000
    assert look(cache / "objects").keys() <= {name for name in look(cache / "objects") if "-" in name}
