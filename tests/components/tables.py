"""Models of tables for tests of `Database`; each process of a database imports this module."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from lightning_lite import LightningFlow
from lightning_lite.components import Database, DatabaseClient
from lightning_lite.components.database_tables import pydantic_column_type


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Tag(SQLModel):
    name: str
    weight: float = 1.0


class Team(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)


class Member(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    team: int | None = Field(default=None, foreign_key="team.id")
    count: int = Field(default=0, ge=0)


class Unknown(SQLModel, table=True):
    """In no database of the tests."""

    id: int | None = Field(default=None, primary_key=True)


class Rich(SQLModel, table=True):
    left: str = Field(primary_key=True)
    right: int = Field(primary_key=True)
    at: datetime
    day: date
    key: UUID
    price: Decimal
    colour: Colour
    note: str | None = None
    tags: list[Tag] = Field(default=[], sa_column=Column(pydantic_column_type(list[Tag])))


class Holds(LightningFlow):
    """Runs its database, again and again."""

    def __init__(self, database: Database, token: str | None = None) -> None:
        super().__init__()
        self.database = database
        self._token = token

    def run(self) -> None:
        self.database.run(token=self._token)


class Resumed(LightningFlow):
    """Adds a row, whose count is the number of the rows before it, and ends.

    Args:
        act: Called after that.
    """

    def __init__(self, act: Callable[[], object]) -> None:
        super().__init__()
        self.database = Database([Member], store_interval=1000)
        self._act = act

    def run(self) -> None:
        self.database.run()
        if self.database.alive():
            client = DatabaseClient(self.database.db_url, model=Member)
            client.insert(Member(count=len(client.select_all())))
            self._act()
            self.stop()
