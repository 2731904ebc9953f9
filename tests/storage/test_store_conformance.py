"""The promises of every `Store`: a new one has to pass this suite.

A store is made by a function of an empty folder; add it to `STORES`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lightning_lite.storage.base import CheckedFile, Destination, Source, Store
from lightning_lite.storage.errors import (
    DriveAmbiguous,
    DriveDuplicate,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveNotFound,
    DriveNotOwner,
    DriveSymlink,
)
from lightning_lite.storage.object_store.store import ObjectStore
from lightning_lite.storage.stores import open_store

from tests.support.object_stores import ObjectServer
from tests.support.store_user import TREE, User, make, remove

STORES: dict[str, Callable[[Path, ObjectServer], Store]] = {
    "local": lambda folder, server: open_store(str(folder), "drive"),
    "object": lambda folder, server: ObjectStore(server.new_url(), "drive", cache=f"{folder}/cache"),
}


@pytest.fixture(params=STORES)
def store(request, object_server: ObjectServer, own_place: Path) -> Store:
    return STORES[request.param](own_place.parent / "store", object_server)


@pytest.fixture
def user(store: Store, own_place: Path) -> User:
    return User(store, own_place)


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_put_is_got(user: User, durable: bool):
    for content in ("text", "", "x" * 300_000, TREE, {}):
        user.put("x/y", content, durable=durable)
        assert user.get("x/y") == content
        user.delete("x/y")
        with pytest.raises(DriveNotFound):
            user.get("x/y")


def test_a_second_put_replaces_the_first(user: User):
    for content in ("one", "two"):
        user.put("a", content)
        assert user.get("a") == content
    for content in (TREE, {"only": "this"}):
        user.put("tree", content)
        assert user.get("tree") == content


def test_a_part_of_a_folder_can_be_got_alone(user: User):
    user.put("tree", TREE)
    assert user.get("tree/inner/b") == "2"
    assert user.get("tree/inner") == TREE["inner"]
    user.put("tree/inner/c", "3")
    user.delete("tree/a")
    assert user.get("tree") == {"inner": {"b": "2", "c": "3", "empty": {}}}


def test_lists(user: User):
    assert user.list() == user.list("x") == []
    user.put("b", "1")
    user.put("a", TREE)
    assert user.list() == ["a", "b"]
    assert user.list("a") == ["a/a", "a/inner"]
    assert user.list(recursive=True) == ["a/a", "a/inner/b", "b"]
    assert user.list("b") == user.list("b", recursive=True) == ["b"]
    assert user.list("a/nothing") == user.list("b/nothing") == []


def test_a_folder_is_read_page_by_page(user: User):
    names = [f"{number:02}" for number in range(10)]
    user.put("x", dict.fromkeys(names, "text"))
    user.put("x", {"03": "more text", "07": {"inner": "1"}}, owner="ben", exclusive=False)
    pages, after = [], ("", "")
    while page := user.store.page(("x",), owner=None, after=after, limit=5).entries:
        pages.append(page)
        after = page[-1].name, page[-1].owner
    assert [len(page) for page in pages] == [5, 5, 2]
    entries = [entry for page in pages for entry in page]
    assert sorted(entries) == user.store.entries(("x",), owner=None, recursive=False)
    assert entries == sorted(entries, key=lambda entry: (entry.name, entry.owner))


def test_a_page_knows_how_many_entries_there_are(user: User):
    user.put("x", {"a": {"1": "", "2": ""}, "b": "1"})
    user.put("x", {"b": "2", "c": "3"}, owner="ben", exclusive=False)
    for path, total in (((), 2), (("x",), 4), (("x", "a"), 2), (("x", "c"), 1), (("z",), 0)):
        page = user.store.page(path, owner=None, after=("", ""), limit=1)
        assert page.total == total, path
        assert len(page.entries) == min(total, 1), path
        assert user.store.page(path, owner="anna", after=("", ""), limit=9).total <= total, path


def test_folders_are_told_from_files(user: User):
    user.put("file", "text")
    user.put("tree", TREE)
    kinds = {
        path: user.store.is_folder(path, owner=None)
        for path in [("file",), ("tree",), ("tree", "a"), ("no",)]
    }
    assert kinds == {("file",): False, ("tree",): True, ("tree", "a"): False, ("no",): False}
    assert not user.store.is_folder(("tree",), owner="berta")


def test_owners(user: User):
    user.put("a", "anna's")
    with pytest.raises(DriveDuplicate) as caught:
        user.put("a", "berta's", owner="berta")
    assert caught.value.owner == "anna"
    assert user.store.owners(("a",)) == ["anna"]
    user.put("a", "berta's", owner="berta", exclusive=False)
    assert user.store.owners(("a",)) == ["anna", "berta"]
    with pytest.raises(DriveAmbiguous):
        user.get("a")
    assert user.get("a", owner="berta") == "berta's"
    assert user.list() == user.list(owner="berta") == ["a"]
    user.delete("a")
    with pytest.raises(DriveNotOwner):
        user.delete("a")
    assert user.get("a") == "berta's"


def test_files_and_folders_do_not_replace_each_other(user: User):
    user.put("file", "text")
    user.put("folder", TREE)
    with pytest.raises(DriveIsDirectory):
        user.put("folder", "text")
    with pytest.raises(DriveNotADirectory):
        user.put("file", TREE)
    with pytest.raises(DriveNotADirectory):
        user.put("file/below", "text")
    assert (user.get("file"), user.get("folder")) == ("text", TREE)


@pytest.mark.parametrize("content", ["text", TREE], ids=["file", "tree"])
def test_what_was_moved_is_in_the_drive_only(user: User, content: object):
    user.put("x", content, move=True)
    assert user.get("x") == content
    assert os.listdir(user.here) == []


def test_open_reads_one_version(user: User):
    user.put("a", "old")
    with user.store.open(("a",), owner=None) as file:
        user.put("a", "new")
        assert file.read() == b"old"
    with pytest.raises(DriveNotFound):
        user.store.open(("nothing",), owner=None)


def test_a_wait_ends_when_the_path_arrives_or_at_the_timeout(user: User):
    assert not user.store.wait(lambda: bool(user.store.owners(("a",))), 0.1)
    thread = threading.Timer(0.1, lambda: user.put("a", "text"))
    thread.start()
    assert user.store.wait(lambda: bool(user.store.owners(("a",))), 60)
    thread.join()


def test_progress_is_reported(user: User):
    counts: list[int] = []
    user.put("a", "x" * 500_000, on_progress=counts.append)
    assert sum(counts) == 500_000


def test_a_draft_is_moved_into_the_drive_and_removed_otherwise(user: User):
    with user.store.draft() as moved, user.store.draft() as left:
        for path in (moved, left):
            Path(path).write_text("text")
        source = Source(moved, "/", follow_symlinks=True, check=lambda names, folder: None)
        user.store.put(
            "anna", ("a",), source, exclusive=True, move=True, durable=False, on_progress=lambda count: None
        )
    assert user.get("a") == "text"
    assert not Path(moved).exists()
    assert not Path(left).exists()


def test_a_local_path_can_be_read(user: User):
    user.put("x/y", "text")
    assert Path(user.store.local_path("anna", ("x", "y"))).read_text() == "text"
    assert not Path(user.store.local_path("anna", ("nothing",))).exists()


def test_verify_finds_no_problem_in_an_undamaged_drive(user: User):
    user.put("a", "text")
    user.put("tree", TREE)
    found = list(user.store.verify(hashes=True))
    assert all(isinstance(item, CheckedFile) and item.digest for item in found)
    assert sorted(item.size for item in found) == [1, 1, 4]


def put_folder(user: User, **options: object) -> None:
    source = Source(
        f"{user.here}/source",
        str(user.here),
        follow_symlinks=False,
        check=lambda names, folder: None,
        **options,
    )
    user.store.put("anna", ("tree",), source, exclusive=True, move=False, durable=False)
    remove(user.here / "source")


def test_links_inside_a_folder_are_kept_or_stored_as_their_content(user: User):
    for keep_links in (False, True):
        make(user.here / "source", TREE)
        (user.here / "source/link").symlink_to("inner/b")
        put_folder(user, keep_links=keep_links)
        user.store.get(("tree",), Destination(str(user.here), ("target",), overwrite=True), owner=None)
        assert (user.here / "target/link").is_symlink() == keep_links
        assert (user.here / "target/link").read_text() == "2"
        (user.here / "target/link").unlink()
        remove(user.here / "target")
        assert user.get("tree/link") == "2"
    assert all(isinstance(item, CheckedFile) for item in user.store.verify(hashes=False))


def test_hard_links_inside_a_folder_are_kept(user: User):
    make(user.here / "source", TREE)
    os.link(user.here / "source/a", user.here / "source/inner/again")
    put_folder(user)
    user.store.get(("tree",), Destination(str(user.here), ("target",)), owner=None)
    assert (user.here / "target/a").samefile(user.here / "target/inner/again")


def test_a_destination_is_reached_through_a_link_to_another_folder_only_if_asked(user: User, own_place: Path):
    user.put("a", "text")
    (own_place.parent / "far").mkdir()
    (own_place / "link").symlink_to(own_place.parent / "far")
    with pytest.raises(DriveSymlink):
        user.store.get(("a",), Destination(str(own_place), ("link", "a")), owner=None)
    user.store.get(("a",), Destination(str(own_place), ("link", "a"), follow_symlinks=True), owner=None)
    assert (own_place.parent / "far/a").read_text() == "text"
