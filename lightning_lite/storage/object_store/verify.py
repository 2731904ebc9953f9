"""Compares a drive in an object store with the promises of drives, without changing it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from xxhash import xxh3_128

from lightning_lite.storage.base import CheckedFile, Problem
from lightning_lite.storage.errors import DriveDamaged, DriveError
from lightning_lite.storage.names import check_length, check_part
from lightning_lite.storage.object_store.client import Client
from lightning_lite.storage.object_store.download import Downloader, ObjectMissing
from lightning_lite.storage.object_store.manifest import (
    Manifest,
    Node,
    check_names_below,
    files_below,
    followed,
    short_digest,
)


def verify(
    client: Client, data: str, bodies: Iterator[tuple[str, bytes]], downloader: Downloader, *, hashes: bool
) -> Iterator[Problem | CheckedFile]:
    """Yield each file of a drive, and each problem, in the order of their paths.

    Args:
        client: The bucket.
        data: Key of the folder of the drive's objects with content.
        bodies: Reads names and contents of all manifests of the drive.
        downloader: Fetches the content of files.
        hashes: Whether to read all files from the store, and to compare their digests.
    """
    found: list[tuple[str, str, Node, Node]] = []
    for name, body in bodies:
        try:
            spaces = Manifest(name, body).spaces
            for owner, space in spaces.items():
                for first, node in space["d"].items():
                    check_names_below(node, first)
                found += [(f"{owner}/{path}", path, node, space) for path, node in files_below(space, "")]
        except DriveDamaged as error:
            yield Problem(name, "its manifest is damaged", error.message)
    # After the manifests: the objects that they name were sent before.
    sizes = {one.key.rpartition("/")[2]: one.size for one in client.listing(data)}
    for whole, path, node, space in sorted(found, key=lambda item: item[0]):
        yield from chain(
            _check_at_name(whole, path),
            _check_at_link(whole, path, space)
            if "l" in node
            else _check_at_file(whole, node, sizes, downloader, hashes),
        )


def _check_at_name(whole: str, path: str) -> Iterator[Problem]:
    try:
        check_length(path)
        for part in path.split("/"):
            check_part(part, path, portable=False)
    except DriveError as error:
        yield Problem(whole, f"invalid name: {error.message.rstrip('.')}", "delete it")


def _check_at_link(whole: str, path: str, space: Node) -> Iterator[Problem]:
    if followed(space, tuple(path.split("/"))) is None:
        yield Problem(whole, "it is a symbolic link to nothing in the drive", "put its target, or delete it")


def _check_at_file(
    whole: str, node: Node, sizes: dict[str, int], downloader: Downloader, hashes: bool
) -> Iterator[Problem | CheckedFile]:
    size, name = node["s"], node.get("b")
    if size and (name not in sizes or sizes[name] < node.get("o", 0) + size):
        what = "is missing" if name not in sizes else "is too short"
        yield Problem(whole, f"the object {name} with its content {what}", "put it again")
        return
    if not hashes:
        yield CheckedFile(whole, size, "")
        return
    try:
        sha256, own = _digests(node, downloader)
    except ObjectMissing:
        return  # it has just been replaced, and swept
    if node.get("c", own) != own:
        what = f"another program has changed its content in the object {name} since the put"
        yield Problem(whole, what, "put it again")
    yield CheckedFile(whole, size, sha256)


def _digests(node: Node, downloader: Downloader) -> tuple[str, str]:
    """Return the SHA-256 of the content in the store, and the digest that the node should have."""
    import hashlib  # noqa: PLC0415 - loads OpenSSL, which works do not need

    sha256, own = hashlib.sha256(), xxh3_128()
    for data in downloader.pieces(node):
        sha256.update(data)
        own.update(data)
    return sha256.hexdigest(), short_digest(own)
