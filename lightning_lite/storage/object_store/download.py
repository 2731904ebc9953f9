"""Fetches the content of a node from the store, and writes it to files and folders of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lightning_lite.storage.base import OnProgress, Parts
from lightning_lite.storage.errors import DriveDamaged, DriveSymlink, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import copy_range, restored_mode, warn_of_loss
from lightning_lite.storage.fs.symlinks import follow
from lightning_lite.storage.object_store.attributes import write_attributes
from lightning_lite.storage.object_store.cache import Cache
from lightning_lite.storage.object_store.client import PART, Client
from lightning_lite.storage.object_store.manifest import Node, files_below, link_text
from lightning_lite.storage.object_store.parallel import in_parallel


class ObjectMissing(Exception):
    """The object with the content of a node does not exist any more: the node was replaced, and swept."""


class Span(NamedTuple):
    """Some bytes of an object.

    Attributes:
        id: The id of the object.
        start: The first byte.
        end: The byte after the last.
    """

    id: str
    start: int
    end: int


class Downloader:
    """Fetches files and folders of one drive.

    Args:
        client: The bucket.
        data: Key of the folder of the drive's objects with content.
        cache: Where objects are kept on this machine.
    """

    def __init__(self, client: Client, data: str, cache: Cache) -> None:
        self._client = client
        self._data = data
        self._cache = cache

    def pieces(self, node: Node) -> Iterator[bytes]:
        """Read the content of the file `node` from the store, and not from a copy on this machine.

        Raises:
            ObjectMissing: It was replaced and swept.
        """
        span = _span(node)
        for start in range(span.start, span.end, PART):
            yield self._piece(span, start)

    @contextmanager
    def opened(self, node: Node, on_progress: OnProgress | None = None) -> Iterator[int]:
        """Give the descriptor of a local file with the content of the file `node`, for the `with` block."""
        with self._local(_span(node), on_progress) as fd:
            yield fd

    def write_file(self, node: Node, fd: int, path: str, on_progress: OnProgress | None) -> None:
        """Write the file `node` to an empty file, with its permissions and times.

        Args:
            node: The node.
            fd: Descriptor of the file.
            path: Its path, for warnings.
            on_progress: Called with the number of bytes after each piece, or `None`.

        Raises:
            ObjectMissing: It was replaced and swept.
        """
        span = _span(node)
        if self._cache.keeps(node["s"]):
            with self._local(span, on_progress) as source:
                if not syscalls.clone(source, fd):
                    copy_range(source, fd, 0, node["s"], None)
        else:
            self._fetch(span, fd, on_progress)
        lost: set[str] = set()
        _finish_file(fd, node, lost)
        warn_of_loss(path, lost)

    def write_folder(self, folder: Node, fd: int, path: str, on_progress: OnProgress | None) -> None:
        """Write everything in the folder `folder` to an empty folder; see `write_file`.

        Raises:
            ObjectMissing: It was replaced and swept.
            DriveSymlink: A link in it leads out of it.
        """
        lost: set[str] = set()
        folders = list(_folders(folder, ()))
        for parts, _ in folders[1:]:
            syscalls.mkdir("/".join(parts), 0o700, dir_fd=fd)
        files = list(files_below(folder, ""))
        first: dict[tuple[str, str], str] = {}
        again: list[tuple[str, str]] = []
        by_object: dict[str, list[tuple[str, Node]]] = {}
        for name, node in files:
            if "l" in node:
                continue
            one = first.setdefault((node.get("b", ""), node["h"]), name) if "h" in node else name
            if one == name:
                by_object.setdefault(node.get("b", ""), []).append((name, node))
            else:
                again.append((one, name))

        def write(group: list[tuple[str, Node]]) -> int:
            return self._write_group(group, fd, lost)

        for size in in_parallel(write, by_object.values()):
            if on_progress is not None:
                on_progress(size)
        for one, name in again:
            syscalls.link(one, name, src_dir_fd=fd, dst_dir_fd=fd, follow_symlinks=False)
        for name, node in files:
            if "l" in node:
                _write_link(folder, name, node, fd)
        for parts, inner in reversed(folders):
            _finish_folder("/".join(parts), inner, fd, lost)
        warn_of_loss(path, lost)

    def _write_group(self, group: list[tuple[str, Node]], folder: int, lost: set[str]) -> int:
        """Write files whose contents are in one object; return their bytes."""
        spans = [_span(node) for _, node in group]
        whole = Span(spans[0].id, min(span.start for span in spans), max(span.end for span in spans))
        if whole.end - whole.start > PART and not self._cache.keeps(whole.end - whole.start):
            for name, node in group:  # one file, because files that share an object are small
                with _new_file(folder, name) as fd:
                    self._fetch(_span(node), fd, None)
                    _finish_file(fd, node, lost)
            return whole.end - whole.start
        with self._local(whole, None) as source:
            for (name, node), span in zip(group, spans, strict=True):
                with _new_file(folder, name) as fd:
                    _copy(source, fd, span.start - whole.start, span.end - span.start)
                    _finish_file(fd, node, lost)
        return sum(span.end - span.start for span in spans)

    @contextmanager
    def _local(self, span: Span, on_progress: OnProgress | None) -> Iterator[int]:
        """Give the descriptor of a local file with some bytes of an object, for the `with` block."""
        name = f"{span.id or 'empty'}-{span.start:x}-{span.end:x}"
        is_fetched = False

        def fetch(fd: int) -> None:
            nonlocal is_fetched
            is_fetched = True
            self._fetch(span, fd, on_progress)

        with self._cache.opened(name, span.end - span.start, fetch) as fd:
            if not is_fetched and on_progress is not None:
                on_progress(span.end - span.start)
            yield fd

    def _fetch(self, span: Span, fd: int, on_progress: OnProgress | None) -> None:
        """Write some bytes of an object to the beginning of an empty file."""

        def fetch(start: int) -> int:
            data, done = self._piece(span, start), 0
            while done < len(data):
                done += syscalls.pwrite(fd, memoryview(data)[done:], start - span.start + done)
            return len(data)

        for length in in_parallel(fetch, range(span.start, span.end, PART)):
            if on_progress is not None:
                on_progress(length)

    def _piece(self, span: Span, start: int) -> bytes:
        """Return the bytes of an object from a position on, at most one part."""
        length = min(PART, span.end - start)
        data = self._client.fetch(f"{self._data}/{span.id}", start, length)
        if data is None:
            raise ObjectMissing(span.id)
        if len(data) != length:
            raise DriveDamaged(
                f"The object {span.id} in {self._client.url} is shorter than the file that was put; "
                f"put it again."
            )
        return data


def _span(node: Node) -> Span:
    start = node.get("o", 0)
    return Span(node.get("b", ""), start, start + node["s"])


@contextmanager
def _new_file(folder: int, path: str) -> Iterator[int]:
    fd = syscalls.open_file(path, syscalls.CREATE, 0o600, dir_fd=folder)
    try:
        yield fd
    finally:
        syscalls.close(fd)


def _copy(source: int, target: int, start: int, size: int) -> None:
    """Copy bytes of an open file from a position to the beginning of another one."""
    done = 0
    while done < size:
        data = syscalls.pread(source, min(PART, size - done), start + done)
        written = 0
        while written < len(data):
            written += syscalls.write(target, memoryview(data)[written:])
        done += len(data)


def _finish_file(fd: int, node: Node, lost: set[str]) -> None:
    write_attributes(fd, node, lost)
    syscalls.set_mode(fd, restored_mode(node["m"]))
    syscalls.utime(fd, ns=(node["t"], node["t"]))


def _finish_folder(path: str, node: Node, top: int, lost: set[str]) -> None:
    """Give a folder its permissions and times; the top stays writable, because its rename needs that."""
    fd = syscalls.open_file(path, syscalls.FOLDER, dir_fd=top) if path else syscalls.dup(top)
    try:
        write_attributes(fd, node, lost)
        syscalls.set_mode(fd, restored_mode(node["m"]) | (0 if path else 0o700))
        syscalls.utime(fd, ns=(node["t"], node["t"]))
    finally:
        syscalls.close(fd)


def _folders(folder: Node, parts: Parts) -> Iterator[tuple[Parts, Node]]:
    """Yield a folder and all folders in it, each after its parent."""
    yield parts, folder
    for name, node in folder["d"].items():
        if "d" in node:
            yield from _folders(node, (*parts, name))


def _write_link(folder: Node, path: str, node: Node, top: int) -> None:
    if follow(path.split("/")[:-1], node["l"], lambda inner: link_text(folder, inner)) is None:
        raise DriveSymlink(
            f"{shown(path)} is a symbolic link that leads out of the folder: get a folder that contains its "
            f"target, too."
        )
    syscalls.symlink(node["l"], path, dir_fd=top)
    syscalls.utime(path, ns=(node["t"], node["t"]), dir_fd=top, follow_symlinks=False)
