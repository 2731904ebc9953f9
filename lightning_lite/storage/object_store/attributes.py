"""Extended attributes of files and folders as text in a node."""

from __future__ import annotations

from base64 import b64decode, b64encode

from lightning_lite.access_lists import is_inherited
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.object_store.manifest import Node

_USER = "user."

#: Most bytes of the attributes of one file: a manifest with them is read by each put and get.
_MOST = 4096


def read_attributes(fd: int, node: Node, lost: set[str]) -> None:
    """Add the attributes of the user to the node of an open file or folder.

    Args:
        fd: Its descriptor.
        node: Its node.
        lost: Gets a description of each attribute that the node does not have.
    """
    found: dict[str, str] = {}
    for name in syscalls.attribute_names(fd):
        if name.startswith(_USER):
            found[name] = b64encode(syscalls.getxattr(fd, name)).decode()
        elif not is_inherited(fd, name):
            lost.add("access control lists")
    if sum(map(len, found.values())) > _MOST:
        lost.add(f"extended attributes of more than {_MOST} bytes")
    elif found:
        node["x"] = found


def write_attributes(fd: int, node: Node, lost: set[str]) -> None:
    """Give an open file or folder, to which the owner may write, the attributes in its node."""
    for name, value in node.get("x", {}).items():
        if not name.startswith(_USER):
            continue
        try:
            syscalls.setxattr(fd, name, b64decode(value))
        except OSError:
            lost.add(f"the extended attribute {name!r}")
