"""Processes that use one drive at the same time, with a store that loses answers and is overloaded."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
import writers

from lightning_lite.storage.errors import DriveUnreachable, DriveUnsupportedStore
from lightning_lite.storage.object_store.client import Client, SwapResult
from lightning_lite.storage.object_store.manifest import RECENT, Manifest
from lightning_lite.storage.object_store.store import ObjectStore

from tests.support.forked_scripts import ForkedScripts
from tests.support.linear import Operation, is_linearizable
from tests.support.object_proxy import Proxy
from tests.support.object_stores import ObjectServer
from tests.support.processes import wait_until_gone
from tests.support.store_user import User

FAULTS = {"none": {}, "lost": {"lost": 1 / 3}, "overloaded": {"failed": 0.1}}


def together(
    scripts: ForkedScripts, job: str, url: str, cache: Path, here: Path, processes: int, count: int
) -> list[list[object]]:
    """Do a job in several processes at the same time; return the answer of each."""
    scripts.run(Path(writers.__file__), job, url, cache, processes, count, cwd=here)
    folders = [here / f"process{number}" for number in range(processes)]
    answers = [json.loads((folder / "answer.json").read_text()) for folder in folders]
    for folder in folders:
        shutil.rmtree(folder)
    return answers


def assert_linearizable(scripts: ForkedScripts, url: str, cache: Path, here: Path) -> None:
    answers = together(scripts, "use_one_name", url, cache, here, processes=4, count=12)
    history = [Operation(*operation) for answer in answers for operation in answer]  # type: ignore[misc]
    assert len(history) == 48
    assert is_linearizable(history), history


@pytest.mark.parametrize("faults", ["lost", "overloaded"])
def test_operations_on_one_name_have_an_order(
    forked_scripts: ForkedScripts, proxy: Proxy, url: str, cache: Path, own_place: Path, faults: str
):
    vars(proxy).update(FAULTS[faults])
    assert_linearizable(forked_scripts, url, cache, own_place)


@pytest.mark.torture
@pytest.mark.timeout(3600)
def test_operations_on_one_name_have_an_order_in_a_hundred_histories(
    forked_scripts: ForkedScripts, proxy: Proxy, object_server: object, cache: Path, own_place: Path
):
    proxy.lost = 1 / 3
    for _ in range(int(os.environ.get("LIGHTNING_LITE_TORTURE_ROUNDS", "100"))):
        assert_linearizable(forked_scripts, object_server.new_url(), cache, own_place)


def assert_one_owner(scripts: ForkedScripts, url: str, cache: Path, here: Path) -> None:
    answers = together(scripts, "put_as_owner", url, cache, here, processes=4, count=8)
    winners = Counter(name for answer in answers for name in answer)
    assert winners == dict.fromkeys(range(8), 1)


@pytest.mark.parametrize("faults", ["none", "lost"])
def test_each_name_gets_exactly_one_owner(
    forked_scripts: ForkedScripts, proxy: Proxy, url: str, cache: Path, own_place: Path, faults: str
):
    vars(proxy).update(FAULTS[faults])
    assert_one_owner(forked_scripts, url, cache, own_place)


def test_a_file_and_a_file_below_it_are_never_both_put(
    forked_scripts: ForkedScripts, proxy: Proxy, url: str, cache: Path, own_place: Path
):
    one, other = together(forked_scripts, "put_file_or_below", url, cache, own_place, processes=2, count=15)
    assert not set(one) & set(other)
    assert len({*one, *other}) == 15


def assert_not_torn(scripts: ForkedScripts, url: str, cache: Path, here: Path) -> None:
    os.chdir(here)
    writers.put_folder(ObjectStore(url, "drive", cache=str(cache)), "first")
    answers = together(scripts, "use_folder", url, cache, here, processes=4, count=5)
    seen = [number for answer in answers for number in answer]
    assert seen == [1] * 10


def test_no_folder_that_is_got_is_torn(forked_scripts: ForkedScripts, url: str, cache: Path, own_place: Path):
    assert_not_torn(forked_scripts, url, cache, own_place)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_writer_that_is_killed_at_any_request_has_put_all_or_nothing(
    forked_scripts: ForkedScripts, proxy: Proxy, url: str, cache: Path, own_place: Path, moment: str
):
    store = ObjectStore(url, "drive", cache=str(cache))
    writers.put_folder(store, "old")
    ends = []
    for turn in range(1, 20):
        ends.append(kill_at(turn, moment, forked_scripts, proxy, url, cache, own_place))
        content = writers.get_folder(store)
        assert content is not None
        assert set(content.values()) in ({"old"}, {"new"})
        if set(content.values()) == {"new"}:
            break
    # Requests of a put: read the conditions and the manifest, send two objects, swap.
    assert ends[:4] == [-signal.SIGKILL] * 4
    assert len(ends) == (6 if moment == "before" else 5)
    ObjectStore(url, "drive", cache=str(cache)).local_path("anna", ("folder",))  # removes leftovers
    assert list((cache / "staging").iterdir()) == []


def kill_at(
    turn: int, moment: str, scripts: ForkedScripts, proxy: Proxy, url: str, cache: Path, here: Path
) -> int:
    """Let a process put a folder, kill it at a request, and return its exit code.

    Args:
        turn: The number of the request.
        moment: `before` it reaches the store, or `after` it was done.
    """
    script, folder = here / "writer.py", here / "writer"
    script.write_text(
        f"import os, sys; sys.path.insert(0, {str(Path(writers.__file__).parent)!r})\n"
        "import writers\n"
        "from lightning_lite.storage.object_store.store import ObjectStore\n"
        "writers.Path('pid').write_text(str(os.getpid()))\n"
        "writers.put_folder(ObjectStore(sys.argv[1], 'drive', cache=sys.argv[2]), 'new')\n"
    )
    folder.mkdir(exist_ok=True)
    (folder / "pid").unlink(missing_ok=True)
    count = itertools.count(1)
    has_begun = False

    def kill(method: str, path: str) -> tuple[int, str] | None:
        nonlocal has_begun
        has_begun |= "/conditions/" in path  # the first request; the process before may have left a late one
        if not has_begun or next(count) != turn:
            return None
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        return 503, "SlowDown"

    setattr(proxy, "refuse" if moment == "before" else "after", kill)
    code = scripts.run_to_end(script, url, cache, cwd=folder).returncode
    proxy.refuse = proxy.after = lambda method, path: None
    return code


def test_a_change_whose_answer_is_lost_is_done_once(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("a", "one")
    user_by_proxy.put("b", "one")
    proxy.loses_refusals = False
    proxy.lost = 1.0  # each first request is done and not answered, each repeated one is refused
    user_by_proxy.put("a", "two")
    user_by_proxy.delete("b")
    user_by_proxy.put("c", "exclusive")
    proxy.lost = 0.0
    assert user_by_proxy.list() == ["a", "c"]
    assert user_by_proxy.get("a") == "two"


def test_a_change_that_meets_another_one_on_its_way_is_repeated(user_by_proxy: User, proxy: Proxy):
    user_by_proxy.put("a", "one")
    turns = itertools.cycle([(409, "ConditionalRequestConflict"), None])
    refused = []

    def refuse(method: str, path: str) -> tuple[int, str] | None:
        turn = next(turns) if method == "PUT" and "/top/" in path else None
        refused.extend([path] if turn else [])
        return turn

    proxy.refuse = refuse
    user_by_proxy.put("a", "two")
    user_by_proxy.put("b", "new")
    user_by_proxy.delete("a")

    assert len(refused) == 3
    assert user_by_proxy.list() == ["b"]
    assert user_by_proxy.get("b") == "new"


def test_a_change_that_was_overtaken_by_too_many_is_not_repeated(user: User, monkeypatch: pytest.MonkeyPatch):
    """Whether it was done can't be known then; to do it again could undo the others."""
    user.put("a", "one")
    real, calls = Client.swap, []

    def swap(client: Client, key: str, body: bytes, tag: str | None) -> SwapResult:
        calls.append(key)
        manifest = Manifest("a", body)
        for number in range(RECENT + 1):
            body = manifest.encoded(f"other{number}")
        assert real(client, key, body, tag) is SwapResult.DONE
        return SwapResult.REFUSED

    with monkeypatch.context() as patch:
        patch.setattr(Client, "swap", swap)
        with pytest.raises(DriveUnreachable, match="did not say whether the change of 'a' was made"):
            user.put("a", "two")
    assert len(calls) == 1


def test_a_store_that_refuses_each_change_is_an_error(
    user_by_proxy: User, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    user_by_proxy.put("old", "text")
    monkeypatch.setattr("lightning_lite.storage.object_store.store._PATIENCE", 0.3)
    proxy.refuse = lambda method, path: (
        (412, "PreconditionFailed") if method == "PUT" and "/top/" in path else None
    )
    for act in (
        lambda: user_by_proxy.put("old", "other"),
        lambda: user_by_proxy.put("new", "text"),
        lambda: user_by_proxy.delete("old"),
    ):
        with pytest.raises(DriveUnsupportedStore, match="use a store with conditional writes"):
            act()
    proxy.refuse = lambda method, path: None
    assert user_by_proxy.list() == ["old"]


def test_a_put_that_was_done_before_the_store_died_is_not_reported_as_undone(
    user_by_proxy: User, proxy: Proxy, object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch
):
    user_by_proxy.put("a", "old")
    client = user_by_proxy.store._client
    client._later = client._first  # it repeats for 2 s only

    def die(method: str, path: str) -> None:
        if method == "PUT" and "/top/" in path:
            proxy.close()
            proxy.lost = 1.0

    proxy.after = die
    with pytest.raises(
        DriveUnreachable, match=r"did not say whether the change of 'a' was made.*Nothing answers"
    ):
        user_by_proxy.put("a", "new")

    monkeypatch.setenv("AWS_ENDPOINT_URL", object_server.endpoint)
    arguments = user_by_proxy.store._arguments
    assert User(ObjectStore(*arguments[:2], cache=arguments[2]), user_by_proxy.here).get("a") == "new"
