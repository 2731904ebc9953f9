"""Finds out whether an object store keeps the conditions of requests, before the first change of a drive.

A store that takes a condition and does not keep it would let two writers overwrite each other. So each kind
of condition is tried on an object of its own: one that holds, and one that does not. The bucket remembers a
good result for each endpoint, so that it costs other processes one request.
"""

from __future__ import annotations

import json
import uuid
from hashlib import sha256

from lightning_lite.storage.errors import DriveDamaged, DriveUnsupportedStore
from lightning_lite.storage.object_store.client import Client

_VERSION = 1

#: A tag that no object has.
_WRONG_TAG = f'"{"0123456789abcdef" * 2}"'


class Conditions:
    """The conditions of one store.

    Args:
        client: The bucket.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._is_checked = False

    def check(self) -> None:
        """Refuse a store that ignores conditions.

        Raises:
            DriveUnsupportedStore: It does; the message names each wrong answer.
        """
        if self._is_checked:
            return
        server = sha256(self._client.connection.place.encode()).hexdigest()[:16]
        memory = self._client.url.key("conditions", server)
        known = self._client.read(memory)
        if known is None:
            self._try_all()
            body = json.dumps({"version": _VERSION, "bare_tags": self._client.bare_tags}).encode()
            self._client.upload(memory, body, len(body))
        else:
            self._client.bare_tags = _bare_tags(known.body)
        self._is_checked = True

    def _try_all(self) -> None:
        """Try each kind of condition.

        The content afterwards counts, not the answer: the library repeats a request whose answer was
        lost, and the first request lets the condition of the second fail.
        """
        key = self._client.url.key("conditions", "try", uuid.uuid4().hex)
        wrong: list[str] = []
        try:
            if not self._tried(key, b"1", None):
                wrong.append("it refused to create an object that did not exist")
            if self._tried(key, b"2", None):
                wrong.append("it created an object that existed (If-None-Match: *)")
            if self._tried(key, b"3", _WRONG_TAG):
                wrong.append("it replaced an object with another tag (If-Match)")
            if not wrong and not self._tried(key, b"4", self._tag(key)):
                self._client.bare_tags = True  # Ceph before version 17 compares with the quotes
                if not self._tried(key, b"5", self._tag(key)):
                    wrong.append("it refused to replace an object with the right tag (If-Match)")
        finally:
            self._client.delete([key])
        if wrong:
            raise DriveUnsupportedStore(
                f"The object store at {self._client.connection.place} does not keep the conditions of "
                f"requests: {'; '.join(wrong)}. Two writers could overwrite each other, so nothing was put; "
                f"use a store with conditional writes."
            )

    def _tried(self, key: str, body: bytes, tag: str | None) -> bool:
        self._client.swap(key, body, tag)
        found = self._client.read(key)
        return found is not None and found.body == body

    def _tag(self, key: str) -> str:
        found = self._client.read(key)
        return "" if found is None else found.tag


def _bare_tags(body: bytes) -> bool:
    try:
        note = json.loads(body)
        return bool(note["bare_tags"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DriveDamaged(
            "The object in conditions/ of the bucket is damaged: another program has written it; delete it."
        ) from None
