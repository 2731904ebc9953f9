"""The store that keeps drives in a bucket of an object store."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from json import dumps
from operator import attrgetter
from typing import BinaryIO, TypeVar

from lightning_lite.polling import wait_between_tries
from lightning_lite.storage.base import (
    CheckedFile,
    Destination,
    Entry,
    OnProgress,
    Page,
    Parts,
    Problem,
    Source,
)
from lightning_lite.storage.cache_folder import default_folder
from lightning_lite.storage.errors import (
    DriveAmbiguous,
    DriveDamaged,
    DriveError,
    DriveIdError,
    DriveIsDirectory,
    DriveNotFound,
    DriveOSError,
    DriveUnreachable,
    DriveUnsupportedStore,
    DriveWarning,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import Bounds, restored_mode
from lightning_lite.storage.names import PROTOCOL, drive_name
from lightning_lite.storage.object_store.cache import LIMIT, Cache
from lightning_lite.storage.object_store.client import Client, SwapResult
from lightning_lite.storage.object_store.condition_probe import Conditions
from lightning_lite.storage.object_store.connection import parse_url
from lightning_lite.storage.object_store.download import Downloader, ObjectMissing
from lightning_lite.storage.object_store.manifest import (
    RECENT,
    Manifest,
    Node,
    check_names_below,
    entry_of,
    files_below,
    followed,
    manifest_name,
)
from lightning_lite.storage.object_store.parallel import in_parallel
from lightning_lite.storage.object_store.sweep import Deadline, sweep
from lightning_lite.storage.object_store.upload import Uploader
from lightning_lite.storage.object_store.verify import verify
from lightning_lite.storage.transfer.delivery import Delivery
from lightning_lite.storage.transfer.move import (
    content_obstacle,
    place_obstacle,
    remove_copied,
    warn_that_it_stays,
)
from lightning_lite.storage.transfer.staging import SourceCopy, Staged
from lightning_lite.tracebacks import warn_user

T = TypeVar("T")

#: Seconds between two looks for a path that is waited for: at first, and at most.
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0

#: Seconds for which a change is tried again if the store does not say what became of it.
_PATIENCE = 60.0

#: One put of so many also sweeps its drive.
_SWEEP_EVERY = 1000


def drive_names(url: str) -> list[str]:
    """Return the names of the drives in an object store, sorted.

    Args:
        url: `s3://bucket/prefix`.
    """
    client = Client(parse_url(url))
    return [name for name in client.folders(client.url.key("drives")) if _is_name(name)]


def _is_name(name: str) -> bool:
    try:
        drive_name(PROTOCOL + name)
    except DriveIdError:
        return False
    return True


class ObjectStore:
    """Keeps one drive in a bucket; see `Store` for the methods.

    All puts and deletes are durable. The keys for the bucket are those in the environment of the process
    that uses it, see `connection`.

    Args:
        url: `s3://bucket/prefix`.
        name: Name of the drive.
        cache: Absolute folder for copies of objects; by default the user's folder for caches.
        cache_bytes: Maximum size of these copies.
    """

    def __init__(self, url: str, name: str, *, cache: str | None = None, cache_bytes: int = LIMIT) -> None:
        self._arguments = url, name, cache, cache_bytes
        self._client = Client(parse_url(url))
        self._top = self._client.url.key("drives", name, "top")
        self._data = self._client.url.key("drives", name, "data")
        self._cache = Cache(cache or default_folder(), cache_bytes)
        self._conditions = Conditions(self._client)
        self._uploader = Uploader(self._client, self._data, self._cache)
        self._downloader = Downloader(self._client, self._data, self._cache)

    def __repr__(self) -> str:
        return f"ObjectStore({self._arguments[0]!r}, {self._arguments[1]!r})"

    def __reduce__(self) -> tuple[Callable[..., ObjectStore], tuple[str, str, str | None, int]]:
        return _restored, self._arguments

    def check(self) -> None:
        """Find out whether drives can be kept here, without changing one.

        Raises:
            DriveUnsupportedStore: The store does not keep conditions.
            DriveUnreachable: Nothing answers, or the bucket does not exist.
            DrivePermissionError: The keys are missing or wrong, or may not write.
        """
        self._conditions.check()

    def put(
        self,
        owner: str,
        parts: Parts,
        source: Source,
        *,
        exclusive: bool,
        move: bool,
        durable: bool,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Store a file or a folder; see `Store`. A move is a copy, after which the source is removed."""
        deadline = Deadline()
        bounds = Bounds(source.folder, self._cache.folder, follow_symlinks=source.follow_symlinks)
        fd = bounds.open(source.path)
        try:
            copy = SourceCopy(source, bounds, fd)
            copy.warn_of_log()
            check = partial(
                Manifest.check_put,
                owner=owner,
                parts=parts,
                is_folder=copy.is_folder,
                exclusive=exclusive,
                portable=source.portable,
            )
            self._conditions.check()
            before = self._read(parts[0])
            check(before[0])  # before the content is sent
            obstacle = None
            if move:
                obstacle = place_obstacle(fd, source.path) or content_obstacle(fd, source.path)
                if obstacle is not None:
                    warn_that_it_stays(source.path, obstacle)  # first: if warnings are errors, nothing is put
            node = self._uploader.send(copy, fd, source, on_progress)

            def change(manifest: Manifest) -> None:
                check(manifest)
                deadline.check()
                manifest.put(owner, parts, node)

            self._change(parts[0], change, before)
            if move and obstacle is None:
                remove_copied(copy)
        finally:
            syscalls.close(fd)
        if random.randrange(_SWEEP_EVERY) == 0:
            self._sweep_after_put()

    def get(
        self,
        parts: Parts,
        destination: Destination,
        *,
        owner: str | None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Copy one version of a file or a folder to `destination`; see `Store`."""
        delivery = Delivery(destination)

        def get(node: Node) -> None:
            def fill(staged: Staged) -> None:
                if "d" in node:
                    self._downloader.write_folder(node, staged.fd, delivery.path, on_progress)
                    return
                self._downloader.write_file(node, staged.fd, delivery.path, on_progress)
                copy = syscalls.open_file(staged.path, syscalls.READ, dir_fd=staged.dir_fd)
                try:
                    delivery.warn_of_log(copy)
                finally:
                    syscalls.close(copy)

            delivery.write(fill, restored_mode(node["m"]), is_folder="d" in node)

        self._with_version(parts, owner, get)

    def delete(self, owner: str, parts: Parts, *, durable: bool) -> None:
        """Remove a file or folder of `owner`; see `Store`."""
        self._conditions.check()
        self._change(parts[0], lambda manifest: manifest.delete(owner, parts), self._read(parts[0]))

    def names(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[str]:
        """Return paths at and below `parts`; see `Store`."""
        return sorted({entry.name for entry in self._entries(parts, owner, recursive=recursive)})

    def entries(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[Entry]:
        """Return entries at and below `parts`; see `Store`."""
        return sorted(self._entries(parts, owner, recursive=recursive))

    def page(self, parts: Parts, *, owner: str | None, after: tuple[str, str], limit: int) -> Page:
        """Return some of the entries in a folder; see `Store`."""
        entries = sorted(self._entries(parts, owner, recursive=False), key=attrgetter("name", "owner"))
        rest = [entry for entry in entries if (entry.name, entry.owner) > after]
        return Page(rest[:limit], len(entries))

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`; see `Store`."""
        return self._read(parts[0])[0].owners(parts)

    def is_folder(self, parts: Parts, *, owner: str | None) -> bool:
        """Return whether a folder is at `parts`; see `Store`."""
        manifest, _ = self._read(parts[0])
        owners = manifest.spaces if owner is None else [owner]
        return any("d" in (manifest.find(each, parts) or {}) for each in owners)

    def open(self, parts: Parts, *, owner: str | None) -> BinaryIO:
        """Open a file for reading; see `Store`. It is fetched to this machine first."""

        def open_file(node: Node) -> BinaryIO:
            if "d" in node:
                raise DriveIsDirectory(f"{shown('/'.join(parts))} is a folder; open a file in it, or get it.")
            with self._downloader.opened(node) as fd:
                return os.fdopen(syscalls.dup(fd), "rb")

        return self._with_version(parts, owner, open_file)

    def wait(self, is_there: Callable[[], bool], timeout: float) -> bool:
        """Wait for something new; see `Store`. The store is asked at most once a second."""
        deadline, pause = time.monotonic() + timeout, _FIRST_PAUSE
        while not is_there():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            wait_between_tries(min(pause, left))
            pause = min(pause * 1.5, _LONGEST_PAUSE)
        return True

    @contextmanager
    def draft(self) -> Iterator[str]:
        """Give a free path in the cache; see `Store`."""
        with self._cache.staging.new_folder() as staged:
            yield f"{staged.path}/draft"

    def local_path(self, owner: str, parts: Parts) -> str:
        """Return the path of a copy on this machine; see `Store`. It stays for a day after a call."""
        manifest, _ = self._read(parts[0])
        if manifest.find(owner, parts) is None:
            return f"{self._cache.folder}/views/nothing/{parts[-1]}"
        return self._with_version(parts, owner, lambda node: self._view(node, parts[-1]))

    def verify(self, *, hashes: bool) -> Iterator[Problem | CheckedFile]:
        """Compare the drive with the promises of drives; see `Store`."""
        return verify(self._client, self._data, self._bodies(), self._downloader, hashes=hashes)

    def sweep(self) -> int:
        """Delete the objects that belong to no version: from dead writers, and of replaced versions.

        Objects younger than a week, by the clock of the store, stay.

        Returns:
            The number of deleted objects.
        """
        return sweep(self._client, self._data, self._manifests())

    def _sweep_after_put(self) -> None:
        try:
            self.sweep()
        except DriveError as error:  # the put is done
            warn_user(
                f"Old versions in {self._client.url} could not be deleted: {error.message}",
                DriveWarning,
            )

    def _view(self, node: Node, name: str) -> str:
        def write(path: str) -> None:
            syscalls.mkdir(path, 0o700)
            inner = f"{path}/{name}"
            if "d" in node:
                syscalls.mkdir(inner, 0o700)
                fd = syscalls.open_file(inner, syscalls.FOLDER)
            else:
                fd = syscalls.open_file(inner, syscalls.CREATE, 0o600)
            try:
                if "d" in node:
                    self._downloader.write_folder(node, fd, inner, None)
                else:
                    self._downloader.write_file(node, fd, inner, None)
            finally:
                syscalls.close(fd)

        digest = sha256(dumps([name, node], sort_keys=True).encode()).hexdigest()
        return f"{self._cache.view(digest, write)}/{name}"

    # Manifests.

    def _read(self, first: str) -> tuple[Manifest, str | None]:
        """Return the manifest of a first name, and its tag, `None` if there is none yet."""
        stored = self._client.read(f"{self._top}/{manifest_name(first)}")
        return (Manifest(first), None) if stored is None else (Manifest(first, stored.body), stored.tag)

    def _manifests(self) -> Iterator[Manifest]:
        """Read all manifests."""
        for name, body in self._bodies():
            yield Manifest(name, body)

    def _bodies(self) -> Iterator[tuple[str, bytes]]:
        """Read names and contents of all manifests."""
        keys = [one.key for one in self._client.listing(self._top)]
        for key, stored in in_parallel(lambda key: (key, self._client.read(key)), keys):
            if stored is not None:
                yield key.rpartition("/")[2], stored.body

    def _change(
        self, first: str, change: Callable[[Manifest], None], before: tuple[Manifest, str | None]
    ) -> None:
        """Change the manifest of a first name, again and again until no other process was faster.

        Args:
            first: The name.
            change: Changes a manifest, or raises the reason why not.
            before: The manifest that was read, and its tag.

        Raises:
            DriveUnreachable: The store does not say what became of the change.
            DriveUnsupportedStore: It refuses the change again and again, and nothing else changes it.
        """
        key = f"{self._top}/{manifest_name(first)}"
        mark = uuid.uuid4().hex[:16]
        attempts = _Attempts()
        manifest, tag = before
        while True:
            change(manifest)
            last_count, last_tag = manifest.count, tag
            result = self._client.swap(key, manifest.encoded(mark), tag)
            if result is SwapResult.DONE:
                return
            attempts.pause(result)
            try:
                manifest, tag = self._read(first)
            except DriveOSError as error:
                raise self._not_known(first, f": {error.message}") from None
            if manifest.has(mark):
                return  # it was done, and only the answer was lost
            if manifest.count - last_count > RECENT or attempts.are_unanswered(result):
                raise self._not_known(first)
            if attempts.are_refused(result, is_same=tag == last_tag):
                raise DriveUnsupportedStore(
                    f"The object store at {self._client.connection.place} refuses each change of "
                    f"{shown(first)}, as if another process had changed it, but it has not changed for "
                    f"{_PATIENCE:.0f} s. The change was not made; use a store with conditional writes."
                )

    def _not_known(self, first: str, why: str = "") -> DriveUnreachable:
        return DriveUnreachable(
            f"The object store at {self._client.connection.place} did not say whether the change of "
            f"{shown(first)} was made; look with list(), and do it again if it was not{why.rstrip('.')}."
        )

    def _with_version(self, parts: Parts, owner: str | None, use: Callable[[Node], T]) -> T:
        """Return the result of `use` for the node at a path.

        If its content was swept since the manifest was read, the path has a newer version, which is used.
        """
        before: Node | None = None
        while True:
            node = self._find(parts, owner)
            try:
                return use(node)
            except ObjectMissing as missing:
                if node == before:
                    raise DriveDamaged(
                        f"The content of {shown('/'.join(parts))} is missing in {self._client.url} (object "
                        f"{missing}): another program has deleted it; put the file again."
                    ) from None
                before = node

    def _find(self, parts: Parts, owner: str | None) -> Node:
        manifest, _ = self._read(parts[0])
        path = "/".join(parts)
        owners = [owner] if owner else manifest.owners(parts)
        if len(owners) > 1:
            raise DriveAmbiguous(
                f"We found several matching files created by multiple components: {owners}. "
                f"Pass component_name=... to choose one for {shown(path)}.",
                owners=owners,
            )
        node = manifest.find(owners[0], parts) if owners else None
        if node is None:
            whose = f" of the component {shown(owner)}" if owner else ""
            raise DriveNotFound(
                f"We didn't find any match for the associated {shown(path)}{whose}; see list()."
            )
        check_names_below(node, path)
        return node

    def _entries(self, parts: Parts, owner: str | None, *, recursive: bool) -> Iterator[Entry]:
        path = "/".join(parts)
        for manifest in [self._read(parts[0])[0]] if parts else self._manifests():
            for who, space in manifest.spaces.items():
                node = followed(space, parts) if owner in (None, who) else None
                if node is None:
                    continue
                prefix = f"{path}/" if path else ""
                if "d" not in node:
                    yield entry_of(node, path, who)
                elif recursive:
                    for name, inner in files_below(node, prefix):
                        yield entry_of(inner, name, who)
                else:
                    for name, inner in node["d"].items():
                        yield entry_of(inner, prefix + name, who)


class _Attempts:
    """The attempts at one change of a manifest: the pauses between them, and when to give up."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._count = 0
        self._refused_since: float | None = None

    def pause(self, result: SwapResult) -> None:
        """Wait for a random time, so that two processes do not meet again; not after a first refusal."""
        self._count += 1
        if self._count > 1 or result is SwapResult.UNKNOWN:
            wait_between_tries(random.uniform(0, min(0.005 * 2 ** min(self._count, 8), 1.0)))

    def are_unanswered(self, result: SwapResult) -> bool:
        """Return whether the change takes too long, and its last attempt had no answer."""
        return result is SwapResult.UNKNOWN and time.monotonic() - self._begin > _PATIENCE

    def are_refused(self, result: SwapResult, *, is_same: bool) -> bool:
        """Return whether the store has refused the change for too long without a reason.

        Args:
            result: The result of the last attempt.
            is_same: Whether no other process has changed the manifest since it was read for that attempt.
        """
        now = time.monotonic()
        if result is not SwapResult.REFUSED or not is_same:
            self._refused_since = None
            return False
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since > _PATIENCE


def _restored(url: str, name: str, cache: str | None, cache_bytes: int) -> ObjectStore:
    return ObjectStore(url, name, cache=cache, cache_bytes=cache_bytes)
