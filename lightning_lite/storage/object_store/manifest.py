"""The manifest of one first name: the files that all components have put there, and the rules for changes.

A manifest is JSON with one tree of nodes for each component. Nothing here sends a request.

    {"version": 1, "count": 7, "recent": ["<mark>", ...], "tree": {"<component>": <folder>, ...}}

A node is a dict with short keys, because a manifest may have 10,000 of them:

    d   folder: its nodes by name              l   symbolic link: its text
    s   file: bytes                            b   file: id of the object with its content, if it has some
    o   file: where its content begins in an object that several files share
    h   file: equal for hard links of one put  x   extended attributes, in base64
    c   file: digest of its content, see `short_digest`; missing in old manifests
    m   permissions, as a local drive has them t   time of the last change, in nanoseconds since 1970
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from time import time_ns
from typing import Any
from unicodedata import ucd_3_2_0
from urllib.parse import quote

from xxhash import xxh3_128

from lightning_lite.storage.base import Entry, Parts
from lightning_lite.storage.errors import (
    DriveDamaged,
    DriveDuplicate,
    DriveIsDirectory,
    DriveNotADirectory,
    DrivePathError,
    not_owned,
    shown,
)
from lightning_lite.storage.fs.symlinks import follow
from lightning_lite.storage.names import check_part, folded, refuse_other_form

Node = dict[str, Any]

VERSION = 1

#: Marks of the latest changes that a manifest keeps.
RECENT = 128

#: Permissions of a folder that a put creates above its target.
_FOLDER_MODE = 0o755

#: Bounds of the numbers in a node: sizes and times are numbers of 64 bits for the system.
_MAX_NUMBER = 2**63 - 1
_MAX_MODE = 0o7777

#: Most folders above a file: this package goes through them with recursion.
_MAX_DEPTH = 400

#: The form of the id of an object with content.
_ID = re.compile("[0-9a-f]{32}")

#: Maximum number of characters of the name of a manifest; a longer one is replaced by its digest.
_MAX_NAME = 400


def manifest_name(first: str) -> str:
    """Return the name of the manifest for the first name of a path.

    Names that differ only in case or Unicode form share a manifest, so that one condition decides between
    them. Only characters of Unicode 3.2 are folded, as all versions of Python fold them in the same way.

    Example:
        >>> manifest_name("Model.ckpt"), manifest_name("a b")
        ('model.ckpt', 'a=20b')
    """
    if first.isascii():
        text = first.lower()
    else:
        text = "".join(
            folded(letter) if ucd_3_2_0.category(letter) not in ("Cn", "Cs") else letter
            for letter in ucd_3_2_0.normalize("NFD", first)
        )
        text = ucd_3_2_0.normalize("NFD", text)
    name = quote(text, safe="", errors="surrogatepass").replace("%", "=").replace("~", "=7E")
    name = f"={ord(name[0]):02X}{name[1:]}" if name[0] == "." else name  # a key has no part that is only dots
    return name if len(name) <= _MAX_NAME else f"=-{sha256(name.encode()).hexdigest()}"


class Manifest:
    """The manifest of one first name.

    Args:
        first: The name, for errors.
        body: Its JSON, or `None` if there is none yet.

    Raises:
        DriveDamaged: The JSON is no manifest, or the manifest of a newer version of this package.
    """

    def __init__(self, first: str, body: bytes | None = None) -> None:
        self._document: dict[str, Any] = {"version": VERSION, "count": 0, "recent": [], "tree": {}}
        if body is None:
            return
        try:
            self._document = json.loads(body)
            version = self._document["version"]
            if type(version) is not int:
                raise TypeError
            wrong = _wrong_place(self._document) if version == VERSION else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            wrong, version = "", VERSION
        if version != VERSION:
            raise DriveDamaged(
                f"The manifest of {shown(first)} has version {version}, this package knows {VERSION}; "
                f"use a newer one."
            )
        if wrong is not None:
            where = f" at {shown(wrong)}" if wrong else ""
            raise DriveDamaged(
                f"The manifest of {shown(first)} is damaged{where}: another program has written to the "
                f"bucket; restore that object."
            )

    @property
    def spaces(self) -> dict[str, Node]:
        """The tree of each component."""
        spaces: dict[str, Node] = self._document["tree"]
        return spaces

    @property
    def count(self) -> int:
        """The number of changes."""
        return int(self._document["count"])

    def has(self, mark: str) -> bool:
        """Return whether the change with this mark is one of the latest."""
        return mark in self._document["recent"]

    def encoded(self, mark: str) -> bytes:
        """Return the JSON after one more change.

        Args:
            mark: A text that only this change has. So no two manifests are equal, and a process that did not
                get the answer to its request finds out what became of it.
        """
        self._document["count"] = self.count + 1
        self._document["recent"] = [*self._document["recent"], mark][-RECENT:]
        self._document["tree"] = {owner: space for owner, space in self.spaces.items() if space["d"]}
        return json.dumps(self._document, separators=(",", ":")).encode()

    # Queries.

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at a path, sorted."""
        return sorted(owner for owner, space in self.spaces.items() if _is_there(space, parts))

    def find(self, owner: str, parts: Parts) -> Node | None:
        """Return the node of a component at a path, with symbolic links followed."""
        space = self.spaces.get(owner)
        return None if space is None else followed(space, parts)

    # Changes.

    def check_put(
        self, owner: str, parts: Parts, *, is_folder: bool, exclusive: bool, portable: bool
    ) -> None:
        """Refuse a file that may not be put.

        Raises:
            DriveDuplicate: Another component has the path, and the put is exclusive.
            DriveNameClash: Another form of a name exists, and the put is portable.
            DriveIsDirectory: A file would replace a folder.
            DriveNotADirectory: A folder would replace a file, or a parent is a file.
        """
        path = "/".join(parts)
        others = [other for other in self.owners(parts) if other != owner] if exclusive else []
        if others:
            raise DriveDuplicate(
                f"The file {shown(path)} can't be added as already found in the Drive. "
                f"It belongs to {shown(others[0])}: use another name, "
                f"Drive(..., component_name={others[0]!r}) to act as its owner, "
                f"or Drive(..., allow_duplicates=True).",
                owner=others[0],
            )
        if portable:
            for other in sorted(self.spaces) if exclusive else [owner]:
                _check_forms(self.spaces.get(other, {"d": {}}), parts)
        node: Node = self.spaces.get(owner, {"d": {}})
        for depth, part in enumerate(parts):
            if "d" not in node:
                raise _no_folder(parts[:depth], node)
            if part not in node["d"]:
                return
            node = node["d"][part]
        if "d" in node and not is_folder:
            raise DriveIsDirectory(
                f"The file {shown(path)} can't replace the folder that is there; remove it first."
            )
        if "d" not in node and is_folder:
            raise DriveNotADirectory(
                f"The folder {shown(path)} can't replace the file that is there; remove it first."
            )

    def put(self, owner: str, parts: Parts, node: Node) -> None:
        """Place a node, and create the folders above it."""
        now = time_ns()
        folder = self.spaces.setdefault(owner, {"d": {}})
        for part in parts[:-1]:
            if part not in folder["d"]:
                folder["d"][part] = {"d": {}, "m": _FOLDER_MODE, "t": now}
                folder["t"] = now
            folder = folder["d"][part]
        if parts[-1] not in folder["d"] or "d" in node:
            folder["t"] = now
        folder["d"][parts[-1]] = node

    def delete(self, owner: str, parts: Parts) -> None:
        """Remove the node of a component at a path.

        Raises:
            DriveNotFound: No component has the path.
            DriveNotOwner: Another component has it.
            DriveNotADirectory: A symbolic link is in the place of a folder.
        """
        folder: Node = self.spaces.get(owner, {"d": {}})
        for depth, part in enumerate(parts[:-1]):
            folder = folder["d"].get(part, {"d": {}})
            if "l" in folder:
                raise _no_folder(parts[: depth + 1], folder)
            if "d" not in folder:
                break
        if parts[-1] not in folder.get("d", {}):
            raise not_owned(owner, parts, self.owners(parts))
        del folder["d"][parts[-1]]
        folder["t"] = time_ns()


def _no_folder(parts: Parts, node: Node) -> DriveNotADirectory:
    kind = "a symbolic link" if "l" in node else "a file"
    return DriveNotADirectory(
        f"{shown('/'.join(parts))} in the drive is {kind}, so nothing can be put or removed below it; use "
        f"another path."
    )


def _check_forms(space: Node, parts: Parts) -> None:
    """Refuse a path if another form of one of its names, in case or Unicode, exists."""
    folder = space
    for depth, part in enumerate(parts):
        names = folder.get("d")
        if names is None:
            return
        if part not in names:
            refuse_other_form(part, list(names), "/".join(parts[:depth]))
            return
        folder = names[part]


def node_at(folder: Node, parts: Parts | list[str]) -> Node | None:
    """Return the node at a path below a folder, without following links."""
    for part in parts:
        inner = folder.get("d")
        if inner is None or part not in inner:
            return None
        folder = inner[part]
    return folder


def _is_there(space: Node, parts: Parts) -> bool:
    """Return whether a path exists, with the symbolic links above its last part followed."""
    if node_at(space, parts) is not None:
        return True
    parent = followed(space, parts[:-1])
    return parent is not None and parts[-1] in parent.get("d", {})


def link_text(folder: Node, path: str) -> str | None:
    """Return the text of the symbolic link at a path below a folder, or `None` if no link is there."""
    node = node_at(folder, path.split("/"))
    return None if node is None else node.get("l")


def followed(space: Node, parts: Parts) -> Node | None:
    """Return the node at a path, with symbolic links followed; `None` if it does not exist."""
    node = node_at(space, parts)
    if node is not None and "l" not in node:
        return node  # nearly always
    real = follow([], "/".join(parts), lambda path: link_text(space, path))
    return None if real is None else node_at(space, real)


def short_digest(digest: xxh3_128) -> str:
    """Return the digits of a digest that a node has: enough for damage, and short, as all puts read them."""
    return digest.hexdigest()[:16]


def check_names_below(node: Node, path: str) -> None:
    """Refuse a node with a name that no drive has, before its content is copied to this machine.

    All users of the bucket can write manifests, and names in them become names of files here.

    Args:
        node: The node.
        path: Its path in the drive, for the error.

    Raises:
        DriveDamaged: It has such a name.
    """
    for name, inner in node.get("d", {}).items():
        _check_name(name, f"{path}/{name}")
        check_names_below(inner, f"{path}/{name}")


def _wrong_place(document: dict[str, Any]) -> str | None:
    """Return the path of a value of a manifest that this package has not written, `None` if there is none.

    The path is "" for the parts of a manifest that are no nodes.

    Raises:
        KeyError, TypeError, AttributeError: A value is missing, or has another type.
    """
    marks = document["recent"]
    if not _is_number(document["count"]) or not isinstance(marks, list):
        return ""
    if not all(isinstance(mark, str) for mark in marks):
        return ""
    left: list[tuple[str, int, Any]] = []
    for space in document["tree"].values():
        if not _is_folder({"m": 0, "t": 0, **space}):
            return ""
        left += [(name, 1, node) for name, node in space["d"].items()]
    while left:
        path, depth, node = left.pop()
        if depth > _MAX_DEPTH or not _is_node(node):
            return path
        if "d" in node:
            left += [(f"{path}/{name}", depth + 1, inner) for name, inner in node["d"].items()]
    return None


def _is_node(node: object) -> bool:
    if not isinstance(node, dict) or ("d" in node) + ("l" in node) + ("s" in node) != 1:
        return False
    if "l" in node:
        return _is_text(node["l"]) and _is_number(node.get("t"), -_MAX_NUMBER)
    if "x" in node and not _are_attributes(node["x"]):
        return False
    return _is_folder(node) if "d" in node else _is_file(node)


def _is_folder(node: Node) -> bool:
    return isinstance(node["d"], dict) and _has_mode_and_time(node)


def _is_file(node: Node) -> bool:
    size, start, content = node["s"], node.get("o", 0), node.get("b")
    is_content = isinstance(content, str) and _ID.fullmatch(content) is not None
    return (
        _is_number(size)
        and _is_number(start)
        and _is_number(size + start)
        and (is_content or (content is None and "b" not in node and size == 0))
        and isinstance(node.get("h", ""), str)
        and isinstance(node.get("c", ""), str)
        and _has_mode_and_time(node)
    )


def _has_mode_and_time(node: Node) -> bool:
    return _is_number(node.get("m")) and node["m"] <= _MAX_MODE and _is_number(node.get("t"), -_MAX_NUMBER)


def _are_attributes(found: object) -> bool:
    if not isinstance(found, dict):
        return False
    try:
        return all(
            _is_text(name) and b64decode(value, validate=True) is not None for name, value in found.items()
        )
    except (TypeError, ValueError):
        return False


def _is_number(value: object, least: int = 0) -> bool:
    return type(value) is int and least <= value <= _MAX_NUMBER


def _is_text(value: object) -> bool:
    """Return whether a value can be a text that the system keeps: the name of an attribute, or of a link."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    try:
        value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _check_name(name: str, path: str) -> None:
    try:
        check_part(name, path, portable=False)
        is_name = name not in ("", ".") and "/" not in name and "\0" not in name
    except DrivePathError:
        is_name = False
    if not is_name:
        raise DriveDamaged(f"A manifest has the name {shown(path)}, which no drive has; delete it.")


def entry_of(node: Node, path: str, owner: str) -> Entry:
    """Return the entry of a node for a listing."""
    size = len(node["l"].encode(errors="surrogatepass")) if "l" in node else node.get("s", 0)
    return Entry(path, size, node.get("t", 0) / 1e9, owner, "d" in node)


def files_below(folder: Node, prefix: str) -> Iterator[tuple[str, Node]]:
    """Yield all files and links below a folder, with their paths; `prefix` ends with a slash, or is empty."""
    for name, node in folder["d"].items():
        if "d" in node:
            yield from files_below(node, f"{prefix}{name}/")
        else:
            yield prefix + name, node


def object_ids(manifest: Manifest) -> set[str]:
    """Return the ids of all objects with content that a manifest names."""
    return {
        node["b"] for space in manifest.spaces.values() for _, node in files_below(space, "") if "b" in node
    }
