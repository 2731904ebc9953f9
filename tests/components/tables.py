"""Models of tables for tests of `Database`; each process of a database imports this module."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

from sqlalchemy import Column
from sqlmodel import Field, SQLModel

from lightning_lite import LightningFlow
from lightning_lite.components import Database
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


class HoldsSeveral(LightningFlow):
    """Runs several databases, again and again.

    Args:
        tokens: Token that requests must have, by the name of the database.
        databases: The databases.
    """

    def __init__(self, tokens: Mapping[str, str], **databases: Database) -> None:
        super().__init__()
        for name, database in databases.items():
            setattr(self, name, database)
        self._tokens = {name: tokens.get(name) for name in databases}

    def run(self) -> None:
        for name, token in self._tokens.items():
            getattr(self, name).run(token=token)
