"""`Database`: a work that serves a database of SQLite, and keeps a copy of it in a drive."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Lock, Thread
from typing import Any

from lightning_lite.components.server_work import ServerWork
from lightning_lite.context import current_caller
from lightning_lite.errors import ComponentError
from lightning_lite.extras import check_installed
from lightning_lite.late_import import late_import
from lightning_lite.storage.drive import Drive
from lightning_lite.values.secret import Secret

#: Imported by name: the first two only in the process of the work, the last one with the models.
_HTTP_SERVER = "lightning_lite.components.http_server"
_DATABASE_API = "lightning_lite.components.database_api"
_TABLES = "lightning_lite.components.database_tables"

_DRIVE = "lit://database"

#: The files that SQLite may leave next to a database.
_LOGS = ("-journal", "-wal", "-shm")

#: The bytes of a database whose number grows with each change.
_CHANGES = slice(24, 28)


class Database(ServerWork):
    """A database of SQLite with a server, so that flows and works share rows; see `DatabaseClient`.

    The file is `db_filename` in the working directory of the work. A copy is put into the drive
    `lit://database` every `store_interval` seconds if something has changed, and at the end. At the start,
    the newer one of the two counts: so rows survive a crash, and a run in another directory has them, too.
    The work is always parallel.

    Args:
        models: Classes that derive from `SQLModel`, with `table=True`, or one of them.
        db_filename: Path of the file.
        store_interval: Seconds between two copies.
        debug: Whether each statement of SQL is printed.
        **kwargs: Arguments of `LightningWork`.

    Raises:
        ComponentError: A model is not a table, two have the same name, or `store_interval` is not above 0.
        ModuleNotFoundError: A package is not installed; the message names the extra that brings it.

    Example:
        >>> from sqlmodel import Field, SQLModel
        >>> class Visit(SQLModel, table=True):
        ...     id: int | None = Field(default=None, primary_key=True)
        ...     page: str
        >>> Database(models=[Visit]).alive()  # its server does not run
        False
    """

    def __init__(
        self,
        models: Any,
        db_filename: str = "database.db",
        store_interval: float = 10,
        debug: bool = False,
        **kwargs: Any,
    ) -> None:
        check_installed("Database", "lightning", "sqlmodel", "fastapi", "uvicorn")
        if type(store_interval) not in (int, float) or not 0 < store_interval < float("inf"):
            raise ComponentError(
                f"Database(store_interval={store_interval!r}): it is a number of seconds above 0.",
                argument="store_interval",
                found=store_interval,
            )
        super().__init__(**{**kwargs, "parallel": True})
        self.db_filename = db_filename
        self.store_interval = store_interval
        self.debug = debug
        given = models if isinstance(models, list | tuple) else [models]
        self._tables = late_import(_TABLES).tables_of(given)

    @property
    def db_url(self) -> str:
        """Address of the server; "" if it does not answer."""
        return self.url

    @property
    def ready(self) -> bool:
        """Whether the server accepts requests."""
        return self.url != ""

    def alive(self) -> bool:
        """Return whether the server accepts requests."""
        return self.url != ""

    def run(self, token: str | Secret | None = None) -> None:
        """Serve until the work is stopped.

        Args:
            token: The token that requests must have, or `None` if all programs of this machine may read and
                write. The arguments of a call are recorded, unless the token is a `Secret`.

        Raises:
            OSError: The given port is in use, or the file can't be written.
            DatabaseError: The file has a table without a column of its model.
        """
        word = token.reveal() if isinstance(token, Secret) else token
        with self._bound_port() as bound:
            self._restore()
            server = late_import(_HTTP_SERVER).HttpServer(self.display_name or type(self).__qualname__)
            with late_import(_DATABASE_API).opened(self._path(), self._tables, self.debug) as engine:
                late_import(_DATABASE_API).add_routes(server, engine, self._tables, word)
                with self._stored_regularly():
                    server.serve(bound)

    def store_database(self) -> None:
        """Put a copy of the file, as of one moment, into the drive; called in the process of the work.

        Raises:
            sqlite3.Error: The file can't be read.
            DriveError: The copy can't be put.
        """
        path = self._path()
        name = os.path.basename(path)
        with tempfile.TemporaryDirectory(prefix="lightning-lite-") as folder:
            copy = os.path.join(folder, name)
            before = os.stat(path)
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            # As old as the file was before: a row that was written since then must make the file newer.
            os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
            Drive(_DRIVE, root_folder=folder).put(name)

    def _path(self) -> str:
        return os.path.abspath(self.db_filename)

    def _restore(self) -> None:
        """Replace the file by the copy in the drive if that is newer."""
        path = self._path()
        folder, name = os.path.split(path)
        os.makedirs(folder, exist_ok=True)
        drive, own = Drive(_DRIVE, root_folder=folder), current_caller().component
        if not drive.exists(name, own):
            return
        (copy,) = drive.entries(name, own)
        if os.path.exists(path) and copy.time <= os.stat(path).st_mtime:
            return
        for suffix in _LOGS:  # SQLite would apply the log of the old file to the new one
            with suppress(FileNotFoundError):
                os.remove(f"{path}{suffix}")
        drive.get(name, component_name=own)

    @contextmanager
    def _stored_regularly(self) -> Iterator[None]:
        """Store the database at intervals while a block runs, and at its end."""
        is_over, store = Event(), _Store(self._path(), self.store_database)

        def store_at_intervals() -> None:
            while not is_over.wait(self.store_interval):
                store.run()

        thread = Thread(target=store_at_intervals, name="lightning-lite-database", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            store.run()
            thread.join()


class _Store:
    """Stores a file if it has changed since the last time; the first time, always.

    Args:
        path: The file.
        store: Stores it.
    """

    def __init__(self, path: str, store: Callable[[], None]) -> None:
        self._path = path
        self._store = store
        self._stored: tuple[int, int, bytes] | None = None
        self._lock = Lock()

    def run(self) -> None:
        """Store the file; if that fails, say so: the next time tries again."""
        with self._lock:
            try:
                with open(self._path, "rb") as file:
                    status = os.fstat(file.fileno())
                    state = status.st_mtime_ns, status.st_size, file.read(_CHANGES.stop)[_CHANGES]
                if state != self._stored:
                    self._store()
                    self._stored = state
            except Exception as error:  # noqa: BLE001 - the database serves on, and its file has all rows
                sys.stderr.write(f"The copy of {self._path} can't be stored: {error}\n")
