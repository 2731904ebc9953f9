"""The tables of a `Database`: made from models in the flow, used in the process of the work.

Models of a script can't be sent to another process, because SQLAlchemy ties them to weak references. Their
tables can, and they have all that the database needs: names, types and keys of columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from sqlalchemy import JSON, Column, Engine, MetaData, Table, delete, insert, inspect, select, update
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

from lightning_lite.errors import ComponentError, DatabaseError


class Tables(NamedTuple):
    """The tables of models.

    Attributes:
        metadata: All tables, those that foreign keys refer to, too.
        names: Name of the table of each model, by the name of the model.
    """

    metadata: MetaData
    names: dict[str, str]


class InvalidRow(ValueError):
    """A row has a wrong value, or lacks one.

    Args:
        column: Name of the column.
        why: The error, in a few words.
    """

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"{column}: {why}")
        self.column = column


def tables_of(models: Sequence[Any]) -> Tables:
    """Return the tables of models.

    Args:
        models: Classes that derive from `SQLModel`, with `table=True`.

    Raises:
        ComponentError: One is something else, has no primary key, or has the name of another one.
    """
    metadata, names = MetaData(), dict[str, str]()
    for model in models:
        is_table = isinstance(model, type) and issubclass(model, SQLModel) and hasattr(model, "__table__")
        if not is_table:
            raise ComponentError(
                "Database(models=...) takes classes that derive from SQLModel, with table=True; "
                f"found {model!r}.",
                argument="models",
                found=model,
            )
        if model.__name__ in names:
            raise ComponentError(f"Database(models=...) has two models with the name {model.__name__}.")
        names[model.__name__] = model.__table__.name
        _copy_with_references(model.__table__, metadata)
    return Tables(metadata, names)


def _copy_with_references(table: Table, metadata: MetaData) -> None:
    if table.key in metadata.tables:
        return
    table.to_metadata(metadata)
    for key in table.foreign_keys:
        _copy_with_references(key.column.table, metadata)


def create_tables(engine: Engine, tables: Tables, file: str) -> None:
    """Create the tables that are missing.

    Args:
        engine: The engine of the database.
        tables: The tables.
        file: Path of the file, for the error.

    Raises:
        DatabaseError: A table exists, but lacks a column.
    """
    found = inspect(engine)
    for table in tables.metadata.tables.values():
        if found.has_table(table.name):
            has = {column["name"] for column in found.get_columns(table.name)}
            lacking = [column.name for column in table.columns if column.name not in has]
            if lacking:
                raise DatabaseError(
                    f"The table {table.name} in {file!r} has no column {lacking[0]!r}, which the model has. "
                    "Add it with ALTER TABLE, or pass another db_filename=."
                )
    tables.metadata.create_all(engine)


def select_rows(engine: Engine, table: Table) -> list[dict[str, Any]]:
    """Return all rows as JSON.

    Args:
        engine: The engine of the database.
        table: The table.
    """
    with engine.connect() as connection:
        return [_as_json(row) for row in connection.execute(select(table)).mappings()]


def insert_row(engine: Engine, table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Add a row, and return its primary key.

    Args:
        engine: The engine of the database.
        table: The table.
        row: Values by column; a key without a value is chosen by the database.

    Raises:
        InvalidRow: A value is wrong.
        sqlalchemy.exc.IntegrityError: The key is there already, or another rule of the table is broken.
    """
    keys = [column.name for column in table.primary_key]
    values = _checked(table, {name: row[name] for name in row if name not in keys or row[name] is not None})
    for column in table.columns:
        is_required = not column.nullable and not column.primary_key and column.server_default is None
        if is_required and column.name not in values:
            raise InvalidRow(column.name, "a value is required")
    with engine.begin() as connection:
        key = connection.execute(insert(table).values(values)).inserted_primary_key
    return _as_json(dict(zip(keys, key or (), strict=False)))


def update_row(engine: Engine, table: Table, row: dict[str, Any]) -> bool:
    """Replace the values of the row with the same primary key, and return whether there is one.

    Args:
        engine: The engine of the database.
        table: The table.
        row: Values by column.

    Raises:
        InvalidRow: A value is wrong.
        sqlalchemy.exc.IntegrityError: A rule of the table is broken.
    """
    values = _checked(table, row)
    with engine.begin() as connection:
        changed = connection.execute(update(table).where(*_has_key(table, values)).values(values))
    return bool(changed.rowcount)


def delete_row(engine: Engine, table: Table, row: dict[str, Any]) -> bool:
    """Remove the row with the same primary key, and return whether there was one.

    Args:
        engine: The engine of the database.
        table: The table.
        row: Values by column, of which only the key counts.

    Raises:
        InvalidRow: A value of the key is wrong.
        sqlalchemy.exc.IntegrityError: Another row refers to it.
    """
    keys = {column.name for column in table.primary_key}
    values = _checked(table, {name: value for name, value in row.items() if name in keys})
    with engine.begin() as connection:
        removed = connection.execute(delete(table).where(*_has_key(table, values)))
    return bool(removed.rowcount)


def _has_key(table: Table, values: dict[str, Any]) -> list[Any]:
    for column in table.primary_key:
        if values.get(column.name) is None:
            raise InvalidRow(column.name, "a value is required, because it is the key")
    return [column == values[column.name] for column in table.primary_key]


def _checked(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a row with the types of their columns.

    Raises:
        InvalidRow: The table has no such column, or a value does not fit.
    """
    return {name: _converted(table.columns.get(name), name, value) for name, value in row.items()}


def _converted(column: Column[Any] | None, name: str, value: Any) -> Any:
    if column is None:
        raise InvalidRow(name, "there is no such column")
    if value is None:
        if not column.nullable:
            raise InvalidRow(name, "a value is required")
        return None
    stored: Any = column.type
    while isinstance(stored, TypeDecorator):
        stored = stored.impl_instance
    if isinstance(stored, JSON):
        return value
    try:
        kind = stored.python_type
    except NotImplementedError:  # a type that does not say
        return value
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise InvalidRow(name, error.errors()[0]["msg"]) from error


def _as_json(row: Any) -> dict[str, Any]:
    return {str(name): to_jsonable_python(value) for name, value in row.items()}


class PydanticColumn(TypeDecorator[Any]):
    """A column with values of any type that pydantic knows, stored as JSON.

    Args:
        kind: The type, for example `list[Item]`.
    """

    impl = JSON
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._adapter = TypeAdapter(kind)

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        """Return the JSON of a value."""
        return value if value is None else self._adapter.dump_python(value, mode="json")

    def process_result_value(self, value: Any, dialect: Any) -> Any:
        """Return the value of a JSON."""
        return value if value is None else self._adapter.validate_python(value)

    def __reduce__(self) -> tuple[Any, ...]:
        return JSON, ()  # the process of the database gets and returns JSON only


def pydantic_column_type(kind: Any) -> PydanticColumn:
    """Return the type of a column for values that pydantic knows: `Field(sa_column=Column(...))`.

    Args:
        kind: The type, for example `list[Item]`.

    Example:
        >>> pydantic_column_type(list[int]).process_bind_param([1, 2], None)
        [1, 2]
    """
    return PydanticColumn(kind)
