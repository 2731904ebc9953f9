"""Each failure of an object store is one clear error, without a key in it."""

from __future__ import annotations

import os
import pickle
import traceback
from pathlib import Path

import pytest
from no_stores import ANSWERS, HTML, no_store

from lightning_lite.errors import SettingError
from lightning_lite.run_options import RunOptions
from lightning_lite.settings import absolute_place
from lightning_lite.storage.errors import (
    DriveError,
    DrivePermissionError,
    DriveUnreachable,
    DriveUnsupportedStore,
    DriveUrlError,
)
from lightning_lite.storage.object_store import sweep
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.connection import connection_from, parse_url
from lightning_lite.storage.object_store.store import ObjectStore, drive_names
from lightning_lite.store_url import is_url

from tests.support.object_proxy import Proxy
from tests.support.object_stores import KEYS, ObjectServer
from tests.support.ports import closed_port
from tests.support.processes import run_python
from tests.support.store_user import User

pytestmark = pytest.mark.dependencies


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bucket/prefix", "s3://bucket"),
        ("gs://bucket", "Google Cloud Storage"),
        ("az://box", "Azure"),
        ("ftp://host/a", "'ftp://' is not a supported scheme"),
        ("S3://bucket", "'S3://' is not a supported scheme"),
        ("://bucket", "'://' is not a supported scheme"),
        ("s3://b", "no valid name of a bucket"),
        ("s3://ü", "no valid name of a bucket"),
        ("s3://a:b", "no valid name of a bucket"),
        (f"s3://{'b' * 256}", "no valid name of a bucket"),
        ("s3://bucket//a", "the part ''"),
        ("s3://", "no valid name of a bucket"),
        ("s3:///prefix", "no valid name of a bucket"),
        ("s3://bucket/a//b", "the part ''"),
        ("s3://bucket/../b", "the part '..'"),
        ("s3://bucket/a b", "the part 'a b'"),
        ("s3://bucket/a?x=1", "the part 'a?x=1'"),
        (f"s3://bucket/{'a' * 201}", "201 characters"),
    ],
)
def test_an_address_that_is_none_is_refused_by_name(text: str, words: str):
    with pytest.raises(DriveUrlError) as caught:
        parse_url(text)
    assert words in str(caught.value)
    if "://" in text:  # else it is a folder
        with pytest.raises(SettingError):
            absolute_place(text)


@pytest.mark.parametrize("place", ["/data/a://b", "./a://b", "a/b://c"])
def test_a_folder_with_the_sign_of_a_url_in_its_path_is_a_folder(place: str):
    assert not is_url(place)
    assert absolute_place(place) == os.path.abspath(place)
    assert RunOptions.resolve(drives=place).drives == os.path.abspath(place)


def test_a_key_in_an_address_is_refused_and_not_shown():
    for make in (
        lambda: parse_url("s3://me:hidden-text@bucket"),
        lambda: connection_from({"AWS_ENDPOINT_URL": "https://me:hidden-text@host"}),
    ):
        with pytest.raises(DriveUrlError) as caught:
            make()
        assert "hidden-text" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ["http://store.example:9000", "ftp://127.0.0.1", "127.0.0.1:9000"])
def test_an_endpoint_that_is_none_or_sends_without_encryption_is_refused(endpoint: str):
    with pytest.raises(DriveUrlError, match="AWS_ENDPOINT_URL_S3 is"):
        connection_from({"AWS_ENDPOINT_URL_S3": endpoint, "AWS_ENDPOINT_URL": "https://other.example"})


def test_an_endpoint_without_encryption_is_used_on_this_machine_and_where_the_user_says_so():
    assert connection_from({"AWS_ENDPOINT_URL": "http://localhost:9000"}).allows_http
    variables = {"AWS_ENDPOINT_URL": "http://store.example", "AWS_ALLOW_HTTP": "true"}
    assert connection_from(variables).allows_http


@pytest.mark.parametrize("missing", [("AWS_ACCESS_KEY_ID",), ("AWS_SECRET_ACCESS_KEY",), tuple(KEYS)])
def test_without_keys_no_address_is_asked_for_them(
    user_by_proxy: User, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
):
    for name in missing:
        monkeypatch.delenv(name)
    # If the library asked for keys, it would ask here.
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", proxy.endpoint)
    with pytest.raises(DrivePermissionError, match=r"No keys.*LIGHTNING_LITE_INSTANCE_ROLE") as caught:
        user_by_proxy.list()
    assert all(name in str(caught.value) for name in missing)
    assert proxy.requests == []


@pytest.fixture
def instance_role(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set no keys, and allow the library to ask the proxy for some, as the address of a cloud."""
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", proxy.endpoint)
    monkeypatch.setenv("LIGHTNING_LITE_INSTANCE_ROLE", "1")


@pytest.mark.usefixtures("instance_role")
def test_the_address_of_a_cloud_is_asked_for_keys_if_the_user_allows_it(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("a", "text")
    assert user_by_proxy.get("a") == "text"
    assert proxy.count("/latest/meta-data/iam") > 0


@pytest.mark.usefixtures("instance_role")
def test_a_cloud_that_gives_no_keys_is_not_taken_for_the_store(user_by_proxy: User, proxy: Proxy):
    proxy.refuse = lambda method, path: (404, "NotFound") if path.startswith("/latest/") else None
    for act in (lambda: user_by_proxy.put("a", "text"), lambda: user_by_proxy.get("a"), user_by_proxy.list):
        with pytest.raises(DrivePermissionError, match="The cloud gave this machine no keys") as caught:
            act()
        assert_clean(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (403, "InvalidAccessKeyId", "does not know the key in AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY is wrong"),
        (400, "ExpiredToken", "have expired"),
        (403, "AccessDenied", "give them the permission"),
        (403, "RequestTimeTooSkewed", "the clock of this machine is wrong"),
    ],
)
def test_keys_that_do_not_fit_are_one_clear_error(
    user_by_proxy: User, proxy: Proxy, status: int, code: str, words: str
):
    proxy.refuse = lambda method, path: (status, code)
    for act in (lambda: user_by_proxy.put("a", "text"), lambda: user_by_proxy.get("a"), user_by_proxy.list):
        proxy.requests.clear()
        with pytest.raises(DrivePermissionError, match=words) as caught:
            act()
        assert len(proxy.requests) == 1  # it is not repeated
        assert_clean(caught.value)


def test_keys_that_expire_during_a_put_leave_nothing_visible(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("a", "old")
    proxy.refuse = lambda method, path: (
        (400, "ExpiredToken") if (method, "/top/" in path) == ("PUT", True) else None
    )
    with pytest.raises(DrivePermissionError, match="expired"):
        user_by_proxy.put("a", "new")
    proxy.refuse = lambda method, path: None
    assert user_by_proxy.get("a") == "old"


def test_a_bucket_that_may_only_be_read_is_read(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("a", "text")
    proxy.refuse = lambda method, path: (403, "AccessDenied") if method != "GET" else None
    assert user_by_proxy.get("a") == "text"
    for act in (lambda: user_by_proxy.put("b", "text"), lambda: user_by_proxy.delete("a")):
        with pytest.raises(DrivePermissionError, match="refused to write"):
            act()
    assert user_by_proxy.list() == ["a"]


def test_a_missing_bucket_is_named(object_server: ObjectServer, own_place: Path):
    user = User(ObjectStore("s3://no-such-bucket", "d", cache=f"{own_place}/cache"), own_place)
    for act in (lambda: user.put("a", "text"), lambda: user.get("a"), user.list, lambda: user.delete("a")):
        with pytest.raises(DriveUnreachable, match="bucket 'no-such-bucket' does not exist") as caught:
            act()
        assert_clean(caught.value)


def test_a_bucket_of_another_region_is_named(user_by_proxy: User, proxy: Proxy):
    proxy.refuse = lambda method, path: (400, "AuthorizationHeaderMalformed")
    with pytest.raises(DriveUnreachable, match="AWS_REGION"):
        user_by_proxy.get("a")


def test_a_store_that_has_never_answered_is_asked_a_few_times_and_then_for_longer(
    user_by_proxy: User, proxy: Proxy
):
    proxy.refuse = lambda method, path: (503, "SlowDown")
    with pytest.raises(DriveUnreachable, match="503") as caught:  # obstore 0.7 leaves out the words
        user_by_proxy.put("a", "text")
    assert 1 < len(proxy.requests) <= 6
    assert_clean(caught.value)
    proxy.requests.clear()
    proxy.refuse = lambda method, path: (503, "SlowDown") if len(proxy.requests) < 8 else None
    user_by_proxy.put("a", "text")
    assert user_by_proxy.get("a") == "text"


def test_a_dead_endpoint_is_one_clear_error(url: str, own_place: Path, monkeypatch: pytest.MonkeyPatch):
    with closed_port() as port:
        endpoint = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        user = User(ObjectStore(url, "d", cache=f"{own_place}/cache"), own_place)
        for act in (lambda: user.put("a", "text"), lambda: user.get("a"), user.list):
            with pytest.raises(DriveUnreachable, match=f"Nothing answers at {endpoint}") as caught:
                act()
            assert_clean(caught.value)


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_server_that_is_no_object_store_is_named(
    user: User, url: str, monkeypatch: pytest.MonkeyPatch, kind: str
):
    with no_store(ANSWERS[kind]) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        new = User(ObjectStore(url, "drive", cache=f"{user.here}/cache"), user.here)
        acts = [
            lambda user: user.put("a", "text"),
            lambda user: user.get("a"),
            lambda user: user.list(),
            lambda user: user.list("a"),
            lambda user: user.delete("a"),
            lambda user: user.store.sweep(),
            lambda user: list(user.store.verify(hashes=False)),
            lambda user: drive_names(url),
        ]
        first = list(ANSWERS).index(kind) % len(acts)  # each one is the first use of a store for some answers
        for act in (*acts[first:], *acts[:first]):
            with pytest.raises(DriveUnreachable) as caught:
                act(new)
            assert str(caught.value).startswith(f"No object store answers at {endpoint}, where {url} ")
            assert "correct AWS_ENDPOINT_URL (http or https, the port of the API" in str(caught.value)
            assert_clean(caught.value)


def test_a_page_that_comes_between_is_not_taken_for_an_empty_drive(
    user: User, url: str, monkeypatch: pytest.MonkeyPatch
):
    user.put("a", "text")
    client = user.store._client
    connections = client._first, client._later
    monkeypatch.setattr(sweep, "MAX_AGE", -2.0)
    with no_store(HTML) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        other = Client(client.url)
        other._store()
        client._first, client._later = other._first, other._later
        for act in (
            lambda: user.put("a", "new"),
            lambda: user.get("a"),
            user.list,
            lambda: user.delete("a"),
            user.store.sweep,
        ):
            with pytest.raises(DriveUnreachable, match="No object store answers at http"):
                act()
    client._first, client._later = connections
    assert user.store.sweep() == 0
    assert user.get("a") == "text"


@pytest.mark.parametrize(
    ("ignored", "words"),
    [
        (
            ("if-match", "if-none-match"),
            ["created an object that existed", "replaced an object with another tag"],
        ),
        (("if-match",), ["replaced an object with another tag"]),
        (("if-none-match",), ["created an object that existed"]),
    ],
)
def test_a_store_that_ignores_conditions_is_refused_at_the_first_change(
    user_by_proxy: User, proxy: Proxy, ignored: tuple[str, ...], words: list[str]
):
    proxy.ignores = ignored
    for act in (
        lambda: user_by_proxy.put("a", "text"),
        lambda: user_by_proxy.delete("a"),
        user_by_proxy.store.check,
    ):
        with pytest.raises(DriveUnsupportedStore) as caught:
            act()
        for word in words:
            assert word in str(caught.value)
        assert_clean(caught.value)
    assert not any("/data/" in path or "/top/" in path for _, path in proxy.requests)
    proxy.ignores = ()
    assert user_by_proxy.list() == []


def test_a_store_that_compares_tags_without_quotes_is_used(
    user_by_proxy: User, proxy: Proxy, url: str, cache: Path
):
    proxy.wants_bare_tags = True
    users = [user_by_proxy, User(ObjectStore(url, "drive", cache=str(cache)), user_by_proxy.here)]
    for user in users:  # the second one reads the result of the first one
        for text in ("one", "two"):
            user.put("a", text)
            assert user.get("a") == text
        assert user.store._client.bare_tags


def test_a_store_that_is_known_to_keep_conditions_is_tried_once_for_each_endpoint(
    user_by_proxy: User, proxy: Proxy, url: str, cache: Path
):
    user_by_proxy.put("a", "text")
    proxy.requests.clear()
    other = ObjectStore(url, "other", cache=str(cache))
    other.check()
    assert len(proxy.requests) == 1


def test_no_key_is_in_a_text_or_a_pickle(user: User):
    user.put("a", "text")
    store = pickle.loads(pickle.dumps(user.store))
    assert isinstance(store, ObjectStore)
    assert store.names((), owner=None, recursive=False) == ["a"]
    for text in (
        repr(store),
        str(store),
        pickle.dumps(user.store).decode(errors="replace"),
        str(vars(store)),
    ):
        assert KEYS["AWS_SECRET_ACCESS_KEY"] not in text
        assert KEYS["AWS_ACCESS_KEY_ID"] not in text


def test_a_forked_process_says_that_it_can_not_use_the_store(user: User, own_place: Path):
    user.put("a", "text")
    (own_place / "fork.py").write_text(FORK)
    done = run_python("fork.py", user.store._arguments[0], str(own_place / "cache"))
    assert "forked" in done.stdout, done.stderr


FORK = """
import os, sys
from lightning_lite.storage.errors import DriveError
from lightning_lite.storage.object_store.store import ObjectStore

store = ObjectStore(sys.argv[1], "drive", cache=sys.argv[2])
assert store.names((), owner=None, recursive=False) == ["a"]
pid = os.fork()
try:
    store.names((), owner=None, recursive=False)
except DriveError as error:
    print(error, flush=True)
if pid:
    os.waitpid(pid, 0)
else:
    os._exit(0)
"""


def test_drives_are_named(object_server: ObjectServer, url: str, own_place: Path):
    assert drive_names(url) == []
    for name in ("b", "a"):
        User(ObjectStore(url, name, cache=f"{own_place}/cache"), own_place).put("x", "text")
    assert drive_names(url) == ["a", "b"]


def test_a_missing_package_is_named(user: User, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lightning_lite.extras.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"\[s3\]"):
        user.list()


def assert_clean(error: DriveError) -> None:
    """Fail if an error has a key, several lines, or a cause with the text of the library."""
    text = str(error)
    assert "\n" not in text
    assert not any(value in text for value in KEYS.values())
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


def test_the_context_of_an_error_is_not_shown(user_by_proxy: User, proxy: Proxy):
    proxy.refuse = lambda method, path: (
        403,
        f"SignatureDoesNotMatch</Code><AWSAccessKeyId>{KEYS['AWS_ACCESS_KEY_ID']}<Code>",
    )
    with pytest.raises(DrivePermissionError) as caught:
        user_by_proxy.list()
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(value in shown for value in KEYS.values())
