"""Checks an object store that keeps drives: its package, the keys, the bucket, the conditions of requests."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from time import perf_counter

from lightning_lite.cli.checks.result import FAILURE, OK, WARNING, Finding
from lightning_lite.distribution import NAME
from lightning_lite.quantity_text import count
from lightning_lite.storage.errors import DriveError, DrivePermissionError
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.condition_probe import Conditions
from lightning_lite.storage.object_store.connection import check_keys, parse_url
from lightning_lite.storage.stores import drive_names

#: Seconds of a request above which a `put` of a small file takes noticeable time: it has three,
#: and one more if it is the first of its process.
_SLOW = 0.25

#: Requests of which the fastest one counts.
_REQUESTS = 3


def findings(place: str) -> Iterator[Finding]:
    """Yield the results in the order of the page, up to the first that makes the others useless.

    Args:
        place: The url of the drives.
    """
    try:
        client = Client(parse_url(place))
    except DriveError as error:
        yield Finding("drives", place, FAILURE, error.message)
        return
    yield Finding("drives", f"{place}, {client.connection.place}")
    try:
        yield Finding("obstore", metadata.version("obstore"))
    except metadata.PackageNotFoundError:
        yield Finding("obstore", "not installed", FAILURE, f"pip install '{NAME}[s3]'")
        return
    try:
        check_keys()
        yield Finding("keys", "the environment says which to use")
        yield _bucket(place)
    except DriveError as error:
        yield Finding("bucket", place, FAILURE, error.message)
        return
    yield _conditions(client)
    yield Finding(
        "unfinished uploads",
        "a process that dies during the put of a big file leaves parts that no listing shows",
        OK,
        "let a rule of the bucket remove them: AbortIncompleteMultipartUpload after 7 days",
    )


def _bucket(place: str) -> Finding:
    took = []
    for _ in range(_REQUESTS):
        began = perf_counter()
        names = drive_names(place)
        took.append(perf_counter() - began)
    # If nothing is listed, a second request asks for an object; see `Client.folders`.
    seconds = min(took) if names else min(took) / 2
    value = f"{count(len(names), 'drive')}, {seconds * 1e3:.0f} ms per request"
    if seconds > _SLOW:
        return Finding("bucket", value, WARNING, "a put of a small file has 3 or 4 requests, a get 2")
    return Finding("bucket", value)


def _conditions(client: Client) -> Finding:
    try:
        Conditions(client).check()
    except DrivePermissionError as error:
        return Finding("conditions", "the bucket can only be read", WARNING, error.message)
    except DriveError as error:
        return Finding("conditions", "no", FAILURE, error.message)
    return Finding("conditions", "yes")
