"""Content that was put into an object store is got, with everything that a local drive keeps."""

from __future__ import annotations

import os
import re
import warnings
from pathlib import Path

import pytest

from lightning_lite.storage.base import CheckedFile, Destination, Problem, Source
from lightning_lite.storage.errors import (
    DriveDamaged,
    DriveNameClash,
    DriveNotADirectory,
    DriveSourceChanged,
    DriveSymlink,
    DriveWarning,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.object_store import client as client_module
from lightning_lite.storage.object_store import download, upload
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.connection import parse_url
from lightning_lite.storage.object_store.manifest import Manifest, manifest_name
from lightning_lite.storage.object_store.store import ObjectStore

from tests.support.object_proxy import Proxy
from tests.support.store_user import TREE, User, make, remove

pytestmark = pytest.mark.dependencies


def put(user: User, path: str, source: Path, *, move: bool = False, **options: object) -> None:
    user.store.put(
        "anna",
        tuple(path.split("/")),
        Source(
            str(source),
            str(user.here),
            check=lambda names, folder: None,
            **{"follow_symlinks": False, **options},
        ),
        exclusive=True,
        move=move,
        durable=False,
    )


def get(user: User, path: str, name: str = "target") -> Path:
    user.store.get(tuple(path.split("/")), Destination(str(user.here), (name,), overwrite=True), owner=None)
    return user.here / name


def test_permissions_and_times_are_kept(user: User, own_place: Path):
    make(own_place / "t", {"run": "#!", "closed": "1", "inner": {"a": "1"}})
    for path, mode in (("t/run", 0o755), ("t/closed", 0o400), ("t/inner", 0o500), ("t", 0o750)):
        os.utime(own_place / path, ns=(10**18, 10**18 + 123_456_789))
        (own_place / path).chmod(mode)
    put(user, "x", own_place / "t")
    put(user, "run", own_place / "t/run")
    target = get(user, "x")
    for path, mode in (("run", 0o755), ("closed", 0o400), ("inner", 0o500), ("", 0o750)):
        info = (target / path).stat()
        assert (info.st_mode & 0o7777, info.st_mtime_ns) == (mode, 10**18 + 123_456_789)
    alone = get(user, "run", "alone").stat()
    assert (alone.st_mode & 0o7777, alone.st_mtime_ns) == (0o755, 10**18 + 123_456_789)
    for folder in (own_place / "t/inner", target / "inner"):
        folder.chmod(0o700)


def test_extended_attributes_are_kept_or_a_warning_says_so(user: User, own_place: Path):
    make(own_place / "t", TREE)
    try:
        for path in ("t", "t/a"):
            os.setxattr(own_place / path, "user.kind", b"\0\xff")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    put(user, "x", own_place / "t")
    put(user, "a", own_place / "t/a")
    target = get(user, "x")
    assert [os.getxattr(path, "user.kind") for path in (target, target / "a")] == [b"\0\xff"] * 2
    assert os.getxattr(get(user, "a", "alone"), "user.kind") == b"\0\xff"


#: Bytes of a part in the test of parts: the fewest that the interface allows.
LEAST = 5 * 1024 * 1024


@pytest.mark.parametrize("size", [LEAST - 1, LEAST, LEAST + 1, 2 * LEAST + 7])
def test_a_big_file_is_sent_and_fetched_in_parts(
    user_by_proxy: User, proxy: Proxy, own_place: Path, monkeypatch: pytest.MonkeyPatch, size: int
):
    user = user_by_proxy
    for module in (client_module, upload, download):
        monkeypatch.setattr(module, "PART", LEAST)
    content = os.urandom(size)
    (own_place / "big").write_bytes(content)
    counts: list[int] = []
    source = Source(
        str(own_place / "big"), str(own_place), follow_symlinks=False, check=lambda names, folder: None
    )
    user.store.put(
        "anna", ("big",), source, exclusive=True, move=False, durable=False, on_progress=counts.append
    )
    assert sum(counts) == size
    counts.clear()
    user.store.get(("big",), Destination(str(own_place), ("copy",)), owner=None, on_progress=counts.append)
    assert sum(counts) == size
    assert (own_place / "copy").read_bytes() == content
    parts = [path for method, path in proxy.requests if method == "PUT" and "partNumber=" in path]
    assert len(parts) == (0 if size <= LEAST else -(-size // LEAST))


def test_every_name_of_a_drive_is_a_name_in_the_store(user: User):
    names = [
        "a b",
        "50%",
        "x=41",
        "Grüße",
        "日本",
        "a+b&c#d?e",
        "...",
        "~",
        "'\"",
        "a\\b",
        "ﬃ",
        "n" * 255,
        "ß" * 127,
    ]
    user.put("other", "text")
    for name in names:
        user.put(f"{name}/{name}", f"text of {name}")
    assert user.list() == sorted([*names, "other"])
    for name in names:
        assert user.get(f"{name}/{name}") == f"text of {name}"
        assert user.get(name) == {name: f"text of {name}"}
        user.delete(name)
    assert user.list() == ["other"]


def test_names_with_different_manifests_never_share_one():
    names = ["a", "b", "a b", "a=20b", "a%20b", "=a", ".", "..", "...", "~", "=7E", "n" * 255, "m" * 255]
    assert len({manifest_name(name) for name in names}) == len(names)


def test_names_that_differ_only_in_case_are_refused_on_all_levels(user: User, own_place: Path):
    make(own_place / "file", "text")
    put(user, "Top/Inner", own_place / "file", portable=True)
    for other in ("top", "TOP/x", "Top/inner"):
        with pytest.raises(DriveNameClash):
            put(user, other, own_place / "file", portable=True)
    put(user, "Top/Inner", own_place / "file", portable=True)
    put(user, "top", own_place / "file", portable=False)
    assert user.list() == ["Top", "top"]
    assert user.get("top") == "text"
    assert user.get("Top") == {"Inner": "text"}


def test_a_source_that_changes_while_it_is_sent_is_refused(
    user_by_proxy: User, proxy: Proxy, own_place: Path
):
    make(own_place / "file", "old text")
    put(user_by_proxy, "x", own_place / "file")
    for change in (
        lambda file: file.write_text("new text"),
        lambda file: file.write_text("longer text"),
        truncate,
    ):
        make(own_place / "file", "old text")

        def before(method: str, path: str, change=change) -> None:
            if method == "PUT" and "/data/" in path:
                change(own_place / "file")

        proxy.before = before
        with pytest.raises(DriveSourceChanged):
            put(user_by_proxy, "x", own_place / "file")
    proxy.before = lambda method, path: None
    assert user_by_proxy.get("x") == "old text"


def truncate(file: Path) -> None:
    os.truncate(file, 3)


def test_a_source_whose_status_alone_changes_is_put(user_by_proxy: User, proxy: Proxy, own_place: Path):
    make(own_place / "file", "text")
    proxy.before = lambda method, path: (own_place / "file").chmod(0o640)
    put(user_by_proxy, "x", own_place / "file")
    assert get(user_by_proxy, "x").read_text() == "text"


@pytest.mark.parametrize("content", ["text", TREE], ids=["file", "tree"])
def test_a_move_never_removes_a_source_that_has_changed_since(
    user_by_proxy: User, proxy: Proxy, own_place: Path, content: object
):
    make(own_place / "source", content)
    written = own_place / "source" if content == "text" else own_place / "source/inner/b"

    def before(method: str, path: str) -> None:
        if method == "PUT" and "/top/" in path:  # the content is whole by now
            written.write_text("newer")

    proxy.before = before
    with pytest.warns(DriveWarning, match="it has changed since"):
        put(user_by_proxy, "x", own_place / "source", move=True)
    proxy.before = lambda method, path: None
    assert written.read_text() == "newer"
    assert user_by_proxy.get("x") == content


def test_a_move_that_fails_removes_nothing(user_by_proxy: User, proxy: Proxy, own_place: Path):
    make(own_place / "source", TREE)
    user_by_proxy.store.check()
    proxy.refuse = lambda method, path: (403, "AccessDenied") if "/top/" in path and method == "PUT" else None
    with pytest.raises(PermissionError):
        put(user_by_proxy, "x", own_place / "source", move=True)
    assert (own_place / "source/inner/b").read_text() == "2"


def test_a_link_in_a_drive_is_followed_but_nothing_is_put_below_it(user: User, own_place: Path):
    make(own_place / "t", TREE)
    (own_place / "t/link").symlink_to("inner")
    put(user, "x", own_place / "t", keep_links=True)
    assert user.get("x/link/b") == "2"
    assert user.store.owners(("x", "link", "b")) == ["anna"]
    assert user.store.names(("x", "link"), owner=None, recursive=False) == ["x/link/b", "x/link/empty"]
    with pytest.raises(DriveNotADirectory, match="a symbolic link"):
        user.put("x/link/new", "text")


def test_a_part_of_a_folder_with_a_link_out_of_it_is_refused(user: User, own_place: Path):
    make(own_place / "t", TREE)
    (own_place / "t/inner/up").symlink_to("../a")
    put(user, "x", own_place / "t", keep_links=True)
    with pytest.raises(DriveSymlink):
        get(user, "x/inner")
    assert sorted(os.listdir(own_place)) == ["t"]
    assert (get(user, "x") / "inner/up").read_text() == "1"


def test_verify_names_what_another_program_has_deleted(user: User, url: str):
    user.put("a", "text")
    user.put("tree", TREE)
    place = parse_url(url)
    client = Client(place)
    [stored] = [client.read(place.key("drives", "drive", "top", "a"))]
    assert stored is not None
    lost = Manifest("a", stored.body).spaces["anna"]["d"]["a"]["b"]
    client.delete([place.key("drives", "drive", "data", lost)])
    found = list(user.store.verify(hashes=True))
    assert [item.path for item in found if isinstance(item, Problem)] == ["anna/a"]
    assert [item.path for item in found if isinstance(item, CheckedFile)] == [
        "anna/tree/a",
        "anna/tree/inner/b",
    ]
    with pytest.raises(DriveDamaged, match="another program has deleted it"):
        user.get("a")


def test_verify_with_digests_finds_content_of_the_same_size(user: User, url: str):
    user.put("a", "text")
    user.put("big", "text" * 1000)
    user.put("tree", {"small": "text", "other": "1", "big": "text" * 300_000})
    assert user.get("a") == "text"  # from here on, this machine has a copy
    assert not [item for item in user.store.verify(hashes=True) if isinstance(item, Problem)]
    client, data = Client(parse_url(url)), parse_url(url).key("drives", "drive", "data")
    for one in list(client.listing(data)):
        stored = client.read(one.key)
        assert stored is not None
        client.upload(one.key, stored.body.replace(b"text", b"TEXT"), one.size)
    found = list(user.store.verify(hashes=True))
    assert [
        (item.path, "changed its content in the object" in item.what)
        for item in found
        if isinstance(item, Problem)
    ] == [
        ("anna/a", True),
        ("anna/big", True),
        ("anna/tree/big", True),
        ("anna/tree/small", True),
    ]
    assert not [item for item in user.store.verify(hashes=False) if isinstance(item, Problem)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"version":1,"tree":[],"recent":[]}',
        b'{"version":1,"count":"x","tree":{},"recent":[]}',
        b'{"version":1,"count":1,"tree":{},"recent":[[]]}',
        b'{"version":[1],"count":1,"tree":{},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":{}},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":[]},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":{"d":["a"]}},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":{"d":{"a":"x"}}},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":{"d":{"a":null}}},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":{"d":{"a":{"l":"b\\u0000","t":1}}}},"recent":[]}',
        b'{"version":1,"count":1,"tree":{"anna":{"d":{"a":{"l":"","t":1}}}},"recent":[]}',
        b'{"version":1,"count":1,"recent":[],"tree":{"anna":'
        + b'{"m":1,"t":1,"d":{"a":' * 450
        + b'{"s":0,"m":1,"t":1}'
        + b"}}" * 450
        + b"}}",
        b'{"d":{"a":' * 100_000,
    ],
)
def test_a_damaged_manifest_is_named(body: bytes):
    with pytest.raises(DriveDamaged, match="'a' is damaged"):
        Manifest("a", body)


def test_a_damaged_manifest_is_not_replaced(user: User, url: str):
    place = parse_url(url)
    client = Client(place)
    client.upload(place.key("drives", "drive", "top", "a"), b"{", 1)
    for act in (lambda: user.get("a"), lambda: user.put("a", "text"), lambda: user.delete("a"), user.list):
        with pytest.raises(DriveDamaged, match="'a'"):
            act()
    assert [type(item) for item in user.store.verify(hashes=False)] == [Problem]


@pytest.mark.parametrize(
    "change",
    [
        {"b": "../../../out"},
        {"b": None},
        {"b": 1, "s": 0},
        {"s": 10**30},
        {"s": 2**63 - 1, "o": 1},
        {"o": 10**30},
        {"m": 10**20},
        {"m": -1},
        {"t": 10**30},
        {"h": []},
        {"x": []},
        {"x": {"user.a": "!"}},
        {"x": {"user.a": 1}},
        {"x": {"user.\0": "aaaa"}},
        {"l": "file"},
        {"s": -1},
        {"s": "1"},
        {"o": -5},
        {"m": None},
        {"t": "now"},
        {"d": []},
    ],
)
def test_a_damaged_node_is_named(change: dict[str, object]):
    manifest = Manifest("x")
    file = {"s": 4, "b": "0" * 32, "o": 0, "m": 0o644, "t": 1}
    manifest.put("anna", ("x", "file"), file)
    Manifest("x", manifest.encoded("mark"))
    file |= change
    with pytest.raises(DriveDamaged, match=r"'x' is damaged at 'x/file'"):
        Manifest("x", manifest.encoded("mark"))


def test_a_damaged_node_is_named_before_anything_is_written(user: User, url: str, own_place: Path):
    user.put("x", {"file": "text"})
    place = parse_url(url)
    client, key = Client(place), place.key("drives", "drive", "top", "x")
    stored = client.read(key)
    assert stored is not None
    manifest = Manifest("x", stored.body)
    manifest.spaces["anna"]["d"]["x"]["d"]["file"] |= {"b": "../../../out"}
    body = manifest.encoded("mark")
    client.upload(key, body, len(body))
    for act in (
        lambda: user.get("x"),
        lambda: user.store.local_path("anna", ("x", "file")),
        lambda: user.put("x", {}),
        lambda: user.delete("x"),
        user.list,
    ):
        with pytest.raises(DriveDamaged, match="is damaged"):
            act()
    assert os.listdir(own_place) == []
    assert [type(item) for item in user.store.verify(hashes=False)] == [Problem]


def test_a_manifest_of_a_newer_version_is_left_alone(user: User, url: str):
    place = parse_url(url)
    Client(place).upload(place.key("drives", "drive", "top", "a"), b'{"version":2,"tree":{},"recent":[]}', 0)
    with pytest.raises(DriveDamaged, match="version 2"):
        user.put("a", "text")


def test_a_name_in_a_manifest_does_not_lead_out_of_the_destination(user: User, url: str, own_place: Path):
    user.put("x", {"file": "text"})
    place = parse_url(url)
    client, key = Client(place), place.key("drives", "drive", "top", "x")
    stored = client.read(key)
    assert stored is not None
    for name in ("../out", "..", ".", "", "a/b", "a\0b"):
        manifest = Manifest("x", stored.body)
        nodes = manifest.spaces["anna"]["d"]["x"]["d"]
        nodes[name] = nodes.pop("file")
        body = manifest.encoded("mark")
        client.upload(key, body, len(body))
        with pytest.raises(DriveDamaged, match=re.escape(f"A manifest has the name {shown(f'x/{name}')}")):
            user.get("x")
        assert os.listdir(own_place) == [], name


def test_a_local_path_of_a_folder_is_one_version(user: User):
    user.put("x", TREE)
    old = Path(user.store.local_path("anna", ("x",)))
    assert old.name == "x"
    assert old == Path(user.store.local_path("anna", ("x",)))
    user.put("x", {"a": "new"})
    new = Path(user.store.local_path("anna", ("x",)))
    assert ((old / "a").read_text(), (new / "a").read_text()) == ("1", "new")


def test_a_cache_into_which_others_may_write_is_refused(url: str, own_place: Path, object_server: object):
    (own_place / "cache").mkdir(mode=0o777)
    (own_place / "cache").chmod(0o777)
    user = User(ObjectStore(url, "d", cache=f"{own_place}/cache"), own_place)
    with pytest.raises(PermissionError, match="Another user could write"):
        user.put("x", TREE)


def test_a_put_into_a_full_disk_of_the_cache_leaves_nothing(
    user: User, own_place: Path, monkeypatch: pytest.MonkeyPatch
):
    make(own_place / "t", TREE)

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch, warnings.catch_warnings():
        patch.setattr(syscalls, "write", full)
        with pytest.raises(OSError, match="No space"):
            put(user, "x", own_place / "t")
    assert user.list() == []
    put(user, "x", own_place / "t")
    assert user.get("x") == TREE
    remove(own_place / "t")
