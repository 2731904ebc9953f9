"""`DatabaseClient`: reads and changes the rows of a `Database`, from any process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from lightning_lite.errors import DatabaseError
from lightning_lite.extras import check_installed
from lightning_lite.values.secret import Secret

check_installed("DatabaseClient", "lightning", "httpx")

import httpx  # noqa: E402 - the error above names the extra

if TYPE_CHECKING:
    import ssl

#: Seconds for one request.
_TIMEOUT = 60.0

#: How often a connection is tried again: the server may be starting.
_RETRIES = 3

M = TypeVar("M")


class DatabaseClient:
    """Reads and changes the rows of a `Database`.

    Args:
        db_url: Address of the database: `database.url`.
        token: The token with which its `run` was called, if there was one.
        model: The model for `select_all` without an argument.

    Example:
        >>> client = DatabaseClient("http://127.0.0.1:1")
        >>> client.to_dict()
        {'db_url': 'http://127.0.0.1:1', 'model': None}
    """

    def __init__(self, db_url: str, token: str | Secret | None = None, model: Any = None) -> None:
        self.db_url = db_url
        self.model = model
        self._token = token.reveal() if isinstance(token, Secret) else token

    def select_all(self, model: type[M] | None = None) -> list[M]:
        """Return all rows of a model.

        Args:
            model: The model; by default the model of the client.

        Raises:
            DatabaseError: There is no model, the database does not know it, or it does not answer.
        """
        chosen: Any = model or self.model
        if chosen is None:
            raise DatabaseError("select_all() needs a model: pass one here or to DatabaseClient(model=...).")
        rows = self._ask("select_all", {"model": chosen.__name__}, chosen.__name__)
        return [chosen.model_validate(row) for row in rows]

    def insert(self, model: Any) -> None:
        """Add a row. A key that the database has chosen is set in it.

        Args:
            model: The row, an instance of a model.

        Raises:
            pydantic.ValidationError: It has a wrong value.
            DatabaseError: The key is there already, or the database refuses it for another reason.
        """
        key = self._send("insert", model)
        stored = type(model).model_validate({**_values(model), **key})
        for name in key:
            setattr(model, name, getattr(stored, name))

    def update(self, model: Any) -> None:
        """Replace the values of the row with the same primary key.

        Args:
            model: The row.

        Raises:
            pydantic.ValidationError: It has a wrong value.
            DatabaseError: There is no such row, or the database refuses it for another reason.
        """
        self._send("update", model)

    def delete(self, model: Any) -> None:
        """Remove the row with the same primary key.

        Args:
            model: The row.

        Raises:
            DatabaseError: There is no such row, or another row refers to it.
        """
        self._send("delete", model)

    def to_dict(self) -> dict[str, Any]:
        """Return address and name of the model, without the token."""
        return {"db_url": self.db_url, "model": self.model.__name__ if self.model else None}

    def _send(self, verb: str, row: Any) -> Any:
        kind = type(row)
        valid = kind.model_validate(_values(row))  # models of tables do not check their values themselves
        body = {"model": kind.__name__, "row": valid.model_dump(mode="json", warnings=False)}
        return self._ask(verb, body, kind.__name__)

    def _ask(self, verb: str, body: dict[str, Any], model: str) -> Any:
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token}"}
        try:
            # A client per request: one that is kept would hold a connection, and could not be pickled.
            transport = httpx.HTTPTransport(verify=_certificates(), retries=_RETRIES)
            with httpx.Client(transport=transport, timeout=_TIMEOUT) as client:
                answer = client.post(f"{self.db_url}/{verb}/", json=body, headers=headers)
        except httpx.HTTPError as error:
            raise DatabaseError(
                f"The database at {self.db_url!r} does not answer: {error}", status=0
            ) from error
        if answer.status_code != httpx.codes.OK:
            raise DatabaseError(
                f"The database refuses {verb} of {model}: {answer.status_code} {_reason(answer)}",
                status=answer.status_code,
            )
        return answer.json()


@cache
def _certificates() -> ssl.SSLContext:
    """Return the certificates that httpx trusts; reading them for each request takes longer than it."""
    return httpx.create_ssl_context()


def _values(row: Any) -> dict[str, Any]:
    """Return the values of a row without missing ones: `id: int = Field(default=None)` is common."""
    fields = type(row).model_fields
    values = row.model_dump(warnings=False)
    return {
        name: value for name, value in values.items() if not (value is None and fields[name].default is None)
    }


def _reason(answer: httpx.Response) -> str:
    """Return the error, in the words of the database."""
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text
    return str(detail[0]["msg"]) if isinstance(detail, list) else str(detail)
