"""A model of a disk that loses its power: which of the recorded system calls have an effect afterwards.

The model keeps names and contents apart, as file systems do. A content is safe when its file was flushed,
a name when its folder was. The rest may be lost; the system may also have written some of it: then
names reach the disk in the order in which they were made, contents not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from lightning_lite.storage.fs import syscalls

#: Content of a file that was never flushed.
LOST = b"<lost>"

#: Content of a path: bytes of a file, a dict of a folder.
Tree = bytes | dict[str, "Tree"]

#: A name in a folder.
Place = tuple["Node", str]

#: Records a call that has succeeded.
Note = Callable[[], None]

_RECORDED = ("open_file", "mkdir", "link", "rename", "exchange", "unlink", "rmdir", "fsync")


class Node:
    """A file or a folder, independent of its names."""

    def __init__(self, *, is_folder: bool) -> None:
        self.is_folder = is_folder
        self.names: dict[str, Node] = {}  # as a running process sees them


class Change(NamedTuple):
    """An operation gives and takes names, all in one step.

    Attributes:
        names: Folders, names in them, and the node of each name afterwards.
        folder: When this one is flushed, the change is safe: the last one, where a rename leads to.
    """

    names: tuple[tuple[Node, str, Node | None], ...]
    folder: Node


class Flush(NamedTuple):
    """A file or folder is safe as it is now."""

    node: Node
    content: bytes


class Power:
    """Records the operations below a folder of a real disk.

    Args:
        top: The folder; its content at the start of the recording is safe.

    Attributes:
        log: The operations so far.
    """

    def __init__(self, top: str) -> None:
        self.log: list[Change | Flush] = []
        self._top = os.path.realpath(top)
        self._contents: dict[Node, bytes] = {}
        self._linked: dict[int, Node] = {}
        self._root = self._load(self._top)
        self._before = self._frozen(self._root)

    def left(self, count: int, written: int) -> Tree:
        """Return the content of the disk if the power fails after so many records.

        Args:
            count: How many records there are by then.
            written: How many of them have reached the disk although they were not flushed.
        """
        names = {node: dict(inner) for node, inner in self._before.items()}
        contents = dict(self._contents)
        log = self.log[:count]
        flushed: set[Node] = set()  # later than the record that is looked at
        safe: set[int] = set()
        for position, record in reversed(list(enumerate(log))):
            if isinstance(record, Flush):
                flushed.add(record.node)
            elif position < written or record.folder in flushed:
                safe.add(position)
        for position, record in enumerate(log):
            if isinstance(record, Flush):
                contents[record.node] = record.content
            elif position in safe:
                for folder, name, node in record.names:
                    inner = names.setdefault(folder, {})
                    if node is None:
                        inner.pop(name, None)
                    else:
                        inner[name] = node

        def tree(node: Node) -> Tree:
            if not node.is_folder:
                return contents.get(node, LOST)
            return {name: tree(inner) for name, inner in names.get(node, {}).items()}

        return tree(self._root)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record all system calls of the package in the `with` block."""
        originals = {name: getattr(syscalls, name) for name in _RECORDED}
        for name in _RECORDED:
            setattr(syscalls, name, self._recording(name, originals[name]))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(syscalls, name, original)

    def _recording(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*args: Any, **kwargs: Any) -> Any:
            note = getattr(self, f"_{name}")(*args, **kwargs)  # first: afterwards the old name is gone
            result = original(*args, **kwargs)
            if note is not None and result is not False:
                note()
            return result

        return operation

    # One method for each call: it returns the function that records the call if it succeeds, or None.

    def _open_file(
        self, path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> Note | None:
        if flags & os.O_CREAT and (place := self._place(path, dir_fd)) and place[1] not in place[0].names:
            return self._note((*place, Node(is_folder=False)))
        return None

    def _mkdir(self, path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> Note | None:
        place = self._place(path, dir_fd)
        return place and self._note((*place, Node(is_folder=True)))

    def _link(
        self,
        source: str,
        target: str,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> Note:
        place = self._place(target, dst_dir_fd)
        assert place is not None
        node = self._node(source, src_dir_fd) or Node(is_folder=False)
        self._linked[os.stat(source, dir_fd=src_dir_fd).st_ino] = node  # its other name may be anywhere
        return self._note((*place, node))

    def _rename(
        self, source: str, target: str, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> Note | None:
        one, other = self._place(source, src_dir_fd), self._place(target, dst_dir_fd)
        if one is None or other is None:
            return None  # both are folders of the user, which the model does not have
        node = one[0].names[one[1]]
        return self._note((*one, None), (*other, node))

    def _exchange(self, one: str, other: str, one_fd: int | None = None, other_fd: int | None = None) -> Note:
        first, second = self._place(one, one_fd), self._place(other, other_fd)
        assert first is not None
        assert second is not None
        return self._note((*first, second[0].names[second[1]]), (*second, first[0].names[first[1]]))

    def _unlink(self, path: str, *, dir_fd: int | None = None) -> Note | None:
        place = self._place(path, dir_fd)
        if not place or place[1] not in place[0].names:
            return None
        return self._note((*place, None))

    _rmdir = _unlink

    def _fsync(self, fd: int) -> Note | None:
        node = self._node(os.readlink(f"/proc/self/fd/{fd}"), None) or self._linked.get(os.fstat(fd).st_ino)
        if node is None:
            return None
        return lambda: self.log.append(Flush(node, b"" if node.is_folder else _content(fd)))

    def _note(self, *names: tuple[Node, str, Node | None]) -> Note:
        return lambda: self._change(*names)

    def _change(self, *names: tuple[Node, str, Node | None]) -> None:
        for folder, name, node in names:
            if node is None:
                folder.names.pop(name, None)
            else:
                folder.names[name] = node
        self.log.append(Change(names, names[-1][0]))

    def _place(self, path: str, dir_fd: int | None) -> Place | None:
        path = self._absolute(path, dir_fd)
        folder = self._node(os.path.dirname(path), None)
        return None if folder is None else (folder, os.path.basename(path))

    def _node(self, path: str, dir_fd: int | None) -> Node | None:
        path = self._absolute(path, dir_fd)
        if path != self._top and not path.startswith(f"{self._top}/"):
            return None
        node = self._root
        for part in filter(None, path[len(self._top) :].split("/")):
            if part not in node.names:
                return None
            node = node.names[part]
        return node

    def _absolute(self, path: str, dir_fd: int | None) -> str:
        folder = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
        path = os.path.normpath(os.path.join(folder, path))
        return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))

    def _load(self, path: str) -> Node:
        node = Node(is_folder=os.path.isdir(path))
        if node.is_folder:
            node.names = {name: self._load(f"{path}/{name}") for name in os.listdir(path)}
        else:
            with open(path, "rb") as file:
                self._contents[node] = file.read()
        return node

    def _frozen(self, node: Node) -> dict[Node, dict[str, Node]]:
        found = {node: dict(node.names)}
        for inner in node.names.values():
            found.update(self._frozen(inner))
        return found


def _content(fd: int) -> bytes:
    with open(f"/proc/self/fd/{fd}", "rb") as file:
        return file.read()
