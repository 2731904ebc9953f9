"""`Payload`: an object that travels from work to work through a file, not through the flow.

The flow has only a reference: work, attribute and version. The object is stored when a work assigns the
payload, and read from the store when another work gets it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from hashlib import sha1
from typing import Any, Self

from lightning_lite.context import current_caller
from lightning_lite.errors import StateError
from lightning_lite.storage import pickle_file
from lightning_lite.storage.artifacts import Artifacts
from lightning_lite.storage.base import Parts
from lightning_lite.storage.content_digest import (
    ContentDigest,
    check_digest,
    check_digest_at,
    refuse_other_kind,
    take_digest,
)
from lightning_lite.storage.errors import (
    DriveContextError,
    DriveDetached,
    DriveError,
    DriveNotFound,
    DriveNotStored,
    translate_errors,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.values.pickling import PackingError, explain, shown_type
from lightning_lite.values.transferable import NotShareable, Transferable

#: Seconds for which the versions of earlier processes are kept.
_WEEK = 7 * 24 * 3600.0

#: Versions that this process has stored, by root, work and attribute; the oldest first.
_stored: dict[tuple[str, str, str], list[str]] = {}


class Payload(Transferable):
    """An object that one work passes to another; the flow has only a reference to it.

    Assign it to a public attribute in the `run` of a work: that stores it. In a flow, its `value` is `None`;
    a work that gets it, as an argument or an attribute, reads the object from `value`. Big buffers, as those
    of NumPy arrays, are mapped from the file and do not pass through the flow; changes by the receiver are
    private to it. A new object is a new payload, and thus a new argument of a call.

    Args:
        value: Any object that can be pickled.

    Attributes:
        name: Attribute to which it was assigned first, or `None`.
        origin_name: Work that made it, or `None`.
        consumer_name: Work that got it last, or `None`.
        keep: Class attribute: number of versions of each attribute that a process of a work keeps, the newest
            ones. Versions of earlier processes are removed after a week.

    Example:
        >>> Payload([1, 2]).value
        [1, 2]
    """

    keep = 8

    def __init__(self, value: Any) -> None:
        self.name: str | None = None
        self.origin_name: str | None = None
        self.consumer_name: str | None = None
        self._version = ""
        self._root: str | None = None
        self._digest: ContentDigest | None = None
        self._value = value
        self._is_here = True

    @property
    def value(self) -> Any:
        """The object; `None` in a flow."""
        if not self._is_here and current_caller().kind in ("work", "script"):
            self._fetch()
        return self._value

    @property
    def hash(self) -> str | None:
        """Identifier made of origin, consumer and name; `None` without an origin."""
        if self.origin_name is None:
            return None
        return sha1(f"{self.origin_name}/{self.consumer_name}/{self.name}".encode()).hexdigest()

    def save(self, obj: Any, path: str) -> None:
        """Write `obj` to the new file or folder at `path`; override it together with `load`."""
        pickle_file.dump(obj, path)

    def load(self, path: str) -> Any:
        """Return the object that `save` wrote to `path`; the file must not be changed."""
        return pickle_file.load(path)

    def exists_remote(self) -> bool:
        """Return whether the store has it.

        Raises:
            DriveDetached: It was never assigned in the run of a work.
        """
        return self._artifacts().has(self._origin("check whether it exists"), self._parts)

    def get(self) -> Any:
        """Read the object from the store again, and return it.

        Raises:
            DriveContextError: The caller is a flow.
            DriveDetached: It was never assigned in the run of a work.
            DriveNotStored: Newer versions have replaced it.
        """
        if current_caller().kind in ("flow", "init"):
            raise DriveContextError(
                "`Payload.get()` can only be called from within the `run()` method of LightningWork."
            )
        self._fetch()
        return self._value

    # Transfer between works, without the object.

    def call_key(self) -> tuple[str, str | None, str]:
        """Return the origin, the attribute and the version, which identify it as an argument of a call."""
        return self._origin("pass it to a work"), self.name, self._version

    def attached(self, work: str, attribute: str) -> None:
        """Record that it becomes an attribute of `work`; the first such work stores it."""
        kind = current_caller().kind
        if self.origin_name is None and kind != "script":
            if kind != "work":
                raise StateError(
                    "The Payload object should be set only within the run method of the work. "
                    f"In __init__ declare self.{attribute} = None.",
                    attribute=attribute,
                )
            self._store(work, attribute)
        self.consumer_name = work or None

    def before_run(self, work: str) -> Self:
        """Read the object for `work`, unless that work made it."""
        self.consumer_name = work
        if self.origin_name != work and not self._is_here and self.exists_remote():
            self._fetch()
        return self

    def check_travels(self) -> None:
        """Refuse to send a payload without a stored object: only its reference is sent."""
        if self.origin_name is None:
            raise NotShareable(
                f"a {type(self).__name__} that no work has stored would arrive without its value. Assign it "
                "to a public attribute in the run of a work, which stores the value, and pass that on"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        reference = (self.name, self.origin_name, self.consumer_name, self._version, self._root)
        digest = None if self._digest is None else tuple(self._digest)
        return _revive, (type(self), *reference, digest)

    def __repr__(self) -> str:
        if self.origin_name is None:
            return f"{type(self).__name__}({self._value!r})"
        return f"<{type(self).__name__} {self.name} of {self.origin_name}, version {self._version}>"

    @property
    def _parts(self) -> Parts:
        return (self.name or "", self._version)

    def _artifacts(self) -> Artifacts:
        # A script that reads it after the end of the app has another root, or none.
        return Artifacts(".payloads", current_caller().drives_root or self._root)

    def _origin(self, purpose: str) -> str:
        if self.origin_name is None:
            raise DriveDetached(
                f"Can't {purpose}, because the Payload is not attached to a LightningWork. "
                "Assign it to an attribute of a work, within its run method, before you pass it on."
            )
        return self.origin_name

    def _store(self, work: str, attribute: str) -> None:
        version = f"{time.time_ns():016x}-{os.urandom(4).hex()}"
        artifacts = self._artifacts()
        with (
            translate_errors("store", f"{work}.{attribute}", "nothing was assigned"),
            artifacts.store.draft() as draft,
        ):
            self._save(work, attribute, draft)
            self._digest = take_digest(draft)
            artifacts.keep(work, (attribute, version), draft, move=True)
        self.name, self.origin_name, self._version, self._root = attribute, work, version, artifacts.root
        with suppress(OSError):  # the next assignment removes them
            _forget_old(artifacts, work, attribute, version, self.keep)

    def _save(self, work: str, attribute: str, draft: str) -> None:
        try:
            self.save(self._value, draft)
        except PackingError as error:
            explained = explain(self._value, error, "Make it in the work that uses it.")
            raise PackingError(
                f"{work}.{attribute} can't be a {type(self).__name__} of {shown_type(self._value)}: "
                f"{explained}"
            ) from error

    def _fetch(self) -> None:
        origin = self._origin("get its value")
        path = self._artifacts().store.local_path(origin, self._parts)
        with translate_errors("get", self):
            try:
                self._value = self._load_checked(path)
            except FileNotFoundError as error:
                if syscalls.stat_if_exists(path) is not None:
                    raise
                raise DriveNotStored(
                    f"The value of {self!r} is not in the store any more: the work has assigned {self.keep} "
                    "newer ones since, or the file was removed. Read it earlier, or keep more versions: set "
                    "the class attribute `keep` in a subclass of Payload."
                ) from error
            except OSError:
                refuse_other_kind(path)  # the system says "too many levels" for a link
                raise
        self._is_here = True

    def _load_checked(self, path: str) -> Any:
        """Load the object from the file whose size and digest the reference has."""
        digest = self._digest
        if digest is None:
            raise DriveError(f"The reference of {self!r} has no digest; run the work again that makes it.")
        if type(self).load is Payload.load:
            return pickle_file.load(path, lambda fd: check_digest(fd, path, digest))
        check_digest_at(path, digest)
        return self.load(path)


def _forget_old(artifacts: Artifacts, work: str, attribute: str, version: str, keep: int) -> None:
    """Remove the versions that are no longer kept."""
    place = artifacts.root, work, attribute
    if place not in _stored:
        _stored[place] = []
        limit = time.time() - _WEEK
        for entry in artifacts.store.entries((attribute,), owner=work, recursive=False):
            if entry.time < limit:
                artifacts.store.delete(work, tuple(entry.name.split("/")), durable=False)
    versions = _stored[place]
    versions.append(version)
    while len(versions) > max(keep, 1):
        with suppress(DriveNotFound):
            artifacts.store.delete(work, (attribute, versions.pop(0)), durable=False)


def _revive(
    cls: type[Payload],
    name: str | None,
    origin: str | None,
    consumer: str | None,
    version: str,
    root: str | None,
    digest: tuple[Any, ...] | None = None,
) -> Payload:
    payload = cls.__new__(cls)
    payload.name, payload.origin_name, payload.consumer_name = name, origin, consumer
    payload._version, payload._root = version, root
    payload._digest = None if digest is None else ContentDigest(*digest)
    payload._value, payload._is_here = None, False
    return payload
