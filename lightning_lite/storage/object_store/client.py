"""Requests to an object store: a few verbs, each of which ends as a value or as an error of drives.

The library `obstore` signs, sends and repeats the requests. Its errors contain long texts with all that the
server has answered, so they are replaced here, and not kept as a cause.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from lightning_lite.extras import check_installed
from lightning_lite.storage.errors import DriveError
from lightning_lite.storage.object_store.connection import Connection, check_keys, connection_from
from lightning_lite.storage.object_store.interruptible import GivenUp, interruptible
from lightning_lite.storage.object_store.request_errors import Answer, answer_of
from lightning_lite.store_url import StoreUrl

if TYPE_CHECKING:
    from obstore import GetResult, PutMode
    from obstore.store import S3Store

T = TypeVar("T")

#: Bytes of a part of a big upload. A store takes 10,000 parts, so the parts of a bigger file are bigger.
PART = 16 * 1024 * 1024
MOST_PARTS = 9_000

#: Parts of one file that are sent at the same time.
PARTS_AT_ONCE = 4

#: The process that has used the library. Its threads do not exist in a forked child, where each request would
#: wait for them forever.
_process: dict[str, int] = {}

#: Most keys of one request that deletes.
_BATCH = 1000


class Stored(NamedTuple):
    """A small object that was read.

    Attributes:
        body: Its content.
        tag: The value that a condition compares.
    """

    body: bytes
    tag: str


class Listed(NamedTuple):
    """An object in a listing.

    Attributes:
        key: Its key.
        size: Bytes.
        modified: When it was written, by the clock of the store.
    """

    key: str
    size: int
    modified: datetime


class SwapResult(Enum):
    """The result of a conditional write.

    Attributes:
        DONE: It was written.
        REFUSED: The condition did not hold. But it may have been written all the same: the library repeats a
            request whose answer was lost, and its own first request lets the condition of the second fail.
        UNKNOWN: The store has not answered; it may have been written, or be written later.
    """

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class RequestFailed(Exception):
    """A request failed; the verbs turn it into a value or an error of drives."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer)
        self.answer = answer


class Client:
    """Sends requests about the objects of one bucket; keys are complete, with the prefix.

    Args:
        url: Bucket and prefix.

    Attributes:
        url: The same.
        connection: How the store is reached.
        bare_tags: Whether conditions have tags without quotes, as some stores want them.
    """

    def __init__(self, url: StoreUrl) -> None:
        self.url = url
        self.connection: Connection = connection_from()
        self.bare_tags = False
        self._first: S3Store | None = None
        self._later: S3Store | None = None
        self._has_answered = False

    def __repr__(self) -> str:
        return f"Client({str(self.url)!r})"

    def __reduce__(self) -> tuple[type[Client], tuple[StoreUrl]]:
        return Client, (self.url,)  # the process that unpickles it has keys of its own

    def read(self, key: str) -> Stored | None:
        """Return a small object, or `None` if no object has this key."""

        def request(obstore: Any, store: S3Store) -> Stored:
            got = obstore.get(store, key)
            _check_format(got)
            return Stored(bytes(got.bytes()), got.meta["e_tag"])

        try:
            return self._send(request)
        except RequestFailed as failed:
            if failed.answer.is_missing and not failed.answer.is_foreign:
                return None
            raise self._error("read", failed.answer) from None

    def swap(self, key: str, body: bytes, tag: str | None) -> SwapResult:
        """Write a small object if it is still the one that was read.

        Args:
            key: Its key.
            body: The new content.
            tag: Tag of the object that was read, or `None` if there was none.
        """
        mode: PutMode = "create" if tag is None else {"e_tag": tag.strip('"') if self.bare_tags else tag}

        def request(obstore: Any, store: S3Store) -> SwapResult:
            obstore.put(store, key, body, mode=mode)
            return SwapResult.DONE

        try:
            return self._send(request)
        except RequestFailed as failed:
            answer = failed.answer
            if answer.is_refused or answer.is_missing:
                return SwapResult.REFUSED
            # The library repeats a request: the first one may have been done, and only its repetition has met
            # a closed port.
            if answer.is_unknown or (answer.kind == "Connect" and self._has_answered):
                return SwapResult.UNKNOWN
            raise self._error("write", answer) from None

    def upload(self, key: str, body: bytes | Iterable[bytes], size: int) -> None:
        """Write an object under a new key.

        Args:
            key: Its key.
            body: Its content, in pieces if it is big.
            size: Bytes of the content.
        """
        part = max(PART, -(-size // MOST_PARTS))
        is_over = False

        def pieces() -> Iterator[bytes]:
            rest = iter(body) if not isinstance(body, bytes) else iter(())
            while not is_over:  # a request that is given up reads no file any more
                piece = next(rest, None)
                if piece is None:
                    return
                yield piece
            raise GivenUp

        def request(obstore: Any, store: S3Store) -> None:
            if isinstance(body, bytes):
                obstore.put(store, key, body, use_multipart=False)
            else:
                obstore.put(store, key, pieces(), chunk_size=part, max_concurrency=PARTS_AT_ONCE)

        try:
            self._send(request)
        except RequestFailed as failed:
            raise self._error("write", failed.answer) from None
        finally:
            is_over = True

    def fetch(self, key: str, start: int, length: int) -> bytes | None:
        """Return bytes of an object, or `None` if no object has this key."""

        def request(obstore: Any, store: S3Store) -> bytes:
            return bytes(obstore.get_range(store, key, start=start, length=length))

        try:
            return self._send(request)
        except RequestFailed as failed:
            if failed.answer.is_missing and not failed.answer.is_foreign:
                return None
            raise self._error("read", failed.answer) from None

    def listing(self, prefix: str) -> Iterator[Listed]:
        """Yield all objects whose keys begin with `prefix` and a slash."""

        def request(obstore: Any, store: S3Store) -> list[Listed]:
            pages = obstore.list(store, f"{prefix}/")
            found = [Listed(one["path"], one["size"], one["last_modified"]) for page in pages for one in page]
            if not found:
                _check_empty(obstore, store, prefix)
            return found

        try:
            yield from self._send(request)
        except RequestFailed as failed:
            raise self._error("list", failed.answer) from None

    def folders(self, prefix: str) -> list[str]:
        """Return the names directly below `prefix` that have objects below them, sorted."""

        def request(obstore: Any, store: S3Store) -> list[str]:
            found = obstore.list_with_delimiter(store, f"{prefix}/")
            if not found["common_prefixes"]:
                _check_empty(obstore, store, prefix)
            return sorted(path.rstrip("/").rpartition("/")[2] for path in found["common_prefixes"])

        try:
            return self._send(request)
        except RequestFailed as failed:
            raise self._error("list", failed.answer) from None

    def delete(self, keys: list[str]) -> None:
        """Delete objects; a key without an object is no error."""
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]

            def request(obstore: Any, store: S3Store, batch: list[str] = batch) -> None:
                obstore.delete(store, batch)

            try:
                self._send(request)
            except RequestFailed as failed:
                if failed.answer.is_foreign or not failed.answer.is_missing:
                    raise self._error("delete", failed.answer) from None

    def now(self, prefix: str) -> datetime:
        """Return the time by the clock of the store, from an object below `prefix` that is deleted."""
        key = f"{prefix}/{uuid.uuid4().hex}"
        self.upload(key, b"", 0)
        try:
            found = self._send(lambda obstore, store: obstore.get(store, key).meta["last_modified"])
        except RequestFailed as failed:
            raise self._error("read", failed.answer) from None
        self.delete([key])
        assert isinstance(found, datetime)
        return found

    def _send(self, request: Callable[[Any, S3Store], T]) -> T:
        if self._first is None:
            check_installed("A drive on an object store", "s3", "obstore")
        import obstore  # noqa: PLC0415 - an optional package, which takes 15 ms
        from obstore.exceptions import BaseError  # noqa: PLC0415 - the same

        store = self._store()
        try:
            result = interruptible(lambda: request(obstore, store))
        except (BaseError, FileNotFoundError) as error:
            answer = answer_of(error)
            if not self._has_answered and answer.kind in ("Interrupted", "Request"):
                answer = answer._replace(kind="Closed")
            self._has_answered |= bool(answer.status) and not answer.is_foreign
            raise RequestFailed(answer) from None
        self._has_answered = True
        return result

    def _store(self) -> S3Store:
        """Return the connection: an impatient one until the store has answered, then one that repeats.

        So a wrong address is an error within seconds, and a store that restarts is none.
        """
        if _process.setdefault("pid", os.getpid()) != os.getpid():
            raise DriveError(
                "This process was forked from one that has used the object store, and its connections do not "
                "work here; start processes that use drives by spawn instead of fork."
            )
        if self._first is None or self._later is None:
            check_keys()
            self._first = self._connect(total=4, connect=3, retries=5, patience=2)
            self._later = self._connect(total=300, connect=5, retries=12, patience=60)
        return self._later if self._has_answered else self._first

    def _connect(self, *, total: float, connect: float, retries: int, patience: float) -> S3Store:
        """Create a connection.

        Args:
            total: Maximum seconds of one request, with its content.
            connect: Maximum seconds until the server accepts the connection.
            retries: Number of times that a request is repeated after a failure of the server.
            patience: Seconds after which it is no longer repeated.
        """
        from obstore.store import S3Store  # noqa: PLC0415 - see `_send`

        options: dict[str, Any] = {"endpoint": self.connection.endpoint} if self.connection.endpoint else {}
        return S3Store(
            self.url.bucket,
            region=self.connection.region,
            virtual_hosted_style_request=self.connection.uses_host_names,
            client_options={
                "timeout": timedelta(seconds=total),
                "connect_timeout": timedelta(seconds=connect),
                "allow_http": self.connection.allows_http,
            },
            retry_config={
                "max_retries": retries,
                "retry_timeout": timedelta(seconds=patience),
                "backoff": {
                    "init_backoff": timedelta(seconds=0.05),
                    "max_backoff": timedelta(seconds=5),
                    "base": 2,
                },
            },
            **options,
        )

    def _error(self, operation: str, answer: Answer) -> DriveError:
        return answer.error(operation, self.url, self.connection)


def _check_format(got: GetResult) -> None:
    """Refuse a page of the web in the place of an object: an object has a tag, and no object here is HTML.

    Raises:
        RequestFailed: It is such a page.
    """
    if not got.meta["e_tag"] or str(got.attributes.get("Content-Type", "")).startswith("text/html"):
        raise RequestFailed(Answer(0, "", "Format"))


def _check_empty(obstore: Any, store: S3Store, prefix: str) -> None:
    """Refuse to believe that nothing is below `prefix` if the server is no object store.

    The library takes any XML for a listing, and a page of the web for an empty one. An object store that is
    asked for an object answers with one, or with an error that has a code.

    Raises:
        RequestFailed, BaseError, FileNotFoundError: The server is no object store.
    """
    from obstore.exceptions import BaseError  # noqa: PLC0415 - see `_send`

    try:
        got = obstore.get(store, prefix)
    except (BaseError, FileNotFoundError) as error:
        if not answer_of(error).code:
            raise
    else:
        _check_format(got)
