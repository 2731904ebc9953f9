"""Sends the content of a put to the store, and describes it as a node of a manifest.

A file is read while it is sent. A folder is copied on this machine first: so the content that is sent is that
of one moment, by the same rules as in a local drive. Small files of a folder share objects.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from stat import S_IMODE
from typing import NamedTuple

import xxhash

from lightning_lite.storage.base import OnProgress, Source
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import SMALL, changed, stored_mode, warn_of_loss
from lightning_lite.storage.object_store.attributes import read_attributes
from lightning_lite.storage.object_store.cache import Cache
from lightning_lite.storage.object_store.client import PART, Client
from lightning_lite.storage.object_store.manifest import Node, short_digest
from lightning_lite.storage.object_store.parallel import in_parallel
from lightning_lite.storage.transfer.staging import SourceCopy

#: Most bytes of an object that small files share.
PACK = 8 * 1024 * 1024


class Upload(NamedTuple):
    """An object to send.

    Attributes:
        key: Its key.
        paths: The files whose contents it has, one after the other.
        nodes: The node of each; it gets the digest of the content that is sent.
        size: Bytes.
    """

    key: str
    paths: list[str]
    nodes: list[Node]
    size: int


class Uploader:
    """Sends files and folders to one drive.

    Args:
        client: The bucket.
        data: Key of the folder of the drive's objects with content.
        cache: Where folders are copied on this machine.
    """

    def __init__(self, client: Client, data: str, cache: Cache) -> None:
        self._client = client
        self._data = data
        self._cache = cache

    def send(self, copy: SourceCopy, fd: int, source: Source, on_progress: OnProgress | None) -> Node:
        """Send an open source and return its node.

        Args:
            copy: Reads the source.
            fd: Its descriptor.
            source: Its path, for errors.
            on_progress: Called with the number of bytes after each piece, or `None`.

        Raises:
            DriveSourceChanged: Another process changed the source while it was read.
        """
        if copy.is_folder:
            return self._send_folder(copy, on_progress)
        return self._send_file(copy, fd, source.path, on_progress)

    def _send_file(self, copy: SourceCopy, fd: int, path: str, on_progress: OnProgress | None) -> Node:
        size = copy.info.st_size
        lost: set[str] = set()
        node: Node = {"s": size, "m": stored_mode(copy.mode), "t": copy.info.st_mtime_ns}
        digest = xxhash.xxh3_128()
        if size:
            node["b"] = uuid.uuid4().hex
            pieces = _pieces(fd, size, digest, on_progress, path)
            body = b"".join(pieces) if size <= PART else pieces
            self._client.upload(f"{self._data}/{node['b']}", body, size)
            node["c"] = short_digest(digest)
        if not copy.is_unchanged():
            copy.refresh()
            again = xxhash.xxh3_128()
            for _ in _pieces(fd, size, again, None, path):
                pass
            if copy.info.st_size != size or again.digest() != digest.digest():
                raise changed(path)
        read_attributes(fd, node, lost)
        warn_of_loss(path, lost)
        return node

    def _send_folder(self, copy: SourceCopy, on_progress: OnProgress | None) -> Node:
        with self._cache.staging.new_folder() as staged:
            copy.copy_to(staged, stored_mode, durable=False, on_progress=None)
            plan = _Plan(self._data)
            node = plan.add_folder(staged.path, stored_mode(copy.mode))
            for sent in in_parallel(self._send_object, plan.finished()):
                if on_progress is not None:
                    on_progress(sent)
            return node

    def _send_object(self, upload: Upload) -> int:
        if len(upload.paths) == 1 and upload.size > PART:
            fd = syscalls.open_file(upload.paths[0], syscalls.READ)
            try:
                digest = xxhash.xxh3_128()
                pieces = _pieces(fd, upload.size, digest, None, upload.paths[0])
                self._client.upload(upload.key, pieces, upload.size)
                upload.nodes[0]["c"] = short_digest(digest)
            finally:
                syscalls.close(fd)
        else:
            self._client.upload(upload.key, b"".join(map(_content, upload.paths, upload.nodes)), upload.size)
        return upload.size


class _Plan:
    """The nodes of a folder, and the objects with the contents of its files."""

    def __init__(self, data: str) -> None:
        self._data = data
        self._uploads: list[Upload] = []
        self._pack = Upload(f"{data}/{uuid.uuid4().hex}", [], [], 0)
        self._linked: dict[int, Node] = {}  # by inode
        self._lost: set[str] = set()  # the copy has warned of it

    def add_folder(self, path: str, mode: int) -> Node:
        """Return the node of a folder on this machine, with these permissions in the drive."""
        nodes: dict[str, Node] = {}
        with syscalls.scandir(path) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            info = entry.stat(follow_symlinks=False)
            if entry.is_symlink():
                nodes[entry.name] = {"l": syscalls.readlink(entry.path), "t": info.st_mtime_ns}
            elif entry.is_dir(follow_symlinks=False):
                nodes[entry.name] = self.add_folder(entry.path, S_IMODE(info.st_mode))
            else:
                nodes[entry.name] = self._add_file(entry.path, info)
        node: Node = {"d": nodes, "m": mode, "t": syscalls.stat(path).st_mtime_ns}
        self._add_attributes(path, node, syscalls.FOLDER)
        return node

    def finished(self) -> list[Upload]:
        """Return all objects to send."""
        self._close_pack()
        return self._uploads

    def _add_file(self, path: str, info: os.stat_result) -> Node:
        if info.st_nlink > 1 and info.st_ino in self._linked:
            return self._linked[info.st_ino]
        node: Node = {"s": info.st_size, "m": S_IMODE(info.st_mode), "t": info.st_mtime_ns}
        if info.st_size > SMALL:
            node["b"] = uuid.uuid4().hex
            self._uploads.append(Upload(f"{self._data}/{node['b']}", [path], [node], info.st_size))
        elif info.st_size:
            if self._pack.size + info.st_size > PACK:
                self._close_pack()
            node |= {"b": self._pack.key.rpartition("/")[2], "o": self._pack.size}
            self._pack.paths.append(path)
            self._pack.nodes.append(node)
            self._pack = self._pack._replace(size=self._pack.size + info.st_size)
        self._add_attributes(path, node, syscalls.READ)
        if info.st_nlink > 1:
            node["h"] = uuid.uuid4().hex[:8]
            self._linked[info.st_ino] = node
        return node

    def _add_attributes(self, path: str, node: Node, flags: int) -> None:
        fd = syscalls.open_file(path, flags)
        try:
            read_attributes(fd, node, self._lost)
        finally:
            syscalls.close(fd)

    def _close_pack(self) -> None:
        if self._pack.paths:
            self._uploads.append(self._pack)
            self._pack = Upload(f"{self._data}/{uuid.uuid4().hex}", [], [], 0)


def _pieces(
    fd: int, size: int, digest: xxhash.xxh3_128, on_progress: OnProgress | None, path: str
) -> Iterator[bytes]:
    """Yield the content of an open file in pieces."""
    position = 0
    while position < size:
        data = syscalls.pread(fd, min(PART, size - position), position)
        if not data:
            raise changed(path)  # it became shorter
        digest.update(data)
        position += len(data)
        yield data
        if on_progress is not None:
            on_progress(len(data))


def _content(path: str, node: Node) -> bytes:
    """Return the content of a file, and add its digest to its node."""
    digest = xxhash.xxh3_128()
    fd = syscalls.open_file(path, syscalls.READ)
    try:
        content = b"".join(_pieces(fd, syscalls.fstat(fd).st_size, digest, None, path))
    finally:
        syscalls.close(fd)
    node["c"] = short_digest(digest)
    return content
