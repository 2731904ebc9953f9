"""The requests that a `Database` answers. Only its process imports this module."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import URL, Engine, Table, create_engine
from sqlalchemy.exc import IntegrityError, StatementError

from lightning_lite.components.database_tables import (
    InvalidRow,
    Tables,
    create_tables,
    delete_row,
    insert_row,
    select_rows,
    update_row,
)
from lightning_lite.components.http_server import HttpServer


class TableRequest(BaseModel):
    """A request about a whole table."""

    model: str


class RowRequest(BaseModel):
    """A request about a row."""

    model: str
    row: dict[str, Any]


@contextmanager
def opened(path: str, tables: Tables, echo: bool) -> Iterator[Engine]:
    """Open a database with these tables while a block runs.

    Args:
        path: Path of the file, which is created if it is missing.
        tables: The tables.
        echo: Whether each statement is printed.

    Raises:
        DatabaseError: A table lacks a column.
    """
    engine = create_engine(URL.create("sqlite", database=path), echo=echo)
    try:
        create_tables(engine, tables, path)
        yield engine
    finally:
        engine.dispose()


def add_routes(server: HttpServer, engine: Engine, tables: Tables, token: str | None) -> None:
    """Add the routes of a database.

    Args:
        server: The server.
        engine: The engine of the database.
        tables: Its tables; requests name their models.
        token: The token that requests must have, or `None`.
    """

    def check(authorization: Annotated[str, Header()] = "") -> None:
        if token is not None and not secrets.compare_digest(
            authorization.encode(), f"Bearer {token}".encode()
        ):
            raise HTTPException(401, "the token is missing or wrong")

    def table_of(model: str) -> Table:
        if model not in tables.names:
            known = ", ".join(sorted(tables.names))
            raise HTTPException(404, f"the database has no model {model!r}; it has {known}")
        return tables.metadata.tables[tables.names[model]]

    async def change(act: Callable[[Engine, Table, dict[str, Any]], Any], request: RowRequest) -> Any:
        try:
            answer = await server.call(act, engine, table_of(request.model), request.row)
        except InvalidRow as error:
            place = ["body", "row", error.column]
            raise HTTPException(422, [{"loc": place, "msg": str(error)}]) from error
        except IntegrityError as error:
            raise HTTPException(409, str(error.orig)) from error
        except StatementError as error:
            if not isinstance(error.orig, ValueError | TypeError):
                raise
            raise HTTPException(422, str(error.orig)) from error  # the type of a column refuses the value
        if answer is False:
            raise HTTPException(404, f"{request.model} has no row with this key")
        return answer

    async def select_all(request: TableRequest) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await server.call(select_rows, engine, table_of(request.model))
        return rows

    async def insert(request: RowRequest) -> dict[str, Any]:
        key: dict[str, Any] = await change(insert_row, request)
        return key

    async def update(request: RowRequest) -> None:
        await change(update_row, request)

    async def delete(request: RowRequest) -> None:
        await change(delete_row, request)

    for endpoint in (select_all, insert, update, delete):
        server.add_route(f"/{endpoint.__name__}/", endpoint, dependencies=[Depends(check)])
