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
from lightning_lite.app import session
from lightning_lite.components import Database, DatabaseClient
from lightning_lite.components.database import _DATABASE_API as DATABASE_API
from lightning_lite.errors import ComponentError, DatabaseError
from lightning_lite.storage import Drive
from lightning_lite.testing import poll_until

from tests.components.serving import DEADLINE, post, working_in
from tests.components.tables import Colour, Holds, HoldsSeveral, Member, Rich, Tag, Team, Unknown
from tests.support.processes import finish, starting, wait_until_gone

pytestmark = pytest.mark.dependencies


@contextmanager
def running(database, token=None, **options):
    """Run an app with this database, and yield the work of its flow and a client; stop the app at the end."""
    app = LightningApp(Holds(database, token), **options)
    with app.start() as run:
        poll_until(lambda: app.root.database.url or run.done, timeout=DEADLINE)
        assert not run.done
        yield app.root.database, DatabaseClient(app.root.database.db_url, token)


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
    """Run several databases, and give each by its name; only `open_to_all` is used by more than one test.

    They are forked from a process that has imported their modules, which takes most of the time of their
    start. The apps of single tests have databases that are spawned.
    """
    place = tmp_path_factory.mktemp("shared")
    works = {
        "open_to_all": Database([Team, Member, Rich]),
        "with_text": Database([Team], "text.db"),
        "with_secret": Database([Team], "secret.db"),
        "often_stored": Database([Member], "often.db", store_interval=0.001),
    }
    with working_in(place), pytest.MonkeyPatch.context() as patch:
        listed, needed = session._modules_for_works, [SQLModel.__module__, Team.__module__, DATABASE_API]
        patch.setattr(session, "_modules_for_works", lambda method: [*listed(method), *needed])
        app = LightningApp(HoldsSeveral(TOKENS, **works))
        with app.start(start_method="forkserver") as run:
            found = {name: getattr(app.root, name) for name in works}
            poll_until(lambda: run.done or all(each.url for each in found.values()), timeout=DEADLINE)
            assert not run.done
            yield {
                name: Shared(each, DatabaseClient(each.db_url, TOKENS.get(name)), place / each.db_filename)
                for name, each in found.items()
            }


@pytest.fixture(scope="module")
def shared_database(databases):
    return databases["open_to_all"]


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


@pytest.mark.parametrize(
    ("verb", "body"),
    [
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
    ],
)
def test_a_wrong_body_is_answered_with_422(members, verb, body):
    answer = post(f"{members}/{verb}/", json=body)

    assert answer.status_code == 422
    assert answer.json()["detail"]


@pytest.mark.parametrize("model", ["__class__", "member", "sqlite_master", "", "Member; DROP TABLE member"])
def test_only_the_given_models_can_be_named(members, model):
    assert post(f"{members}/select_all/", json={"model": model}).status_code == 404


def test_a_request_for_another_host_name_is_refused(members):
    answer = post(f"{members}/select_all/", json={"model": "Member"}, headers={"Host": "evil.example:80"})

    assert answer.status_code == 400


def test_a_body_that_is_not_declared_as_json_is_refused(members):
    for headers in ({}, {"Content-Type": "text/plain"}):
        answer = post(f"{members}/select_all/", content=b'{"model": "Member"}', headers=headers)
        assert (answer.status_code, "must be JSON" in answer.text) == (415, True)


@pytest.mark.parametrize("name", TOKENS)
def test_requests_need_the_token(databases, name):
    database, client, _ = databases[name]
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
    own_place, monkeypatch
):
    def count_on(count):
        with running(Database([Member])) as (_, client):
            found = [member.count for member in client.select_all(Member)]
            client.insert(Member(count=count))
            return found

    assert count_on(1) == []
    (own_place / "other").mkdir()
    monkeypatch.chdir(own_place / "other")
    assert count_on(2) == [1]
    assert counts_in("database.db") == [1, 2]

    # Here the file is older than the copy in the drive.
    monkeypatch.chdir(own_place)
    (own_place / "database.db-journal").write_bytes(b"of a crash long ago")
    assert count_on(3) == [1, 2]


def test_the_copy_is_stored_at_intervals_after_a_change_and_the_process_ends_with_its_app(own_place):
    drive = Drive("lit://database", root_folder=own_place)
    with running(Database([Member], "data/rows.db", store_interval=0.01)) as (_, client):
        poll_until(lambda: drive.exists("rows.db"), timeout=DEADLINE)
        client.insert(Member(count=3))

        def stored():
            drive.get("rows.db", to="copy.db", component_name="root.database", overwrite=True)
            return counts_in("copy.db") == [3]

        poll_until(stored, timeout=DEADLINE)
    stamp = drive.entries("rows.db")[0].time
    with running(Database([Member], "data/rows.db")) as (database, _):
        port = database.port
        pids = {each.pid for each in psutil.net_connections("tcp4") if each.laddr.port == port}

    assert drive.entries("rows.db")[0].time == stamp
    wait_until_gone(*filter(None, pids))


def test_a_killed_database_has_all_rows_that_it_has_confirmed(own_place):
    with running(Database([Member], retries=1, retry_delay=0.01)) as (database, client):
        for count in range(3):
            client.insert(Member(count=count))
        (listener,) = {
            connection.pid
            for connection in psutil.net_connections("tcp4")
            if connection.laddr.port == database.port and connection.status == "LISTEN"
        }
        os.kill(listener, signal.SIGKILL)
        poll_until(lambda: database.num_failures == 1 and database.url, timeout=DEADLINE)

        assert [member.count for member in client.select_all(Member)] == [0, 1, 2]
        client.insert(Member(count=3))

    assert counts_in(own_place / "database.db") == [0, 1, 2, 3]


RESUMED = """
import os, sys, signal
from sqlmodel import Field, SQLModel
from lightning_lite import LightningApp, LightningFlow
from lightning_lite.components import Database, DatabaseClient

class Counter(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    count: int

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.database = Database([Counter], store_interval=1000)
        self.passes = 0

    def run(self):
        self.database.run()
        if self.database.alive():
            client = DatabaseClient(self.database.db_url, model=Counter)
            client.insert(Counter(count=len(client.select_all())))
            print([row.count for row in client.select_all()], flush=True)
            if sys.argv[1] == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            self.stop()

LightningApp(Root()).run(resume=sys.argv[1] == "resume")
"""


def test_a_resumed_app_has_the_rows_of_the_one_that_was_killed(own_place):
    (own_place / "app.py").write_text(RESUMED)
    with starting() as start:
        first = finish(start("app.py", "die"))
        second = finish(start("app.py", "resume"))

    assert (first[0], first[1]) == (-signal.SIGKILL, "[0]\n")
    assert (second[0], second[1].splitlines()[-1]) == (0, "[0, 1]"), second[2]


def test_the_copy_is_whole_also_while_rows_are_written(databases):
    database, client, file = databases["often_stored"]
    drive = Drive("lit://database", root_dir=file.parent / "root", root_folder=Path.cwd())

    def get(name):
        drive.get(file.name, to=name, component_name=database.name, overwrite=True)
        return name

    with ThreadPoolExecutor(4) as threads:
        inserted = threads.map(lambda i: client.insert(Member(count=i)), range(60))
        poll_until(lambda: drive.exists(file.name), timeout=DEADLINE)
        for number in range(20):
            get(f"copy{number}.db")
        list(inserted)

    for number in range(20):
        counts_in(f"copy{number}.db")
        with closing(sqlite3.connect(f"copy{number}.db")) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    poll_until(lambda: counts_in(get("last.db")) == list(range(60)), timeout=DEADLINE)


def test_a_table_without_a_column_of_its_model_is_an_error_that_names_it(own_place):
    with closing(sqlite3.connect(own_place / "database.db")) as connection:
        connection.execute("CREATE TABLE member (id INTEGER PRIMARY KEY)")

    with pytest.raises(DatabaseError, match=r"table member in .* has no column 'team'"):
        LightningApp(Holds(Database([Member]))).run()


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
