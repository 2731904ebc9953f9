"""`Database` and `DatabaseClient`: rows, wrong requests, tokens, crashes, and the copy in the drive."""

from __future__ import annotations

import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import psutil
import pytest
from pydantic import ValidationError
from sqlmodel import SQLModel

from lightning_lite import LightningApp, Secret
from lightning_lite.components import Database, DatabaseClient
from lightning_lite.components.database import _DATABASE_API as DATABASE_API
from lightning_lite.errors import ComponentError, DatabaseError
from lightning_lite.storage import Drive

from tests.components.serving import post, sharing
from tests.components.tables import Colour, Holds, Member, Resumed, Rich, Tag, Team, Unknown
from tests.support.processes import wait_until_gone

pytestmark = pytest.mark.dependencies


def counts_in(file):
    with closing(sqlite3.connect(file)) as connection:
        return [count for (count,) in connection.execute("SELECT count FROM member ORDER BY count")]


class Shared(NamedTuple):
    """A database of an app that several tests use.

    Attributes:
        database: Its work, as the flow sees it.
        client: A client.
        file: Its file, in the working directory of the app.
    """

    database: Any
    client: DatabaseClient
    file: Path


#: Tokens of databases in `databases`, by their names.
TOKENS = {"with_text": "a b", "with_secret": Secret("hidden text of this test")}


@pytest.fixture(scope="module")
def databases(tmp_path_factory):
    """Run an app with several databases; only `open_to_all` is used by more than one test."""
    works = {
        "open_to_all": Database([Team, Member, Rich]),
        "with_text": Database([Team], "text.db"),
        "with_secret": Database([Team], "secret.db"),
        "often_stored": Database([Member], "often.db", 0.001),
        "moved": Database([Member], "moved.db"),
        "stored": Database([Member], "data/stored.db", 0.01),
        "killed": Database([Member], "killed.db", retries=1, retry_delay=0.01),
    }
    modules = [SQLModel.__module__, Team.__module__, DATABASE_API]
    arguments = {name: {"token": token} for name, token in TOKENS.items()}
    with sharing(tmp_path_factory.mktemp("shared"), modules, arguments, **works) as app:
        yield app


@contextmanager
def serving(databases, name, **arguments):
    """Run one of the databases for the block."""
    with databases.serving(name, **arguments) as work:
        token = arguments.get("token", TOKENS.get(name))
        yield Shared(work, DatabaseClient(work.db_url, token), Path(work.db_filename).absolute())


@pytest.fixture(scope="module")
def shared_database(databases):
    work = databases.serve("open_to_all")
    return Shared(work, DatabaseClient(work.db_url), Path(work.db_filename).absolute())


@pytest.fixture
def shared(shared_database):
    """A database that is empty."""
    yield shared_database
    with closing(sqlite3.connect(shared_database.file)) as connection, connection:
        for table in ("team", "member", "rich"):
            connection.execute(f"DELETE FROM {table}")


@pytest.fixture
def members(shared_database):
    """The address of a database for requests that are refused."""
    return shared_database.database.db_url


def test_rows_are_inserted_read_updated_and_deleted(shared):
    client = shared.client
    red, blue = Team(name="red"), Team(name="blue")
    client.insert(red)
    client.insert(blue)
    blue.name = "green"
    client.update(blue)
    client.delete(red)

    assert shared.database.alive()
    assert (red.id, blue.id) == (1, 2)
    assert client.select_all(Team) == [Team(id=2, name="green")]
    assert client.select_all(Member) == []
    assert DatabaseClient(shared.database.db_url, model=Team).select_all()[0].name == "green"


def test_values_keep_their_types(shared):
    row = Rich(
        left="a",
        right=7,
        at=datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
        day=date(2026, 2, 3),
        key=uuid4(),
        price=Decimal("1.50"),
        colour=Colour.BLUE,
        tags=[Tag(name="x", weight=2.5)],
    )
    client = shared.client
    client.insert(row)
    (found,) = client.select_all(Rich)
    row.note = "changed"
    client.update(row)

    assert found.model_dump() == {**row.model_dump(), "note": None}
    assert client.select_all(Rich)[0].note == "changed"
    client.delete(row)
    assert client.select_all(Rich) == []


def test_what_the_database_refuses_is_an_error_that_says_why(shared):
    client = shared.client
    client.insert(Team(id=5, name="red"))
    errors = {}
    for name, act in {
        "same key": lambda: client.insert(Team(id=5, name="blue")),
        "same name": lambda: client.insert(Team(name="red")),
        "no row": lambda: client.update(Team(id=6, name="blue")),
        "no row to delete": lambda: client.delete(Team(id=6, name="blue")),
        "no key": lambda: client.update(Team(name="blue")),
        "other model": lambda: client.select_all(Unknown),
    }.items():
        with pytest.raises(DatabaseError) as caught:
            act()
        errors[name] = (caught.value.status, str(caught.value))
    with pytest.raises(DatabaseError, match=r"select_all\(\) needs a model"):
        client.select_all()
    with pytest.raises(ValidationError, match="name"):
        client.insert(Team(name=7))
    assert client.select_all(Team) == [Team(id=5, name="red")]

    assert {name: status for name, (status, _) in errors.items()} == {
        "same key": 409,
        "same name": 409,
        "no row": 404,
        "no row to delete": 404,
        "no key": 422,
        "other model": 404,
    }
    assert "UNIQUE constraint failed: team.name" in errors["same name"][1]
    assert "has no model 'Unknown'; it has Member, Rich, Team" in errors["other model"][1]


#: Bodies of requests, with the verbs.
WRONG_BODIES = [
    ("insert", {"model": "Member", "row": {"count": "many"}}),
    ("insert", {"model": "Member", "row": {"count": None}}),
    ("insert", {"model": "Member", "row": {"other": 1}}),
    ("insert", {"model": "Member", "row": {}}),
    ("insert", {"model": "Member", "row": [1]}),
    ("insert", {"model": "Member"}),
    ("insert", {"row": {}}),
    ("update", {"model": "Member", "row": {"id": "one", "count": 1}}),
    ("delete", {"model": "Member", "row": {"count": 1}}),
    ("select_all", {}),
]


def test_a_wrong_body_is_answered_with_422(members):
    for verb, body in WRONG_BODIES:
        answer = post(f"{members}/{verb}/", json=body)
        assert (answer.status_code, bool(answer.json()["detail"])) == (422, True), (verb, body)


def test_only_the_given_models_can_be_named(members):
    for model in ("__class__", "member", "sqlite_master", "", "Member; DROP TABLE member"):
        assert post(f"{members}/select_all/", json={"model": model}).status_code == 404, model


def test_a_request_for_another_host_name_is_refused(members):
    answer = post(f"{members}/select_all/", json={"model": "Member"}, headers={"Host": "evil.example:80"})

    assert answer.status_code == 400


def test_a_body_that_is_not_declared_as_json_is_refused(members):
    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = post(f"{members}/select_all/", content=b'{"model": "Member"}', headers=headers)
        assert (answer.status_code, "must be JSON" in answer.text) == (415, True)


@pytest.mark.parametrize("name", TOKENS)
def test_requests_need_the_token(databases, name):
    with serving(databases, name) as (database, client, _):
        for other in (None, "", "another", "ä"):
            with pytest.raises((DatabaseError, UnicodeEncodeError)):
                DatabaseClient(database.db_url, other).select_all(Team)

        assert client.select_all(Team) == []
        assert "token" not in client.to_dict()


def test_a_database_that_is_not_there_is_an_error():
    with pytest.raises(DatabaseError, match="does not answer") as caught:
        DatabaseClient("http://127.0.0.1:1").select_all(Team)

    assert caught.value.status == 0


def test_hundred_parallel_inserts_are_all_stored(shared):
    with ThreadPoolExecutor(20) as threads:
        list(threads.map(lambda i: shared.client.insert(Member(count=i)), range(100)))

    assert counts_in(shared.file) == list(range(100))


# The file and its copy.


def test_rows_are_there_after_a_restart_in_another_directory_and_back_in_the_first_one(
    databases, own_place, monkeypatch
):
    def count_on(count):
        # With other arguments, since a call with the same ones has ended.
        with serving(databases, "moved", token=str(count)) as (database, client, _):
            found = [member.count for member in client.select_all(Member)]
            client.insert(Member(count=count))
            pid = listener_of(database)
        wait_until_gone(pid)
        return found

    assert count_on(1) == []
    (own_place / "other").mkdir()
    monkeypatch.chdir(own_place / "other")
    assert count_on(2) == [1]
    assert counts_in("moved.db") == [1, 2]

    # Here the file is older than the copy in the drive.
    monkeypatch.chdir(own_place)
    (own_place / "moved.db-journal").write_bytes(b"of a crash long ago")
    assert count_on(3) == [1, 2]


def test_the_copy_is_stored_at_intervals_after_a_change_and_not_without_one(databases):
    drive = Drive("lit://database", root_dir=databases.folder / "root", root_folder=Path.cwd())
    with serving(databases, "stored") as (database, client, _):
        databases.wait_for(lambda: drive.exists("stored.db"))
        client.insert(Member(count=3))

        def stored():
            drive.get("stored.db", to="copy.db", component_name=database.name, overwrite=True)
            return counts_in("copy.db") == [3]

        databases.wait_for(stored)
    copy = databases.folder / f"root/drives/database/{database.name}/stored.db"
    before = copy.stat().st_ino
    with serving(databases, "stored", token="another"):
        databases.wait_for(lambda: copy.stat().st_ino != before)  # the first time, it is always stored
        first = copy.stat().st_ctime_ns

    assert copy.stat().st_ctime_ns == first


def test_a_killed_database_has_all_rows_that_it_has_confirmed(databases):
    with serving(databases, "killed") as (database, client, file):
        for count in range(3):
            client.insert(Member(count=count))
        os.kill(listener_of(database), signal.SIGKILL)
        databases.wait_for(lambda: database.num_failures == 1 and database.url)

        assert [member.count for member in client.select_all(Member)] == [0, 1, 2]
        client.insert(Member(count=3))
    assert counts_in(file) == [0, 1, 2, 3]


def listener_of(database):
    """Return the id of the process that listens at the port of a database."""
    (pid,) = {
        connection.pid
        for connection in psutil.net_connections("tcp4")
        if connection.laddr.port == database.port and connection.status == "LISTEN"
    }
    return pid


KILLED = f"""
import os, signal, sys
sys.path.append({str(Path(__file__).parents[2])!r})
from lightning_lite import LightningApp
from tests.components.tables import Member, Resumed

LightningApp(Resumed(lambda: os.kill(os.getpid(), signal.SIGKILL))).run()
"""


def test_a_resumed_app_has_the_rows_of_the_one_that_was_killed(forked_scripts, own_place):
    (own_place / "app.py").write_text(KILLED)
    done = forked_scripts.run_to_end(own_place / "app.py")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert counts_in("database.db") == [0]

    LightningApp(Resumed(lambda: None)).run(resume=True)

    assert counts_in("database.db") == [0, 1]
    assert len(os.listdir(own_place.parent / "root/runs")) == 1, "it was not resumed"


def test_the_copy_is_whole_also_while_rows_are_written(databases):
    drive = Drive("lit://database", root_dir=databases.folder / "root", root_folder=Path.cwd())
    with serving(databases, "often_stored") as (database, client, file), ThreadPoolExecutor(4) as threads:

        def get(name):
            drive.get(file.name, to=name, component_name=database.name, overwrite=True)
            return name

        inserted = threads.map(lambda i: client.insert(Member(count=i)), range(60))
        databases.wait_for(lambda: drive.exists(file.name))
        for number in range(20):
            get(f"copy{number}.db")
        list(inserted)
        databases.wait_for(lambda: counts_in(get("last.db")) == list(range(60)))

    for number in range(20):
        counts_in(f"copy{number}.db")
        with closing(sqlite3.connect(f"copy{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_table_without_a_column_of_its_model_is_an_error_that_names_it(own_place):
    with closing(sqlite3.connect(own_place / "database.db")) as connection:
        connection.execute("CREATE TABLE member (id INTEGER PRIMARY KEY)")

    with pytest.raises(DatabaseError, match=r"table member in .* has no column 'team'"):
        LightningApp(Holds(Database([Member]))).run("inline")


# Refusals.


@pytest.mark.parametrize("model", [Tag, dict, "Team", Team(name="x"), SQLModel])
def test_a_model_that_is_no_table_is_refused(model):
    with pytest.raises(ComponentError, match=r"with table=True; found"):
        Database([model])


def test_two_models_of_one_name_are_refused():
    with pytest.raises(ComponentError, match="two models with the name Team"):
        Database([Team, Team])


@pytest.mark.parametrize("interval", [0, -1, "1", float("nan"), float("inf"), None])
def test_an_interval_that_is_no_time_is_refused(interval):
    with pytest.raises(ComponentError, match="seconds above 0"):
        Database([Team], store_interval=interval)
